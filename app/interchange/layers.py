"""A panel as layers for painting programs: the picture it started from, its takes, and the mask."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from mlx_model.geometry import Size

from .files import write_folder
from .job import Entry, Job, draw_placeholder, fit_image

MASK_PAINT = (255, 0, 128)  # seen on nearly every picture


class Layer(NamedTuple):
    """RGB or RGBA of the canvas's size."""

    name: str
    image: Image.Image
    visible: bool
    opacity: float = 1.0


def export_layers(job: Job, write_file: Callable[[list[Layer], Path, bool], Path], extension: str) -> Path:
    """One file for one panel, a folder of them for several. `write_file` gets the layers from the bottom up."""
    if len(job.entries) == 1:
        return write_file(stack_layers(job, job.entries[0]), job.out, job.force)

    def fill(inside: Path) -> None:
        for entry in job.walk():
            write_file(stack_layers(job, entry), inside / job.name_file(entry, extension), False)

    return write_folder(job.out.with_suffix(""), fill, job.force)


def stack_layers(job: Job, entry: Entry) -> list[Layer]:
    """From the bottom up; only the current (or else the last) take is visible. All in the size of the largest take."""
    panel = entry.panel
    takes = [(take, job.open(take.picture)) for take in panel.takes]
    if any(image is None for _, image in takes):
        job.lost.setdefault(entry.number)
    original = _open_original(job, entry)
    sizes = [Size(*image.size) for image in [original, *(image for _, image in takes)] if image]
    size = max(sizes, key=lambda size: size.area, default=job.choose_size(1280))
    found = [Layer("original", fit_image(original, size), False)] if original else []
    shown = panel.take or (panel.takes[-1] if takes else None)
    for number, (take, image) in enumerate(takes, 1):
        current = take is shown
        name = f"take {number} seed {take.seed}" + (" (current)" if current else "")
        found.append(Layer(name, fit_image(image, size) if image else draw_placeholder(entry.number, size), current))
    if not takes:
        job.empty.setdefault(entry.number)
        found.append(Layer("no picture yet", draw_placeholder(entry.number, size), True))
    return [*found, *_paint_mask(job, entry, size)]


def _open_original(job: Job, entry: Entry) -> Image.Image | None:
    """What the panel starts from, where that is another panel's take."""
    try:
        take = job.board.panel(entry.panel.source.panel).take if entry.panel.source.panel else None
    except KeyError:
        return None
    return job.open(take.picture) if take else None


def _paint_mask(job: Job, entry: Entry, size: Size) -> list[Layer]:
    mask = job.open(entry.panel.mask)
    if mask is None:
        return []
    paint = Image.new("RGB", size, MASK_PAINT)
    paint.putalpha(fit_image(mask, size).convert("L"))
    return [Layer("mask (painted = repaint)", paint, False, 0.5)]


def flatten(stack: list[Layer]) -> Image.Image:
    """What is visible, as RGB."""
    return next(layer.image for layer in reversed(stack) if layer.visible).convert("RGB")
