"""23.976, 29.97 and 59.94 frames a second are kept exactly, in and out."""

import json
from fractions import Fraction
from xml.etree import ElementTree

import pytest
from msgspec.structs import replace

from app.board.rate import choose_rate
from app.fluxboard.codec import decode, encode
from app.interchange.edited import apply_edit
from app.interchange.formats import export_board, import_board
from app.interchange.job import format_timecode, list_entries

FILM, NTSC = Fraction(24_000, 1001), Fraction(30_000, 1001)


@pytest.mark.first_case
@pytest.mark.parametrize(
    ("given", "rate"),
    [(23.976, FILM), (23.98, FILM), (24_000 / 1001, FILM), (29.97, NTSC), (59.94, 2 * NTSC), (24.0, Fraction(24)),
     (25, Fraction(25)), (12.5, Fraction(25, 2)), (120, Fraction(120))],
)  # fmt: skip
def test_a_rate_is_what_is_meant(board, given, rate):
    timed = replace(board, fps=choose_rate(given))
    assert timed.rate == rate
    assert (type(timed.fps) is int) == (rate.denominator == 1)
    assert decode(encode(timed))[0].rate == rate


@pytest.mark.first_case
@pytest.mark.parametrize("fps", [23.976, 29.97, 59.94])
@pytest.mark.parametrize("name", ["otio", "xml", "fcpxml", "edl"])
def test_timelines_keep_the_rate_and_every_frame(board, blobs, tmp_path, fps, name):
    timed = replace(board, fps=choose_rate(fps))
    made = import_board(export_board(name, timed, blobs.path, tmp_path / "film").path, blobs.put, fps=timed.fps)
    assert made.board.rate == timed.rate
    frames = [entry.frames for entry in list_entries(timed)]
    assert [entry.frames for entry in list_entries(made.board)] == frames
    assert [panel.seconds for panel in apply_edit(timed, made)[0].panels()] == [p.seconds for p in timed.panels()]


def test_a_storyboard_keeps_its_rate(tmp_path, blobs):
    (tmp_path / "s.storyboarder").write_text(json.dumps({"boards": [{}], "fps": 23.976}))
    assert import_board(tmp_path / "s.storyboarder", blobs.put).board.rate == FILM


def test_fcpxml_counts_in_the_rate(board, blobs, tmp_path):
    timed = replace(board, fps=choose_rate(29.97))
    root = ElementTree.parse(export_board("fcpxml", timed, blobs.path, tmp_path / "film").path).getroot()
    assert next(root.iter("format")).get("frameDuration") == "1001/30000s"
    assert next(root.iter("video")).get("duration") == "60060/30000s"


@pytest.mark.parametrize(
    ("fps", "said"), [(24, "FCM: NON-DROP FRAME"), (23.976, "FCM: NON-DROP"), (29.97, "FCM: DROP")]
)
def test_an_edl_says_whether_it_drops(board, blobs, tmp_path, fps, said):
    path = export_board("edl", replace(board, fps=choose_rate(fps)), blobs.path, tmp_path / "film").path
    assert path.read_text().splitlines()[1].startswith(said)


@pytest.mark.parametrize(
    ("frames", "rate", "shown"),
    [(1799, NTSC, "00:00:59;29"), (1800, NTSC, "00:01:00;02"), (17_981, NTSC, "00:09:59;29"),
     (17_982, NTSC, "00:10:00;00"), (19_782, NTSC, "00:11:00;02"), (107_892, NTSC, "01:00:00;00"),
     (3600, 2 * NTSC, "00:01:00;04"), (1440, FILM, "00:01:00:00")],
)  # fmt: skip
def test_dropped_numbers(frames, rate, shown):
    assert format_timecode(frames, rate) == shown


@pytest.mark.parametrize("name", ["gif", "csv"])
def test_other_exports_take_the_rate(board, blobs, tmp_path, name):
    assert export_board(name, replace(board, fps=choose_rate(29.97)), blobs.path, tmp_path / "film").path.is_file()
