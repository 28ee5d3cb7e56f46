"""OpenRaster, after the freedesktop draft 0.0.5: a zip that begins with its type, stored, then PNG layers."""

import io
import zipfile
from pathlib import Path
from xml.etree import ElementTree

from PIL import Image

from ..base.files import write_new
from .job import Job
from .layers import Layer, export_layers, merged

THUMBNAIL = 256  # pixels of its longer side at most


def export(job: Job) -> Path:
    """PANEL.ora, or a folder of them for several panels."""
    return export_layers(job, _write, ".ora")


def _write(stack: list[Layer], path: Path, force: bool) -> Path:
    return write_new(path, lambda handle: handle.write(_archive(stack)), force)


def _archive(stack: list[Layer]) -> bytes:
    data, whole = io.BytesIO(), merged(stack)
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr(_named("mimetype"), b"image/openraster")
        archive.writestr(_named("stack.xml", zipfile.ZIP_DEFLATED), _stack(stack, whole.size))
        for number, layer in enumerate(stack):
            archive.writestr(_named(f"data/layer{number:02d}.png"), _png(layer.image))
        archive.writestr(_named("mergedimage.png"), _png(whole))
        whole.thumbnail((THUMBNAIL, THUMBNAIL))
        archive.writestr(_named("Thumbnails/thumbnail.png"), _png(whole))
    return data.getvalue()


def _named(name: str, method: int = zipfile.ZIP_STORED) -> zipfile.ZipInfo:
    """An entry of a fixed date, so that the same panel gives the same bytes."""
    info = zipfile.ZipInfo(name)
    info.compress_type = method
    return info


def _stack(stack: list[Layer], size: tuple[int, int]) -> bytes:
    """The draft lists layers from the top down."""
    root = ElementTree.Element("image", version="0.0.5", w=str(size[0]), h=str(size[1]))
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
    return ElementTree.tostring(root, "UTF-8", xml_declaration=True)


def _png(image: Image.Image) -> bytes:
    data = io.BytesIO()
    image.save(data, "PNG")
    return data.getvalue()
