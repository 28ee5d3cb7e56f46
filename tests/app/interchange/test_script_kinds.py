"""What scripts of every kind hold comes to the board, or a note says what did not."""

import pytest

from app.board.data import Board
from app.interchange.formats import Imported, import_board

FDX = '<?xml version="1.0" encoding="UTF-8"?><FinalDraft DocumentType="Script" Version="6"><Content>{}</Content>{}'
HEADING = '<Paragraph Type="Scene Heading" Number="1">{}<Text>INT. KITCHEN - NIGHT</Text></Paragraph>'
KETTLE = '<Paragraph Type="Action"><Text>A kettle.</Text></Paragraph>'


def read(tmp_path, blobs, text: str, name: str = "script.fountain") -> Imported:
    (tmp_path / name).write_text(text)
    return import_board(tmp_path / name, blobs.put)


def read_fdx(tmp_path, blobs, content: str, rest: str = "") -> Imported:
    return read(tmp_path, blobs, FDX.format(content, rest) + "</FinalDraft>", "script.fdx")


def line(kind: str, words: str, more: str = "") -> str:
    return f'<Paragraph Type="{kind}"{more}><Text>{words}</Text></Paragraph>'


def panels(board: Board) -> list[tuple[str, str, str, str]]:
    return [(s.heading, p.action, p.dialogue, p.notes) for s in board.scenes for p in s.panels]


ROOM = ("INT. ROOM - NIGHT", "A lamp.", "", "")
TAIL = "\n\nINT. ROOM - NIGHT\n\nA lamp.\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("FADE IN:\n\n[[dark, please]]\n\nA black screen.\n", [("", "A black screen.", "", "FADE IN:\ndark, please")]),
        (f"FADE IN:\n\nA black screen.{TAIL}", [("", "A black screen.", "", "FADE IN:"), ROOM]),
        ("= A plan.\n\n= Its second step.\n", [("", "", "", "A plan.\nIts second step.")]),
        ("[[only a note]]", [("", "", "", "only a note")]),
        ("INT. A\n\nx\n\n# Act two\n\n= Things go wrong.\n\nINT. B\n\ny",
         [("INT. A", "x", "", ""), ("INT. B", "y", "", "Act two\nThings go wrong.")]),
        ("INT. A\n\n= In A.\n\nx\n\nINT. B\n\n= In B.\n\ny",
         [("INT. A", "x", "", "In A."), ("INT. B", "y", "", "In B.")]),
        ("INT. A\n\nx\n\n# Act two\n\ny", [("INT. A", "x", "", ""), ("INT. A", "y", "", "Act two")]),
        ("# Act one\n\n= They meet.\n\n## Harbour\n", [("Act one", "", "", "They meet."), ("Harbour", "", "", "")]),
        ("INT. A\n\nx\n\n# The end\n\n= They part.", [("INT. A", "x", "", "The end\nThey part.")]),
        ("INT. A\n\nANA\nGood night.\n===\n\nx\n===\ny",
         [("INT. A", "", "ANA: Good night.", ""), ("INT. A", "x\ny", "", "")]),
        ("INT. A\n\nANA\nGood\n===\nnight.", [("INT. A", "", "ANA: Good night.", "")]),
        ("INT. A\n\nANA\nHi.\n# Act two\n\nINT. B\n\ny",
         [("INT. A", "", "ANA: Hi.", ""), ("INT. B", "y", "", "Act two")]),
        ("INT. A\n\nANA\nHi.\n= She greets.", [("INT. A", "", "ANA: Hi.", "She greets.")]),
        ("INT. A\n\nx [[one\n\ntwo]] y", [("INT. A", "x  y", "", "one\n\ntwo")]),
        ("INT. A\n\nx [[one\n\nINT. NOWHERE\n\ntwo]]\n\ny",
         [("INT. A", "x", "", "one\n\nINT. NOWHERE\n\ntwo"), ("INT. A", "y", "", "")]),
        ("INT. A\n\n[[open\n\n[[a note]]\n\nx",
         [("INT. A", "[[open", "", "a note"), ("INT. A", "x", "", "")]),
        ("INT. A\n\nANA [[loud]]\nHi\n[[pause]]\nthere.", [("INT. A", "", "ANA: Hi there.", "loud\npause")]),
        ("INT. A\n\nANA\nHi\n/* you */\nthere.", [("INT. A", "", "ANA: Hi there.", "")]),
        ("INT. A\n\nCUT TO:\n/*\n\nINT. NOWHERE\n\n*/\nEXT. B",
         [("INT. A", "", "", "CUT TO:"), ("EXT. B", "", "", "")]),
        ("INT. A\n\nCUT TO:\nEXT. B", [("INT. A", "", "", "CUT TO:"), ("EXT. B", "", "", "")]),
        ("INT. A\n\nsnake_case_name, a.b/_x_, me_@b.c, _really_ and _a_b_, **bo*l*d** 2*3",
         [("INT. A", "snake_case_name, a.b/_x_, me_@b.c, really and a_b, bold 2*3", "", "")]),
    ],
)  # fmt: skip
def test_fountain(tmp_path, blobs, text, expected):
    assert panels(read(tmp_path, blobs, text).board) == expected


@pytest.mark.parametrize(
    "heading",
    ["INT. A", "EXT. A", "EST. A", "INT./EXT. A", "INT/EXT A", "I/E A", "I/E. A", "EXT/INT. A", "INT A", "est A",
     "**INT. A**", "_INT. A_"],
)  # fmt: skip
def test_every_form_of_heading(tmp_path, blobs, heading):
    board = read(tmp_path, blobs, f"x\n\n{heading} - DAY #7-A#\n\ny").board
    assert [scene.heading for scene in board.scenes] == ["", f"{heading.strip('*_')} - DAY #7-A#"]


@pytest.mark.parametrize(
    "heading",
    ["INTÉRIEUR. CUISINE - JOUR", "INTERIOR - CASA", "EXTERIOR/INTERIOR. COCHE", "INNEN. KÜCHE - TAG",
     "AUSSEN/INNEN. HOF",
     "ESTERNO. MARE - NOTTE", "ИНТ. КВАРТИРА - НОЧЬ", "НАТ. ДВОР", "内景 厨房 夜", "外景·海边"],
)  # fmt: skip
def test_headings_of_other_languages(tmp_path, blobs, heading):
    board = read(tmp_path, blobs, f"x\n\n{heading}\n\ny").board
    assert [scene.heading for scene in board.scenes] == ["", heading]


@pytest.mark.parametrize("text", ["Interior thoughts.", "INTERIOR THOUGHTS", "Innen. So.", "нат. двор", "内景"])
def test_words_that_begin_like_a_heading(tmp_path, blobs, text):
    assert panels(read(tmp_path, blobs, f"{text}\n\nx").board)[0] == ("", text, "", "")


DIALOGUE = [
    ("BRICK\nScrew it.\n\nSTEEL ^\nScrew it.", ["BRICK: Screw it.", "STEEL: Screw it."]),
    ("HANS (on the radio)\nWhat?", ["HANS (on the radio): What?"]),
    ("@McAVOY\nYeah.", ["McAVOY: Yeah."]),
    ("R2D2\nBeep.", ["R2D2: Beep."]),
    (
        "MOM (cont'd)\n(to DAD)\nHi\n(beat)\nthere.\n  \nStill me.",
        ["MOM (cont'd): (to DAD) Hi (beat) there. Still me."],
    ),
    ("\tMOM\n\t\t(low)\n\tHi.", ["MOM: (low) Hi."]),
    ("MOM\n~La la\n~la.", ["MOM: La la la."]),
    ("ÉMILE\nOui.", ["ÉMILE: Oui."]),
    ("**MOM**\n_Hi_ *there*.", ["MOM: Hi there."]),
    ("MOM\nHi.\n\nDAD\nHo.\n\nMOM\nHa.", ["MOM: Hi.", "DAD: Ho.", "MOM: Ha."]),
]


@pytest.mark.parametrize(("text", "said"), DIALOGUE)
def test_every_form_of_a_speech(tmp_path, blobs, text, said):
    made = read(tmp_path, blobs, f"INT. A\n\n{text}\n\nShe goes.")
    assert [panel.dialogue for panel in made.board.panels() if panel.dialogue] == said
    assert list(made.board.panels())[-1].action == "She goes."
    assert made.notes == []


@pytest.mark.parametrize(
    "text", ["23\nNumbers", "!SCANNING\nWhere is it?", "~Willy\n~Wonka", "> THE END <", "...", "A B c:\nd"]
)
def test_what_is_action(tmp_path, blobs, text):
    board = read(tmp_path, blobs, f"INT. A\n\n{text}").board
    plain = text.replace("!", "").replace("~", "").replace("> ", "").replace(" <", "")
    assert [(panel.action, panel.dialogue) for panel in board.panels()] == [(plain, "")]
    assert board.cast == ()


@pytest.mark.parametrize("number", ["1", "1A", "1a", "I-1-A", "110A", "12-B", "1.", "A"])
def test_every_form_of_a_scene_number(tmp_path, blobs, number):
    board = read(tmp_path, blobs, f"x\n\nINT. A - DAY #{number}#\n\ny").board
    assert board.scenes[1].heading == f"INT. A - DAY #{number}#"


@pytest.mark.parametrize("coding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_every_encoding(tmp_path, blobs, coding, end):
    text = f"Title: Café{TAIL}\nÉMILE\nOui, ça va.\n".replace("\n", end)
    (tmp_path / "s.txt").write_bytes(text.encode(coding))
    made = import_board(tmp_path / "s.txt", blobs.put)
    assert (made.board.title, panels(made.board)) == (
        "Café", [("INT. ROOM - NIGHT", "A lamp.", "ÉMILE: Oui, ça va.", "")],
    )  # fmt: skip
    assert len(made.notes) == (coding == "cp1252")


@pytest.mark.parametrize(
    ("text", "title", "first", "said"),
    [
        (f"SUPER: Lisbon, spring{TAIL}", "script", "SUPER: Lisbon, spring", ""),
        (f"She says: go away.\nHe goes.{TAIL}", "script", "She says: go away.\nHe goes.", ""),
        (f"TITLE: THE LONG NIGHT\nAUTHOR: SOMEBODY{TAIL}", "THE LONG NIGHT", "A lamp.", "SOMEBODY"),
        (f"Credit: by\nTitle:\n  _A Night_\n  in two parts{TAIL}", "A Night", "A lamp.", "in two parts"),
        (f"Title:\nA Night\nDraft date: today{TAIL}", "A Night", "A lamp.", "today"),
        ("Title: A Night\nINT. ROOM - NIGHT\n\nA lamp.", "A Night", "A lamp.", ""),
        (f"/* old */\n\n[[Second draft.]]\n\nTitle: A Night\nAuthor: Me [[really]]{TAIL}", "A Night", "A lamp.", "Me"),
    ],
)
def test_a_title_page_is_one_by_its_keys(tmp_path, blobs, text, title, first, said):
    made = read(tmp_path, blobs, text)
    assert (made.board.title, next(made.board.panels()).action) == (title, first)
    assert said in "".join(made.notes)
    assert [m.name for m in made.board.cast] == []
    if "[[" in text:
        assert next(made.board.panels()).notes == "Second draft.\nreally"


def test_what_is_commented_out_stays_out_and_is_told(tmp_path, blobs):
    made = read(tmp_path, blobs, "INT. A\n\nx\n\n/* INT. B\n\ngone */\n\ny")
    assert [(scene.heading, len(scene.panels)) for scene in made.board.scenes] == [("INT. A", 2)]
    assert "INT. B gone" in made.notes[0]


def test_a_caption_that_is_cut_is_told(tmp_path, blobs):
    made = read(tmp_path, blobs, f"INT. {'long ' * 60}\n\n{'word ' * 5000}")
    assert "long " * 59 in next(made.board.panels()).notes
    assert "Scene 1" in made.notes[0]


def test_every_kind_of_paragraph(tmp_path, blobs):
    kinds = {"New Act": "ACT ONE", "Scene Heading": "INT. A", "Action": "A kettle.", "Lyrics": "La la."}
    kinds |= {"Narration": "A voice.", "Panel": "Panel 1.", "End of Act": "END OF ACT ONE", "": "Bare."}
    text = "".join(line(kind, words) for kind, words in kinds.items())
    made = read_fdx(tmp_path, blobs, text)
    assert made.notes == []
    assert panels(made.board) == [
        ("INT. A", "A kettle.", "La la.", "ACT ONE"), ("INT. A", "A voice.", "", ""),
        ("INT. A", "Panel 1.", "", "END OF ACT ONE"), ("INT. A", "Bare.", "", ""),
    ]  # fmt: skip


def test_a_summary_and_notes_in_and_behind_the_script(tmp_path, blobs):
    summary = f"<Summary>{line('', 'Mara boils.')}{line('', 'Twice.')}</Summary>"
    properties = f'<SceneProperties Title="The kettle">{summary}</SceneProperties>'
    placed = [("0,4", "Check the prop."), ("32,35", "Slowly.")]
    noted = "".join(f'<ScriptNote Range="{place}">{line("", words)}</ScriptNote>' for place, words in placed)
    free = f"<UnanchoredScriptNotes><ScriptNote>{line('', 'All of it.')}</ScriptNote></UnanchoredScriptNotes>"
    script = HEADING.format(properties) + KETTLE + line("Action", "She drinks.")
    made = read_fdx(tmp_path, blobs, script, f"<ScriptNotes>{noted}</ScriptNotes>{free}")
    assert panels(made.board) == [
        ("INT. KITCHEN - NIGHT", "A kettle.", "", "The kettle\nMara boils.\nTwice.\nAll of it.\nCheck the prop."),
        ("INT. KITCHEN - NIGHT", "She drinks.", "", "Slowly."),
    ]


OMITTED = (
    '<Paragraph Type="Scene Heading" Number="2"><Text>OMITTED</Text><OmittedScene>'
    '<Paragraph Type="Scene Heading"><Text>EXT. YARD</Text></Paragraph>'
    '<Paragraph Type="Action"><Text>Mara waits.</Text></Paragraph></OmittedScene></Paragraph>'
)


def test_an_omitted_scene_stays_out_and_is_told(tmp_path, blobs):
    made = read_fdx(tmp_path, blobs, HEADING.format("") + KETTLE + OMITTED + HEADING.format("") + KETTLE)
    assert [(heading, action) for heading, action, *_ in panels(made.board)] == [
        ("INT. KITCHEN - NIGHT", "A kettle."), ("INT. KITCHEN - NIGHT #1#", "A kettle."),
    ]  # fmt: skip
    assert "2 OMITTED EXT. YARD Mara waits." in made.notes[0]
    followed = read_fdx(tmp_path, blobs, HEADING.format("") + OMITTED + KETTLE)
    assert [scene.heading for scene in followed.board.scenes] == ["INT. KITCHEN - NIGHT", "OMITTED"]


def test_capitals_of_a_style(tmp_path, blobs):
    run = '<Paragraph Type="Action"><Text>A </Text><Text Style="Bold+AllCaps">bang</Text><Text>.</Text></Paragraph>'
    speech = line("Character", "Mara") + line("Dialogue", "Oh.")
    settings = '<ElementSettings Type="Character"><FontSpec Style="AllCaps"/></ElementSettings>'
    board = read_fdx(tmp_path, blobs, run + speech, settings).board
    assert panels(board) == [("", "A BANG.", "MARA: Oh.", "")]
    assert board.cast[0].name == "Mara"


def test_words_outside_the_script_are_told(tmp_path, blobs):
    page = f"<TitlePage><Content>{line('', 'The Run')}{line('', 'by Me')}</Content></TitlePage>"
    more = f"<AltCollection><Alt>{line('', 'Another line.')}</Alt></AltCollection>"
    made = read_fdx(tmp_path, blobs, KETTLE, page + more)
    assert made.board.title == "The Run"
    assert "by Me" in made.notes[0]
    assert "Another line." in made.notes[1]


def test_the_title_is_the_first_line_in_the_middle(tmp_path, blobs):
    lines = [("Left", "Second draft"), ("Center", "The Run"), ("Center", "by Me")]
    page = "".join(line("", words, f' Alignment="{place}"') for place, words in lines)
    made = read_fdx(tmp_path, blobs, KETTLE, f"<TitlePage><Content>{page}</Content></TitlePage>")
    assert made.board.title == "The Run"
    assert "Second draft; by Me" in made.notes[0]


def test_a_name_without_a_speech_stays(tmp_path, blobs):
    made = read_fdx(tmp_path, blobs, line("Character", "MARA") + KETTLE)
    assert panels(made.board) == [("", "", "MARA:", ""), ("", "A kettle.", "", "")]
