"""What Final Cut Pro and those who write its XML put into one file: projects, compound clips, loose clips, gaps."""

from pathlib import Path

import pytest

from app.interchange.formats import Imported, import_board
from mlx_model.errors import RequestError

RESOURCES = """<resources><format id="f" frameDuration="1/25s"/><asset id="a" name="a" src="file:///no/a.mov"/>
<media id="m" name="Inner"><sequence format="f" duration="9s"><spine>
<asset-clip ref="a" name="In one" duration="4s"><note>said inside</note></asset-clip><gap duration="1s"/>
<asset-clip ref="a" name="In two" duration="4s"/></spine></sequence></media>
<media id="c" name="Angles"><multicam format="f"><mc-angle name="A"><asset-clip ref="a" name="Cam one" duration="9s"/>
</mc-angle><mc-angle name="B"><asset-clip ref="a" name="Cam two" duration="9s"/></mc-angle></multicam></media>
</resources>"""
CLIP = '<asset-clip ref="a" name="{}" duration="{}s"/>'


def project(name: str, spine: str) -> str:
    return f'<project name="{name}"><sequence format="f"><spine>{spine}</spine></sequence></project>'


def read(tmp_path: Path, blobs, inside: str, doctype: str = "<!DOCTYPE fcpxml>") -> Imported:
    text = f'<?xml version="1.0"?>{doctype}<fcpxml version="1.11">{RESOURCES}{inside}</fcpxml>'
    (tmp_path / "cut.fcpxml").write_text(text)
    return import_board(tmp_path / "cut.fcpxml", blobs.put)


def shown(made: Imported) -> list[tuple[str, float]]:
    return [(panel.notes, panel.seconds) for panel in made.board.panels()]


def test_a_project_comes_before_what_is_inside_its_compound_clips(tmp_path, blobs):
    spine = '<ref-clip ref="m" name="Whole" duration="9s"/><mc-clip ref="c" name="Two cameras" duration="2s"/>'
    made = read(tmp_path, blobs, project("Film", CLIP.format("Start", 3) + spine))
    assert made.board.title == "Film"
    assert shown(made) == [("Start", 3.0), ("Whole", 9.0), ("Two cameras", 2.0)]
    told = " ".join(made.notes)
    for word in ("In one", "said inside", "In two", "Cam one", "Cam two"):
        assert word in told


def test_of_several_projects_the_first_with_clips_is_taken_and_the_others_are_told(tmp_path, blobs):
    several = project("Empty", "") + project("Film", CLIP.format("x", 3)) + project("Trailer", CLIP.format("y", 4))
    made = read(tmp_path, blobs, f"<library><event>{several}{CLIP.format('Loose', 5)}</event></library>")
    assert (made.board.title, shown(made)) == ("Film", [("x", 3.0)])
    assert "left out: Empty, Trailer, Loose" in made.notes[0]
    with pytest.raises(RequestError, match="no clips"):
        read(tmp_path, blobs, project("Empty", ""))


@pytest.mark.parametrize("place", ["{}", "<event>{}</event>", "<library><event>{}</event></library>"])
def test_clips_without_a_project(tmp_path, blobs, place):
    made = read(tmp_path, blobs, place.format(CLIP.format("Loose", 5) + CLIP.format("Too", 1)))
    assert shown(made) == [("Loose", 5.0), ("Too", 1.0)]


def test_a_compound_clip_alone_is_what_is_in_it(tmp_path, blobs):
    assert shown(read(tmp_path, blobs, "")) == [
        ("In one\nsaid inside", 4.0),
        ("Gap in the timeline", 1.0),
        ("In two", 4.0),
    ]


def test_a_synchronised_clip_says_what_is_in_it(tmp_path, blobs):
    synced = f'<sync-clip name="Both" duration="3s">{CLIP.format("Camera", 3)}<note>n</note></sync-clip>'
    made = read(tmp_path, blobs, project("Film", synced))
    assert shown(made) == [("Both\nn", 3.0)]
    assert any("Camera" in note for note in made.notes)


def test_keywords_are_words(tmp_path, blobs):
    keyword = '<keyword value="Interview, day 2" note="the good one"/>'
    clip = f'<asset-clip ref="a" name="x" duration="3s">{keyword}</asset-clip>'
    assert shown(read(tmp_path, blobs, project("Film", clip))) == [("x\nInterview, day 2\nthe good one", 3.0)]


def test_of_an_audition_the_chosen_clip_is_taken(tmp_path, blobs):
    audition = f"<audition>{CLIP.format('chosen', 3)}{CLIP.format('other', 3)}</audition>"
    made = read(tmp_path, blobs, project("Film", audition))
    assert shown(made) == [("chosen", 3.0)]
    assert "other" in made.notes[0]


def test_a_gap_at_the_end_is_told(tmp_path, blobs):
    made = read(tmp_path, blobs, project("Film", CLIP.format("x", 3) + '<gap duration="5/2s"/>'))
    assert shown(made) == [("x", 3.0)]
    assert any("gap at the end, 2.5 s" in note for note in made.notes)


@pytest.mark.parametrize(
    ("doctype", "read_it"),
    [('<!DOCTYPE fcpxml SYSTEM "FCPXMLv1_13.dtd">', True), ("<!DOCTYPE fcpxml SYSTEM 'a.dtd' >", True),
     ('<!DOCTYPE fcpxml SYSTEM "a.dtd" [<!ENTITY x "y">]>', False), ("<!DOCTYPE fcpxml [<!ENTITY x 'y'>]>", False)],
)  # fmt: skip
def test_the_name_of_a_definition_is_passed_over_and_one_in_the_file_refused(tmp_path, blobs, doctype, read_it):
    film = project("Film", CLIP.format("x", 3))
    if read_it:
        assert shown(read(tmp_path, blobs, film, doctype)) == [("x", 3.0)]
    else:
        with pytest.raises(RequestError, match="definitions"):
            read(tmp_path, blobs, film, doctype)


def test_words_of_captions_and_of_the_sequence_itself(tmp_path, blobs):
    caption = '<caption lane="1" duration="1s"><text><text-style>Good</text-style> night.</text></caption>'
    spine = f'<asset-clip ref="a" name="x" duration="3s">{caption}</asset-clip><gap duration="2s">{caption}</gap>'
    sequence = f'<sequence format="f"><note>n</note><spine>{spine}</spine><chapter-marker value="Part one"/></sequence>'
    made = read(tmp_path, blobs, f'<project name="Film">{sequence}</project>')
    assert shown(made) == [("x\nGood night.", 3.0), ("Good night.", 2.0)]
    assert any("n, Part one" in note for note in made.notes)


def test_words_of_what_is_switched_off_are_told(tmp_path, blobs):
    title = '<title name="Card" duration="2s" enabled="0"><text><text-style>The end</text-style></text></title>'
    made = read(tmp_path, blobs, project("Film", CLIP.format("x", 3) + title))
    assert any("Card is switched off" in note and "The end" in note for note in made.notes)


def test_a_clip_that_plays_at_another_speed_is_told(tmp_path, blobs):
    slow = (
        '<asset-clip ref="a" name="Slow" duration="4s"><timeMap><timept time="0s" value="0s"/></timeMap></asset-clip>'
    )
    made = read(tmp_path, blobs, project("Film", slow))
    assert shown(made) == [("Slow", 4.0)]
    assert any("another speed" in note for note in made.notes)
