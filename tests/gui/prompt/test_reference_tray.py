"""The tray under real events: what is numbered on screen is what the model gets."""

import numpy as np
import pytest
from PySide6.QtCore import QEvent, QMimeData, QObject, QPoint, QPointF, Qt, QUrl
from PySide6.QtGui import QAction, QContextMenuEvent, QDragEnterEvent, QDropEvent, QImage, QRegion
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from app.base import paths
from app.board import commands
from app.board.data import MAX_REFERENCES, Source, Taught
from app.board.panel_job import panel_job
from app.board.picture import Crop
from app.gui.document import picture_drag
from app.gui.prompt.menu import add_menu, attach_menus, tile_menu
from app.gui.prompt.tray import ReferenceTray
from app.pictures.images import open_picture
from mlx_model.specs import SPECS
from tests.app.models.made_models import choose
from tests.gui.panel_board import add_member, add_references, add_take, drawn

LEFT, ALT = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.AltModifier
NONE = Qt.KeyboardModifier.NoModifier
TEN = SPECS["flux2-klein-4b"]
NAMES = ("hat", "coat", "robot", "bar", "lamp", "boots", "scarf", "door", "boat", "sign")


@pytest.fixture
def tray(document, ids, qtbot):
    made = ReferenceTray(document)
    document.changed.connect(lambda old, new: made.refresh())
    qtbot.addWidget(made)
    made.resize(320, 300)
    made.show()
    made.limit, made.subject = TEN.max_references, TEN.name
    made.show_panel(ids()[0])
    made.activateWindow()
    return made


def order(tray) -> list[str]:
    return [reference.name for reference in tray.panel.references]


def sent(tray) -> list[str]:
    """Names in the order of the compiled request."""
    choice = choose(tray.board, tray.panel_id, TEN)
    job = panel_job(tray.board, tray.panel_id, tray.document.picture_path, choice)
    return [reference.name for reference in job.request.references]


def titles(tray) -> list[str]:
    return [tile.title() for tile in sorted(tray.tiles, key=lambda tile: tile.number)]


def drag(tray, tile, end: QPoint):
    start = tile.rect().center()
    QTest.mousePress(tile, LEFT, NONE, start)
    path = end - tile.mapTo(tray, start)
    for step in range(1, 6):
        QTest.mouseMove(tile, tile.mapFrom(tray, tile.mapTo(tray, start)) if step == 0 else start + path / 5)
        start = tile.mapFrom(tray, end - path * (5 - step) / 5)
    QTest.mouseMove(tile, tile.mapFrom(tray, end))
    QTest.mouseRelease(tile, LEFT, NONE, tile.mapFrom(tray, end))


def test_ten_references_are_numbered_as_they_are_sent(tray, document, ids):
    add_references(document, ids()[0], *NAMES)
    assert [tile.number for tile in tray.tiles] == list(range(1, 11))
    assert titles(tray) == list(NAMES) == sent(tray)
    assert len({tile.seen.colour for tile in tray.tiles}) == 10
    assert all(tray.rect().contains(tile.geometry()) for tile in tray.tiles)
    assert not any(a.geometry().intersects(b.geometry()) for a in tray.tiles for b in tray.tiles if a is not b)


def test_a_member_that_the_model_was_taught_has_no_number_for_its_picture_is_not_sent(tray, document, home):
    fox, gull = add_member(document, "fox"), add_member(document, "gull", 51)
    document.do("Say", lambda board: commands.set_panel(board, tray.panel_id, prompt="@fox and @gull"))
    assert [tile.number for tile in tray.tiles] == [1, 2]
    paths.loras().mkdir(parents=True, exist_ok=True)
    (paths.loras() / "foxy.safetensors").write_bytes(b"learned")
    taught = (Taught("mini", "foxy", "foxy"),)
    document.do("Teach", lambda board: commands.set_member(board, fox.id, taught=taught))
    assert [(tile.title(), tile.number) for tile in tray.tiles] == [("fox", 0), (gull.name, 1)]
    assert tray.tiles[0].accessibleName().startswith("fox: learned")
    assert "not shown" in tray.tiles[0].accessibleDescription()
    document.do("Choose", lambda board: commands.set_board(board, model="flux2-klein-4b"))
    assert [tile.number for tile in tray.tiles] == [1, 2]  # that model was not taught


@pytest.mark.parametrize(
    ("moved", "onto", "after", "wanted"),
    [
        (0, 2, True, ["coat", "robot", "hat", "bar"]),
        (3, 0, False, ["bar", "hat", "coat", "robot"]),
        (1, 1, True, ["hat", "coat", "robot", "bar"]),
    ],
)
def test_dragging_reorders_board_and_request(tray, document, ids, moved, onto, after, wanted):
    add_references(document, ids()[0], *NAMES[:4])
    target = tray.tiles[onto].geometry()
    edge = target.right() - 4 if after else target.left() + 4
    drag(tray, tray.tiles[moved], QPoint(edge, target.center().y()))
    assert order(tray) == wanted == titles(tray) == sent(tray)
    if moved != onto:
        document.undo()
        assert order(tray) == list(NAMES[:4]) == titles(tray)


def test_the_keyboard_reorders_and_the_focus_goes_along(tray, document, ids, qtbot):
    add_references(document, ids()[0], *NAMES[:3])
    tray.tiles[0].setFocus()
    qtbot.waitUntil(tray.tiles[0].hasFocus)
    QTest.keyClick(tray.tiles[0], Qt.Key.Key_Right, ALT)
    assert order(tray) == ["coat", "hat", "robot"] == sent(tray)
    assert tray.tiles[1].hasFocus()
    QTest.keyClick(tray.tiles[1], Qt.Key.Key_Right)
    assert tray.tiles[2].hasFocus()
    QTest.keyClick(tray.tiles[2], Qt.Key.Key_Delete)
    assert order(tray) == ["coat", "hat"]
    document.undo()
    assert order(tray) == ["coat", "hat", "robot"]


def test_the_start_picture_is_image_1_and_stays_in_front(tray, document, ids, qtbot):
    first = ids()[0]
    take = add_take(document, first, 3)
    add_references(document, first, "hat", "coat")
    document.do("Start", commands.set_panel(document.board, first, source=Source("take")))
    assert titles(tray) == ["Start", "hat", "coat"]
    assert tray.tiles[0].seen.picture == take.picture
    QTest.keyClick(tray.tiles[2], Qt.Key.Key_Left, ALT)
    QTest.keyClick(tray.tiles[1], Qt.Key.Key_Left, ALT)
    assert titles(tray) == ["Start", "coat", "hat"]
    drag(tray, tray.tiles[2], QPoint(2, 20))
    assert titles(tray) == ["Start", "hat", "coat"]
    assert sent(tray) == ["", "hat", "coat"]
    with qtbot.waitSignal(tray.told):
        QTest.keyClick(tray.tiles[0], Qt.Key.Key_Delete)
    assert len(tray.tiles) == 3


def test_beyond_the_limit_it_says_what_to_do(tray, document, ids):
    told = []
    tray.told.connect(told.append)
    tray.limit, tray.subject = 3, "mini"
    tray.refresh()
    for number in range(4):
        tray.add_pictures([drawn(document, number)])
    assert len(tray.panel.references) == 3
    assert told[-1] == "mini looks at 3 pictures at most. Remove one first, or choose another model."
    tray.remove(tray.tiles[0])
    assert told[-1] == ""
    tray.limit, tray.subject = 1, "small"
    tray.refresh()
    assert [tile.over_limit for tile in tray.tiles] == [False, True]
    assert "more than the model looks at" in tray.tiles[1].accessibleName()


def test_a_mentioned_member_can_be_kept_also_at_the_limit(tray, document, ids):
    first = ids()[0]
    member = add_member(document, "gull")
    document.do("Edit", commands.set_panel(document.board, first, prompt="@gull flies"))
    tray.limit, tray.subject = 1, "mini"
    tray.refresh()
    assert [tile.seen.kind for tile in tray.tiles] == ["cast"]
    action(tile_menu(tray, tray.tiles[0]), "Keep as a Reference").trigger()
    assert [(tile.seen.kind, tile.seen.member) for tile in tray.tiles] == [("reference", member.id)]
    assert len(tray.panel.references) <= MAX_REFERENCES


def drop(widget, mime: QMimeData):
    enter = QDragEnterEvent(QPoint(10, 10), Qt.DropAction.CopyAction, mime, LEFT, NONE)
    QApplication.sendEvent(widget, enter)
    assert enter.isAccepted()
    QApplication.sendEvent(widget, QDropEvent(QPointF(10, 10), Qt.DropAction.CopyAction, mime, LEFT, NONE))


def test_drops_from_finder_from_another_panel_and_paste(tray, document, ids, picture_file):
    files = QMimeData()
    files.setUrls([QUrl.fromLocalFile(str(picture_file(name))) for name in ("Red hat.png", "dog.png")])
    drop(tray, files)
    assert order(tray) == ["Red-hat", "dog"]
    take = add_take(document, ids()[1], 9)
    drop(tray, picture_drag.mime_of(document, take.picture, "Harbour 1B"))
    assert tray.panel.references[2].picture.sha256 == take.picture.sha256
    image = QImage(80, 80, QImage.Format.Format_RGB32)
    image.fill(0x336699)
    QApplication.clipboard().setImage(image)
    tray.setFocus()
    QTest.keyClick(tray, "v", Qt.KeyboardModifier.ControlModifier)
    assert len(order(tray)) == 4
    assert sent(tray) == order(tray)


def test_what_is_cropped_is_dragged_out_and_placed_as_it_is_shown(tray, document, ids, qtbot):
    halves = np.zeros((80, 160, 3), np.uint8)
    halves[:, :80] = 200, 30, 30
    picture = document.file.put_picture(halves, "hat")
    tray.add_pictures([picture])
    tray.change_reference(tray.panel.references[0].id, "Crop", crop=Crop(0, 0, 80, 70))
    with qtbot.waitSignal(tray.lay_asked) as asked:
        action(tile_menu(tray, tray.tiles[0]), "Place on the Picture").trigger()
    (part,) = picture_drag.pictures_in(asked.args[0], document)
    assert ((part.width, part.height), part.name) == ((80, 70), "hat")
    assert open_picture(document.picture_path(part.sha256)).reshape(-1, 3).tolist() == [[200, 30, 30]] * (80 * 70)
    tray.change_reference(tray.panel.references[0].id, "Whole", crop=None)
    with qtbot.waitSignal(tray.lay_asked) as asked:
        tray.lay(tray.tiles[0])
    assert picture_drag.pictures_in(asked.args[0], document) == [picture]


class Painted(QObject):
    """What of a widget was painted since."""

    def __init__(self, widget):
        super().__init__(widget)
        self.parts = QRegion()
        widget.installEventFilter(self)

    def eventFilter(self, watched, event):
        if event.type() == QEvent.Type.Paint:
            self.parts += event.region()
        return False


def test_after_a_drop_nothing_of_the_tray_says_drop_here(tray, tmp_path, qtbot):
    (tmp_path / "empty.png").touch()
    mime = QMimeData()
    mime.setUrls([QUrl.fromLocalFile(str(tmp_path / "empty.png"))])
    QApplication.sendEvent(tray, QDragEnterEvent(QPoint(10, 10), Qt.DropAction.CopyAction, mime, LEFT, NONE))
    QTest.qWait(50)
    painted = Painted(tray)
    QApplication.sendEvent(tray, QDropEvent(QPointF(10, 10), Qt.DropAction.CopyAction, mime, LEFT, NONE))
    qtbot.waitUntil(lambda: (QRegion(tray.rect()) - painted.parts).isEmpty())


def test_a_refused_file_is_told_and_the_others_come_in(tray, document, tmp_path, picture_file, qtbot):
    bad = tmp_path / "notes.pdf"
    bad.write_bytes(b"%PDF-1.4")
    mime = QMimeData()
    mime.setUrls([QUrl.fromLocalFile(str(path)) for path in (bad, picture_file())])
    with qtbot.waitSignal(document.message) as told:
        drop(tray, mime)
    assert "notes.pdf" in told.args[0]
    assert order(tray) == ["gull"]


def action(menu, text: str) -> QAction:
    return next(action for action in menu.findChildren(QAction) if action.text() == text)


def test_roles_names_and_colours_by_menu(tray, document, ids, qtbot):
    add_references(document, ids()[0], "hat", "coat")
    document.do("Edit", commands.set_panel(document.board, ids()[0], prompt="wear the @hat"))
    action(tile_menu(tray, tray.tiles[0]), "Style").trigger()
    assert tray.panel.references[0].role == "style"
    action(tile_menu(tray, tray.tiles[1]), "Move to Front").trigger()
    assert order(tray) == ["coat", "hat"]
    free = next(a for a in tile_menu(tray, tray.tiles[0]).findChildren(QAction) if a.text() == "Brown")
    free.trigger()
    assert tray.panel.references[0].colour == "#8C564B"
    QTest.keyClick(tray.tiles[1], Qt.Key.Key_F2)
    qtbot.waitUntil(tray.name_field.isVisible)
    tray.name_field.selectAll()
    QTest.keyClicks(tray.name_field, "cap")
    QTest.keyClick(tray.name_field, Qt.Key.Key_Return)
    assert order(tray) == ["coat", "cap"]
    assert tray.panel.prompt == "wear the @cap"
    told = []
    document.message.connect(lambda *words: told.append(words))
    tray.change_reference(tray.tiles[1].seen.reference, "Rename Reference", name="coat")
    assert "coat" in told[-1][0]
    assert order(tray) == ["coat", "cap"]


def test_the_cast_and_other_panels_are_in_the_menu(tray, document, ids):
    member = add_member(document, "gull")
    add_take(document, ids()[1], 4)
    menu = add_menu(tray)
    action(menu, "gull").trigger()
    action(menu, "Panel 1B").trigger()
    assert [tile.title() for tile in tray.tiles] == ["gull", "Panel-1B"]
    assert tray.tiles[0].seen.member == member.id


def test_right_to_left_starts_on_the_right(tray, document, ids):
    add_references(document, ids()[0], "hat", "coat")
    tray.setLayoutDirection(Qt.LayoutDirection.RightToLeft)
    tray.refresh()
    assert tray.tiles[0].x() > tray.tiles[1].x()
    target = tray.tiles[1].geometry()
    drag(tray, tray.tiles[0], QPoint(target.left() + 3, target.center().y()))
    assert order(tray) == ["coat", "hat"]


def test_every_tile_says_what_it_is(tray, document, ids):
    add_references(document, ids()[0], "hat", "coat")
    assert [tile.accessibleName() for tile in tray.tiles] == ["Image 1: hat, prop", "Image 2: coat, prop"]
    QTest.keyClick(tray.tiles[1], Qt.Key.Key_Left, ALT)
    assert [tile.accessibleName() for tile in tray.tiles] == ["Image 1: coat, prop", "Image 2: hat, prop"]


def test_a_right_click_beside_the_pictures_says_where_one_can_come_from(tray):
    attach_menus(tray)
    at = QPoint(tray.width() - 3, tray.height() - 3)
    event = QContextMenuEvent(QContextMenuEvent.Reason.Mouse, at, tray.mapToGlobal(at))
    QApplication.sendEvent(tray, event)
    opened = QApplication.activePopupWidget()
    assert [one.text() for one in opened.actions() if one.text()][:2] == ["From a File…", "Paste"]
    opened.close()
