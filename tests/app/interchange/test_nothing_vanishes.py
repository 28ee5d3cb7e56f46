"""One property of all script readers: every word of the source is on the board or in a note."""

import re
from xml.sax.saxutils import escape

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
