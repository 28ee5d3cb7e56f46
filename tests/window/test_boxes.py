"""Boxes are drawn and written into by a real mouse and real keys, with a model that reads them, and reach the run."""

import json

import pytest

from converters.convert import convert
from mlx_model.boxes import split_boxes
from tests.converters.tiny import TINY, checkpoint
from tests.window.driver import middle
from tests.window.test_edit_bar import PANEL, open_panel, wait_for_takes
from tests.window.test_placing import spot

MODEL = "flux3-image-klein"
STAGE = "window.stack.currentWidget().stage"
CANVAS = f"{STAGE}.canvas"


@pytest.fixture
def reader(start, tmp_path):
    """The program with a tiny FLUX.3, which is its default model."""
    home = tmp_path / "home"
    list(convert(checkpoint(TINY[MODEL], tmp_path / "source"), home / "models" / MODEL, model=MODEL))
    return start(home=home)


def boxes(window):
    """(left, top, right, bottom, words) of each."""
    return window.ask(f"[(b.left, b.top, b.right, b.bottom, b.words) for b in {PANEL}.boxes]")


def set_panel(window, fields):
    """As another part of the program would."""
    command = "__import__('app.board.commands', fromlist=['commands']).set_panel"
    window.ask(f"document.do('Set', {command}(document.board, window.open_panel_id(), {fields}))")


def focus(window):
    return (window.question("focus") or {}).get("name")


def test_a_box_is_drawn_written_into_moved_and_told_to_the_model(reader):
    window = reader
    open_panel(window, 0)
    window.click("New from words")
    window.click("Draw boxes")
    window.drag(spot(window, 0.1, 0.2), spot(window, 0.5, 0.7))
    window.wait(lambda: focus(window) == "Words of the box", "the field")
    window.type("a black dog")
    window.press("Return")
    window.wait(lambda: focus(window) == "Picture", "the keys on the picture")
    (box,) = boxes(window)
    assert (*(round(side, 2) for side in box[:4]), box[4]) == (0.1, 0.2, 0.5, 0.7, "a black dog")
    window.drag(spot(window, 0.3, 0.6), spot(window, 0.5, 0.7))
    assert [round(side, 2) for side in boxes(window)[0][:4]] == [0.3, 0.3, 0.7, 0.8]
    window.drag(spot(window, 0.7, 0.8), spot(window, 0.9, 0.9))
    assert [round(side, 2) for side in boxes(window)[0][:4]] == [0.3, 0.3, 0.9, 0.9]
    window.press("ctrl+z", "ctrl+z")
    assert boxes(window) == [box]
    window.click(spot(window, 0.3, 0.5), times=2)
    window.wait(lambda: focus(window) == "Words of the box", "the field")
    window.type("a white cat like @gu")
    window.wait(lambda: window.ask(f"{STAGE}.boxing.field.mentions.is_open"), "what can be mentioned")
    window.press("Return", "Return")
    assert boxes(window) == [[*box[:4], "a white cat like @gull"]]
    window.click(spot(window, 0.3, 0.5), button=3)
    window.click("Write What Is Here")
    window.wait(lambda: focus(window) == "Words of the box", "the field")
    window.type("a white cat")
    window.press("Return")
    assert boxes(window) == [[*box[:4], "a white cat"]]
    assert window.shows("1 box")
    window.click("Done")
    set_panel(window, f"settings=type({PANEL}.settings)(width=64, height=64)")
    window.press("ctrl+Return")
    wait_for_takes(window, 2)
    prompt = json.loads(window.ask(f"{PANEL}.takes[-1].request"))["prompt"]
    ((placed,),) = [split_boxes(prompt)[1]]
    wanted = [round(1000 * box[side]) for side in (1, 0, 3, 2)]
    assert list(placed.bbox or placed.target) == wanted
    assert placed.description == "a white cat"
    assert f"a white cat <{placed.id}>" in prompt
    assert window.question("cut") == []


def test_the_same_by_keys_alone(reader):
    window = reader
    window.click(middle(window.panel(0)))
    window.press("ctrl+Down")
    window.wait(lambda: window.ask("window.open_panel_id()"), "the panel")
    window.tab_to("Look")
    window.press(*["Right"] * 9)
    assert focus(window) == "Draw boxes"
    window.press("Return")
    window.tab_to("Add Box")
    window.press("Return")
    window.wait(lambda: focus(window) == "Words of the box", "the field")
    window.type("a lamp")
    window.press("Return", "shift+Right", "alt+Down", "Return")
    window.wait(lambda: focus(window) == "Words of the box", "the field again")
    window.type("a red lamp")
    window.press("Return")
    (left, top, right, bottom, words) = boxes(window)[0]
    assert (round(left, 2), top, round(right, 2), words) == (0.35, 0.3, 0.75, "a red lamp")
    assert bottom > 0.7
    assert "Box 1 of 1, a red lamp, 35 % from the left" in window.ask(f"{CANVAS}.accessibleDescription()")
    window.press("Return", "ctrl+a", "BackSpace", "Escape")
    assert boxes(window)[0][4] == "a red lamp", "Escape keeps what was there"
    window.press("Delete")
    assert boxes(window) == []
    window.press("ctrl+z")
    assert boxes(window)[0][4] == "a red lamp"
    window.press("Escape")
    assert window.ask(f"{STAGE}.tool") == "move"


def test_a_model_that_reads_none_has_no_such_tool_and_says_what_is_not_used(window):
    open_panel(window, 0)
    assert not window.ask(f"{STAGE}.bar.tools['boxes'].isVisible()")
    region = "__import__('app.board.regions', fromlist=['regions']).Region(0.1, 0.1, 0.5, 0.5, 'a dog')"
    set_panel(window, f"boxes=({region},)")
    assert window.shows("reads no boxes: not used")
    window.click("Remove Boxes")
    assert boxes(window) == []
