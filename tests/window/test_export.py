"""Every format, written from the window through its dialogs, as the command line writes it."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from app.interchange.formats import EXPORTS, FOLDER, FORMATS
from tests.window.driver import ROOT, Window

EXACT = ("png", "gif", "csv", "edl", "ora")  # the same bytes each time; elsewhere a time or an id is in them


def export(window: Window, name: str, out: Path) -> None:
    window.press("ctrl+e")
    window.wait(lambda: "Export" in window.question("windows"), "the export dialog")
    if name != "pdf":
        window.click(window.find_at("Format", "ChoiceField"))
        window.type(FORMATS[name].title)
        window.press("Return")
    window.press("Return")
    window.wait(lambda: len(window.question("windows")) > 1 and "Export" not in window.question("windows"), "where to")
    window.press("ctrl+a")
    window.type(str(out))
    window.press("Return")
    window.wait(lambda: window.shows("Exported "), f"{name} to be written")


def contents(folder: Path) -> list[bytes]:
    """What all files below a folder hold, those of zip files one by one."""
    found = []
    for path in (one for one in folder.rglob("*") if one.is_file()):
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                found += [archive.read(name) for name in archive.namelist()]
        else:
            found.append(path.read_bytes())
    return sorted(found)


@pytest.mark.parametrize("name", EXPORTS)
def test_an_export_is_what_the_command_line_writes(window, tmp_path, name):
    ending = FORMATS[name].extensions[0]
    by_hand = tmp_path / "hand" / f"out{ending}"
    by_hand.parent.mkdir()
    if ending == FOLDER:
        by_hand.mkdir()
    export(window, name, by_hand)
    board = window.ask("str(document.file.path)")
    by_command = tmp_path / "command" / f"out{ending}"
    by_command.parent.mkdir()
    words = [sys.executable, "-P", "-m", "app", "board", "export", board, "-o", str(by_command), "--format", name]
    window.close()
    subprocess.run(words, check=True, capture_output=True, cwd=ROOT)
    theirs, ours = contents(by_command.parent), contents(by_hand.parent)
    assert len(ours) == len(theirs) > 0
    assert all(ours)
    if name in EXACT:
        assert ours == theirs
