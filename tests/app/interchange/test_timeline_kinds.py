"""What timelines of other programs hold comes to the board, or a note says what did not."""

import json
from pathlib import Path

import pytest

from app.interchange.formats import Imported, import_board
from mlx_model.errors import RequestError
from tests.app.interchange.made_boards import drawn


def time(frames: float, rate: float = 24.0) -> dict:
    return {"OTIO_SCHEMA": "RationalTime.1", "rate": rate, "value": frames}


def item(kind: str, name: str, frames: float, rate: float = 24.0, **more) -> dict:
    span = {"OTIO_SCHEMA": "TimeRange.1", "start_time": time(0, rate), "duration": time(frames, rate)}
    return {"OTIO_SCHEMA": kind, "name": name, "source_range": span} | more


def track(*children: dict, kind: str = "Video", **more) -> dict:
    return {"OTIO_SCHEMA": "Track.1", "kind": kind, "name": "V", "children": list(children)} | more


def read(tmp_path: Path, blobs, *tracks: dict) -> Imported:
    stack = {"OTIO_SCHEMA": "Stack.1", "children": list(tracks)}
    (tmp_path / "t.otio").write_text(json.dumps({"OTIO_SCHEMA": "Timeline.1", "name": "t", "tracks": stack}))
    return import_board(tmp_path / "t.otio", blobs.put)


def shown(made: Imported) -> list[tuple[str, float]]:
    return [(panel.notes, panel.seconds) for panel in made.board.panels()]


def test_what_is_switched_off_stays_out_and_is_told(tmp_path, blobs):
    clips = item("Clip.1", "on", 48), item("Clip.1", "off", 48, enabled=False), item("Clip.1", "on2", 24)
    made = read(tmp_path, blobs, track(item("Clip.1", "hidden", 24), enabled=False, name="H"), track(*clips))
    assert shown(made) == [("on", 2.0), ("on2", 1.0)]
    assert any("off" in note for note in made.notes)
    assert any("Track H" in note for note in made.notes)
    with pytest.raises(RequestError, match="switched off"):
        read(tmp_path, blobs, track(clips[1]))


def test_a_gap_keeps_its_time(tmp_path, blobs):
    made = read(tmp_path, blobs, track(item("Gap.1", "", 12), item("Clip.1", "a", 48), item("Gap.1", "", 36),
                                       item("Clip.1", "b", 24), item("Gap.1", "", 99)))  # fmt: skip
    gap = "Gap in the timeline"
    assert shown(made) == [(gap, 0.5), ("a", 2.0), (gap, 1.5), ("b", 1.0)]
    assert any("gap at the end, 4.125 s" in note for note in made.notes)


@pytest.mark.parametrize("span", [0, 1, 48])
def test_an_image_sequence_shows_its_first_picture(tmp_path, blobs, span):
    (tmp_path / "media").mkdir()
    drawn(2).save(tmp_path / "media" / "f.0007.png")
    media = {
        "OTIO_SCHEMA": "ImageSequenceReference.1", "target_url_base": "media", "name_prefix": "f.",
        "name_suffix": ".png", "start_frame": 7, "frame_step": 1, "frame_zero_padding": 4, "rate": 24.0,
        "missing_frame_policy": "error",
        "available_range": item("", "", span)["source_range"],
    }  # fmt: skip
    made = read(tmp_path, blobs, track(item("Clip.1", "seq", 48, media_reference=media)))
    assert [panel.take is not None for panel in made.board.panels()] == [True]
    lost = read(tmp_path, blobs, track(item("Clip.1", "seq", 48, media_reference=media | {"start_frame": 8})))
    assert "f.0008.png" in lost.notes[0]


def test_what_has_no_place_on_a_board_is_told(tmp_path, blobs):
    mark = {
        "OTIO_SCHEMA": "Marker.2",
        "name": "M1",
        "comment": "warmer",
        "marked_range": item("", "", 1)["source_range"],
    }
    clip = item("Clip.1", "a", 48, markers=[mark], effects=[{"OTIO_SCHEMA": "Effect.1", "effect_name": "Blur"}])
    crossing = {
        "OTIO_SCHEMA": "Transition.1",
        "transition_type": "SMPTE_Dissolve",
        "in_offset": time(5),
        "out_offset": time(5),
    }
    made = read(tmp_path, blobs, track(clip, crossing, item("Clip.1", "b", 24)),
                track(item("Clip.1", "title", 24)), track(item("Clip.1", "song", 24), kind="Audio"))  # fmt: skip
    assert shown(made) == [("a\nM1\nwarmer", 2.0), ("b", 1.0)]
    for word in ("1 transition ", "Blur", "title", "1 audio track "):
        assert any(word in note for note in made.notes), word


def test_words_on_other_tracks_are_told(tmp_path, blobs):
    mark = {
        "OTIO_SCHEMA": "Marker.2",
        "name": "M",
        "comment": "brighter",
        "marked_range": item("", "", 1)["source_range"],
    }
    above = track(item("Clip.1", "title", 24, markers=[mark]))
    spoken = track(item("Clip.1", "Good night.", 24), kind="Subtitle")
    made = read(tmp_path, blobs, track(item("Clip.1", "a", 48)), above, spoken, item("Clip.1", "loose", 24))
    assert shown(made) == [("a", 2.0)]
    told = " ".join(made.notes)
    for words in ("title M brighter", "kind Subtitle was left out: Good night.", "On no track, and left out: loose"):
        assert words in told, words
    assert "audio" not in told


def test_how_many_names_a_note_has(tmp_path, blobs):
    many = track(*(item("Clip.1", f"n{number}", 24) for number in range(120)))
    told = " ".join(read(tmp_path, blobs, track(item("Clip.1", "a", 48)), many).notes)
    assert "n99 and 20 more" in told


@pytest.mark.parametrize("schema", ["Clip.3", "Timeline.9", "Track.4"])
def test_newer_schemas_are_told_as_that(tmp_path, blobs, schema):
    text = json.dumps(track(item("Clip.1", "a", 48))).replace(f'"{schema[:-1]}1"', f'"{schema}"')
    (tmp_path / "t.otio").write_text(text if "Timeline" not in schema else f'{{"OTIO_SCHEMA": "{schema}"}}')
    with pytest.raises(RequestError, match="newer OpenTimelineIO"):
        import_board(tmp_path / "t.otio", blobs.put)


@pytest.mark.parametrize("digits", [400, 5000])
def test_numbers_of_absurd_length(tmp_path, blobs, digits):
    text = json.dumps(track(item("Clip.1", "a", 48))).replace("48", "9" * digits)
    (tmp_path / "t.otio").write_text(text)
    with pytest.raises(RequestError, match="too many digits"):
        import_board(tmp_path / "t.otio", blobs.put)
    (tmp_path / "t.csv").write_text(f"action,seconds\nx,{'9' * digits}\n")
    assert "no usable length" in import_board(tmp_path / "t.csv", blobs.put).notes[0]


@pytest.mark.parametrize("value", ["Inf", "-Inf", "NaN", "Infinity", "9" * 78, "-1" + "0" * 40, "1e300"])
def test_numbers_that_are_no_json_but_otio_s_own(tmp_path, blobs, value):
    """It writes them into metadata; as a length they are told."""
    text = json.dumps(track(item("Clip.1", "a", 48, metadata={"x": 77}), item("Clip.1", "b", 24)))
    stack = '{"OTIO_SCHEMA": "Timeline.1", "tracks": {"OTIO_SCHEMA": "Stack.1", "children": [%s]}}'
    (tmp_path / "t.otio").write_text(stack % text.replace("77", value))
    assert shown(import_board(tmp_path / "t.otio", blobs.put)) == [("a", 2.0), ("b", 1.0)]
    (tmp_path / "t.otio").write_text(stack % text.replace("48", value))
    made = import_board(tmp_path / "t.otio", blobs.put)
    assert shown(made) == [("a", 2.0), ("b", 1.0)]
    assert "a has no usable length" in made.notes[0]


def test_what_is_nested_is_one_panel_and_told(tmp_path, blobs):
    inner = track(item("Clip.1", "one", 24), item("Clip.1", "two", 24))
    made = read(tmp_path, blobs, track(item("Stack.1", "both", 48, children=[inner]), item("Clip.1", "b", 24)))
    assert shown(made) == [("both", 2.0), ("b", 1.0)]
    assert "in it: one, two" in made.notes[0]


def storyboard(tmp_path: Path, blobs, boards: list[dict], **more) -> Imported:
    (tmp_path / "s.storyboarder").write_text(json.dumps({"boards": boards, "fps": 24} | more))
    return import_board(tmp_path / "s.storyboarder", blobs.put)


def test_numbers_of_a_storyboard_may_be_text(tmp_path, blobs):
    boards = [{"duration": "1500"}, {"duration": 1500}, {"duration": ""}, {}]
    made = storyboard(tmp_path, blobs, boards, defaultBoardTiming="2500", fps="25", aspectRatio="2.39")
    assert [panel.seconds for panel in made.board.panels()] == [1.5, 1.5, 2.5, 2.5]
    assert (made.board.fps, made.board.aspect) == (25, (239, 100))


@pytest.mark.parametrize("value", [10**400, "9" * 400, -1, "soon", True, 1e300])
def test_impossible_numbers_of_a_storyboard_are_told(tmp_path, blobs, value):
    made = storyboard(tmp_path, blobs, [{"duration": value, "notes": 7, "audio": {"filename": "song.wav"}}])
    assert shown(made) == [("7", 2.0)]
    assert any("no usable length" in note for note in made.notes)
    assert any("song.wav" in note for note in made.notes)
