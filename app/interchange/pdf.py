"""PDF sheets: what a board artist hands to a director. sheet.py decides where things go, this file paints them."""

from datetime import date
from pathlib import Path

from PIL import Image
from PySide6.QtCore import QBuffer, QIODevice, QLineF, QMarginsF, QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QFont, QImage, QPageLayout, QPageSize, QPainter, QPdfWriter, QPen

from mlx_model.files import write_new

from . import typeset
from .job import Entry, Job
from .sheet import BOTTOM, TOP, Box, Heading, Page, Placed, Sheet
from .typeset import FAINT, INK, SOFT, Run, Style, break_lines
from .values import clean_line

DPI = 1200
PICTURE_DPI = 300
HAIR, RULE, BASELINE = 0.09, 0.18, 1.0  # mm
BAR, EMPTY = "#f2f2f3", "#ececee"
MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip
BOLD, MEDIUM = QFont.Weight.Bold, QFont.Weight.DemiBold


def export(job: Job, **options: bool | int | str) -> Path:
    """One PDF; options as formats.SHEET lists them."""
    application = typeset.ensure_application()
    data = QBuffer()
    data.open(QIODevice.OpenModeFlag.WriteOnly)
    writer = _make_writer(job, data, options)
    sheet = Sheet(job, writer, options)
    _Pen(job, sheet, QPainter(writer)).paint(sheet.lay_out(), writer)
    typeset.note_strange(sheet.captions.strange, job.notes)
    del application
    return write_new(job.out, lambda handle: handle.write(data.data().data()), job.force)


def _make_writer(job: Job, data: QBuffer, options: dict) -> QPdfWriter:
    writer = QPdfWriter(data)
    writer.setResolution(DPI)
    writer.setTitle(clean_line(job.board.title))
    writer.setCreator("Flux Local")
    turned = options["orientation"] == "landscape"
    orientation = QPageLayout.Orientation.Landscape if turned else QPageLayout.Orientation.Portrait
    size = QPageSize(getattr(QPageSize.PageSizeId, options["paper"]))
    writer.setPageLayout(QPageLayout(size, orientation, QMarginsF(0, 0, 0, 0)))
    return writer


class _Pen:
    """A painter on the pages of one export."""

    def __init__(self, job: Job, sheet: Sheet, painter: QPainter):
        self.job, self.sheet, self.painter, self.unit = job, sheet, painter, sheet.unit

    def paint(self, pages: list[Page], writer: QPdfWriter) -> None:
        try:
            for number, page in enumerate(pages, 1):
                if number > 1:
                    writer.newPage()
                self._draw_frame(number, len(pages))
                for heading in page.headings:
                    self._draw_heading(heading)
                for placed in page.cells:
                    self._draw_cell(placed)
                self.job.progress(number / len(pages))
        finally:
            self.painter.end()

    def _write_line(self, text: str, style: Style, box: Box, align: str = "left") -> float:
        """One line, cut to the box with an ellipsis, its baseline near the bottom of the box; its width."""
        whole = text
        strange = self.sheet.captions.strange
        lines = break_lines([Run(text, style)], 1e7, self.sheet.device, strange=strange)
        while lines and lines[0].width > box.width and whole:
            whole = whole[: int(len(whole) * min(0.95, box.width / lines[0].width))].rstrip()
            lines = break_lines([Run(f"{whole}…", style)], 1e7, self.sheet.device)
        if not lines:
            return 0.0
        x = box.x + (box.width - lines[0].width) * {"left": 0.0, "middle": 0.5, "right": 1.0}[align]
        base = box.y + box.height - BASELINE * self.unit  # the same for large and small type side by side
        lines[0].line.draw(self.painter, QPointF(x - lines[0].line.x(), base - lines[0].line.ascent()))
        return lines[0].width

    def _draw_rule(self, x1: float, x2: float, y: float, colour: str, width: float) -> None:
        self.painter.setPen(QPen(QColor(colour), width * self.unit))
        self.painter.drawLine(QLineF(x1, y, x2, y))

    def _draw_frame(self, number: int, count: int) -> None:
        """Title, totals, date and page number."""
        u, area = self.unit, self.sheet.area
        top = Box(area.x, TOP * u, area.width, 6.2 * u)
        entries = self.job.entries
        total = (
            f"{len(entries)} panel{'s' * (len(entries) > 1)}   {format_length(self.job.frames / self.job.board.fps)}"
        )
        used = self._write_line(total, Style(8.5, SOFT), top, "right")
        title = self.job.title
        self._write_line(title, Style(13, INK, BOLD), top._replace(width=area.width - used - 8 * u))
        self._draw_rule(area.x, area.x + area.width, top.y + top.height + 1.6 * u, INK, RULE)
        foot = Box(area.x, self.sheet.device.height() - (BOTTOM + 4) * u, area.width, 4 * u)
        self._write_line(f"Storyboard, {format_date(date.today())}", Style(7, FAINT), foot)
        self._write_line(f"{number} / {count}", Style(7.5, SOFT), foot, "right")

    def _draw_heading(self, heading: Heading) -> None:
        u, entry = self.unit, heading.entries[0]
        box = heading.box._replace(y=heading.box.y + 0.6 * u, height=4.4 * u)
        seconds = sum(entry.frames for entry in heading.entries) / self.job.board.fps
        used = 0.0
        if self.sheet.options["duration"]:
            used = self._write_line(format_length(seconds), Style(8, SOFT), box, "right")
        number = self._write_line(entry.scene_number, Style(9.5, INK, BOLD), box)
        start = max(number + 3 * u, 7 * u)
        text = clean_line(entry.scene.heading) + (" (continued)" if heading.continued else "")
        rest = Box(box.x + start, box.y, box.width - start - used - 4 * u, box.height)
        self._write_line(text, Style(9.5, SOFT if heading.continued else INK, MEDIUM), rest)
        self._draw_rule(box.x, box.x + box.width, box.y + box.height + 0.9 * u, FAINT, HAIR)

    def _draw_cell(self, placed: Placed) -> None:
        self._draw_strip(placed)
        if placed.picture:
            self._draw_picture(placed.cell.entry, placed.picture)
        typeset.draw(placed.cell.lines, self.painter, placed.text.x, placed.text.y)

    def _draw_strip(self, placed: Placed) -> None:
        """1A   MS, eye level, static        2.0 s"""
        entry, u, points = placed.cell.entry, self.unit, self.sheet.captions.points
        box = placed.strip._replace(height=placed.strip.height - 1.1 * u)
        used = 0.0
        if self.sheet.options["duration"] and placed.cell.first:
            used = self._write_line(format_length(entry.panel.seconds), Style(points - 0.5, SOFT), box, "right") + 2 * u
        number = self._write_line(entry.number, Style(points + 1, INK, BOLD), box) + 2.2 * u
        rest = Box(box.x + number, box.y, box.width - number - used, box.height)
        if not placed.cell.first:
            self._write_line("continued", Style(points - 0.5, SOFT, italic=True), rest)
        elif self.sheet.options["camera"]:
            self._write_line(join_camera(entry), Style(points - 0.5, SOFT), rest)

    def _draw_picture(self, entry: Entry, box: Box) -> None:
        frame = QRectF(*box)
        image = self.job.open_take(entry)
        self.painter.fillRect(frame, QColor(BAR if image else EMPTY))
        if image is None:
            middle = box._replace(height=box.height / 2 + self.unit)
            self._write_line("no picture yet", Style(self.sheet.captions.points, FAINT), middle, "middle")
        else:
            self._draw_image(image, box)
        self.painter.setPen(QPen(QColor(SOFT if image else FAINT), HAIR * self.unit))
        self.painter.setBrush(Qt.BrushStyle.NoBrush)
        self.painter.drawRect(frame)

    def _draw_image(self, image: Image.Image, box: Box) -> None:
        """The whole picture in the middle of its box, with no more pixels than print shows."""
        scale = min(box.width / image.width, box.height / image.height)
        width, height = image.width * scale, image.height * scale
        if abs(width - box.width) < 0.004 * box.width and abs(height - box.height) < 0.004 * box.height:
            width, height = box.width, box.height
        pixels = max(1, round(width * PICTURE_DPI / DPI)), max(1, round(height * PICTURE_DPI / DPI))
        if pixels[0] < image.width:
            image = image.resize(pixels, Image.Resampling.LANCZOS)
        data = image.tobytes()
        shown = QImage(data, image.width, image.height, 3 * image.width, QImage.Format.Format_RGB888)
        target = QRectF(box.x + (box.width - width) / 2, box.y + (box.height - height) / 2, width, height)
        self.painter.drawImage(target, shown)


def join_camera(entry: Entry) -> str:
    camera = entry.panel.camera
    return ", ".join(clean_line(word) for word in (camera.shot, camera.angle, camera.move) if word)


def format_length(seconds: float) -> str:
    """2.5 s below a minute, then 12:34, then 1:00:00."""
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    whole = int(seconds + 0.5)
    hours, rest = divmod(whole, 3600)
    return f"{hours}:{rest // 60:02d}:{rest % 60:02d}" if hours else f"{rest // 60}:{rest % 60:02d}"


def format_date(day: date) -> str:
    """25 November 2026, in English whatever the computer's language."""
    return f"{day.day} {MONTHS[day.month - 1]} {day.year}"
