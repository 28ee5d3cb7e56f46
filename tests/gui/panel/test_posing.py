"""A pose on a panel: a reference drawn of figures, kept by the board, undone, posed again, refused where none fits."""

import pytest
from PIL import Image

from app.board import pose
from app.gui.document.forecast import PanelModel
from app.gui.prompt.menu import tile_menu
from mlx_model.specs import SPECS
from tests.gui.panel_board import add_references, shown_panel


class Klein(PanelModel):
    """As if the panel were rendered with it."""

    spec = SPECS["flux2-klein-4b"]


@pytest.fixture
def view(document, ids, qtbot):
    return shown_panel(document, ids()[1], qtbot)


def add(view, document, name="Standing"):
    view.stage.set_tool("pose")
    view.stage.posing.poser.place(name)
    document.settle()


def test_a_figure_becomes_a_reference_that_shows_it_and_done_leaves_it(view, document):
    add(view, document)
    (reference,) = view.panel.references
    assert (reference.role, reference.name, reference.figures) == ("pose", "pose", view.stage.posing.poser.items)
    with Image.open(document.picture_path(reference.picture.sha256)) as image:
        to_come = view.stage.canvas.view.picture
        assert abs(image.width / image.height - to_come.width() / to_come.height()) < 0.01
        assert image.getpixel((image.width // 2, round(0.25 * image.height)))[0] < 100, "its trunk"
    view.stage.strip.pose_bar.done.click()
    assert (view.stage.tool, view.panel.references) == ("move", (reference,))
    assert [tile.seen.role for tile in view.side.tray.tiles] == ["pose"]


def test_undo_takes_back_change_by_change_and_the_canvas_follows(view, document):
    add(view, document)
    first = view.panel.references[0]
    add(view, document, "Running")
    view.stage.posing.poser.mirror_held()
    document.settle()
    assert len(view.panel.references) == 1, "all figures are one picture"
    assert view.panel.references[0].picture != first.picture
    document.undo()
    document.undo()
    assert view.panel.references == (first,)
    assert view.stage.posing.poser.items == first.figures
    document.undo()
    assert (view.panel.references, view.stage.posing.poser.items) == ((), ())
    document.redo()
    assert view.panel.references == (first,)


def test_the_last_figure_takes_its_reference_along(view, document):
    add(view, document)
    view.stage.posing.poser.remove_held()
    assert view.panel.references == ()
    add(view, document)
    assert len(view.panel.references) == 1


def test_a_reference_is_posed_again_from_the_tray(view, document, ids):
    add_references(document, ids()[1], "gull")
    add(view, document)
    view.stage.set_tool("move")
    gull, posed = view.side.tray.tiles
    words = "Change the Pose"
    assert words not in [action.text() for action in tile_menu(view.side.tray, gull).actions()]
    (action,) = [one for one in tile_menu(view.side.tray, posed).actions() if one.text() == words]
    action.trigger()
    assert view.stage.tool == "pose"
    assert view.stage.posing.poser.held == 0
    view.stage.posing.poser.turn_held(20)
    document.settle()
    assert view.panel.references[1].figures == (pose.turn(pose.make_figure("Standing"), 20),)
    assert view.panel.references[1].id == posed.seen.reference


def test_where_the_model_looks_at_no_more_the_tool_says_so(view, document, ids):
    add_references(document, ids()[1], "a", "b", "c", "d", "e", "f")
    tool = view.stage.bar.tools["pose"]
    assert not tool.isEnabled()
    assert "at most" in tool.accessibleDescription()
    document.undo()
    assert tool.isEnabled()


def test_many_changes_before_the_first_is_stored_are_one_reference(view, document):
    view.stage.set_tool("pose")
    poser = view.stage.posing.poser
    poser.place("Standing")
    poser.place("Walking")
    poser.mirror_held()
    document.settle()
    assert [len(one.figures) for one in view.panel.references] == [2]
    assert view.panel.references[0].figures == poser.items


def test_that_a_model_has_not_learned_poses_is_said(view):
    assert "has not learned" in view.stage.strip.pose_bar.words.text()
    view.stage.model = Klein(view.stage.model.found)
    view.stage.refresh()
    assert view.stage.strip.pose_bar.words.text() == "A reference of its own: the model takes the pose"
