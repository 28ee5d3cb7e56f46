"""HELPERS: one row per network that draws nothing of its own: it finds depth, or enlarges what is there.

They are used as published, at 32 bits: nothing is converted. Sources: the repositories' pages; downloads are counted
from the published shapes.
"""

from __future__ import annotations

from typing import Any

from . import spec_parts as parts
from .geometry import Size
from .specs import ModelSpec

DEPTH = ModelSpec(
    "depth-anything-v2-small",
    family="depth_anything",
    title="Depth Anything V2 Small",
    licence=parts.APACHE,
    repo="depth-anything/Depth-Anything-V2-Small-hf",
    transformer={},
    files=("config.json", "model.safetensors"),
    download_bytes=99_200_000,
    advice="For FLUX.1 Depth, and for references with the role depth.",
)
_TILE = 128  # pixels of the picture, a side, that are enlarged at a time


def _enlarger(factor: int, download_bytes: int) -> ModelSpec:
    """`transformer` is what the network's Params differ in."""
    fields: dict[str, Any] = {"transformer": {"upscale": factor}, "download_bytes": download_bytes}
    return ModelSpec(
        f"swin2sr-x{factor}",
        family="swin2sr",
        title=f"Swin2SR {factor}×",
        licence=parts.APACHE,
        repo=f"caidas/swin2SR-classical-sr-x{factor}-64",
        files=("config.json", "model.safetensors"),
        size=Size(factor * _TILE, factor * _TILE),
        size_multiple=8 * factor,  # whole windows
        takes_text=False,
        advice="The quick way to enlarge: edges become sharp, nothing new is drawn.",
        **fields,
    )


HELPERS: dict[str, ModelSpec] = {row.name: row for row in (DEPTH, _enlarger(2, 48_600_000), _enlarger(4, 49_200_000))}


def find_enlarger(factor: int) -> ModelSpec | None:
    """The one that makes a picture `factor` times as wide and as high."""
    return next((row for row in HELPERS.values() if row.transformer.get("upscale") == factor), None)
