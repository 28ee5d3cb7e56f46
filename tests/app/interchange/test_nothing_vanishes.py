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
from tests.app.interchange.made_boards import drawn

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


def test_storyboarder_s_unknown_fields_and_lengths_are_told_as_the_file_has_them(tmp_path, blobs):
    boards = [{"shot": "1A", "duration": -5, "mood": "very sad"}, {"shot": "1B", "duration": 10**9, "lastEdited": "x"}]
    (tmp_path / "s.storyboarder").write_text(json.dumps({"boards": boards}))
    told = " ".join(import_board(tmp_path / "s.storyboarder", blobs.put).notes)
    assert "mood was left out: very sad" in told
    assert "(-5)" in told
    assert "(1000000000)" in told
    assert "lastEdited" not in told


SHOTS = st.sampled_from(["clip", "off", "gap", "nested", "above", "spoken", "marked"])


def span(frames: int) -> otio.opentime.TimeRange:
    return otio.opentime.TimeRange(otio.opentime.RationalTime(0, 24), otio.opentime.RationalTime(frames, 24))


def make_shot(kind: str, frames: int, words: list[str]) -> otio.core.Item:
    """With two words, whatever it is; a gap has none."""
    mark = otio.schema.Marker(words[0], span(1), comment=words[1])
    if kind == "gap":
        return otio.schema.Gap(source_range=span(frames))
    if kind == "nested":
        inner = otio.schema.Track(kind=otio.schema.TrackKind.Video)
        inner.extend([otio.schema.Clip(word, None, span(frames)) for word in words])
        stack = otio.schema.Stack("both", [inner])
        stack.source_range = span(frames)
        return stack
    item = otio.schema.Clip("shot", None, span(frames))
    item.markers.append(mark)
    item.enabled = kind != "off"
    return item


@pytest.mark.sweep
@QUICK
@given(st.lists(st.tuples(st.integers(2, 240), SHOTS), min_size=1, max_size=8))
def test_timeline(tmp_path, blobs, shots):
    """What is switched off or on another track stays out and is told; gaps keep their time."""
    below, above, spoken = (otio.schema.Track(kind=kind) for kind in ("Video", "Video", "Subtitle"))
    tracks, count = {"above": above, "spoken": spoken}, 0
    for frames, kind in [*shots, (24, "clip")]:
        tracks.get(kind, below).append(make_shot(kind, frames, [f"w{count}w", f"w{count + 1}w"]))
        count += 2 * (kind != "gap")
    otio.adapters.write_to_file(otio.schema.Timeline("cut", [below, above, spoken]), str(tmp_path / "s.otio"))
    made = import_board(tmp_path / "s.otio", blobs.put)
    places = {int(word[1:-1]) for word in list_words(made)}
    assert places == set(range(count)), made.notes
    shown = [frames for frames, kind in shots if kind not in ("off", "above", "spoken")] + [24]
    assert list_seconds(made) == pytest.approx([frames / 24 for frames in shown])


CUTS = st.lists(
    st.tuples(st.integers(1, 240), st.sampled_from(["clip", "off", "gap", "above"])), min_size=1, max_size=8
)
RATE = "<rate><timebase>24</timebase><ntsc>FALSE</ntsc></rate>"


def check_cuts(tmp_path, blobs, name: str, text: str, shots: list[tuple[int, str]], count: int) -> None:
    """All words, and the seconds of all that is switched on; every one that is off is told."""
    (tmp_path / name).write_text(text)
    made = import_board(tmp_path / name, blobs.put)
    assert list_words(made) == {f"w{number}w" for number in range(count)}, text
    wanted = sum(frames for frames, kind in shots if kind != "off" or name.endswith("edl")) + 24
    assert sum(list_seconds(made)) == pytest.approx(wanted / 24, abs=0.01)


@QUICK
@given(CUTS)
def test_edit_decision_list(tmp_path, blobs, shots):
    """Comments above, below, and of sound; gaps and black; what lies on no video track."""
    lines, clock, count = ["TITLE: w0w", "* w1w"], 0, 2
    for number, (frames, kind) in enumerate([*shots, (24, "clip")], 1):
        start, clock = clock, clock + frames
        span = " ".join(f"01:00:{at // 24:02}:{at % 24:02}" for at in (start, clock))
        if kind != "gap":
            channel, reel = "A" if kind == "above" else "V", "BL" if kind == "off" else "AX"
            lines.append(f"{number:03} {reel} {channel} C 00:00:00:00 00:00:09:00 {span}")
            lines += [f"* LOC: {span.split()[0]} RED w{count}w", f"M2 w{count + 1}w"]
            count += 2
        if kind in ("clip", "above"):
            lines.append(f"* FROM CLIP NAME: w{count}w")
            count += 1
    lead = next(number for number, (_, kind) in enumerate([*shots, (0, "clip")]) if kind not in ("gap", "above"))
    check_cuts(tmp_path, blobs, "s.edl", "\n".join(lines), shots[lead:], count)


@QUICK
@given(CUTS)
def test_final_cut_pro(tmp_path, blobs, shots):
    """Titles, notes and markers; what is connected above; what is off, with its words; gaps that say something."""
    body, count = "", 0
    for frames, kind in [*shots, (24, "clip")]:
        words = [f"w{count + place}w" for place in range(4)]
        title = f'<title lane="1" name="{words[2]}"><text><text-style>{words[3]}</text-style></text></title>'
        tag, more = ("gap", title) if kind == "gap" else ("title", title if kind == "above" else "")
        inside = f"<note>{words[0]}</note><marker value='{words[1]}'/>"
        name, off = ("Gap", "") if kind == "gap" else (words[0], ' enabled="0"' if kind == "off" else "")
        body += f'<{tag} name="{name}" duration="{frames}/24s"{off}>{inside}{more}</{tag}>'
        if more:
            count += 4
        else:
            count += 2
    text = f"<fcpxml><project name='cut'><sequence><spine>{body}</spine></sequence></project></fcpxml>"
    check_cuts(tmp_path, blobs, "s.fcpxml", text, shots, count)


@QUICK
@given(CUTS)
def test_final_cut_7(tmp_path, blobs, shots):
    """Markers, comments, logs, titles; the sequence's own markers; other tracks."""
    below = above = ""
    clock, count = 0, 1
    for number, (frames, kind) in enumerate([*shots, (24, "clip")]):
        start, clock = clock, clock + frames
        if kind == "gap":
            continue
        words = [f"w{count + place}w" for place in range(4)]
        file = f'<file id="f{number}"><name>a.mov</name><pathurl>a.mov</pathurl>{RATE}<duration>999</duration></file>'
        said = f"<comments><mastercomment1>{words[1]}</mastercomment1></comments>" \
               f"<logginginfo><description>{words[2]}</description></logginginfo>" \
               f"<marker><name>{words[3]}</name><in>0</in><out>-1</out></marker>"  # fmt: skip
        shown = "FALSE" if kind == "off" else "TRUE"
        clip = f'<clipitem id="c{number}"><name>{words[0]}</name><enabled>{shown}</enabled>' \
               f"<duration>999</duration>{RATE}<start>{start}</start><end>{clock}</end><in>0</in><out>{frames}</out>" \
               f"{file}{said}</clipitem>"  # fmt: skip
        below, above = (below, above + clip) if kind == "above" else (below + clip, above)
        count += 4
    mark = "<marker><name>w0w</name><comment/><in>0</in><out>-1</out></marker>"
    text = (
        f"<xmeml version='4'><sequence><name>cut</name><duration>{clock}</duration>{RATE}{mark}<media><video>"
        f"<track>{below}</track><track>{above}</track></video></media></sequence></xmeml>"
    )
    check_cuts(tmp_path, blobs, "s.xml", text, shots, count)


NAMED = [
    "a.png", "a.jfif", "b.JPG", "b.jpe", "c.webp", "d.tif", "e.bmp", "f.gif", "g.heic", "h.psd", "i.txt", "j.svg",
    "k.exr", "l.dng",
]  # fmt: skip


@pytest.mark.sweep
@QUICK
@given(
    st.lists(
        st.tuples(st.sampled_from(NAMED), st.sampled_from(["", "one", "two", "two/deep"])), min_size=1, unique=True
    )
)
def test_folder(tmp_path, blobs, files):
    """Every file is a panel or is named."""
    folder = tmp_path / str(len(list(tmp_path.iterdir())))
    for name, place in files:
        (folder / place).mkdir(parents=True, exist_ok=True)
        readable = name[0] in "abcdef"
        drawn(1).convert("RGB").save(folder / place / name) if readable else (folder / place / name).write_bytes(b"x")
    drawn(1).save(folder / "0.png")
    made = import_board(folder, blobs.put)
    shown = [panel.takes[-1].picture.name for panel in made.board.panels()]
    told = " ".join(made.notes)
    for name, place in files:
        expected = name[0] in "abcdef" and place != "two/deep"
        assert (name in shown) if expected else (name in told or "deep" in told), (name, place, told)
    assert len(shown) == 1 + sum(name[0] in "abcdef" and place != "two/deep" for name, place in files)
