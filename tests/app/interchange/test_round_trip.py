"""Board to timeline, edited there by the formats' own libraries, and back onto the same board."""

from pathlib import Path
from xml.etree import ElementTree

import opentimelineio as otio
import pytest
from msgspec.structs import replace

from app.board.data import Board, numbers
from app.board.rate import choose_rate
from app.interchange.edited import apply_edit
from app.interchange.formats import export_board, import_board, import_timeline
from app.interchange.job import list_entries
from tests.app.interchange.made_boards import drawn, sample

ADAPTERS = {"otio": "otio_json", "edl": "cmx_3600", "xml": "fcp_xml"}
ORDER = (3, 0, 1, 2, 5)  # 2A first; 2B is cut out
TRIMMED = 24  # frames of 1A


def edit_with_library(path: Path, out: Path, name: str, rate: float) -> None:
    """Reorders, trims 1A to TRIMMED frames, calls 1B another clip, drops 2B."""
    more = {"rate": rate} if name == "edl" else {}
    timeline = otio.adapters.read_from_file(str(path), ADAPTERS[name], **more)
    track = next(track for track in timeline.tracks if track.kind == "Video")
    items = list(track)
    del track[:]
    start, length = items[0].source_range.start_time, items[0].source_range.duration
    items[0].source_range = otio.opentime.TimeRange(start, otio.opentime.RationalTime(TRIMMED, length.rate))
    items[1].name = "insert"
    items[1].metadata.clear()
    track.extend([items[place] for place in ORDER])
    otio.adapters.write_to_file(timeline, str(out), ADAPTERS[name], **more)


def edit_by_hand(path: Path, out: Path) -> None:
    """The same of Final Cut Pro's XML, whose library knows no stills."""
    tree = ElementTree.parse(path)
    spine = next(tree.iter("spine"))
    items = list(spine)
    frame = next(tree.iter("format")).get("frameDuration").removesuffix("s").split("/")
    items[0].set("duration", f"{int(frame[0]) * TRIMMED}/{frame[1]}s")
    items[1].set("name", "insert")
    for item in items:
        spine.remove(item)
    spine.extend([items[place] for place in ORDER])
    tree.write(out)


def bring_back(board: Board, blobs, tmp_path: Path, name: str) -> tuple[Board, list[str]]:
    path, out = export_board(name, board, blobs.path, tmp_path / "film").path, tmp_path / f"cut.{name}"
    edit_by_hand(path, out) if name == "fcpxml" else edit_with_library(path, out, name, float(board.rate))
    return apply_edit(board, import_timeline(out, blobs.put, board.fps))


@pytest.mark.first_case
@pytest.mark.parametrize("fps", [24, 25, 30, 23.976, 29.97, 59.94])
@pytest.mark.parametrize("name", ["otio", "edl", "xml", "fcpxml"])
def test_order_and_lengths_of_an_edit(blobs, tmp_path, name, fps):
    board = replace(sample(blobs, (160, 90)), fps=choose_rate(fps))
    after, notes = bring_back(board, blobs, tmp_path, name)
    called, before = numbers(board), {panel.id: panel for panel in board.panels()}
    assert [called.get(panel.id, panel.notes.split("\n")[0]) for panel in after.panels()] == [
        "2A", "2B", "1A", "insert", "1C", "2C", "1B",
    ]  # fmt: skip
    frames = {entry.panel.id: entry.frames for entry in list_entries(board)}
    for panel in after.panels():
        if called.get(panel.id) == "1A":
            assert panel.seconds == pytest.approx(TRIMMED / float(board.rate))
            assert replace(panel, seconds=0.0) == replace(before[panel.id], seconds=0.0)
        elif panel.id in before:
            assert panel == before[panel.id]
        else:
            assert panel.seconds == pytest.approx(frames[list(before)[1]] / float(board.rate))
    assert "4 panels got the order and length of the edit, 1 are new." in notes
    assert notes[-1].endswith("1B, 2B.")
    assert not any(f"Clip {number}" in note for note in notes for number in called.values())


@pytest.mark.parametrize("name", ["otio", "edl", "xml", "fcpxml"])
def test_only_lost_pictures_of_new_panels_are_told(blobs, tmp_path, name):
    board = sample(blobs, (160, 90))
    path = export_board(name, board, blobs.path, tmp_path / "film", media=True).path
    for picture in (tmp_path / "film media").iterdir():
        picture.unlink()
    text = path.read_text().replace("2B", "insert")
    path.write_text(text if name != "otio" else text.replace(list(board.panels())[4].id, "nobody"))
    _, notes = apply_edit(board, import_timeline(path, blobs.put, 24))
    assert [note for note in notes if "panel stays empty" in note] == [
        note for note in notes if note.startswith("Clip insert")
    ]
    assert any(note.startswith("Clip insert") for note in notes)


@pytest.mark.parametrize("name", ["xml", "fcpxml"])
@pytest.mark.parametrize("beside", [True, False])
def test_pictures_that_moved_with_their_timeline(blobs, tmp_path, name, beside):
    """To another computer: both formats have whole addresses."""
    board, home = sample(blobs, (160, 90)), tmp_path / "there"
    (tmp_path / "here").mkdir()
    path = export_board(name, board, blobs.path, tmp_path / "here" / "film").path
    (tmp_path / "here").rename(home)
    if not beside:
        for picture in (home / "film media").iterdir():
            picture.rename(home / picture.name)
    made = import_board(home / path.name, blobs.put)
    assert [panel.take is not None for panel in made.board.panels()][:5] == [True] * 5
    assert not any("panel stays empty" in note for note in made.notes)


@pytest.mark.parametrize(
    "address", ["http://host/there/a.png", "file:///there/../../a.png", "file:///elsewhere/b.png", "x:\\y\\a.png"]
)
def test_only_files_of_the_timeline_s_folder_are_found_by_name(blobs, tmp_path, address):
    drawn(1).save(tmp_path / "a.png")
    (tmp_path / "there").mkdir()
    asset, clip = f'<asset id="a" src="{address}"/>', '<asset-clip ref="a" name="x" duration="1s"/>'
    text = f"<fcpxml><resources>{asset}</resources>{clip}</fcpxml>"
    (tmp_path / "there" / "cut.fcpxml").write_text(text)
    panel = next(import_board(tmp_path / "there" / "cut.fcpxml", blobs.put).board.panels())
    assert panel.take is None
    (tmp_path / "cut.fcpxml").write_text(text)
    found = next(import_board(tmp_path / "cut.fcpxml", blobs.put).board.panels()).take is not None
    assert found == ("a.png" in address and "http" not in address)
