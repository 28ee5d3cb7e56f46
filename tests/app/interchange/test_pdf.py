"""PDF sheets, rendered by pdfium: what is on the pages, that nothing overlaps, and that no word is lost."""

import itertools
import subprocess
import sys

import numpy as np
import pypdfium2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PySide6.QtGui import QImage

from app.board.data import Board, Scene
from app.interchange import pdf, sheet
from app.interchange.formats import FORMATS, export_board
from app.interchange.job import Job
from tests.app.interchange.made_boards import SKIES, panel

LONG = "The storm arrives before the boats do, and nobody on the quay says a word about it. "


def exported(board, blobs, tmp_path, **options) -> pypdfium2.PdfDocument:
    return pypdfium2.PdfDocument(export_board("pdf", board, blobs.path, tmp_path / "sheets", **options).path)


def words(document: pypdfium2.PdfDocument) -> list[str]:
    return [document[k].get_textpage().get_text_range() for k in range(len(document))]


def story(blobs, count: int, size=(640, 360), aspect=(16, 9), **changes) -> Board:
    panels = tuple(panel(blobs, place, size, **changes) for place in range(count))
    scenes = tuple(Scene(f"s{k}", f"INT. PLACE {k} - DAY", panels[k : k + 7]) for k in range(0, count, 7))
    return Board("b", "The Gull", aspect, scenes=scenes)


def test_a_sheet_says_everything(board, blobs, tmp_path):
    document = exported(board, blobs, tmp_path)
    assert len(document) == 1
    assert [round(side) for side in document[0].get_size()] == [842, 595]
    text = words(document)[0]
    for part in ("The Gull and the Headset", "6 panels", "13.4 s", "1 / 1", "INT. HARBOUR BAR - EVENING", "1A", "2C",
                 "MS, eye level, static", "3.2 s", "SEAGULL", "One herring. Virtual.", "Match the horizon with 1D.",
                 "no picture yet"):  # fmt: skip
        assert part in text, part
    assert document.get_metadata_dict()["Title"] == "The Gull and the Headset"


def test_pictures_stand_where_they_belong_in_their_colours(board, blobs, tmp_path):
    page = exported(board, blobs, tmp_path)[0]
    pixels = np.asarray(page.render(scale=2).to_pil().convert("RGB")).astype(int)
    job = Job(board, blobs.path, tmp_path / "x")
    placed = laid_out(job)[0].cells
    scale = pixels.shape[1] / PAGE[0]
    for k, cell in enumerate(placed[:5]):
        box = cell.picture
        x, y = (box.x + 0.1 * box.width) * scale, (box.y + 0.1 * box.height) * scale
        assert np.abs(pixels[int(y), int(x)] - SKIES[k]).max() <= 10


PAGE = (14031, 9921)  # A4 at 1200 dpi


class Paper(QImage):
    """As large as a page at the resolution of the PDF, without pixels' memory: sheet.py asks for its measures only."""

    def __init__(self, page):
        super().__init__(8, 8, QImage.Format.Format_Mono)
        self.setDotsPerMeterX(round(pdf.DPI / 0.0254))
        self.setDotsPerMeterY(round(pdf.DPI / 0.0254))
        self.page = page

    def width(self):
        return self.page[0]

    def height(self):
        return self.page[1]


def laid_out(job: Job, page=PAGE, **options) -> list[sheet.Page]:
    usual = {option.name: option.default for option in FORMATS["pdf"].options}
    return sheet.Sheet(job, Paper(page), usual | options).lay_out()


def boxes(page: sheet.Page) -> list[sheet.Box]:
    """Everything with ink on a page."""
    found = [heading.box for heading in page.headings]
    for placed in page.cells:
        found += [placed.strip, *([placed.picture] if placed.picture else [])]
        found += [placed.text] if placed.cell.lines else []
    return found


def overlap(a: sheet.Box, b: sheet.Box) -> bool:
    return a.x + 1 < b.x + b.width and b.x + 1 < a.x + a.width and a.y + 1 < b.y + b.height and b.y + 1 < a.y + a.height


def check_pages(pages: list[sheet.Page], page=PAGE) -> None:
    unit = pdf.DPI / 25.4
    bottom = page[1] - (sheet.BOTTOM + sheet.FOOTER) * unit
    for one in pages:
        found = boxes(one)
        assert found
        assert [(a, b) for a, b in itertools.combinations(found, 2) if overlap(a, b)] == []
        for box in found:
            assert box.x >= sheet.SIDES * unit - 1
            assert box.x + box.width <= page[0] - sheet.SIDES * unit + 2
            assert box.y >= sheet.TOP * unit
            assert box.y + box.height <= bottom + 2
        for placed in one.cells:
            assert all(line.width <= placed.text.width + 2 for line in placed.cell.lines)


@pytest.mark.first_case
@pytest.mark.parametrize("aspect", [(16, 9), (239, 100), (1, 1), (9, 16)])
@pytest.mark.parametrize("orientation", ["landscape", "portrait"])
@pytest.mark.parametrize("count", [1, 7, 60])
def test_nothing_overlaps_or_leaves_the_page(blobs, tmp_path, aspect, orientation, count):
    page = PAGE if orientation == "landscape" else PAGE[::-1]
    pages = laid_out(Job(story(blobs, count, (64, 64), aspect), blobs.path, tmp_path), page, orientation=orientation)
    check_pages(pages, page)
    shown = [placed.cell.entry.place for one in pages for placed in one.cells if placed.cell.first]
    assert shown == list(range(1, count + 1))


@pytest.mark.sweep
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.integers(0, 40), min_size=1, max_size=9), st.integers(0, 5), st.integers(0, 6),
    st.sampled_from([(16, 9), (239, 100), (1, 1), (9, 16)]), st.booleans(),
)  # fmt: skip
def test_no_line_is_lost_and_nothing_overlaps_whatever_the_captions(
    blobs, tmp_path, lengths, columns, rows, aspect, headings
):
    panels = tuple(panel(blobs, k, (64, 64), action=LONG * length, notes="") for k, length in enumerate(lengths))
    job = Job(Board("b", aspect=aspect, scenes=(Scene("s", "H", panels),)), blobs.path, tmp_path)
    pages = laid_out(job, columns=columns, rows=rows, headings=headings)
    check_pages(pages)
    shown: dict[str, str] = {}
    for placed in (placed for one in pages for placed in one.cells):
        said = "".join(part(line) for line in placed.cell.lines)
        shown[placed.cell.entry.panel.id] = shown.get(placed.cell.entry.panel.id, "") + said
    for one in panels:
        assert LONG.strip().replace(" ", "") * (len(one.action) // len(LONG)) in shown[one.id].replace(" ", "")


def part(line) -> str:
    start = line.line.textStart()
    return line.layout.text()[start : start + line.line.textLength()]


def test_a_caption_longer_than_a_page_goes_on(blobs, tmp_path):
    board = Board("b", scenes=(Scene("s", "INT. A", (panel(blobs, 0, action=LONG * 60), panel(blobs, 1))),))
    document = exported(board, blobs, tmp_path)
    assert len(document) > 1
    text = words(document)
    assert "continued" in text[1]
    assert sum(page.count("The storm") for page in text) == 60


def test_scenes_go_on_with_their_heading(blobs, tmp_path):
    text = words(exported(story(blobs, 7), blobs, tmp_path))
    assert "INT. PLACE 0 - DAY (continued)" in text[1]
    assert "2 / 2" in text[1]


def test_what_is_switched_off_is_not_there(board, blobs, tmp_path):
    off = dict.fromkeys(("action", "dialogue", "notes", "camera", "duration", "headings"), False)
    text = " ".join(words(exported(board, blobs, tmp_path, **off)))
    assert "1A" in text
    assert [word for word in ("seagull", "SEAGULL", "Warm", "MS", "HARBOUR", "3.2 s") if word in text] == []


@pytest.mark.parametrize(("paper", "size"), [("A3", (1191, 842)), ("Letter", (792, 612)), ("A5", (595, 420))])
def test_papers(board, blobs, tmp_path, paper, size):
    document = exported(board, blobs, tmp_path, paper=paper)
    assert all(abs(a - b) <= 1 for a, b in zip(document[0].get_size(), size, strict=True))


def test_dark_pictures_and_white_ones_keep_an_edge(blobs, tmp_path):
    from msgspec.structs import replace
    from PIL import Image

    from tests.app.interchange.made_boards import encoded

    white = blobs.put(encoded(Image.new("RGB", (320, 180), "white")))
    one = panel(blobs, 0)
    one = replace(one, takes=(replace(one.takes[0], picture=white),))
    board = Board("b", scenes=(Scene("s", "H", (one,)),))
    page = np.asarray(exported(board, blobs, tmp_path)[0].render(scale=3).to_pil().convert("L"))
    box = laid_out(Job(board, blobs.path, tmp_path))[0].cells[0].picture
    scale = page.shape[1] / PAGE[0]
    row = page[int((box.y + box.height / 2) * scale), int((box.x - 100) * scale) : int((box.x + 100) * scale)]
    assert row.min() < 200


def test_a_script_without_a_font_is_said(blobs, tmp_path):
    board = Board("b", scenes=(Scene("s", "H", (panel(blobs, 0, action="\U0001342f \U00012000 plain"),)),))
    notes = export_board("pdf", board, blobs.path, tmp_path / "x").notes
    drawn = [note for note in notes if "No font" in note]
    assert not drawn or "\U0001342f" in drawn[0] or "\U00012000" in drawn[0]
    assert "plain" not in " ".join(notes)


def test_odd_text_is_set(blobs, tmp_path):
    odd = "\x00\x07\ud800 \u202e שלום 海鸥 🕶️ " + "W" * 3000
    board = Board("b", odd, scenes=(Scene("s", odd, (panel(blobs, 0, action=odd, dialogue=odd, notes=odd),)),))
    assert len(exported(board, blobs, tmp_path)) >= 1
    check_pages(laid_out(Job(board, blobs.path, tmp_path)))


def test_without_a_window_or_a_screen(board, blobs, tmp_path):
    """As the command line does: no application object, no display."""
    import msgspec

    (tmp_path / "board.json").write_bytes(msgspec.json.encode(board))
    code = f"""
import msgspec, pathlib
from app.interchange.formats import export_board
from app.board.data import Board
board = msgspec.json.decode(pathlib.Path({str(tmp_path / "board.json")!r}).read_bytes(), type=Board)
blobs = pathlib.Path({str(blobs.folder)!r})
for name in ("a", "b"):
    print(export_board("pdf", board, lambda sha: blobs / (sha + ".png"), {str(tmp_path)!r} + "/" + name).path)
"""
    import os

    clean = {key: value for key, value in os.environ.items() if key not in ("QT_QPA_PLATFORM", "DISPLAY")}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=clean)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(pypdfium2.PdfDocument(tmp_path / "b.pdf")) == 1


def test_times_and_dates():
    from datetime import date

    assert [pdf.format_length(s) for s in (0.71, 2, 59.9, 60, 3599.6)] == [
        "0.7 s",
        "2.0 s",
        "59.9 s",
        "1:00",
        "1:00:00",
    ]
    assert pdf.format_date(date(2026, 11, 25)) == "25 November 2026"
