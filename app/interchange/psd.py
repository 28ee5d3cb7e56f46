"""Photoshop files, through psd-tools (the extra "layers")."""

from pathlib import Path

from ..base.files import write_new
from .job import Job
from .layers import Layer, export_layers, flatten


def export(job: Job) -> Path:
    """PANEL.psd, or a folder of them for several panels."""
    return export_layers(job, _write, ".psd")


def _write(stack: list[Layer], path: Path, force: bool) -> Path:
    from psd_tools import PSDImage

    document = PSDImage.frompil(flatten(stack))  # what viewers without layers show
    for layer in stack:
        made = document.create_pixel_layer(layer.image, layer.name, opacity=round(255 * layer.opacity))
        made.visible = layer.visible
    return write_new(path, document.save, force)
