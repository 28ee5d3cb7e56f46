"""Where everything goes on the pages of a PDF: a grid of panels that grows with its captions and never overlaps.

Lengths are in device units, `unit` of them a millimetre. Pictures have one size all through. A row is as high as its
longest caption; a caption longer than a page goes on, without its picture, on the next.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from itertools import groupby
from typing import Any, NamedTuple

from PySide6.QtGui import QFont, QPagedPaintDevice

from .job import Entry, Job
from .typeset import INK, LEADING, SOFT, Line, Run, Style, break_lines, measure_height
from .values import clean

SIDES, TOP, BOTTOM = 12.0, 10.0, 9.0  # margins, mm
HEADER, FOOTER = 11.0, 8.0
COLUMN_GAP, ROW_GAP, TEXT_GAP = 6.0, 6.0, 1.8
STRIP, HEADING = 5.4, 8.5  # above a picture; above a scene
FEWEST_LINES, LARGEST, LOOKS = 2, 0.34, 4  # room for a caption: lines, share of a row
NARROWEST, NARROW_PICTURE, WIDE_PICTURE = 32.0, 42.0, 60.0  # mm: text beside a picture; see content_ and strip_width
SPEAKER = re.compile(r"[^\W\d_a-z][^:\n]{0,40}(?=:)")  # a name in capitals before a colon, as scripts are imported
WIDE, MIDDLE = 75.0, 48.0  # mm of a column
GAP = 0.35  # of a line, between action, dialogue and notes


@dataclass
class Captions:
    """`column` is the width of a panel's column in millimetres: narrow ones get smaller type."""

    job: Job
    device: QPagedPaintDevice
    options: dict[str, Any]
    column: float
    strange: set[str] = field(default_factory=set)

    @cached_property
    def points(self) -> float:
        return 8.5 if self.column > WIDE else 7.5 if self.column > MIDDLE else 6.5

    @property
    def line_height(self) -> float:
        return self.points * LEADING * self.device.logicalDpiY() / 72

    @cached_property
    def wanted(self) -> bool:
        """Whether any panel has a caption to print."""
        words = [name for name in ("action", "dialogue", "notes") if self.options[name]]
        return any(getattr(entry.panel, name).strip() for entry in self.job.entries for name in words)

    def lay_out(self, entry: Entry, width: float) -> list[Line]:
        """Action, dialogue with its speakers, notes: each in its own type."""
        lines: list[Line] = []
        for runs in self._list_paragraphs(entry):
            lines += break_lines(runs, width, self.device, GAP * self.line_height, self.strange)
        return lines

    def _list_paragraphs(self, entry: Entry) -> list[list[Run]]:
        panel, found = entry.panel, []
        if self.options["action"]:
            found.append([Run(clean(panel.action).strip(), Style(self.points))])
        if self.options["dialogue"]:
            found += [self._set_speech(line) for line in clean(panel.dialogue).splitlines() if line.strip()]
        if self.options["notes"]:
            found.append([Run(clean(panel.notes).strip(), Style(self.points - 0.5, SOFT, italic=True))])
        return [runs for runs in found if any(run.text.strip() for run in runs)]

    def _set_speech(self, line: str) -> list[Run]:
        speaker = SPEAKER.match(line)
        plain, bold = Style(self.points, INK), Style(self.points - 0.5, INK, QFont.Weight.DemiBold)
        if not speaker or speaker[0] != speaker[0].upper():
            return [Run(f"“{line.strip()}”" if line.strip()[0].isalpha() else line.strip(), plain)]
        return [Run(speaker[0], bold), Run(f"  {line[speaker.end() + 1 :].strip()}", plain)]


class Box(NamedTuple):
    x: float
    y: float
    width: float
    height: float


@dataclass
class Cell:
    """A panel, or with `first` false the rest of its caption."""

    entry: Entry
    lines: list[Line]
    first: bool = True


class Placed(NamedTuple):
    """A cell on a page: `strip` holds its number, `picture` is None for the rest of a caption."""

    cell: Cell
    strip: Box
    picture: Box | None
    text: Box


class Heading(NamedTuple):
    entries: list[Entry]  # the scene's
    box: Box
    continued: bool


@dataclass
class Page:
    headings: list[Heading] = field(default_factory=list)
    cells: list[Placed] = field(default_factory=list)


@dataclass
class Sheet:
    """The geometry of all pages: `options` as formats.SHEET has them."""

    job: Job
    device: QPagedPaintDevice
    options: dict[str, Any]
    pages: list[Page] = field(default_factory=list)
    y: float = 0.0

    @cached_property
    def unit(self) -> float:
        return self.device.logicalDpiX() / 25.4

    @cached_property
    def area(self) -> Box:
        """Between header and footer."""
        u, paper = self.unit, (self.device.width(), self.device.height())
        top, bottom = (TOP + HEADER) * u, (BOTTOM + FOOTER) * u
        return Box(SIDES * u, top, paper[0] - 2 * SIDES * u, paper[1] - top - bottom)

    @cached_property
    def grid(self) -> tuple[int, int]:
        """(columns, rows)"""
        columns, rows = choose_grid(self.job.board.aspect, self.options["orientation"])
        return self.options["columns"] or columns, self.options["rows"] or rows

    @cached_property
    def cell_width(self) -> float:
        columns = self.grid[0]
        return (self.area.width - (columns - 1) * COLUMN_GAP * self.unit) / columns

    @cached_property
    def row_height(self) -> float:
        """What a row gets where captions are short: the page's height by the rows asked for."""
        rows, heading = self.grid[1], HEADING if self.options["headings"] else 0.0
        return (self.area.height - (heading + (rows - 1) * ROW_GAP) * self.unit) / rows

    @cached_property
    def captions(self) -> Captions:
        return Captions(self.job, self.device, self.options, self.cell_width / self.unit)

    @cached_property
    def beside(self) -> bool:
        """Whether captions stand beside their pictures: where that makes the pictures larger."""
        return self._side_width > self._below_width

    @cached_property
    def picture(self) -> tuple[float, float]:
        """(width, height) of every picture."""
        width = max(self._side_width, self._below_width, self.cell_width / 5)
        return width, width / self._shape

    @property
    def _shape(self) -> float:
        return self.job.board.aspect[0] / self.job.board.aspect[1]

    def _measure_caption_room(self, width: float) -> float:
        """Below a picture: enough for the longest caption that leaves pictures the larger part of a row."""
        if not self.captions.wanted:
            return 0.0
        most, least = LARGEST * self.row_height, FEWEST_LINES * self.captions.line_height
        heights = (measure_height(self.captions.lay_out(entry, width)) for entry in self.job.entries)
        usual = max((room for room in heights if room <= most), default=most)
        return max(usual, least) + TEXT_GAP * self.unit

    @cached_property
    def _below_width(self) -> float:
        """Captions as narrow as their pictures are longer: so it takes several looks."""
        width = self.cell_width
        for _ in range(LOOKS):
            measure = width if width >= NARROW_PICTURE * self.unit else self.cell_width
            room = self.row_height - STRIP * self.unit - self._measure_caption_room(measure)
            if room * self._shape >= width:
                break
            width = max(room * self._shape, 1.0)
        return width

    @cached_property
    def _side_width(self) -> float:
        if not self.captions.wanted:
            return 0.0
        room = self.cell_width - (NARROWEST + 2 * TEXT_GAP) * self.unit
        return min(room, (self.row_height - STRIP * self.unit) * self._shape)

    @cached_property
    def content_width(self) -> float:
        """Of a panel with all that belongs to it; the columns are spread over the page."""
        narrow = not self.beside and self.picture[0] >= NARROW_PICTURE * self.unit
        return self.picture[0] if narrow else self.cell_width

    @cached_property
    def text_width(self) -> float:
        return self.cell_width - self.picture[0] - 2 * TEXT_GAP * self.unit if self.beside else self.content_width

    @cached_property
    def strip_width(self) -> float:
        wide = self.beside and self.picture[0] >= WIDE_PICTURE * self.unit
        return self.picture[0] if wide else self.content_width

    def find_column(self, number: int) -> float:
        """Left edge; a single column stands in the middle."""
        spare = self.area.width - self.content_width
        return self.area.x + (spare * number / (self.grid[0] - 1) if self.grid[0] > 1 else spare / 2)

    @property
    def bottom(self) -> float:
        return self.area.y + self.area.height

    def lay_out(self) -> list[Page]:
        """All pages."""
        self._new_page()
        for scene in self._group_scenes():
            rows = [[self._make_cell(entry) for entry in row] for row in _split_rows(scene, self.grid[0])]
            self._start_scene(scene, self.measure_row(rows[0]))
            for row in rows:
                self._place_row(scene, row)
        return self.pages

    def _group_scenes(self) -> Iterator[list[Entry]]:
        if not self.options["headings"]:
            return iter([self.job.entries])
        groups = groupby(self.job.entries, key=lambda entry: entry.scene.id)
        return (list(group) for _, group in groups)

    def _make_cell(self, entry: Entry) -> Cell:
        return Cell(entry, self.captions.lay_out(entry, self.text_width))

    def measure_row(self, row: list[Cell]) -> float:
        """The height that a row can't do without."""
        text = max(measure_height(cell.lines) for cell in row)
        strip, gap = STRIP * self.unit, TEXT_GAP * self.unit
        if not row[0].first:
            return strip + text
        if self.beside:
            return strip + max(self.picture[1], text)
        return strip + self.picture[1] + (gap + text if text else 0.0)

    def _new_page(self) -> None:
        self.pages.append(Page())
        self.y = self.area.y

    def _start_scene(self, scene: list[Entry], first_row: float) -> None:
        """A scene's heading, never alone at the foot of a page."""
        if not self.options["headings"]:
            return
        if self.pages[-1].cells and self.y + HEADING * self.unit + first_row > self.bottom:
            self._new_page()
        self._add_heading(scene, False)

    def _add_heading(self, scene: list[Entry], continued: bool) -> None:
        box = Box(self.area.x, self.y, self.area.width, HEADING * self.unit)
        self.pages[-1].headings.append(Heading(scene, box, continued))
        self.y += box.height

    def _continue_page(self, scene: list[Entry]) -> None:
        self._new_page()
        if self.options["headings"]:
            self._add_heading(scene, True)

    def _place_row(self, scene: list[Entry], row: list[Cell]) -> None:
        if self.y + self.measure_row(row) > self.bottom + 1 and self.pages[-1].cells:
            self._continue_page(scene)
        while row:
            rest = self._put(row)
            if rest:
                self._continue_page(scene)
            row = rest

    def _put(self, row: list[Cell]) -> list[Cell]:
        """Place a row at self.y with as much of its captions as fits; cells with what is left."""
        rest: list[Cell] = []
        room = self.bottom - self.y - STRIP * self.unit
        if row[0].first and not self.beside:
            room -= self.picture[1] + TEXT_GAP * self.unit
        for number, cell in enumerate(row):
            fitting, left = _split_lines(cell.lines, room)
            self._place(Cell(cell.entry, fitting, cell.first), self.find_column(number))
            rest += [Cell(cell.entry, left, False)] if left else []
        shown = [placed.cell for placed in self.pages[-1].cells[-len(row) :]]
        self.y += max(self.measure_row(shown), self.row_height * row[0].first) + ROW_GAP * self.unit
        return rest

    def _place(self, cell: Cell, x: float) -> None:
        strip = Box(x, self.y, self.strip_width, STRIP * self.unit)
        under, picture = self.y + strip.height, None
        text = Box(x, under, self.text_width, measure_height(cell.lines))
        if cell.first:
            picture = Box(x, under, *self.picture)
            gap = TEXT_GAP * self.unit
            text = (
                text._replace(x=x + picture.width + 2 * gap)
                if self.beside
                else text._replace(y=under + picture.height + gap)
            )
        self.pages[-1].cells.append(Placed(cell, strip, picture, text))


def choose_grid(aspect: tuple[int, int], orientation: str) -> tuple[int, int]:
    """(columns, rows) that suit pictures of that shape."""
    shape = aspect[0] / aspect[1]
    if orientation == "landscape":
        return (2, 2) if shape > 2.1 else (3, 2) if shape > 1.2 else (4, 2) if shape > 0.8 else (3, 2)
    return (2, 4) if shape > 2.1 else (2, 3) if shape > 1.2 else (3, 3) if shape > 0.8 else (2, 3)


def _split_rows(entries: list[Entry], columns: int) -> list[list[Entry]]:
    return [entries[start : start + columns] for start in range(0, len(entries), columns)]


def _split_lines(lines: list[Line], room: float) -> tuple[list[Line], list[Line]]:
    """What fits into `room`, and the rest."""
    count = len(lines)
    while count and measure_height(lines[:count]) > room + 1:
        count -= 1
    return lines[:count], lines[count:]
