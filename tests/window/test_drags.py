"""What a hand carries: takes and panels out of the program, pictures into it, takes onto the tray, a rectangle."""

import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.window.driver import ROOT, middle

PICTURE = ROOT / "assets/examples/dog.png"
OTHER = (1100, 660)  # inside the other program's window


@pytest.fixture
def other(screen, tmp_path):
    """The folder that another program puts into what is dropped on it; it lets PICTURE be dragged out."""
    folder = tmp_path / "other"
    folder.mkdir()
    words = [sys.executable, ROOT / "tests/window/other_program.py", folder, PICTURE]

    def begin() -> Path:  # after ours, so that it lies on top
        process.append(subprocess.Popen(words, env=screen.environment))
        return folder

    process: list[subprocess.Popen] = []
    yield begin
    for one in process:
        one.terminate()
        one.wait(10)


def dropped(window, folder):
    """The file that was dropped; what was told of it is taken away."""
    told = folder / "dropped.json"
    window.wait(told.exists, "the drop")
    (name,) = json.loads(told.read_text())["files"]
    told.unlink()
    return folder / name


def pixels(path):
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def open_first(window):
    window.click(middle(window.panel(0)), times=2)
    window.wait(lambda: window.ask("window.open_panel_id()"), "the panel")


def place_of_take(window):
    return middle(window.ask(
        "(lambda takes: place(takes.viewport(), takes.visualItemRect(takes.item(0))))"
        "(window.stack.currentWidget().side.takes)"
    ))  # fmt: skip


def begin_other(window, other):
    folder = other()
    window.wait(lambda: (folder / "ready").exists(), "the other program")
    window.click((400, 14))  # our own title bar: keys go to our window again, the other one stays on top
    return folder


def test_a_take_and_a_panel_are_dragged_into_another_program(window, other):
    kept = window.ask("str(document.picture_path(next(board.panels()).take.picture.sha256))")
    before = window.ask("document.history.undo_label"), window.order()
    folder = begin_other(window, other)
    window.drag(middle(window.panel(0)), OTHER)
    of_panel = dropped(window, folder)
    open_first(window)
    window.drag(place_of_take(window), OTHER)
    of_take = dropped(window, folder)
    for file in (of_panel, of_take):
        assert np.array_equal(pixels(file), pixels(kept))
        assert "1A" in file.name
    assert (window.ask("document.history.undo_label"), window.order()) == before


def test_a_picture_is_dragged_in_from_another_program(window, other):
    count = len(window.order())
    begin_other(window, other)
    x, y, width, height = window.panel(1)
    window.drag(OTHER, (x + width - 4, y + height // 2))
    window.wait(lambda: len(window.order()) == count + 1, "a panel with the picture")
    made = window.ask("str(document.picture_path(list(board.panels())[2].take.picture.sha256))")
    assert np.array_equal(pixels(made), pixels(PICTURE))
    open_first(window)
    references = window.ask("len(next(board.panels()).references)")
    window.drag(OTHER, window.find_at("Add a reference"))
    window.wait(lambda: window.ask("len(next(board.panels()).references)") == references + 1, "a reference")
    assert window.ask(
        "next(board.panels()).references[-1].picture.sha256 == list(board.panels())[2].take.picture.sha256"
    )


def test_a_picture_from_another_program_is_laid_on_the_picture_or_becomes_it(window, other):
    open_first(window)
    begin_other(window, other)
    x, y, width, height = window.find("Picture", "Canvas")["rect"]
    panel = "document.panel(window.open_panel_id())"
    window.drag(OTHER, (x + width // 2 - 60, y + height // 2))
    window.wait(lambda: window.ask(f"len({panel}.placed)") == 1, "the picture on the picture")
    assert window.ask(f"len({panel}.takes)") == 1
    assert window.ask(f"{panel}.placed[0].x") < 0.5, "where it was let go"
    x, y, width, height = window.find("Picture", "Canvas")["rect"]
    window.drag(OTHER, (x + width // 2 - 60, y + height - 20))
    window.wait(lambda: window.ask(f"len({panel}.takes)") == 2, "a take of it")
    assert window.ask(f"len({panel}.placed)") == 0, "it lay on another picture"


def test_a_picture_let_go_where_it_was_taken_changes_nothing(window):
    open_first(window)
    before = window.ask("document.history.undo_label"), window.ask("len(next(board.panels()).takes)")
    x, y = window.find_at("Picture", "Canvas")
    window.drag((x - 50, y - 50), (x + 50, y + 50))
    time.sleep(1)
    assert (window.ask("document.history.undo_label"), window.ask("len(next(board.panels()).takes)")) == before


def test_a_take_is_dragged_onto_the_tray_and_a_mask_s_rectangle_over_the_picture(window):
    open_first(window)
    references = window.ask("len(next(board.panels()).references)")
    window.drag(place_of_take(window), window.find_at("Add a reference"))
    window.wait(lambda: window.ask("len(next(board.panels()).references)") == references + 1, "a reference")
    window.click("Mask a rectangle")
    x, y = middle(window.ask("place(window.stack.currentWidget().stage.canvas)"))
    window.drag((x - 100, y - 80), (x + 60, y + 40))
    window.wait(lambda: window.ask("next(board.panels()).mask is not None"), "the mask")
    mask = pixels(window.ask("str(document.picture_path(next(board.panels()).mask.sha256))"))
    assert 0.01 < mask.mean() / 255 < 0.5
