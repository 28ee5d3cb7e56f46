"""The menus of the tray: where a reference can come from, and what can be done with one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtGui import QAction, QColor, QIcon, QPixmap
from PySide6.QtWidgets import QApplication, QFileDialog, QMenu

from ...board import commands
from ...board.data import COLOUR_NAMES, ROLES, PanelReference, new_id, numbers
from ...pictures.kinds import FILTER
from ..document import picture_drag
from .tile import ReferenceTile

if TYPE_CHECKING:
    from .tray import ReferenceTray

from PySide6.QtCore import QPoint, Qt, Signal
from PySide6.QtWidgets import QLineEdit, QWidget

from ..kit.widgets import describe
from .tile import PICTURE

FILES = f"{FILTER};;All files (*)"


def add_menu(tray: ReferenceTray) -> QMenu:
    """File, clipboard, cast, panels."""
    menu = _menu(tray)
    menu.addAction("From a File…", lambda: _from_files(tray))
    paste = menu.addAction("Paste", lambda: tray.add_from(QApplication.clipboard().mimeData()))
    paste.setEnabled(picture_drag.has_pictures(QApplication.clipboard().mimeData()))
    _add_cast(tray, menu)
    _add_panels(tray, menu)
    return menu


def _menu(tray: ReferenceTray) -> QMenu:
    menu = QMenu(tray)
    menu.aboutToHide.connect(menu.deleteLater)
    return menu


def _from_files(tray: ReferenceTray) -> None:
    paths, _ = QFileDialog.getOpenFileNames(tray, "Add References", "", FILES)
    found = tray.document.import_pictures(paths)
    tray.add([PanelReference(new_id(), picture, name=picture.name) for picture in found])


def _add_cast(tray: ReferenceTray, menu: QMenu) -> None:
    cast = menu.addMenu("From the Cast")
    here = {(one.member, one.picture.sha256) for one in tray.panel.references}
    for member in tray.board.cast:
        for place, picture in enumerate(member.pictures):
            name = member.name if place == 0 else f"{member.name} ({place + 1})"
            action = cast.addAction(_thumbnail(tray, picture.sha256), name)
            action.setEnabled((member.id, picture.sha256) not in here)
            action.triggered.connect(_adder(tray, commands.member_reference(member, place)))
    cast.setEnabled(not cast.isEmpty())


def _add_panels(tray: ReferenceTray, menu: QMenu) -> None:
    panels, number = menu.addMenu("From a Panel"), numbers(tray.board)
    for panel in tray.board.panels():
        if panel.take:
            picture = panel.take.picture
            action = panels.addAction(_thumbnail(tray, picture.sha256), f"Panel {number[panel.id]}")
            reference = PanelReference(new_id(), picture, "composition", f"panel-{number[panel.id]}")
            action.triggered.connect(_adder(tray, reference))
    panels.setEnabled(not panels.isEmpty())


def _adder(tray: ReferenceTray, reference: PanelReference):
    return lambda: tray.add([reference])


def _thumbnail(tray: ReferenceTray, sha256: str) -> QIcon:
    return QIcon(tray.document.pixmap(sha256, 64))


def tile_menu(tray: ReferenceTray, tile: ReferenceTile) -> QMenu:
    """Mention, role, name, colour, order, remove; for a mentioned member: keep it as a reference."""
    menu, one = _menu(tray), tile.seen
    menu.addAction(f"Mention @{one.name or tile.number}", lambda: tile.activated.emit(tile))
    if one.kind == "cast":
        member = tray.board.member(one.member)
        keep = menu.addAction("Keep as a Reference", lambda: tray.add([commands.member_reference(member)]))
        keep.setEnabled(one.picture is not None)
    if one.kind == "reference":
        _add_roles(tray, tile, menu)
        _add_looks(tray, tile, menu)
        _add_order(tray, tile, menu)
        menu.addSeparator()
        menu.addAction("Remove", lambda: tray.remove(tile))
    return menu


def _add_roles(tray: ReferenceTray, tile: ReferenceTile, menu: QMenu) -> None:
    roles = menu.addMenu("Role")
    for role in ROLES:
        action = roles.addAction(role.capitalize())
        action.setCheckable(True)
        action.setChecked(role == tile.seen.role)
        action.triggered.connect(_changer(tray, tile.seen.reference, "Change Role", role=role))


def _add_looks(tray: ReferenceTray, tile: ReferenceTile, menu: QMenu) -> None:
    free = tile.seen.member is None
    menu.addAction("Rename…", lambda: tray.rename(tile)).setEnabled(free)
    colours = menu.addMenu("Colour")
    colours.setEnabled(free)
    for colour, name in COLOUR_NAMES.items():
        action = QAction(_swatch(colour), name.capitalize(), colours)
        action.setCheckable(True)
        action.setChecked(colour == tile.seen.colour)
        action.triggered.connect(_changer(tray, tile.seen.reference, "Change Colour", colour=colour))
        colours.addAction(action)


def _add_order(tray: ReferenceTray, tile: ReferenceTile, menu: QMenu) -> None:
    menu.addSeparator()
    place = tray.tiles.index(tile)
    for name, target in (
        ("Move to Front", tray.places().start),
        ("Move Earlier", place - 1),
        ("Move Later", place + 1),
    ):
        action = menu.addAction(name, lambda target=target: tray.move_tile(tile, target))
        action.setEnabled(target in tray.places() and target != place)


def _changer(tray: ReferenceTray, reference_id: str, label: str, **changes):
    return lambda: tray.change(reference_id, label, **changes)


def _swatch(colour: str) -> QIcon:
    made = QPixmap(32, 32)
    made.fill(QColor(colour))
    return QIcon(made)


WIDTH, HEIGHT = 120, 28


class NameField(QLineEdit):
    """Return or leaving the field takes the name, Escape doesn't."""

    named = Signal(str, str)  # id of the reference, name

    def __init__(self, parent: QWidget):
        super().__init__(parent)
        self._tile: ReferenceTile | None = None
        describe(self, "Name of the reference", "One word, mentioned with @")
        self.hide()

    def open(self, tile: ReferenceTile) -> None:
        """Edit the name of a tile's reference."""
        self._tile, self._id, self._before = tile, tile.seen.reference, tile.seen.name
        self.setText(self._before)
        corner = tile.pos() + QPoint((tile.width() - WIDTH) // 2, PICTURE.height() - 4)
        room = max(0, self.parentWidget().width() - WIDTH)
        self.setGeometry(min(max(0, corner.x()), room), corner.y(), WIDTH, HEIGHT)
        self.show()
        self.raise_()
        self.selectAll()
        self.setFocus()

    def keyPressEvent(self, event) -> None:
        if event.key() == Qt.Key.Key_Escape:
            self._close(take=False)
        elif event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self._close(take=True)
        else:
            super().keyPressEvent(event)

    def focusOutEvent(self, event) -> None:
        super().focusOutEvent(event)
        if event.reason() != Qt.FocusReason.PopupFocusReason:
            self._close(take=True)

    def _close(self, take: bool) -> None:
        tile, self._tile = self._tile, None
        if tile is None:
            return
        self.hide()
        name = self.text().strip()
        if take and name and name != self._before:
            self.named.emit(self._id, name)
