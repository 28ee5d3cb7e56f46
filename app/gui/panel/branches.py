"""Takes as a tree of what was made from what, and what each of them is called."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from PySide6.QtCore import Qt
from PySide6.QtGui import QFontMetrics

from ...base.words import say_moment
from ...board.data import Board, Panel, Take, numbers
from ..kit.words import model_title


class Branch(NamedTuple):
    """One row: `number` is the take's own, `depth` steps from the start; `lanes` says of each step whether a line
    goes on below, to a later take that was made from the same one. `maker` is the number of another panel that it was
    made from, such as "1A"."""

    take: Take
    number: int
    parent: int  # its number, 0 for none
    lanes: tuple[bool, ...]
    maker: str = ""

    @property
    def depth(self) -> int:
        return len(self.lanes)


def grow(takes: Sequence[Take], makers: Mapping[str, str] | None = None) -> list[Branch]:
    """The takes as a tree, each right behind what it was made from. A parent is only one that came before: what a
    stranger's board says of the others is not believed. `makers`: see Sight.number_makers."""
    places = {take.id: place for place, take in enumerate(takes)}
    children: dict[int, list[int]] = {}
    for place, take in enumerate(takes):
        parent = places.get(take.parent or "", place)
        children.setdefault(parent if parent < place else -1, []).append(place)
    rows: list[Branch] = []
    waiting: list[tuple[int, int, tuple[bool, ...]]] = [(place, -1, ()) for place in reversed(children.get(-1, []))]
    while waiting:
        place, parent, lanes = waiting.pop()
        maker = (makers or {}).get(takes[place].parent or "", "")
        number, above = takes[place].number, takes[parent].number if parent >= 0 else 0
        rows.append(Branch(takes[place], number, above, lanes, maker))
        further = children.get(place, [])
        waiting += [(child, place, (*lanes, child != further[-1])) for child in reversed(further)]
    return rows


def name_file(board: Board, panel: Panel, take: Take) -> str:
    """What the file of a take is called, without its ending."""
    return f"{board.title} {numbers(board)[panel.id]} take {take.number}"


def name_take(take: Take) -> str:
    """What a take is called: by its note, by the words that it was made by, or as what it came."""
    return take.note or take.instruction or ("made from words" if take.request else "imported")


def read_out(branch: Branch, panel: Panel) -> str:
    take = branch.take
    parts = [f"Take {branch.number}", name_take(take), say_moment(take.made)]
    parts += [f"made from take {branch.parent}"] if branch.parent else []
    parts += [f"made from panel {branch.maker}"] if branch.maker else []
    parts += [word for word, true in (("current", take.id == panel.current), ("starred", take.star)) if true]
    return ", ".join(part for part in parts if part)


def hint_at(branch: Branch) -> str:
    take = branch.take
    made = f"{model_title(take.model)} · seed {take.seed}" if take.request else "imported"
    maker = f"Made from the picture of panel {branch.maker}" if branch.maker else ""
    lines = [f"Take {branch.number} · {made}", maker, take.instruction, take.note, take.made.replace("T", " ")[:16]]
    return "\n".join([*filter(None, lines), "Right-click for what can be done with it"])


def break_lines(text: str, metrics: QFontMetrics, width: int) -> list[str]:
    """The text in at most two lines of `width` pixels, an ellipsis where that is not all of it."""
    words = text.split()
    first = ""
    while words and (not first or metrics.horizontalAdvance(f"{first} {words[0]}") <= width):
        first = f"{first} {words.pop(0)}".strip()
    lines = [first, " ".join(words)] if words else [first]
    return [metrics.elidedText(line, Qt.TextElideMode.ElideRight, width) for line in lines]
