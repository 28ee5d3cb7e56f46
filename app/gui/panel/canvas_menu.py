"""What a right click on the picture shows: all that can be done with it, by the same commands as elsewhere."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QKeySequence
from PySide6.QtWidgets import QApplication, QMenu

from ..canvas.arranging import Arranger
from ..canvas.boxes import BoxDrawer
from ..canvas.figures import Poser
from ..document import picture_drag
from ..kit.menus import make_menu
from ..kit.widgets import as_action
from .edit_bar import EditBar
from .stage import PanelStage
from .takes_tree import TakesTree


class Parts(NamedTuple):
    """Of the panel view: where the commands are."""

    stage: PanelStage
    edit: EditBar
    takes: TakesTree


def open_menu(parts: Parts, at: QPoint, by_mouse: bool = False) -> None:
    """At a point of the screen: what can be done with the thing that lies there, or is held; else with the picture."""
    stage = parts.stage
    if by_mouse:
        _hold_at(stage, at)
    held = stage.holder is not None and stage.holder.one is not None
    (menu_of_held(stage) if held else menu_of_picture(parts)).popup(at)


def _hold_at(stage: PanelStage, at: QPoint) -> None:
    """Take hold of what is clicked; a placed picture is so also without its tool."""
    canvas, arranger = stage.canvas, stage.canvas.arranger
    if stage.holder:
        stage.holder.settle()
        stage.holder.hold(canvas.find_in(stage.holder, at))
    elif stage.tool == "move" and stage.laying.visible and canvas.placing:
        place = canvas.find_in(arranger, at)
        if place >= 0:
            stage.set_tool("place")
            arranger.hold(place)


def menu_of_picture(parts: Parts) -> QMenu:
    """For the picture that is shown, or the empty panel."""
    stage, take = parts.stage, parts.stage.panel.take
    menu = make_menu(stage)
    _add_changes(menu, parts)
    menu.addSeparator()
    _add_tools(menu, stage)
    menu.addSeparator()
    if take:
        parts.takes.add_commands(menu, take)
        menu.addSeparator()
    _add_views(menu, stage)
    return menu


def _add(menu: QMenu, text: str, act: Callable[[], object], can: bool = True, key: str = "") -> None:
    """Only where it can be done now. `key` is shown: the canvas or the menus know it already."""
    if not can:
        return
    action = menu.addAction(as_action(text))
    action.triggered.connect(lambda: act())
    if key:
        action.setShortcut(QKeySequence(key))
        action.setShortcutContext(Qt.ShortcutContext.WidgetShortcut)


def _add_changes(menu: QMenu, parts: Parts) -> None:
    edit, stage = parts.edit, parts.stage
    _add(menu, "Change This Picture", edit.to_change.click, edit.to_change.isEnabled())
    _add(menu, edit.from_other.accessibleName(), edit.from_other.click, not edit.from_other.isHidden())
    _add(menu, "New from Words", edit.to_make.click)
    mime = QApplication.clipboard().mimeData()
    there = picture_drag.has_pictures(mime)
    _add(menu, "Paste as This Panel's Picture", lambda: stage.drop(mime, None), there)
    _add(menu, "Paste onto This Picture", lambda: stage.lay(picture_drag.pictures_in(mime, stage.document)),
         there and stage.canvas.placing)  # fmt: skip


def _add_tools(menu: QMenu, stage: PanelStage) -> None:
    can = stage.canvas.placing
    _add(menu, "Place Picture…", stage.choose_pictures, can)
    _add(menu, "Arrange What Is Placed", lambda: stage.set_tool("place"), can and bool(stage.panel.placed))
    _add(menu, "Paint", lambda: stage.set_tool("paint"), can)
    _add(menu, "Remove All That Is Placed", stage.laying.clear, bool(stage.panel.placed))
    _add(menu, "Pose Figures", lambda: stage.set_tool("pose"), stage.bar.tools["pose"].isEnabled())
    _add(menu, "Draw Boxes", lambda: stage.set_tool("boxes"), stage.bar.tools["boxes"].isEnabled())
    mask = stage.bar.tools["brush"]
    _add(menu, "Paint a Mask", lambda: stage.set_tool("brush"), mask.isEnabled())
    _add(menu, "Remove Mask", stage.masks.clear, stage.panel.mask is not None)


def _add_views(menu: QMenu, stage: PanelStage) -> None:
    bar, canvas = stage.bar, stage.canvas
    _add(menu, "Compare Before and After", bar.compare.click, bar.compare.isEnabled(), "C")
    _add(menu, "Onion Skin", bar.onion.click, True, "O")
    _add(menu, "Fit", canvas.fit, bar.fit.isEnabled(), "0")
    _add(menu, "Actual Pixels", canvas.actual_size, bar.fit.isEnabled(), "1")


def menu_of_held(stage: PanelStage) -> QMenu:
    """For the placed picture, figure or box that is held."""
    menu, holder = make_menu(stage), stage.holder
    if isinstance(holder, Arranger):
        _add_placed(menu, stage, holder)
    elif isinstance(holder, Poser):
        _add(menu, "Mirror", holder.mirror_held, True, "M")
    elif isinstance(holder, BoxDrawer):
        _add(menu, "Write What Is Here", holder.words_asked.emit, True, "Return")
    if holder:
        _add(menu, "Remove", holder.remove_held, True, "Del")
    return menu


def _add_placed(menu: QMenu, stage: PanelStage, arranger: Arranger) -> None:
    last = len(arranger.items) - 1
    _add(menu, "Bring Forward", lambda: arranger.order_held(1), arranger.held < last, "PgUp")
    _add(menu, "Send Backward", lambda: arranger.order_held(-1), arranger.held > 0, "PgDown")
    _add(menu, "Remove Background", stage.laying.remove_ground)
    _add(menu, "Erase Parts", lambda: stage.set_tool("rub"), True, "E")
    _add(menu, "Mirror", arranger.mirror_held, True, "M")
    _add(menu, "Straighten", lambda: arranger.set_fields("Turn Picture", angle=0.0))
    _add_opacities(menu, arranger)
    menu.addSeparator()
    _add(menu, "Place Picture…", stage.choose_pictures)


def _add_opacities(menu: QMenu, arranger: Arranger) -> None:
    sub = menu.addMenu("Opacity")
    for share in (100, 75, 50, 25):
        _add(sub, f"{share} %", partial(arranger.set_fields, "Change Opacity", opacity=share / 100))
