"""A timeline that was cut elsewhere comes back onto the open board, by menu and dialog."""

import subprocess
import sys

import opentimelineio as otio

from tests.window.driver import ROOT


def test_an_edited_timeline_comes_back_onto_the_board(window, tmp_path):
    file, place = tmp_path / "cut.otio", window.ask("str(document.file.path)")
    words = [sys.executable, "-P", "-m", "app", "board", "export", place, "-o", str(file), "--format", "otio"]
    subprocess.run(words, check=True, capture_output=True, cwd=ROOT)
    cut = otio.adapters.read_from_file(str(tmp_path / "cut" / "board.otio" if (tmp_path / "cut").exists() else file))
    (track,) = cut.video_tracks()
    clips = [clip for clip in track if isinstance(clip, otio.schema.Clip)]
    first = clips[0].source_range
    length = otio.opentime.RationalTime(5 * first.duration.rate, first.duration.rate)
    clips[0].source_range = otio.opentime.TimeRange(first.start_time, length)
    otio.adapters.write_to_file(cut, str(tmp_path / "edited.otio"))
    before = window.ask("[panel.id for panel in board.panels()]")

    window.choose("Import a Timeline onto This Board…")
    window.wait(lambda: len(window.question("windows")) > 1, "the file dialog")
    window.type(str(tmp_path / "edited.otio"))
    window.press("Return")
    window.wait(lambda: window.ask("next(board.panels()).seconds") == 5, "the new length of the first panel")
    assert window.ask("[panel.id for panel in board.panels()]") == before
    window.press("ctrl+1")
    window.press("ctrl+z")
    window.wait(lambda: window.ask("next(board.panels()).seconds") != 5, "Undo of all of it")
