"""The menus of the tray: where a reference can come from, and what can be done with one."""

from collections.abc import Callable
from functools import partial

from PySide6.QtCore import Qt
from PySide6.QtGui import QAction, QColor, QIcon, QPixmap
from PySide6.QtWidgets import QApplication, QMenu

from ...board import commands
from ...board.data import COLOUR_NAMES, ROLES, numbers
from ...pictures.kinds import FILTER
from ..document import picture_drag
from ..kit.menus import make_menu
from ..kit.messages import choose_files
from ..kit.widgets import as_action
from .tile import ReferenceTile
from .tray import ReferenceTray

FILES = f"{FILTER};;All files (*)"


def attach_menus(tray: ReferenceTray) -> None:
    """Open them where the tray asks for them."""
    tray.add_menu_wanted.connect(lambda at: add_menu(tray).popup(at))
    tray.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)  # beside the tiles
    tray.customContextMenuRequested.connect(lambda at: add_menu(tray).popup(tray.mapToGlobal(at)))
    tray.tile_menu_wanted.connect(lambda tile, at: tile_menu(tray, tile).popup(at))


def add_menu(tray: ReferenceTray) -> QMenu:
    """File, clipboard, cast, panels."""
    menu = make_menu(tray)
    menu.addAction("From a File…", lambda: _from_files(tray))
    paste = menu.addAction("Paste", lambda: tray.add_from(QApplication.clipboard().mimeData()))
    paste.setEnabled(picture_drag.has_pictures(QApplication.clipboard().mimeData()))
    _add_cast(tray, menu)
    _add_panels(tray, menu)
    return menu


def _from_files(tray: ReferenceTray) -> None:
    paths = choose_files(tray, "Add References", FILES)
    tray.add_pictures(tray.document.import_pictures(paths))


def _add_cast(tray: ReferenceTray, menu: QMenu) -> None:
    cast = menu.addMenu("From the Cast")
    here = {(one.member, one.picture.sha256) for one in tray.panel.references}
    for member in tray.board.cast:
        for place, picture in enumerate(member.pictures):
            name = as_action(member.name if place == 0 else f"{member.name} ({place + 1})")
            action = cast.addAction(_thumbnail(tray, picture.sha256), name)
            action.setEnabled((member.id, picture.sha256) not in here)
            action.triggered.connect(partial(tray.add, [commands.member_reference(member, place)]))
    cast.setEnabled(not cast.isEmpty())


def _add_panels(tray: ReferenceTray, menu: QMenu) -> None:
    panels, number = menu.addMenu("From a Panel"), numbers(tray.board)
    for panel in tray.board.panels():
        if panel.take:
            picture = panel.take.picture
            action = panels.addAction(_thumbnail(tray, picture.sha256), as_action(f"Panel {number[panel.id]}"))
            action.triggered.connect(partial(tray.add_pictures, [picture]))
    panels.setEnabled(not panels.isEmpty())


def _thumbnail(tray: ReferenceTray, sha256: str) -> QIcon:
    return QIcon(tray.document.pixmap(sha256, 64))


def tile_menu(tray: ReferenceTray, tile: ReferenceTile) -> QMenu:
    """Mention, role, name, colour, order, remove; for a mentioned member: keep it as a reference."""
    menu, one = make_menu(tray), tile.seen
    menu.addAction(as_action(f"Mention @{one.name or tile.number}"), lambda: tile.activated.emit(tile))
    if one.kind != "source":
        lay = menu.addAction("Place on the Picture", partial(tray.lay, tile))
        lay.setEnabled(one.picture is not None)
    if one.kind == "cast":
        member = tray.board.member(one.member or "")
        keep = menu.addAction("Keep as a Reference", lambda: tray.add([commands.member_reference(member)]))
        keep.setEnabled(one.picture is not None)
    if one.kind == "reference":
        if any(other.id == one.reference and other.figures for other in tray.panel.references):
            menu.addAction("Change the Pose", lambda: tray.pose_asked.emit(one.reference))
        _add_roles(tray, tile, menu)
        _add_depth(tray, tile, menu)
        _add_looks(tray, tile, menu)
        _add_crop(tray, tile, menu)
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
        action.triggered.connect(_changer(tray, tile, "Change Role", role=role))


def _add_depth(tray: ReferenceTray, tile: ReferenceTile, menu: QMenu) -> None:
    if tile.seen.photo:
        words = "Look at the Depth Map" if tile.reference in tray.mapper.photos else "Look at the Photo"
        menu.addAction(as_action(words), partial(_turn, tray, tile.reference))
        menu.addAction("Make a Map at Each Render", _changer(tray, tile, "Remove Depth Map", map=None))
    else:
        menu.addAction("Make a Depth Map", partial(tray.mapper.ask, tray.panel, tile.reference))


def _turn(tray: ReferenceTray, reference_id: str) -> None:
    """The photo in place of the map, or the map again."""
    tray.mapper.photos ^= {reference_id}
    tray.refresh()


def _add_looks(tray: ReferenceTray, tile: ReferenceTile, menu: QMenu) -> None:
    free = tile.seen.member is None
    menu.addAction("Rename…", lambda: tray.rename(tile)).setEnabled(free)
    colours = menu.addMenu("Colour")
    colours.setEnabled(free)
    for colour, name in COLOUR_NAMES.items():
        action = QAction(_swatch(colour), name.capitalize(), colours)
        action.setCheckable(True)
        action.setChecked(colour == tile.seen.colour)
        action.triggered.connect(_changer(tray, tile, "Change Colour", colour=colour))
        colours.addAction(action)


def _add_crop(tray: ReferenceTray, tile: ReferenceTile, menu: QMenu) -> None:
    menu.addSeparator()
    menu.addAction("Crop…", partial(tray.crop, tile))
    if tile.seen.crop:
        menu.addAction("Use the Whole Picture", _changer(tray, tile, "Use the Whole Picture", crop=None))


def _add_order(tray: ReferenceTray, tile: ReferenceTile, menu: QMenu) -> None:
    menu.addSeparator()
    place = tray.tiles.index(tile)
    for name, target in (
        ("Move to Front", tray.places().start),
        ("Move Earlier", place - 1),
        ("Move Later", place + 1),
    ):
        action = menu.addAction(name, partial(tray.move_tile, tile, target))
        action.setEnabled(target in tray.places() and target != place)


def _changer(tray: ReferenceTray, tile: ReferenceTile, label: str, **fields: object) -> Callable[[], None]:
    return lambda: tray.change_reference(tile.reference, label, **fields)


def _swatch(colour: str) -> QIcon:
    made = QPixmap(32, 32)
    made.fill(QColor(colour))
    return QIcon(made)
