"""A panel as layers for painting programs (Photoshop, OpenRaster): what it started from, its takes, and the mask."""

import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

from PIL import Image

from mlx_model.files import write_new
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
    for take, image in takes:
        current = take is shown
        name = f"take {take.number} seed {take.seed}" + (" (current)" if current else "")
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


THUMBNAIL = 256  # pixels of its longer side at most


def export_ora(job: Job) -> Path:
    """OpenRaster, after the freedesktop draft 0.0.5: PANEL.ora, or a folder of them for several panels."""
    return export_layers(job, _write_ora, ".ora")


def _write_ora(stack: list[Layer], path: Path, force: bool) -> Path:
    return write_new(path, lambda handle: handle.write(_build_archive(stack)), force)


def _build_archive(stack: list[Layer]) -> bytes:
    data, whole = io.BytesIO(), flatten(stack)
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr(_make_entry("mimetype"), b"image/openraster")
        archive.writestr(_make_entry("stack.xml", zipfile.ZIP_DEFLATED), _describe_stack(stack, Size(*whole.size)))
        for number, layer in enumerate(stack):
            archive.writestr(_make_entry(f"data/layer{number:02d}.png"), _encode_png(layer.image))
        archive.writestr(_make_entry("mergedimage.png"), _encode_png(whole))
        whole.thumbnail((THUMBNAIL, THUMBNAIL))
        archive.writestr(_make_entry("Thumbnails/thumbnail.png"), _encode_png(whole))
    return data.getvalue()


def _make_entry(name: str, method: int = zipfile.ZIP_STORED) -> zipfile.ZipInfo:
    """An entry of a fixed date, so that the same panel gives the same bytes."""
    info = zipfile.ZipInfo(name)
    info.compress_type = method
    return info


def _describe_stack(stack: list[Layer], size: Size) -> bytes:
    """The draft lists layers from the top down."""
    root = ElementTree.Element("image", version="0.0.5", w=str(size.width), h=str(size.height))
    inside = ElementTree.SubElement(root, "stack")
    for number, layer in reversed(list(enumerate(stack))):
        attributes = {
            "name": layer.name,
            "src": f"data/layer{number:02d}.png",
            "x": "0",
            "y": "0",
            "opacity": f"{layer.opacity:g}",
            "visibility": "visible" if layer.visible else "hidden",
            "composite-op": "svg:src-over",
        }
        ElementTree.SubElement(inside, "layer", attributes)
    text: bytes = ElementTree.tostring(root, "UTF-8", xml_declaration=True)
    return text


def _encode_png(image: Image.Image) -> bytes:
    data = io.BytesIO()
    image.save(data, "PNG")
    return data.getvalue()


def export_psd(job: Job) -> Path:
    """Photoshop files, through psd-tools (the extra "layers"): PANEL.psd, or a folder of them for several panels."""
    return export_layers(job, _write_psd, ".psd")


def _write_psd(stack: list[Layer], path: Path, force: bool) -> Path:
    from psd_tools import PSDImage

    document = PSDImage.frompil(flatten(stack))  # what viewers without layers show
    for layer in stack:
        made = document.create_pixel_layer(layer.image, layer.name, opacity=round(255 * layer.opacity))
        made.visible = layer.visible
    return write_new(path, document.save, force)
