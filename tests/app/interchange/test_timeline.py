"""Timelines, read back by OpenTimelineIO's own adapters, and boards out of them."""

import csv
import io
import json
import re
from contextlib import suppress
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from urllib.parse import unquote, urlsplit
from xml.etree import ElementTree

import opentimelineio as otio
import pytest
from msgspec.structs import replace

from app.board.data import DEFAULT_SECONDS, Board, Scene
from app.interchange.formats import export_board, import_board
from mlx_model.errors import RequestError
from tests.app.interchange.made_boards import drawn, long_board, panel

FRAMES = [48, 36, 77, 48, 17, 96]
NAMES = ["1A", "1B", "1C", "2A", "2B", "2C"]
WORDS = ("action", "dialogue", "notes", "camera", "seconds")


def read(path: Path, adapter: str | None = None) -> otio.schema.Timeline:
    found = otio.adapters.read_from_file(str(path), adapter_name=adapter)
    if isinstance(found, otio.schema.SerializableCollection):
        found = next(item for item in found if isinstance(item, otio.schema.Timeline))
    return found


def picture(address: str, beside: Path) -> Path:
    return beside / unquote(urlsplit(address).path)


def check_clips(timeline: otio.schema.Timeline, beside: Path | None) -> None:
    clips = list(timeline.find_clips())
    assert [clip.name for clip in clips] == NAMES
    assert [clip.duration().to_frames() for clip in clips] == FRAMES
    starts = [clip.range_in_parent().start_time.to_frames() for clip in clips]
    assert starts == [sum(FRAMES[:k]) for k in range(6)]
    if beside:
        assert all(picture(clip.media_reference.target_url, beside).is_file() for clip in clips)


def test_otio(board, blobs, tmp_path):
    made = export_board("otio", board, blobs.path, tmp_path / "film")
    timeline = read(made.path)
    check_clips(timeline, made.path.parent)
    clip = next(iter(timeline.find_clips()))
    assert not Path(clip.media_reference.target_url).is_absolute()
    assert "SEAGULL" in clip.markers[0].comment
    assert clip.metadata["flux_local"]["camera"]["shot"] == "MS"


def test_otio_survives_a_move(board, blobs, tmp_path):
    (tmp_path / "there").mkdir()
    export_board("otio", board, blobs.path, tmp_path / "there" / "film")
    (tmp_path / "there").rename(tmp_path / "elsewhere")
    check_clips(read(tmp_path / "elsewhere" / "film.otio"), tmp_path / "elsewhere")


def test_final_cut_7(board, blobs, tmp_path):
    made = export_board("xml", board, blobs.path, tmp_path / "Ünïcode film & more")
    check_clips(read(made.path), made.path.parent)
    comments = [node.text for node in ElementTree.parse(made.path).iter("comment")]
    assert any("SEAGULL: One herring" in text for text in comments)


def test_edl(board, blobs, tmp_path):
    made = export_board("edl", board, blobs.path, tmp_path / "film")
    timeline = otio.adapters.read_from_file(str(made.path), rate=24)
    check_clips(timeline, None)
    events = re.findall(r"^\d{3}  AX +V +C +(\S+) (\S+) (\S+) (\S+)$", made.path.read_text(), re.MULTILINE)
    assert len(events) == 6
    assert events[-1][3] == "00:00:13:10"
    assert all(left[3] == right[2] for left, right in pairwise(events))


def test_fcpxml(board, blobs, tmp_path):
    made = export_board("fcpxml", board, blobs.path, tmp_path / "film")
    root = ElementTree.parse(made.path).getroot()
    assert (root.tag, root.get("version")) == ("fcpxml", "1.8")
    assets = {asset.get("id"): asset for asset in root.iter("asset")}
    videos = list(root.find("library/event/project/sequence/spine"))
    assert [video.get("name") for video in videos] == NAMES
    assert [seconds(video.get("duration")) * 24 for video in videos] == FRAMES
    assert [seconds(video.get("offset")) * 24 for video in videos] == [sum(FRAMES[:k]) for k in range(6)]
    for video in videos:
        asset = assets[video.get("ref")]
        assert (asset.get("duration"), asset.get("hasVideo")) == ("0s", "1")
        assert Path(unquote(urlsplit(asset.get("src")).path)).is_file()
        # Apple's DTD: note, then markers
        assert [child.tag for child in video] == ["note", "marker"]
    formats = {format.get("id") for format in root.iter("format")}
    assert {asset.get("format") for asset in assets.values()} <= formats
    assert "<!DOCTYPE fcpxml>" in made.path.read_text()


def seconds(text: str) -> Fraction:
    return Fraction(text.removesuffix("s"))


def test_fcpxml_through_otio(board, blobs, tmp_path):
    """The adapter knows neither stills in a spine nor formats without a rate: both are put into its words for it."""
    text = export_board("fcpxml", board, blobs.path, tmp_path / "film").path.read_text()
    text = re.sub(r'<video ref="(r\d+)" (name="\S+") (offset="\S+") (duration="\S+") start="0s">.*?</video>',
                  r'<clip \2 \3 \4><video ref="\1" offset="0s" \4/></clip>', text, flags=re.DOTALL)  # fmt: skip
    found = otio.adapters.read_from_string(text.replace('format="r2"', 'format="r1"'), "fcpx_xml")
    events = found if isinstance(found, list | otio.schema.SerializableCollection) else [found]
    timelines = [item for item in flat(events) if isinstance(item, otio.schema.Timeline)]
    clips = list(timelines[0].find_clips())
    assert [clip.name for clip in clips] == NAMES
    assert [clip.duration().to_frames() for clip in clips] == FRAMES


def flat(items):
    for item in items:
        yield item
        if isinstance(item, otio.schema.SerializableCollection):
            yield from flat(item)


@pytest.mark.first_case
@pytest.mark.parametrize("name", ["otio", "xml", "edl", "fcpxml"])
def test_a_thousand_panels_end_on_the_exact_frame(blobs, tmp_path, name):
    board = long_board(blobs, 1000, 0.51)
    made = export_board(name, board, blobs.path, tmp_path / "film", media=False)
    assert not (tmp_path / "film media").exists()
    if name == "fcpxml":
        gaps = list(ElementTree.parse(made.path).getroot().find("library/event/project/sequence/spine"))
        total = sum(seconds(gap.get("duration")) for gap in gaps) * 24
    else:
        extra = {"rate": 24} if name == "edl" else {}
        found = otio.adapters.read_from_file(str(made.path), **extra)
        total = found.duration().to_frames()
    assert total == 12_240
    assert ("999" in " ".join(made.notes)) == (name == "edl")


def test_odd_words_do_not_break_xml(blobs, tmp_path):
    odd = "<b>&\"' ]]> \x00\x0b\ud800 海鸥 🕶\n* FROM CLIP: evil"
    shown = panel(blobs, 0, action=odd, dialogue=odd, notes=odd, prompt=odd)
    board = Board("b", title=odd, scenes=(Scene("s", odd, (shown,)),))
    for name in ("otio", "xml", "edl", "fcpxml"):
        path = export_board(name, board, blobs.path, tmp_path / name).path
        if name in ("xml", "fcpxml"):
            ElementTree.parse(path)
        else:
            clips = list(read(path).find_clips())
            assert [clip.name for clip in clips] == ["1A"]


def test_board_to_otio_and_back(board, blobs, tmp_path):
    path = export_board("otio", board, blobs.path, tmp_path / "film").path
    back = import_board(path, blobs.put)
    assert back.notes == []
    assert back.board.title == board.title
    assert back.board.aspect == (16, 9)
    assert back.board.fps == 24
    assert [scene.heading for scene in back.board.scenes] == [scene.heading for scene in board.scenes]
    for before, after in zip(board.panels(), back.board.panels(), strict=True):
        assert [getattr(after, name) for name in WORDS] == [getattr(before, name) for name in WORDS]
        assert (after.take is None) == (before.take is None)
        if after.take:
            assert after.take.note == "imported"
            from PIL import Image, ImageChops

            pair = [Image.open(blobs.path(p.take.picture.sha256)).convert("RGB") for p in (before, after)]
            assert ImageChops.difference(*pair).getbbox() is None


def test_a_length_changed_in_an_editor_wins(board, blobs, tmp_path):
    path = export_board("otio", board, blobs.path, tmp_path / "film").path
    timeline = read(path)
    clip = next(iter(timeline.find_clips()))
    clip.source_range = otio.opentime.TimeRange(duration=otio.opentime.RationalTime(72, 24))
    otio.adapters.write_to_file(timeline, str(path))
    assert next(import_board(path, blobs.put).board.panels()).seconds == 3.0


def clip(name="x", url=None, frames=24.0, rate=24.0, **more) -> dict:
    time = lambda value: {"OTIO_SCHEMA": "RationalTime.1", "rate": rate, "value": value}  # noqa: E731
    media = {"OTIO_SCHEMA": "ExternalReference.1", "target_url": url} if url else {"OTIO_SCHEMA": "MissingReference.1"}
    return {
        "OTIO_SCHEMA": "Clip.1", "name": name, "media_reference": media,
        "source_range": {"OTIO_SCHEMA": "TimeRange.1", "start_time": time(0.0), "duration": time(frames)},
    } | more  # fmt: skip


def written(tmp_path: Path, *children: dict, **timeline) -> Path:
    track = {"OTIO_SCHEMA": "Track.1", "kind": "Video", "name": "V1", "children": list(children)}
    whole = {
        "OTIO_SCHEMA": "Timeline.1", "name": "t",
        "tracks": {"OTIO_SCHEMA": "Stack.1", "children": [track]},
    } | timeline  # fmt: skip
    (tmp_path / "t.otio").write_text(json.dumps(whole))
    return tmp_path / "t.otio"


@pytest.mark.parametrize(
    "url",
    ["../secret.png", "in/../../secret.png", "{outside}", "file://{outside}", "file:///etc/passwd", "http://x/y.png",
     "file://server/share/x.png", "link.png", "%2e%2e/secret.png", "..\\secret.png", "a\x00b.png", "x" * 5000],
)  # fmt: skip
def test_media_outside_the_folder_stays_outside(tmp_path, blobs, url):
    (tmp_path / "in").mkdir()
    secret = tmp_path / "secret.png"
    drawn(0).save(secret)
    (tmp_path / "in" / "link.png").symlink_to(secret)
    back = import_board(written(tmp_path / "in", clip(url=url.format(outside=secret))), blobs.put)
    assert [panel.take for panel in back.board.panels()] == [None]
    assert "not a file in the timeline's folder" in back.notes[0]


def test_media_in_the_folder_is_taken(tmp_path, blobs):
    drawn(3).save(tmp_path / "a b.png")
    whole = (tmp_path / "a b.png").as_uri()
    (tmp_path / "film.mov").write_bytes(b"x")
    path = written(tmp_path, clip(url="a%20b.png"), clip(url="a b.png"), clip(url=whole), clip(url="film.mov"))
    back = import_board(path, blobs.put)
    assert [panel.take is not None for panel in back.board.panels()] == [True, True, True, False]
    assert back.board.aspect == (16, 9)
    assert "film.mov" in back.notes[0]


@pytest.mark.parametrize(("frames", "rate"), [(0.0, 24.0), (-48.0, 24.0), (1e300, 24.0), (24.0, 0.0), (24.0, -1.0)])
def test_impossible_lengths_are_replaced_and_noted(tmp_path, blobs, frames, rate):
    back = import_board(written(tmp_path, clip("bad", frames=frames, rate=rate), clip()), blobs.put)
    assert next(back.board.panels()).seconds == DEFAULT_SECONDS
    assert "bad" in back.notes[0]


def test_unknown_schemas_are_passed_over(tmp_path, blobs):
    alien = {"OTIO_SCHEMA": "Hologram.7", "name": "x"}
    strange_media = clip("b") | {"media_reference": {"OTIO_SCHEMA": "Holodisc.1", "x": 1}}
    for path in (
        written(tmp_path, clip("a"), metadata={"x": alien}),
        written(tmp_path, strange_media),
        written(tmp_path, clip("a"), alien),
    ):
        with suppress(RequestError):
            assert len(list(import_board(path, blobs.put).board.panels())) >= 1


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", '{"OTIO_SCHEMA": "Clip.1"}', '{"OTIO_SCHEMA": "Timeline.1"}', "[" * 100_000,
     '{"a":' * 5000 + "1" + "}" * 5000, '{"OTIO_SCHEMA": 5}', '{"OTIO_SCHEMA": "Timeline.999"}', "\x00\x01"],
)  # fmt: skip
def test_what_is_no_timeline_is_refused(tmp_path, blobs, text):
    (tmp_path / "x.otio").write_text(text)
    with pytest.raises(RequestError, match=r"x\.otio"):
        import_board(tmp_path / "x.otio", blobs.put)


# the shot list


def test_shot_list_and_back(board, blobs, tmp_path):
    path = export_board("csv", board, blobs.path, tmp_path / "list").path
    rows = list(csv.DictReader(io.StringIO(path.read_text("utf-8-sig"), newline="")))
    assert [row["panel"] for row in rows] == NAMES
    assert [int(row["frames"]) for row in rows] == FRAMES
    assert rows[5]["start"] == "00:00:09:10"
    assert rows[2]["takes"] == "2"
    back = import_board(path, blobs.put).board
    assert [scene.heading for scene in back.scenes] == [scene.heading for scene in board.scenes]
    for before, after in zip(board.panels(), back.panels(), strict=True):
        assert [getattr(after, name) for name in WORDS] == [getattr(before, name) for name in WORDS]
        assert after.prompt == before.prompt


@pytest.mark.parametrize(
    "text", ["=1+1", "+x", "-Hello", "@SUM(A1)", "'quoted", "'=x", "''-", 'a "b", c\nd', "\tx", "ok"]
)
def test_no_cell_is_a_formula_and_all_come_back(blobs, tmp_path, text):
    board = Board("b", scenes=(Scene("s", "H", (panel(blobs, 0, action=text, dialogue=text),)),))
    path = export_board("csv", board, blobs.path, tmp_path / "list").path
    cells = next(csv.DictReader(io.StringIO(path.read_text("utf-8-sig"), newline="")))
    assert not cells["action"].startswith(("=", "+", "-", "@", "\t", "\r"))
    back = next(import_board(path, blobs.put).board.panels())
    assert (back.action, back.dialogue) == (text, text)


def test_shot_lists_from_spreadsheets(tmp_path, blobs):
    (tmp_path / "a.csv").write_bytes(
        "Scene;Action;Seconds\r\n1;Möwe;1,5\r\n1;x;never\r\n2;y;\r\n;;\r\n".encode("cp1252")
    )
    back = import_board(tmp_path / "a.csv", blobs.put)
    assert [[(p.action, p.seconds) for p in scene.panels] for scene in back.board.scenes] == [
        [("Möwe", 1.5), ("x", 2.0)], [("y", 2.0)],
    ]  # fmt: skip
    assert any("Row 3" in note for note in back.notes)


@pytest.mark.parametrize("data", [b"a,b\n1,2\n", b"panel\n", b"\x00\x00", b'"' + b"x" * 200_000, b"\n\n"])
def test_what_is_no_shot_list_is_refused(tmp_path, blobs, data):
    (tmp_path / "x.csv").write_bytes(data)
    with pytest.raises(RequestError, match=r"x\.csv"):
        import_board(tmp_path / "x.csv", blobs.put)


def test_the_export_of_a_changed_board_is_another(board, blobs, tmp_path):
    other = replace(board, fps=25)
    path = export_board("otio", other, blobs.path, tmp_path / "film", media=False).path
    assert read(path).duration().to_frames() == 335  # 13.4 s
