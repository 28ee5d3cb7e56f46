"""Every format, written from the window through its dialogs by keys alone, opened by other people's programs.

Each is held against what the command line writes of the same board, while the window has it open.
"""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace
from PIL import Image

from app.board import commands
from app.board.camera import Camera
from app.fluxboard import samples
from app.interchange.formats import EXPORTS, FOLDER, FORMATS, TIMELINES, Option
from tests.window.conftest import programs
from tests.window.driver import ROOT, Window
from tests.window.opened import Opened, list_files, open_export

TITLE = "Gull: the <first> & last flight"
NAME = "Gull-the-first-& last flight"  # of files, on every disk
PANELS = ["1A", "1B", "1C", "1D", "2A", "2B", "2C"]
SECONDS = [0.5, 0.25, 0.5, 0.75, 0.5, 1, 0.5]
NUMBERS = {"width": 320, "columns": 3, "rows": 2}


def write_board(path: Path) -> Path:
    """A sample with several takes, a mask, notes and a time that is no whole second."""
    file = samples.create(samples.FIRST, path)
    board = commands.set_board(file.board, title=TITLE)
    _, second, third, fourth, *_ = board.panels()
    mask = np.zeros((512, 512, 3), np.uint8)
    mask[100:300, 50:200] = 255
    Image.fromarray(mask).save(path.parent / "mask.png")
    camera = Camera("CU", "low", "push in")
    board = commands.set_panel(board, second.id, notes="Möwe, softer.\nSecond line.", camera=camera)
    board = commands.set_panel(board, second.id, mask=file.put_picture((path.parent / "mask.png").read_bytes()))
    board = commands.add_take(board, third.id, replace(fourth.takes[0], id="second-take1"), False)
    for panel, seconds in zip(board.panels(), SECONDS, strict=True):
        board = commands.set_panel(board, panel.id, seconds=seconds)
    file.save(board)
    file.close()
    return path


@pytest.fixture(scope="module")
def window(screen, tmp_path_factory):
    folder = tmp_path_factory.mktemp("export")
    with programs(screen) as start:
        yield start(write_board(folder / "flight.fluxboard"), folder / "home")


def other(option: Option) -> bool | int | str:
    """A value that is not its default."""
    if isinstance(option.default, bool):
        return not option.default
    return NUMBERS[option.name] if isinstance(option.default, int) else option.choices[-1]


def tab_to(window: Window, words: str) -> None:
    """The next thing is called so."""
    window.press("Tab")
    window.wait(lambda: words.lower() in str(window.question("focus")).lower(), f"the focus on {words!r}")


def set_options(window: Window, name: str) -> None:
    """Each to its other value, in the order in which they stand."""
    for option in FORMATS[name].options:
        tab_to(window, option.help)
        if isinstance(option.default, bool):
            window.press("space")
        elif isinstance(option.default, int):
            window.type(str(other(option)))
        else:
            window.press("End")
    tab_to(window, "Only the")
    window.press("space")


def export(window: Window, name: str, out: Path, changed: bool = False) -> None:
    window.press("ctrl+e")
    window.wait(lambda: (window.question("focus") or {}).get("name") == "Format", "the export dialog to have the keys")
    window.press(*["Down"] * EXPORTS.index(name))
    window.wait(lambda: FORMATS[name].title in str(window.question("focus")), "the format")
    if changed:
        set_options(window, name)
    window.press("Return")
    window.wait(lambda: len(window.question("windows")) > 1 and "Export" not in window.question("windows"), "where to")
    window.answer(out)


def choose(window: Window, count: int) -> None:
    """Panels from 1B on, by keys: Home is the heading of the first scene."""
    window.press("ctrl+1", "Home", "Right", "Right", *["shift+Right"] * (count - 1))
    assert window.selected() == [*range(1, count + 1)]


def command(board: str, out: Path, name: str, *more: str) -> None:
    words = [sys.executable, "-P", "-m", "app", "board", "export", board, "-o", str(out), "--format", name, *more]
    subprocess.run(words, check=True, capture_output=True, cwd=ROOT)


def read_both(window: Window, folder: Path, name: str, count: int, changed: bool) -> Opened:
    """What the window wrote of `count` panels; it has to be what the command line writes."""
    alone = FORMATS[name].makes_folder(count)
    hand, line, ending = folder / "hand", folder / "line", FORMATS[name].extensions[0]
    hand.mkdir(), line.mkdir()
    export(window, name, hand / (NAME if alone else f"{NAME}{ending}"), changed)
    window.wait(lambda: window.shows(f"In {hand}."), f"{name} to be written", 90)
    pairs = [word for one in FORMATS[name].options for word in ("-O", f"{one.name}={other(one)!s}")]
    panels = ["--panels", f"1B-{PANELS[count]}", *pairs] if changed else []
    command(window.ask("str(document.file.path)"), line / f"{NAME}{ending}", name, *panels)
    assert [*list_files(hand)] == [*list_files(line)]
    ours, theirs = (open_export(name, place / (NAME if alone else f"{NAME}{ending}")) for place in (hand, line))
    assert ours == theirs
    return ours


@pytest.mark.parametrize("name", EXPORTS)
def test_an_export_is_what_the_command_line_writes(window, tmp_path, name):
    made = read_both(window, tmp_path, name, len(PANELS), changed=False)
    assert made.panels in (None, PANELS)
    assert made.seconds in (None, sum(SECONDS))
    media = len(PANELS) if name in TIMELINES else 0
    assert len(list((tmp_path / "hand" / f"{NAME} media").glob("*.png"))) == media


@pytest.mark.parametrize("name", EXPORTS)
def test_an_export_of_chosen_panels_with_other_options_too(window, tmp_path, name):
    count = 1 if FORMATS[name].single else 3
    choose(window, count)
    made = read_both(window, tmp_path, name, count, changed=True)
    assert made.panels is None or [*dict.fromkeys(made.panels)] == PANELS[1 : count + 1]
    assert made.seconds in (None, sum(SECONDS[1:4]))
    assert FORMATS[name].extensions[0] != FOLDER or made.panels


def test_what_a_person_agreed_to_replace_is_replaced_and_nothing_else_is(window, tmp_path):
    out, beside = tmp_path / "list.csv", tmp_path / "list"
    out.write_text("old")
    beside.write_text("mine")
    export(window, "csv", out)
    window.wait(lambda: window.shows("Do you want to replace it?"), "the question")
    window.press("alt+y")
    window.wait(lambda: window.shows(f"In {tmp_path}."), "the list to be written")
    assert "1A" in out.read_text()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["list", "list.csv"]
    export(window, "csv", beside)  # agreed to replace `list`, but `list.csv` is what is written
    window.wait(lambda: window.shows("Do you want to replace it?"), "the question")
    window.press("alt+y")
    window.wait(lambda: window.shows("Exported list-2.csv."), "the list beside the other")
    assert beside.read_text() == "mine"


def test_a_zip_of_the_board_replaces_what_a_person_agreed_to(window, tmp_path):
    (tmp_path / "board.zip").write_text("old")
    window.choose("Save as Zip for Sharing…")
    window.wait(lambda: "Save as Zip" in window.question("windows"), "where to")
    window.answer(tmp_path / "board.zip")
    window.wait(lambda: window.shows("Do you want to replace it?"), "the question")
    window.press("alt+y")
    window.wait(lambda: window.shows("Saved board.zip."), "the zip")
    assert [path.name for path in tmp_path.iterdir()] == ["board.zip"]
    assert (tmp_path / "board.zip").stat().st_size > 10_000
