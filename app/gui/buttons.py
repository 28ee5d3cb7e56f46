"""Buttons of the panel view: an icon, a name for screen readers, a hint on hover that also tells the key."""

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QKeySequence
from PySide6.QtWidgets import QToolButton, QWidget

from . import icons


def tool(name: str, icon: str, hint: str = "", parent: QWidget | None = None, checkable: bool = False) -> QToolButton:
    """A flat icon button; `name` is its accessible name and the start of its hint."""
    button = QToolButton(parent)
    button.setIconSize(QSize(18, 18))
    button.setCheckable(checkable)
    button.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
    describe(button, name, hint)
    icons.dress(button, icon)
    return button


def describe(widget: QWidget, name: str, hint: str = "") -> None:
    """Name a control for screen readers; the hint shows on hover and is read as its description."""
    widget.setAccessibleName(name)
    widget.setAccessibleDescription(hint)
    widget.setToolTip(f"{name}\n{hint}" if hint else name)


def key_text(keys: str) -> str:
    """A key as this system writes it: Ctrl+Return is shown as the Command sign on a Mac."""
    return QKeySequence(keys).toString(QKeySequence.SequenceFormat.NativeText)
