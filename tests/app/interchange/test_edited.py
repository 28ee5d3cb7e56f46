"""A timeline that an editor changed comes back, as EDL or either Final Cut XML: onto its board, or as a new one."""

import re
from fractions import Fraction
from pathlib import Path

import pytest

from app.board import commands, naming
from app.board.data import Board, Scene, numbers, scene_numbers
from app.interchange.edited import apply_edit
from app.interchange.formats import export_board, import_board
from mlx_model.errors import RequestError

SECONDS = [2.0, 1.5, 77 / 24, 2.0, 17 / 24, 4.0]
NAMES = ["1A", "1B", "1C", "2A", "2B", "2C"]
TIMELINES = ["otio", "edl", "fcpxml", "xml"]


@pytest.mark.first_case
@pytest.mark.parametrize("name", TIMELINES)
def test_our_own_export_comes_back(board, blobs, tmp_path, name):
    path = export_board(name, board, blobs.path, tmp_path / "film").path
    made = import_board(path, blobs.put)
    panels = list(made.board.panels())
    assert [made.names[panel.id][-1] for panel in panels] == NAMES
    assert [panel.seconds for panel in panels] == pytest.approx(SECONDS, abs=0.02)
    assert [panel.take is not None for panel in panels[:5]] == [True] * 5
    assert made.board.fps == 24
    again, notes = apply_edit(board, made)
    assert [[panel.id for panel in scene.panels] for scene in again.scenes] == [
        [panel.id for panel in scene.panels] for scene in board.scenes
    ]
    assert [panel.seconds for panel in again.panels()] == [panel.seconds for panel in board.panels()]  # as typed
    assert any("6 panels" in note for note in notes)
    assert any("by the number" in note for note in notes) == (name != "otio")


def test_an_otio_knows_its_panels_also_after_they_were_moved(board, blobs, tmp_path):
    path = export_board("otio", board, blobs.path, tmp_path / "film").path
    cut = [panel.id for panel in board.panels()]
    home = board.scenes[0]
    moved = commands.move_panels(board, (home.panels[2].id,), home.id, 0)
    assert [panel.id for panel in moved.panels()] != cut
    after, notes = apply_edit(moved, import_board(path, blobs.put))
    assert [panel.id for panel in after.panels()] == cut
    assert not any("by the number" in note for note in notes)


@pytest.mark.first_case
@pytest.mark.parametrize("name", TIMELINES)
def test_numbers_of_a_script_are_those_of_its_panels(board, blobs, tmp_path, name):
    """In the window, in exports and on the way back."""
    board = commands.set_scene(board, board.scenes[0].id, heading="INT. BAR #12A#")
    board = commands.set_scene(board, board.scenes[1].id, heading="EXT. SEA #7#")
    called = ["12A.A", "12A.B", "12A.C", "7A", "7B", "7C"]
    assert list(numbers(board).values()) == called
    made = import_board(export_board(name, board, blobs.path, tmp_path / "film").path, blobs.put)
    assert [made.names[panel.id][-1] for panel in made.board.panels()] == called
    again, _ = apply_edit(board, made)
    assert list(again.panels()) == list(board.panels())
    assert naming.select(board, "12a.b-7A") == [panel.id for panel in board.panels()][1:4]
    assert naming.scene(board, "12a") == board.scenes[0]


def test_scene_numbers_are_each_used_once():
    headings = ["", "A #2#", "B #2#", "", "C #ä#", "D #5#"]
    board = Board("b", scenes=tuple(Scene(f"s{n}", heading) for n, heading in enumerate(headings)))
    assert [scene_numbers(board)[scene.id] for scene in board.scenes] == ["1", "2", "3", "4", "6", "5"]


@pytest.mark.sweep
@pytest.mark.parametrize("name", ["xml", "fcpxml"])
def test_words_of_markers_come_back(board, blobs, tmp_path, name):
    path = export_board(name, board, blobs.path, tmp_path / "film").path
    assert "SEAGULL: One herring" in next(import_board(path, blobs.put).board.panels()).notes


EDL = """TITLE: Cut two
FCM: NON-DROP FRAME

001  AX       V     C        00:00:00:00 00:00:01:00 01:00:00:00 01:00:01:00
* FROM CLIP NAME:  2A
002  AX       AA/V  C        00:00:00:00 00:00:03:00 01:00:01:00 01:00:04:00
* FROM CLIP NAME:  1A
003  REEL7    V     C        00:00:00:00 00:00:00:12 01:00:05:00 01:00:05:12
* FROM CLIP NAME:  insert.mov
* COMMENT: shot on Sunday
004  AX       A     C        00:00:00:00 00:00:09:00 01:00:00:00 01:00:09:00
005  AX       V     C        00:00:00:00 00:00:00:00 01:00:05:12 01:00:05:12
* FROM CLIP NAME:  insert.mov
005  AX       V     D    012 00:00:00:00 00:00:02:00 01:00:05:12 01:00:07:12
* TO CLIP NAME:  1A
"""


def write(tmp_path: Path, text: str, name: str) -> Path:
    (tmp_path / name).write_text(text)
    return tmp_path / name


def test_an_edit_decision_list(blobs, tmp_path):
    made = import_board(write(tmp_path, EDL, "cut.edl"), blobs.put)
    assert made.board.title == "Cut two"
    assert [(panel.notes, panel.seconds) for panel in made.board.panels()] == [
        ("2A", 1.0), ("1A", 3.0), ("Gap in the timeline", 1.0), ("insert.mov\nCOMMENT: shot on Sunday", 0.5),
        ("1A", 2.0),
    ]  # fmt: skip
    for word in ("frame rate", "1 event of sound", "1 transition "):
        assert any(word in note for note in made.notes), word


def test_the_edit_gives_order_and_lengths_to_the_board(board, blobs, tmp_path):
    made = import_board(write(tmp_path, EDL, "cut.edl"), blobs.put, fps=24)
    after, notes = apply_edit(board, made)
    first, second = board.scenes
    assert [scene.id for scene in after.scenes] == [second.id, first.id]
    moved = [panel.seconds for panel in after.scenes[0].panels]
    assert moved == [1.0, 0.7, 4.0]  # 2A, then what the edit does not have
    ids = [panel.id for panel in after.scenes[1].panels]
    assert ids[0] == first.panels[0].id
    assert ids[-2:] == [panel.id for panel in first.panels[1:]]
    assert [panel.seconds for panel in after.scenes[1].panels][:4] == [3.0, 1.0, 0.5, 2.0]
    assert after.scenes[1].panels[3].action == first.panels[0].action
    assert len({panel.id for panel in after.panels()}) == 9
    assert any("2 panels" in note for note in notes)
    assert "1B, 1C, 2B, 2C" in notes[-1]


def test_dropped_frame_numbers_are_no_frames(blobs, tmp_path):
    text = (
        "TITLE: d\nFCM: DROP FRAME\n001 AX V C 00:00:00:00 00:00:00:00 00:00:59;28 00:01:00;02\n* FROM CLIP NAME: 1A\n"
    )
    made = import_board(write(tmp_path, text, "drop.edl"), blobs.put)
    assert next(made.board.panels()).seconds == pytest.approx(2 * 1001 / 30000)


SPINE = """<?xml version="1.0"?><!DOCTYPE fcpxml><fcpxml version="1.11"><resources>
<format id="r1" frameDuration="1001/24000s"/>
<asset id="r2" name="a"><media-rep src="file:///nowhere/a.mov"/></asset></resources>
<library><event><project name="Cut"><sequence format="r1"><spine>
<asset-clip ref="r2" name="1A" duration="48048/24000s"><marker value="note this"/>
  <title lane="1" name="Lower third" duration="1s"/></asset-clip>
<gap name="Gap" duration="1s"/><transition name="Dissolve" duration="1s"/>
<asset-clip ref="r2" name="off" duration="5s" enabled="0"/>
<title name="Card" duration="2s"><text><text-style>The end</text-style></text></title>
</spine></sequence></project></event></library></fcpxml>"""


def test_a_spine(blobs, tmp_path):
    made = import_board(write(tmp_path, SPINE, "cut.fcpxml"), blobs.put)
    assert [panel.notes for panel in made.board.panels()] == ["1A\nnote this", "Gap in the timeline", "Card\nThe end"]
    assert [panel.seconds for panel in made.board.panels()] == [2.002, 1.0, 2.0]
    for word in ("Lower third", "Transitions", "off is switched off", "a.mov"):
        assert any(word in note for note in made.notes), word


def test_what_premiere_disables_stays_out(board, blobs, tmp_path):
    path = export_board("xml", board, blobs.path, tmp_path / "film").path
    text = re.sub(r"(<name>1B</name>)", r"\1<enabled>FALSE</enabled>", path.read_text(), count=1)
    made = import_board(write(tmp_path, text, "film.xml"), blobs.put)
    assert [made.names[panel.id][-1] for panel in made.board.panels()] == [name for name in NAMES if name != "1B"]
    assert any("1B is switched off" in note for note in made.notes)


@pytest.mark.parametrize("ending", ["edl", "fcpxml", "xml"])
@pytest.mark.parametrize(
    "text",
    ["x", "<a/>", "<xmeml/>", "<fcpxml/>", "<" * 1000, "001 AX V C 1 2 3 4", "\x00",
     '<!DOCTYPE x [<!ENTITY a "b">]><fcpxml>&a;</fcpxml>', "<a>" * 100_000, "TITLE: x\n" * 1000],
)  # fmt: skip
def test_what_is_no_timeline_is_refused(blobs, tmp_path, ending, text):
    with pytest.raises(RequestError, match=rf"x\.{ending}"):
        import_board(write(tmp_path, text, f"x.{ending}"), blobs.put)


def test_absurd_times(blobs, tmp_path):
    text = SPINE.replace("48048/24000s", f"{'9' * 400}s")
    made = import_board(write(tmp_path, text, "cut.fcpxml"), blobs.put)
    assert any("1A has no usable length" in note for note in made.notes)


@pytest.mark.parametrize("coding", ["utf-16", "utf-16-le", "utf-16-be", "utf-8-sig", "padded", "\r", "\r\n"])
def test_lists_as_old_systems_write_them(blobs, tmp_path, coding):
    line = coding if coding in ("\r", "\r\n") else "\n"
    name = "utf-8" if coding in ("padded", "\r", "\r\n") else coding
    data = EDL.replace("\n", line).encode(name) + (b"\x1a" + b"\0" * 140 if coding == "padded" else b"")
    (tmp_path / "cut.edl").write_bytes(data)
    assert import_board(tmp_path / "cut.edl", blobs.put).board.title == "Cut two"


def test_what_is_no_text_is_told_as_that(blobs, tmp_path):
    (tmp_path / "cut.edl").write_bytes(EDL.encode()[:300] + b"\0\1\2\3" + EDL.encode())
    with pytest.raises(RequestError, match="not a text file") as error:
        import_board(tmp_path / "cut.edl", blobs.put)
    assert "fdx" not in error.value.hint


@pytest.mark.parametrize(("times", "seconds"), [("00:00:59;28 00:01:00;02", 2), ("00:00:00;00 00:00:01;00", 30)])
def test_semicolons_say_that_numbers_are_dropped(blobs, tmp_path, times, seconds):
    text = f"TITLE: d\n001 AX V C 00:00:00;00 00:00:01;00 {times}\n* FROM CLIP NAME: 1A\n"
    made = import_board(write(tmp_path, text, "drop.edl"), blobs.put)
    assert made.board.rate == Fraction(30000, 1001)
    assert next(made.board.panels()).seconds == pytest.approx(seconds * 1001 / 30000)


@pytest.mark.parametrize(
    ("written", "seconds"), [("2.5s", 2.5), ("5/2s", 2.5), ("3s", 3), ("60060/24000s", 2.5025), ("2", 2)]
)
def test_every_form_of_a_time(blobs, tmp_path, written, seconds):
    text = SPINE.replace('name="1A" duration="48048/24000s"', f'name="1A" duration="{written}"')
    made = import_board(write(tmp_path, text, "cut.fcpxml"), blobs.put)
    assert next(made.board.panels()).seconds == pytest.approx(seconds)


@pytest.mark.parametrize("written", ["0s", "-1s", "1/0s", "x", "", "1/00s", "9" * 400 + "s"])
def test_a_time_that_is_none_is_told(blobs, tmp_path, written):
    text = SPINE.replace('name="1A" duration="48048/24000s"', f'name="1A" duration="{written}"')
    made = import_board(write(tmp_path, text, "cut.fcpxml"), blobs.put)
    assert any("1A has no usable length" in note for note in made.notes)


def test_an_event_with_a_broken_time_does_not_give_its_name_to_the_one_above(blobs, tmp_path):
    broken = EDL.replace("01:00:05:00 01:00:05:12\n*", "01:00:05:00 01:00:5:xx\n*")
    with pytest.raises(RequestError, match=r"003 REEL7 .* 01:00:5:xx"):
        import_board(write(tmp_path, broken, "cut.edl"), blobs.put)


def test_one_clip_of_final_cut_7_without_a_file_does_not_end_the_import(blobs, tmp_path):
    """Clips of several cameras have none; titles may not say that they are made by a generator."""
    rate, times = "<rate><timebase>24</timebase></rate>", "<start>{}</start><end>{}</end><in>0</in><out>24</out>"
    title = (
        "<effect><name>Text</name><parameter><parameterid>str</parameterid><value>The end</value></parameter></effect>"
    )
    text = (
        f"<xmeml version='4'><sequence><name>cut</name>{rate}<media><video><track><clipitem id='a'><name>1A</name>"
        f"<duration>24</duration>{rate}{times.format(0, 24)}<multiclip/></clipitem><generatoritem id='b'>"
        f"<name>Card</name><duration>24</duration>{rate}{times.format(24, 48)}{title}</generatoritem></track></video>"
        "</media></sequence></xmeml>"
    )
    made = import_board(write(tmp_path, text, "cut.xml"), blobs.put)
    assert [(panel.notes, panel.seconds) for panel in made.board.panels()] == [("1A", 1.0), ("Card\nThe end", 1.0)]
