"""OpenRaster, after the freedesktop draft 0.0.5: a zip that begins with its type, stored, then PNG layers."""

import io
import zipfile
from pathlib import Path
from xml.etree import ElementTree

from PIL import Image

from mlx_model.geometry import Size

from ..base.files import write_new
from .job import Job
from .layers import Layer, export_layers, flatten

THUMBNAIL = 256  # pixels of its longer side at most


def export(job: Job) -> Path:
    """PANEL.ora, or a folder of them for several panels."""
    return export_layers(job, _write, ".ora")


def _write(stack: list[Layer], path: Path, force: bool) -> Path:
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
