"""Depth maps of photos for the runs that need them, by Depth Anything V2 Small where it is on this disk."""

import dataclasses
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from mlx_model.helpers import DEPTH
from mlx_model.request import Reference, Request, is_in_colour
from mlx_model.specs import ModelSpec

from . import helpers

ROLE = "depth"  # of a reference that is given as a depth map


class Maps:
    """Makes them; the network is read once, for the first.

    `between` is called after each layer, and may raise to end.
    """

    def __init__(self, between: Callable[[], None] = lambda: None):
        self._between = between

    @cached_property
    def _net(self) -> Any:
        return helpers.open_net(DEPTH)

    def make(self, pixels: np.ndarray) -> np.ndarray:
        """(H, W, 3) uint8 of a photo -> its depth map, as large. Raises ModelError, SampleError."""
        from mlx_model.run.depth import find_depth

        net = self._net
        with helpers.tell_damaged(DEPTH):
            layers = find_depth(net, pixels)
            while True:
                try:
                    next(layers)
                except StopIteration as end:
                    made: np.ndarray = end.value
                    return made
                self._between()


def with_maps(request: Request, spec: ModelSpec, notes: list[str], maps: Maps | None = None) -> Request:
    """The request, its pictures opened, with a depth map in place of each photo that is to be followed as one.

    That is FLUX.1 Depth's picture, and references with the role "depth" of models that follow them. What was made, or
    could not be, is told in `notes`; a photo stays where nothing makes maps, or it is grey and may be one. `maps`: what
    makes them, kept for further requests.
    """
    wanted = [_is_wanted(one, spec) for one in request.references]
    if not any(wanted):
        return request
    if not helpers.is_there(DEPTH):
        if spec.pictures != ROLE:
            notes.append("A reference has the role depth and is in colour: it is given as it is, nothing makes a map.")
        return request
    maps = maps or Maps()
    pairs = zip(request.references, wanted, strict=True)
    made = tuple(_with_map(one, notes, maps) if yes else one for one, yes in pairs)
    return dataclasses.replace(request, references=made)


def _is_wanted(one: Reference, spec: ModelSpec) -> bool:
    followed = spec.pictures == ROLE or (spec.follows and one.role == ROLE)
    return followed and one.pixels is not None and is_in_colour(one.pixels)


def _with_map(one: Reference, notes: list[str], maps: Maps) -> Reference:
    assert one.pixels is not None
    notes.append(f"{Path(one.path).name or 'A picture'} is in colour: its depth map was made by {DEPTH.title}.")
    return dataclasses.replace(one, pixels=maps.make(one.pixels))
