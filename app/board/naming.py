"""Panels as a person names them on a command line, and the order to render them in."""

import re
from collections.abc import Iterable

from mlx_model.errors import Advice, BoardError

from .data import Board, Panel, Scene, find_id, numbers, scene_numbers

NAMED = re.compile(r"\b([Pp]anel )([0-9A-Z][0-9A-Z.]*[A-Z])\b")
ANCHOR = re.compile("\0([^\0]*)\0")
HINT = "Say panels as 1A, 2B-2D or, counted through the board, 3-7; several with commas."


def select(board: Board, text: str | None) -> list[str]:
    """The ids of the panels that `text` names, in the board's order; all without a text.

    1A is a panel's number, 3 the third panel of the board; A-B is everything from A to B. Raises BoardError.
    """
    ids = [panel.id for panel in board.panels()]
    if text is None or text.strip().casefold() in ("", "all"):
        return ids
    chosen: set[int] = set()
    for part in filter(None, re.split(r"[,\s]+", re.sub(r"\s*-\s*", "-", text.strip()))):
        first, _, last = part.partition("-")
        start = _place(board, ids, first)
        end = _place(board, ids, last) if last else start
        if end < start or part.endswith("-"):
            raise BoardError(f"{part} is no range of panels.", HINT)
        chosen.update(range(start, end + 1))
    return [ids[place] for place in sorted(chosen)]


def one(board: Board, text: str) -> Panel:
    """The one panel that `text` names. Raises BoardError."""
    ids = select(board, text)
    if len(ids) != 1 or not text.strip():
        raise BoardError(f"{text!r} is not one panel.", HINT)
    return board.panel(ids[0])


def scene(board: Board, text: str | None) -> Scene:
    """The scene of that number, the last one without a text. Raises BoardError."""
    named = list(scene_numbers(board).items())
    own = next((scene_id for scene_id, number in named if text and number == text.strip().upper()), None)
    if own:
        return find_id(board.scenes, own, "scene")
    place = len(board.scenes) if text is None else int(text) if text.isdecimal() and len(text) < 10 else 0
    if not 1 <= place <= len(board.scenes):
        raise BoardError(f"There is no scene {text or 1}.", Advice("make_scene", {"count": str(len(board.scenes))}))
    return board.scenes[place - 1]


def _place(board: Board, ids: list[str], text: str) -> int:
    labels = [label.casefold() for label in numbers(board).values()]
    if text.casefold() in labels:
        return labels.index(text.casefold())
    if text.isdecimal() and len(text) < 10 and 1 <= int(text) <= len(ids):
        return int(text) - 1
    have = f"The board has {len(ids)}, from {labels[0].upper()} to {labels[-1].upper()}. " if labels else ""
    raise BoardError(f"There is no panel {text}.", have + HINT)


def anchor(text: str, board: Board) -> str:
    """`text` with the ids of the panels that it names by their numbers, for `renumber` at any later time."""
    known = {number: panel_id for panel_id, number in numbers(board).items()}
    return NAMED.sub(lambda match: f"{match[1]}\0{known[match[2]]}\0" if match[2] in known else match[0], text)


def renumber(text: str, board: Board) -> str:
    """The panels of an anchored text by the numbers they have now."""
    if "\0" not in text:
        return text
    label = numbers(board)
    return ANCHOR.sub(lambda match: label.get(match[1], "that is deleted"), text)


def render_order(board: Board, ids: Iterable[str]) -> list[str]:
    """`ids` in the board's order, but what starts from the take of another one of them after that one.

    In a circle of panels that start from each other the board's order counts: each starts from the take it finds.
    """
    wanted = set(ids)
    done: set[str] = set()
    order: list[str] = []

    def visit(panel: Panel) -> None:
        """Iterative: a thousand panels may continue each other backwards."""
        chain = []
        while panel.id not in done and panel.id in wanted:
            done.add(panel.id)
            chain.append(panel.id)
            if panel.source.kind != "panel" or panel.source.panel is None:
                break
            panel = panels[panel.source.panel]
        order.extend(reversed(chain))

    panels = {panel.id: panel for panel in board.panels()}
    for panel in panels.values():
        visit(panel)
    return order
