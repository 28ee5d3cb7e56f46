"""Menus of a right click, or of the menu key: what can be done with the thing that is under it."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QCursor
from PySide6.QtWidgets import QAbstractButton, QAbstractScrollArea, QMenu, QWidget

from .widgets import as_action


class Entry(NamedTuple):
    """Its words, what it does, and whether it can be used now."""

    words: str
    act: Callable[[], object]
    can: bool = True


Entries = Sequence[Entry | None]  # None: a line between them


def make_menu(owner: QWidget, entries: Entries = ()) -> QMenu:
    """To be shown once."""
    menu = QMenu(owner)
    menu.aboutToHide.connect(menu.deleteLater)
    for one in entries:
        if one is None:
            menu.addSeparator()
        else:
            menu.addAction(as_action(one.words), one.act).setEnabled(one.can)
    return menu


def let_go(opener: QAbstractButton) -> None:
    """Of the button whose menu closes: Qt tells it of no mouse that left meanwhile, and it would stay lit."""
    inside = opener.rect().contains(opener.mapFromGlobal(QCursor.pos()))
    opener.setDown(False)
    opener.setAttribute(Qt.WidgetAttribute.WA_UnderMouse, inside)
    opener.update()


def offer_menu(widget: QWidget, list_entries: Callable[[QPoint], Entries]) -> None:
    """Such a menu on `widget`, of what `list_entries` says of the place that was clicked; none where that is nothing.

    From the keyboard it comes up in the middle of the widget.
    """

    def show(at: QPoint) -> None:
        seen = widget.viewport() if isinstance(widget, QAbstractScrollArea) else widget
        if entries := list_entries(at):
            make_menu(widget, entries).popup(seen.mapToGlobal(at))

    widget.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
    widget.customContextMenuRequested.connect(show)


def press(*buttons: QAbstractButton) -> list[Entry]:
    """What the buttons do that are offered now: a menu says the same words as the row that it is of."""
    offered = (one for one in buttons if not one.isHidden())
    return [Entry(one.text().replace("&&", "&"), one.click, one.isEnabled()) for one in offered]
