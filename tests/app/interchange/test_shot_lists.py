"""Tables as other programs and people write them: their names, lengths and encodings."""

from pathlib import Path

import pytest

from app.interchange.formats import Imported, import_board
from mlx_model.errors import RequestError


def read(tmp_path: Path, blobs, text: str | bytes, fps: float | None = None, name: str = "shots.csv") -> Imported:
    (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return import_board(tmp_path / name, blobs.put, fps=fps)


@pytest.mark.parametrize(
    ("written", "seconds"),
    [("1.5", 1.5), ('"1,5"', 1.5), ("2 s", 2), ("2.5sec", 2.5), ("3 Seconds", 3), ("1500ms", 1.5), ("0.5 min", 30),
     ("00:03", 3), ("1:02.5", 62.5), ("00:00:04", 4), ("00:00:02:12", 2.5), ("00:00:02;06", 2.25), ("48 frames", 2),
     ("36f", 1.5)],
)  # fmt: skip
def test_lengths_in_every_way_people_write_them(tmp_path, blobs, written, seconds):
    made = read(tmp_path, blobs, f"action,seconds\na,{written}\n")
    assert [panel.seconds for panel in made.board.panels()] == [pytest.approx(seconds)]
    counted = "f" in written or written.count(":") == 3 or ";" in written
    assert any("frame rate" in note for note in made.notes) == counted


@pytest.mark.parametrize("written", ["soon", "0", "-1", "1:2:3:4:5", "9" * 400, "99:99:99", "1e999", "0 f", "nan"])
def test_a_length_that_is_none_is_told(tmp_path, blobs, written):
    made = read(tmp_path, blobs, f"action,seconds\na,{written}\n")
    assert [panel.seconds for panel in made.board.panels()] == [2.0]
    assert any("Row 2 has no usable length" in note for note in made.notes)


def test_frames_count_where_there_are_no_seconds(tmp_path, blobs):
    made = read(tmp_path, blobs, "action,frames,seconds\na,50,\nb,50,3\nc,,\n", fps=25)
    assert [panel.seconds for panel in made.board.panels()] == [2.0, 3.0, 2.0]
    assert any("read at 25" in note for note in made.notes)


def test_names_that_others_give_their_columns(tmp_path, blobs):
    table = "Scene,Description,Visual,Duration,Comments,Dialog\n1,a,b,4,c,d\n"
    made = read(tmp_path, blobs, table)
    panel = next(made.board.panels())
    assert (panel.action, panel.seconds, panel.notes, panel.dialogue) == ("a", 4.0, "c", "d")
    assert any("visual" in note for note in made.notes)
    assert next(read(tmp_path, blobs, "Description,action\nx,y\n").board.panels()).action == "y"


@pytest.mark.parametrize("between", [",", ";", "\t"])
@pytest.mark.parametrize("coding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_every_encoding(tmp_path, blobs, between, coding, end):
    text = end.join(between.join(row) for row in (["action", "notes"], ["Café", "Déjà vu"], ["Zoë", "x"])) + end
    made = read(tmp_path, blobs, text.encode(coding))
    assert [(panel.action, panel.notes) for panel in made.board.panels()] == [("Café", "Déjà vu"), ("Zoë", "x")]
    assert any("Western European" in note for note in made.notes) == (coding == "cp1252")


def test_what_is_no_text(tmp_path, blobs):
    with pytest.raises(RequestError, match="not a text file"):
        read(tmp_path, blobs, b"action,notes\n\0\1\2,x" + b"y" * 100)
