"""One property of all readers: every word, second and shot of the source is on the board or in a note."""

import csv
import io
import json
import re
from xml.sax.saxutils import escape

import opentimelineio as otio
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.interchange.formats import Imported, import_board

QUICK = settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
FORMS = st.sampled_from([
    "INT. {} - DAY", ".{}", "{}", "!{}", "{}\n{}", "@{}\n{}", "ANA{}\n({})\n{}", "= {}", "# {}", "[[{}]]",
    "[[{}\n\n{}]]",
    "> {} <", "> {}", "CUT TO:", "FADE IN:", "~{}", "===", "/* {} */", "{} /* {}\n\n{} */ {}", "Title: {}\nAuthor: {}",
    "SUPER: {}", "{} [[{}]] {}", "X\n{}\n===\n{}", "X\n{}\n# {}", "{}:\n{}", "_{}_ **{}**", "INT. {} #{}#",
])  # fmt: skip
END = '<Paragraph Type="Action"><Text>The end.</Text></Paragraph>'
KINDS = st.sampled_from([
    "Scene Heading", "Action", "Character", "Dialogue", "Parenthetical", "Transition", "Shot", "General", "Singing",
    "New Act", "End of Act", "Lyrics", "Cast List", "Outline 1", "Outline Body", "Narration", "", "Whatever",
])  # fmt: skip
INSIDE = st.sampled_from([
    "{}", "<ScriptNote>{}</ScriptNote>", "<SceneProperties><Summary>{}</Summary></SceneProperties>",
    "<OmittedScene>{}</OmittedScene>", "<DualDialogue>{}</DualDialogue>", "<Other>{}</Other>",
])  # fmt: skip


def list_words(made: Imported) -> set[str]:
    board = made.board
    texts = [board.title, *made.notes, *(scene.heading for scene in board.scenes)]
    texts += [text for panel in board.panels() for text in (panel.action, panel.dialogue, panel.notes)]
    return set(re.findall(r"w\d+w", " ".join(texts).lower()))


def check(tmp_path, blobs, name: str, text: str, count: int) -> None:
    (tmp_path / name).write_text(text)
    found = list_words(import_board(tmp_path / name, blobs.put))
    assert found == {f"w{number}w" for number in range(count)}, text


@QUICK
@given(st.lists(FORMS, min_size=1, max_size=12), st.sampled_from(["\n\n", "\n"]))
def test_fountain(tmp_path, blobs, forms, between):
    count, parts = 0, []
    for form in forms:
        holes = form.count("{}")
        parts.append(form.format(*(f"w{count + place}w" for place in range(holes))))
        count += holes
    check(tmp_path, blobs, "s.fountain", between.join([*parts, "The end of it."]), count)


@QUICK
@given(st.lists(st.tuples(KINDS, INSIDE), min_size=1, max_size=12))
def test_final_draft(tmp_path, blobs, paragraphs):
    body, count = "", 0
    for kind, inside in paragraphs:
        outer, inner = (f"<Text>w{count + place}w</Text>" for place in range(2))
        within = "" if inside == "{}" else inside.format(f'<Paragraph Type="Action">{inner}</Paragraph>')
        body += f'<Paragraph Type="{escape(kind)}">{outer}{within}</Paragraph>'
        count += 1 if inside == "{}" else 2
    check(tmp_path, blobs, "s.fdx", f"<FinalDraft><Content>{body}{END}</Content></FinalDraft>", count)


LENGTHS = st.lists(st.integers(1, 240), min_size=1, max_size=8)  # frames of 24 a second
FIELDS = ("heading", "action", "dialogue", "notes", "prompt", "lens")


def list_seconds(made: Imported) -> list[float]:
    return [panel.seconds for panel in made.board.panels()]


@QUICK
@given(LENGTHS, st.lists(st.sampled_from(FIELDS), min_size=1, unique=True))
def test_shot_list(tmp_path, blobs, lengths, fields):
    """A column that nothing takes is told."""
    table, count = io.StringIO(), 0
    writer = csv.writer(table)
    writer.writerow(["seconds", "action", *(field for field in fields if field != "action")])
    for frames in lengths:
        cells = [f"w{count + place}w" for place in range(len({"action", *fields}))]
        writer.writerow([frames / 24, *cells])
        count += len(cells)
    (tmp_path / "s.csv").write_text(table.getvalue())
    made = import_board(tmp_path / "s.csv", blobs.put)
    assert list_seconds(made) == pytest.approx([frames / 24 for frames in lengths], abs=0.06)
    lost = {f"w{number}w" for number in range(count)} - list_words(made)
    lost -= {word for panel in made.board.panels() for word in re.findall(r"w\d+w", panel.prompt)}
    assert not lost or any("lens" in note for note in made.notes), made.notes


@QUICK
@given(LENGTHS, st.booleans())
def test_storyboarder(tmp_path, blobs, lengths, text):
    """Lengths as numbers, and as the text that older versions wrote."""
    boards = [
        {"shot": f"{n}A", "dialogue": f"w{3 * n}w", "action": f"w{3 * n + 1}w", "notes": f"w{3 * n + 2}w",
         "duration": f"{frames * 125}" if text else frames * 125}
        for n, frames in enumerate(lengths)
    ]  # fmt: skip
    (tmp_path / "s.storyboarder").write_text(json.dumps({"boards": boards, "fps": 24, "aspectRatio": 1.78}))
    made = import_board(tmp_path / "s.storyboarder", blobs.put)
    assert list_words(made) == {f"w{number}w" for number in range(3 * len(lengths))}
    assert list_seconds(made) == pytest.approx([frames / 8 for frames in lengths], abs=0.06)
    assert sum("has no picture" in note for note in made.notes) == len(lengths)


@QUICK
@given(st.lists(st.tuples(st.integers(2, 240), st.sampled_from(["clip", "off", "gap"])), min_size=1, max_size=8))
def test_timeline(tmp_path, blobs, shots):
    """What is switched off stays out and is told; gaps keep their time."""
    track = otio.schema.Track("V1", kind=otio.schema.TrackKind.Video)
    for number, (frames, kind) in enumerate(shots):
        span = otio.opentime.TimeRange(otio.opentime.RationalTime(0, 24), otio.opentime.RationalTime(frames, 24))
        item = otio.schema.Gap(source_range=span) if kind == "gap" else otio.schema.Clip(f"w{number}w", None, span)
        item.enabled = kind != "off"
        track.append(item)
    track.append(otio.schema.Clip("end", None, otio.opentime.TimeRange(
        otio.opentime.RationalTime(0, 24), otio.opentime.RationalTime(24, 24))))  # fmt: skip
    timeline = otio.schema.Timeline("cut", [track])
    otio.adapters.write_to_file(timeline, str(tmp_path / "s.otio"))
    made = import_board(tmp_path / "s.otio", blobs.put)
    wanted = sum(frames for frames, kind in shots if kind != "off") + 24
    assert sum(list_seconds(made)) == pytest.approx(wanted / 24, abs=0.02 * len(shots))
    assert len(list_seconds(made)) == 1 + sum(kind == "clip" for _, kind in shots) + count_gaps(shots)
    assert any(kind == "off" for _, kind in shots) <= any("switched off" in note for note in made.notes), made.notes


def count_gaps(shots: list[tuple[int, str]]) -> int:
    return sum(kind == "gap" for _, kind in shots)
