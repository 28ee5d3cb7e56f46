"""A scene's panels as a language model is asked to write them out, and what it wrote put in their place.

Each is asked for by itself, so that its mentions can be checked; all that makes them look alike is told with it.
"""

from collections.abc import Mapping
from typing import NamedTuple

from mlx_model.writing import is_short

from .commands import set_panel
from .data import Board, Panel, Scene
from .heading import say_place

MOST_TOLD = 3000  # characters of a scene that are told with each of its panels


class SceneDraft(NamedTuple):
    """`lines`: what is written out, by panel; `about`: what all of them share."""

    lines: dict[str, str]
    about: str


def draft_scene(board: Board, scene: Scene) -> SceneDraft:
    """Panels that are made from words and say little yet: an edit is no description, and a long one is written out."""
    lines = {
        panel.id: panel.prompt
        for panel in scene.panels
        if panel.source.kind == "blank" and panel.prompt.strip() and is_short(panel.prompt)
    }
    return SceneDraft(lines, _tell(board, scene))


def _tell(board: Board, scene: Scene) -> str:
    """The place, who is in the cast, and what happens in order, without signs of mentions: those are a panel's own."""
    place = say_place(scene.heading)
    cast = "; ".join(f"{one.name} ({one.role}{f': {one.notes}' if one.notes else ''})" for one in board.cast)
    happens = " / ".join(panel.action or panel.prompt for panel in scene.panels if panel.action or panel.prompt)
    parts = (("Place", place), ("Cast", cast), ("Look", board.style), ("What happens", happens))
    return " ".join(f"{name}: {text}." for name, text in parts if text).replace("@", "")[:MOST_TOLD]


def put_written(board: Board, lines: Mapping[str, str], written: Mapping[str, str]) -> Board:
    """The board with what was written as descriptions, of the panels whose words are still those of `lines`.

    What a panel said stays beside it as its action, where it has none.
    """
    there = {panel.id: panel for panel in board.panels()}
    for panel_id, text in written.items():
        panel = there.get(panel_id)
        if text and panel and is_same(panel, lines[panel_id]):
            board = set_panel(board, panel_id, prompt=text, action=panel.action or panel.prompt)
    return board


def is_same(panel: Panel, line: str) -> bool:
    """Whether a panel still says what was written out."""
    return panel.prompt == line
