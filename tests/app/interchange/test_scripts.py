"""Fountain and Final Draft: what real scripts hold, and what broken and hostile ones do."""

import time
from xml.sax.saxutils import escape

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import structs

from app.board.data import Board, Picture
from app.board.seen import names, see
from app.fluxboard.codec import decode, encode
from app.interchange.formats import import_board
from mlx_model.errors import FluxLocalError, RequestError

SCRIPT = """Title:
    _**THE GULL**_
    A film
Credit: written by

# Act one

= They meet.

INT. HARBOUR BAR - EVENING #1#

A *seagull* lands on the bar.
It looks around.

SEAGULL (V.O.)
(sighs)
One herring. [[Is this funny?]]

BARKEEPER ^
We have only real ones.
{open}
Not virtual.

@McAvoy
Mail me@example.com.

CUT TO:

.THE BEACH #7A#

!THE DOOR opens.

> centred <

FADE OUT.
""".replace("{open}", "  ")


def scenes(board: Board) -> list[tuple[str, list[tuple[str, str, str]]]]:
    return [(s.heading, [(p.action, p.dialogue, p.notes) for p in s.panels]) for s in board.scenes]


EXPECTED = [
    ("INT. HARBOUR BAR - EVENING", [
        ("A seagull lands on the bar.\nIt looks around.", "SEAGULL (V.O.): (sighs) One herring.",
         "Act one\nThey meet.\nIs this funny?"),
        ("", "BARKEEPER: We have only real ones. Not virtual.", ""),
        ("", "McAvoy: Mail me@example.com.", "CUT TO:"),
    ]),
    ("THE BEACH #7A#", [("THE DOOR opens.", "", ""), ("centred", "", "FADE OUT.")]),
]  # fmt: skip


def fountain(tmp_path, text: str | bytes, blobs):
    path = tmp_path / "script.fountain"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return import_board(path, blobs.put)


@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_fountain(tmp_path, blobs, ends, encoding):
    made = fountain(tmp_path, SCRIPT.replace("\n", ends).encode(encoding), blobs)
    assert [note.split(": ", 1)[1] for note in made.notes] == ["Title: A film; Credit: written by"]
    assert made.board.title == "THE GULL"
    assert scenes(made.board) == EXPECTED
    assert [member.name for member in made.board.cast] == ["Seagull", "Barkeeper", "McAvoy"]


def test_a_panel_lasts_as_long_as_it_is_spoken(tmp_path, blobs):
    board = fountain(tmp_path, f"INT. A\n\nANA\n{'word ' * 50}\n\nBEN\nYes.\n", blobs).board
    assert [panel.seconds for panel in board.panels()] == [20.0, 2.0]


def test_prompts_mention_the_cast_as_the_action_names_it_and_who_speaks(tmp_path, blobs):
    text = """INT. BAR - NIGHT

OLD MAN and Will sit down. He will drink. McWill waits.

OLD MAN (O.S.)
Cheers.

WILL
And you?

Will's glass is empty
WILL
Hm.
"""
    board = fountain(tmp_path, text, blobs).board
    assert [panel.prompt for panel in board.panels()] == [
        "@OldMan and @Will sit down. He will drink. McWill waits.",
        "@Will speaks.",
        "@Will's glass is empty\n@Will\nHm.",
    ]
    assert all(panel.in_place for panel in board.panels())
    drawn = Picture("0" * 64, 64, 64)
    board = structs.replace(board, cast=tuple(structs.replace(one, pictures=(drawn,)) for one in board.cast))
    assert [names(see(board, panel)) for panel in board.panels()] == [["OldMan", "Will"], ["Will"], ["Will"]]


def test_a_prompt_is_the_action_with_its_signs_escaped(tmp_path, blobs):
    board = fountain(tmp_path, "INT. A\n\nShe types a@b and @ana.\n", blobs).board
    assert next(board.panels()).prompt == r"She types a\@b and \@ana."


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Just words.", [("", [("Just words.", "", "")])]),
        ("INT. A", [("INT. A", [("", "", "")])]),
        ("INT. A\nRight below.", [("INT. A", [("Right below.", "", "")])]),
        ("int. lower case\n\nx", [("int. lower case", [("x", "", "")])]),
        ("I/E CAR - DAY #12#\n\nx", [("I/E CAR - DAY #12#", [("x", "", "")])]),
        ("INTERIOR thoughts", [("", [("INTERIOR thoughts", "", "")])]),
        ("...ellipsis", [("", [("...ellipsis", "", "")])]),
        ("INT. A\n\nTHE END", [("INT. A", [("THE END", "", "")])]),
        ("INT. A\n\nANA\nHi.\n\nShe waves.", [("INT. A", [("", "ANA: Hi.", ""), ("She waves.", "", "")])]),
        ("INT. A\n\n[[open\n\nx", [("INT. A", [("[[open", "", ""), ("x", "", "")])]),
        ("INT. A\n\nx [[two\nlines]] y", [("INT. A", [("x  y", "", "two\nlines")])]),
        ("INT. A\n\n/* gone\n\nINT. B */\nx", [("INT. A", [("x", "", "")])]),
        ("INT. A\n\n/* never closed\n\nx", [("INT. A", [("/* never closed", "", ""), ("x", "", "")])]),
        ("INT. A\n\n===\n\nx", [("INT. A", [("x", "", "")])]),
        ("INT. A\n\n" r"\*not bold\* **bold** _under_ 2 * 3 * 4",
         [("INT. A", [("*not bold* bold under 2 * 3 * 4", "", "")])]),
        ("INT. A\n\nANA\n~la la\n(stops)\nOh.", [("INT. A", [("", "ANA: la la (stops) Oh.", "")])]),
        ("FADE IN:\n\nINT. A\n\nx", [("INT. A", [("x", "", "FADE IN:")])]),
        ("酒吧 - 夜\n\n.酒吧 #1#\n\n海鸥。", [("", [("酒吧 - 夜", "", "")]), ("酒吧 #1#", [("海鸥。", "", "")])]),
    ],
)  # fmt: skip
def test_fountain_details(tmp_path, blobs, text, expected):
    assert scenes(fountain(tmp_path, text, blobs).board) == expected


def test_a_bold_waiting_beat_takes_its_action(tmp_path, blobs):
    board = fountain(tmp_path, "= synopsis\n\nINT. A\n\nx\n\ny", blobs).board
    assert scenes(board) == [("INT. A", [("x", "", "synopsis"), ("y", "", "")])]


@pytest.mark.parametrize("data", [b"", b"\n\n", b"\x89PNG\r\n\x1a\n\0\0", b"Title: nothing else\n", b"/* cut */"])
def test_what_is_no_script_is_refused(tmp_path, blobs, data):
    with pytest.raises(RequestError, match=r"script\.fountain"):
        fountain(tmp_path, data, blobs)


def test_latin_1_is_read_and_said(tmp_path, blobs):
    made = fountain(tmp_path, "INT. CAFÉ\n\nDéjà vu.".encode("latin-1"), blobs)
    assert scenes(made.board) == [("INT. CAFÉ", [("Déjà vu.", "", "")])]
    assert "script.fountain" in made.notes[0]


@pytest.mark.first_case
@pytest.mark.parametrize(
    "unit",
    ["[[", "/*", "]]", "*", "_a", "(", "#1", "> ", "@a\n", "INT. A\n", "A\nb\n", "~", "ANA\n(x)\n", "  \n", "=\n", "a ",
     "INT. A\n\nx\n\n", "x\n\n", "\t", "Title: x\n", "TO:\n", "***_"],
)  # fmt: skip
def test_megabytes_of_anything_take_seconds(tmp_path, blobs, unit):
    started = time.process_time()
    survives(fountain, (unit * (600_000 // len(unit))).encode(), tmp_path, blobs)
    assert time.process_time() - started < 20


@pytest.mark.sweep
def test_a_real_length_of_five_megabytes(tmp_path, blobs):
    scene = (
        "INT. PLACE {0} - DAY #{0}#\n\n" + "Something happens here, and then more. " * 60 + "\n\nANA\nHello there.\n\n"
    )
    text = "".join(scene.format(number) for number in range(1, 1900))
    started = time.process_time()
    board = fountain(tmp_path, text, blobs).board
    assert len(text) > 4_500_000
    assert len(board.scenes) == 1899
    assert time.process_time() - started < 10


# Final Draft


def fdx(*paragraphs: tuple[str, str], head: str = '<?xml version="1.0" encoding="UTF-8" standalone="no" ?>') -> str:
    body = "".join(f'<Paragraph Type="{kind}"><Text>{escape(text)}</Text></Paragraph>' for kind, text in paragraphs)
    return f'{head}<FinalDraft DocumentType="Script" Version="5"><Content>{body}</Content></FinalDraft>'


def final_draft(tmp_path, text: str | bytes, blobs):
    path = tmp_path / "script.fdx"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return import_board(path, blobs.put)


BASIC = (
    ("Scene Heading", "INT. BAR - NIGHT"), ("Action", "A gull & a <bar>."), ("Character", "GULL (V.O.)"),
    ("Parenthetical", "(sighs)"), ("Dialogue", "One herring."), ("Character", "BARKEEPER"), ("Dialogue", "No."),
    ("Transition", "CUT TO:"), ("Scene Heading", "EXT. BEACH"), ("Action", ""), ("Shot", "CLOSE ON the sea"),
)  # fmt: skip


def test_final_draft(tmp_path, blobs):
    made = final_draft(tmp_path, fdx(*BASIC), blobs)
    assert made.notes == []
    assert made.board.title == "script"
    assert scenes(made.board) == [
        ("INT. BAR - NIGHT", [
            ("A gull & a <bar>.", "GULL (V.O.): (sighs) One herring.", ""), ("", "BARKEEPER: No.", "CUT TO:"),
        ]),
        ("EXT. BEACH", [("CLOSE ON the sea", "", "")]),
    ]  # fmt: skip
    assert [member.name for member in made.board.cast] == ["Gull", "Barkeeper"]


def test_final_draft_numbers_styles_dual_dialogue_notes_and_title(tmp_path, blobs):
    text = """<?xml version="1.0" encoding="UTF-8"?><FinalDraft><Content>
      <Paragraph Number="1" Type="Scene Heading"><Text>INT. A</Text></Paragraph>
      <Paragraph Type="Action"><Text Style="Bold">She </Text><Text>runs.</Text>
        <ScriptNote><Paragraph><Text>too fast?</Text></Paragraph></ScriptNote></Paragraph>
      <Paragraph><DualDialogue>
        <Paragraph Type="Character"><Text>ANA</Text></Paragraph><Paragraph Type="Dialogue"><Text>Go!</Text></Paragraph>
        <Paragraph Type="Character"><Text>BEN</Text></Paragraph>
        <Paragraph Type="Dialogue"><Text>Stop!</Text></Paragraph>
      </DualDialogue></Paragraph>
      <Paragraph Number="3B" Type="Scene Heading"><Text>EXT. B</Text></Paragraph>
    </Content><TitlePage><Content><Paragraph><Text></Text></Paragraph><Paragraph><Text>The Run</Text></Paragraph>
    </Content></TitlePage></FinalDraft>"""
    board = final_draft(tmp_path, text, blobs).board
    assert board.title == "The Run"
    assert scenes(board) == [
        ("INT. A", [("She runs.", "ANA: Go!", "too fast?"), ("", "BEN: Stop!", "")]),
        ("EXT. B #3B#", [("", "", "")]),
    ]


def test_final_draft_in_latin_1(tmp_path, blobs):
    said = fdx(("Action", "Déjà vu"), head='<?xml version="1.0" encoding="ISO-8859-1"?>').encode("latin-1")
    made = final_draft(tmp_path, said, blobs)
    assert (next(made.board.panels()).action, made.notes) == ("Déjà vu", [])
    lied = fdx(("Action", "Déjà vu")).encode("latin-1")
    made = final_draft(tmp_path, lied, blobs)
    assert next(made.board.panels()).action == "Déjà vu"
    assert "script.fdx" in made.notes[0]


LAUGHS = '<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "ha">' + "".join(
    f'<!ENTITY {chr(98 + i)} "{f"&{chr(97 + i)};" * 10}">' for i in range(9)
) + "]>"  # fmt: skip


@pytest.mark.parametrize(
    "head",
    [
        LAUGHS,
        '<?xml version="1.0"?><!DOCTYPE x [<!ENTITY j SYSTEM "file:///etc/passwd">]>',
        '<?xml version="1.0"?><!DOCTYPE x SYSTEM "http://localhost:1/x.dtd">',
        '<?xml version="1.0"?><!DOCTYPE x [<!ENTITY % p SYSTEM "file:///etc/passwd"> %p;]>',
        '<?xml version="1.0"?><!DOCTYPE FinalDraft>',
    ],
)
def test_hostile_xml_is_refused(tmp_path, blobs, head):
    text = fdx(("Action", "JJJ"), head=head).replace("JJJ", "&j;")
    with pytest.raises(RequestError, match=r"script\.fdx"):
        final_draft(tmp_path, text, blobs)


@pytest.mark.parametrize(
    "data",
    [b"", b"<", b"<a/>", b"<FinalDraft/>", b"<FinalDraft><Content/></FinalDraft>", b"\x00\x01", b"not xml",
     fdx(*BASIC).encode()[:-40], b'<?xml version="1.0" encoding="klingon"?><FinalDraft/>', b"<a>" * 100_000,
     b'<?xml version="1.0" encoding="utf-7"?><FinalDraft/>', b'<?xml version="1.0" encoding="utf-16"?><FinalDraft/>'],
)  # fmt: skip
def test_broken_xml_is_refused(tmp_path, blobs, data):
    with pytest.raises(RequestError, match=r"script\.fdx"):
        final_draft(tmp_path, data, blobs)


@pytest.mark.sweep
def test_deep_nesting_and_five_megabytes(tmp_path, blobs):
    deep = "<FinalDraft><Content>" + "<Paragraph>" * 100_000 + "</Paragraph>" * 100_000 + "</Content></FinalDraft>"
    with pytest.raises(RequestError):
        final_draft(tmp_path, deep, blobs)
    started = time.process_time()
    long = fdx(*[("Scene Heading", "INT. A"), ("Action", "x" * 2500)] * 1990)
    assert len(final_draft(tmp_path, long, blobs).board.scenes) == 1990
    assert time.process_time() - started < 10


def test_a_script_larger_than_the_limit_is_refused(tmp_path, blobs):
    path = tmp_path / "big.fdx"
    with open(path, "wb") as handle:
        handle.truncate(40 * 1024**2)
    with pytest.raises(RequestError, match="32 MB"):
        import_board(path, blobs.put)


# anything at all


PIECES = st.sampled_from(
    ["INT. ", "EXT. A", "\n", "\n\n", "ANA", "@", "!", ">", "<", "[[", "]]", "/*", "*/", "#1#", "(", ")", "~", "=",
     "===",
     "Title:", "CUT TO:", "  ", "**", "_", "\\", "x", "é", "\r", "\x00", "\ud800", "\u2028", "^", ":", "FADE IN:"]
)  # fmt: skip
QUICK = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def survives(load, data, tmp_path, blobs) -> None:
    """Whatever the bytes: a board that can be saved and read again, or an error that a person can read."""
    try:
        board = load(tmp_path, data, blobs).board
    except FluxLocalError:
        return
    assert decode(encode(board))[0] == board


@QUICK
@given(st.lists(PIECES, max_size=60).map("".join))
def test_any_fountain(tmp_path, blobs, text):
    survives(fountain, text.encode("utf-8", "surrogatepass"), tmp_path, blobs)


@QUICK
@given(st.binary(max_size=400))
def test_any_bytes_as_scripts(tmp_path, blobs, data):
    survives(fountain, data, tmp_path, blobs)
    survives(final_draft, data, tmp_path, blobs)


@pytest.mark.sweep
@QUICK
@given(st.data())
def test_mutated_scripts(tmp_path, blobs, data):
    for load, script in ((fountain, SCRIPT.encode()), (final_draft, fdx(*BASIC).encode())):
        bent = bytearray(script)
        for _ in range(data.draw(st.integers(1, 6))):
            place = data.draw(st.integers(0, len(bent) - 1))
            kind = data.draw(st.sampled_from(["set", "cut", "double"]))
            if kind == "set":
                bent[place] = data.draw(st.integers(0, 255))
            elif kind == "cut":
                del bent[place : place + data.draw(st.integers(1, 40))]
            else:
                bent[place:place] = bent[place : place + data.draw(st.integers(1, 80))]
            if not bent:
                break
        survives(load, bytes(bent), tmp_path, blobs)
