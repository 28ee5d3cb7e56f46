"""One export: the panels in order with exact times, their pictures, and what the person should be told."""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from math import floor, isfinite
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from mlx_model.errors import FluxLocalError, RequestError
from mlx_model.geometry import Size

from ..board.data import Board, Panel, Picture, Scene, numbers, scene_numbers
from ..pictures.images import open_picture
from .values import clean_line

PAPER, FAINT, INK = (226, 226, 226), (200, 200, 200), (110, 110, 110)
HEX = frozenset("0123456789abcdef")


@dataclass(frozen=True)
class Entry:
    """A panel in an export: `place` counts from 1, `start` and `frames` are whole frames of the board's rate."""

    place: int
    number: str
    scene_number: str
    scene: Scene
    panel: Panel
    start: int
    frames: int


@dataclass(frozen=True)
class Job:
    """What every exporter gets. `notes` collects what the person should know; `progress` hears a share of 1."""

    board: Board
    picture_path: Callable[[str], Path]
    out: Path
    panels: Collection[str] | None = None
    force: bool = False
    progress: Callable[[float], object] = lambda share: None
    notes: list[str] = field(default_factory=list)
    empty: dict[str, None] = field(default_factory=dict)  # numbers of panels, in order
    lost: dict[str, None] = field(default_factory=dict)

    @cached_property
    def entries(self) -> list[Entry]:
        """The chosen panels, all by default, in order. Raises RequestError where there are none."""
        found = list_entries(self.board, self.panels)
        if not found:
            raise RequestError("There are no panels to export.", "Add a panel, or choose other panels.")
        return found

    def walk(self) -> Iterator[Entry]:
        """The entries, with progress told."""
        for entry in self.entries:
            self.progress((entry.place - 1) / len(self.entries))
            yield entry
        self.progress(1.0)

    @cached_property
    def frames(self) -> int:
        """Length of the whole in frames."""
        return self.entries[-1].start + self.entries[-1].frames

    def find_file(self, picture: Picture | None) -> Path | None:
        """The PNG of a picture of the board, or None where it is not there.

        A name that is no sha256 is never turned into a path.
        """
        if picture is None or len(picture.sha256) != 64 or not HEX.issuperset(picture.sha256):
            return None
        try:
            path = self.picture_path(picture.sha256)
        except FluxLocalError:
            return None
        return path if path.is_file() else None

    def open(self, picture: Picture | None) -> Image.Image | None:
        """RGB, or None where the picture is missing or damaged."""
        path = self.find_file(picture)
        try:
            return Image.fromarray(open_picture(path)) if path else None
        except FluxLocalError:
            return None

    def open_take(self, entry: Entry) -> Image.Image | None:
        """The panel's current take as RGB; without one it is remembered for `list_warnings`."""
        image = self.open(entry.panel.take.picture) if entry.panel.take else None
        if image is None:
            (self.lost if entry.panel.take else self.empty).setdefault(entry.number)
        return image

    def draw_frame(self, entry: Entry, size: Size) -> Image.Image:
        """The current take on a black frame of `size`, or a placeholder."""
        image = self.open_take(entry)
        return draw_placeholder(entry.number, size) if image is None else fit_image(image, size)

    def list_warnings(self) -> list[str]:
        """The notes, and which panels are shown as placeholders."""
        empty = f"No picture yet: {_name_some(self.empty)}. A grey frame stands in."
        lost = f"The picture is missing or damaged: {_name_some(self.lost)}. A grey frame stands in."
        return [*([empty] if self.empty else []), *([lost] if self.lost else []), *dict.fromkeys(self.notes)]

    def choose_size(self, long_side: int) -> Size:
        """Of the board's aspect, both sides even as video wants them."""
        scale = long_side / max(self.board.aspect)
        return Size(*(max(2, 2 * round(side * scale / 2)) for side in self.board.aspect))

    @cached_property
    def take_size(self) -> Size:
        """Of the first take there is, for placeholders among files that keep their sizes."""
        pictures = (entry.panel.take.picture for entry in self.entries if entry.panel.take)
        known = (Size(picture.width, picture.height) for picture in pictures if self.find_file(picture))
        return next((size for size in known if min(size) >= 64 and max(size) <= 8192), self.choose_size(1280))

    def name_file(self, entry: Entry, ending: str = "") -> str:
        """001_1A: sorts as the board does, in programs that sort by character too."""
        digits = max(3, len(str(len(self.entries))))
        return f"{entry.place:0{digits}d}_{entry.number}{ending}"

    @property
    def title(self) -> str:
        """The board's, on one line."""
        return clean_line(self.board.title) or "Untitled"


def list_entries(board: Board, panels: Collection[str] | None = None) -> list[Entry]:
    """Panels one after the other. Borders are rounded from exact sums, so errors never add up; one frame at least."""
    named, scenes, clock, border = numbers(board), scene_numbers(board), Fraction(0), 0
    found: list[Entry] = []
    for scene in board.scenes:
        for panel in scene.panels:
            if panels is not None and panel.id not in panels:
                continue
            clock += _parse_exactly(panel.seconds)
            start, border = border, max(border + 1, floor(clock * board.rate + Fraction(1, 2)))
            number = named[panel.id]
            found.append(Entry(len(found) + 1, number, scenes[scene.id], scene, panel, start, border - start))
    return found


def _parse_exactly(seconds: float) -> Fraction:
    """As it was typed: 0.1 is a tenth."""
    return Fraction(str(seconds)) if isfinite(seconds) and seconds > 0 else Fraction(0)


def drops_frames(rate: Fraction) -> bool:
    """Whether timecode leaves numbers out to keep up with the clock: at 29.97 and 59.94."""
    return rate in (Fraction(30_000, 1001), Fraction(60_000, 1001))


def format_timecode(frames: int, rate: Fraction) -> str:
    """HH:MM:SS:FF; with a semicolon, HH:MM:SS;FF, where it drops numbers."""
    whole, mark = round(rate), ":"
    if drops_frames(rate):
        skipped = whole // 15  # numbers, each minute but every tenth
        tens, rest = divmod(frames, 600 * whole - 9 * skipped)
        minutes = max(0, rest - skipped) // (60 * whole - skipped)
        frames, mark = frames + skipped * (9 * tens + minutes), ";"
    seconds, rest = divmod(frames, whole)
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}{mark}{rest:02d}"


def fit_image(image: Image.Image, size: Size) -> Image.Image:
    """The whole image in the middle of a frame, with bars where the shapes differ by more than a pixel."""
    scale = min(size.width / image.width, size.height / image.height)
    inner = Size(
        *(
            full if abs(full - side * scale) <= 1.5 else max(1, round(side * scale))
            for full, side in zip(size, image.size, strict=True)
        )
    )
    scaled = image if inner == image.size else image.resize(inner, Image.Resampling.LANCZOS)
    if inner == size:
        return scaled
    frame = Image.new("RGB", size)
    frame.paste(scaled, ((size.width - inner.width) // 2, (size.height - inner.height) // 2))
    return frame


def draw_placeholder(number: str, size: Size) -> Image.Image:
    """A grey frame with the panel's number, for a panel without a picture."""
    image, small = Image.new("RGB", size, PAPER), min(size)
    draw = ImageDraw.Draw(image)
    for ends in (((0, 0), size), ((0, size.height), (size.width, 0))):
        draw.line(ends, FAINT, max(1, small // 200))
    draw.ellipse([size[i] / 2 + sign * small * 0.28 for sign in (-1, 1) for i in (0, 1)], PAPER)
    for share, text, type_size, anchor in ((0.51, number, 0.16, "ms"), (0.55, "no picture yet", 0.045, "ma")):
        face = ImageFont.load_default(max(6.0, small * type_size))
        draw.text((size.width / 2, size.height / 2 + (share - 0.5) * small), text, INK, face, anchor=anchor)
    return image


def _name_some(panels: Collection[str], most: int = 20) -> str:
    shown = ", ".join(list(panels)[:most])
    return shown if len(panels) <= most else f"{shown} and {len(panels) - most} more"
