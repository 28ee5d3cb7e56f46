"""The board's folder disappears while it is open: nothing that can be kept is lost, and what is said is true."""

import shutil
from pathlib import Path

import pytest

from app.base.words import SHOW_IN_FILES
from tests.window.driver import middle


def folder(window):
    return Path(window.ask("str(document.file._path)"))


def save_copy(window, path):
    """In the dialog that asks where to."""
    window.wait(lambda: "Save a Copy" in window.question("windows"), "where to")
    window.press("ctrl+a")
    window.type(str(path))


def read(path):
    from app.fluxboard.file import BoardFile

    with BoardFile.open(path, write=False) as file:
        return file.board


def takes(board):
    return sum(len(panel.takes) for panel in board.panels())


def test_a_picture_made_after_the_folder_went_is_held_and_goes_into_the_copy(window, tmp_path):
    before = window.ask("sum(len(panel.takes) for panel in board.panels())")
    window.click(middle(window.panel(1)))
    window.press("ctrl+r")
    running = "window.session.engine._queue.running"  # its pictures are read when it paints
    window.wait(lambda: window.ask(f"{running} is not None and {running}.step > 0"), "the run")
    shutil.rmtree(folder(window))
    window.wait(lambda: window.shows("is made, but not stored"), "what became of the picture", 90)
    window.press("ctrl+4")
    rows = "[row.words.text() for row in window.queue.rows.values()]"
    assert ["is made, but not stored" in text for text in window.ask(rows)] == [True]
    window.press("ctrl+shift+s")
    save_copy(window, tmp_path / "kept.fluxboard")
    window.press("Return")
    window.wait(lambda: window.shows("This is the copy now."), "the copy")
    window.wait(lambda: window.ask("sum(len(panel.takes) for panel in board.panels())") == before + 1, "the take")
    window.wait(lambda: not window.shows("is made, but not stored"), "the message to go")
    window.press("ctrl+4")
    assert ["Done in" in text for text in window.ask(rows)] == [True]
    window.leave("key", "ctrl+q")
    assert takes(read(tmp_path / "kept.fluxboard")) == before + 1


def test_a_job_that_waits_when_the_copy_is_made_ends_in_the_copy(window, tmp_path):
    window.click(middle(window.panel(4)))
    window.press("ctrl+r")
    shutil.rmtree(folder(window))
    window.press("ctrl+shift+s")
    save_copy(window, tmp_path / "kept.fluxboard")
    window.press("Return")
    window.wait(lambda: window.shows("This is the copy now."), "the copy")
    window.wait(lambda: window.ask("window.session.busy()") == 0, "the run", 90)
    assert window.ask("[row.words.text()[:4] for row in window.queue.rows.values()]")[0] in ("Done", "Ther")
    assert window.ask("len(window.session._behind)") == 0


@pytest.mark.parametrize("changed", [True, False])
@pytest.mark.parametrize("by", ["key", "mouse"])
def test_quit_offers_a_copy_also_where_nothing_was_changed(window, tmp_path, changed, by):
    if changed:
        window.press("ctrl+shift+n")
        window.wait(lambda: window.ask("not document.dirty"), "the save")
    count = len(window.order())
    shutil.rmtree(folder(window))
    if changed:
        window.press("ctrl+shift+n")
        count += 1
    leave(window, by)
    window.wait(lambda: window.ask("app.activeWindow() not in (None, window)"), "the question")
    assert window.shows("is no longer on the disk")
    window.press("Escape")
    window.wait(lambda: len(window.question("windows")) == 1, "the question to go")
    leave(window, by)
    window.click("Save a Copy…")
    save_copy(window, tmp_path / "kept.fluxboard")
    window.leave("key", "Return")
    assert len(list(read(tmp_path / "kept.fluxboard").panels())) == count


def leave(window, by):
    """Quit, or close the window as its button does: by the window manager."""
    window._xdotool("key", "--clearmodifiers", {"key": "ctrl+q", "mouse": "alt+F4"}[by])


def test_a_board_that_is_moved_is_followed_with_a_word(window, tmp_path):
    moved = tmp_path / "elsewhere.fluxboard"
    folder(window).rename(moved)
    window.press("ctrl+shift+n")
    window.wait(lambda: window.shows("The board is now"), "where it is")
    count = len(window.order())
    window.leave("key", "ctrl+q")
    assert len(list(read(moved).panels())) == count


def test_no_action_fails_without_words_when_the_folder_is_gone(window):
    shutil.rmtree(folder(window))
    for text in ("Restore an Earlier State…", "Move Unused Pictures to the Trash…", SHOW_IN_FILES):
        window.choose(text)
        window.wait(lambda: window.shows("is no longer there"), text)
        window.press("Escape")
    window.press("ctrl+q")
    window.leave("mousemove", *window.find_at("Quit and Lose It"), "click", 1)
