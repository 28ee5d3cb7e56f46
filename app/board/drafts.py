"""A scene's panels as a language model is asked to write them out, and what it wrote put beside their words.

Each is asked for by itself, so that its mentions can be checked; all that makes them look alike is told with it.
"""

from collections.abc import Collection, Mapping
from typing import NamedTuple

from msgspec.structs import replace

from mlx_model.errors import Refused
from mlx_model.writing import is_short

from .commands import set_panel, set_panels
from .data import Board, Panel, Scene
from .heading import say_place
from .written import Written, find_written, put_one

MOST_TOLD = 3000  # characters of a scene that are told with each of its panels


class SceneDraft(NamedTuple):
    """`lines`: what is written out, by panel; `about`: what all of them share."""

    lines: dict[str, str]
    about: str


def draft_scene(board: Board, scene: Scene, named: Collection[str] | None = None) -> SceneDraft:
    """The panels that are made from words and say little yet, or of the `named` ones (ids) all made from words.

    An edit is no description, and a long one needs no writer unless somebody wants it.
    """
    made = [panel for panel in scene.panels if panel.source.kind == "blank" and panel.prompt.strip()]
    if named is None:
        chosen = [panel for panel in made if not panel.written_out and is_short(panel.prompt)]
    else:
        chosen = [panel for panel in made if panel.id in named]
    return SceneDraft({panel.id: panel.prompt for panel in chosen}, _tell(board, scene))


def _tell(board: Board, scene: Scene) -> str:
    """The place, who is in the cast, and what happens in order, without signs of mentions: those are a panel's own."""
    place = say_place(scene.heading)
    cast = "; ".join(f"{one.name} ({one.role}{f': {one.notes}' if one.notes else ''})" for one in board.cast)
    happens = " / ".join(panel.action or panel.prompt for panel in scene.panels if panel.action or panel.prompt)
    parts = (("Place", place), ("Cast", cast), ("Look", board.style), ("What happens", happens))
    return " ".join(f"{name}: {text}." for name, text in parts if text).replace("@", "")[:MOST_TOLD]


def put_written(board: Board, lines: Mapping[str, str], written: Mapping[str, str]) -> Board:
    """The board with what was written beside the words of `lines`, of the panels that still say these."""
    said = [one for one in board.panels() if written.get(one.id) and is_same(one, lines[one.id])]
    return set_panels(board, {panel.id: _write_beside(panel, written[panel.id]) for panel in said})


def write_beside(board: Board, panel_id: str, text: str) -> Board:
    """The panel with `text` written out of its words, and used."""
    return set_panel(board, panel_id, **_write_beside(board.panel(panel_id), text))


def _write_beside(panel: Panel, text: str) -> dict[str, tuple[Written, ...]]:
    return {"written": put_one(panel.written, Written(panel.own_words, text))}


def use_written(board: Board, panel_id: str, used: bool) -> Board:
    """Whether the panel is made by what was written out of its words, or by these. Raises Refused for none."""
    panel = board.panel(panel_id)
    if (one := find_written(panel.written, panel.own_words)) is None:
        raise Refused("Nothing was written out of the words that this panel has now.", "Have them written out first.")
    return set_panel(board, panel_id, written=put_one(panel.written, replace(one, used=used)))


def is_same(panel: Panel, line: str) -> bool:
    """Whether a panel still says what was written out."""
    return panel.own_words == line
