"""Buttons of the panel view: an icon, a name for screen readers, a hint on hover that also tells the key."""

from collections.abc import Iterable

from PySide6.QtCore import QEvent, QSize, Qt
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


def wins_over_menus(event: QEvent, keys: Iterable[int] = (), standard: Iterable[QKeySequence.StandardKey] = ()) -> bool:
    """Whether a widget keeps a key that the window's menus also know: Delete here must not delete the panel there.

    To be asked first in the widget's event(); accepts the event where it is so.
    """
    if event.type() != QEvent.Type.ShortcutOverride:
        return False
    if event.key() in keys or any(event.matches(one) for one in standard):
        event.accept()
        return True
    return False
