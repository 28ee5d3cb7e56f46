"""What was imported, added to a board that is there: its scenes behind the others, its cast to the cast.

Its descriptions mention whom they name of the cast that was there, in any case: those names are the artist's own.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence

from msgspec.structs import replace

from mlx_model.request import MAX_TEXT

from ..base.words import say_count
from ..board import commands
from ..board.data import Board, Member, Panel, Scene, free_colour, new_id
from ..board.mentions import Names, find
from ..board.rules import check_board, settle_panels

FEW = 5  # names that are told


def join_boards(board: Board, other: Board, behind: str | None = None) -> tuple[Board, list[str]]:
    """`board` with the scenes of `other` behind the scene `behind` (None: at the end), and what the person should know.

    Somebody of the same name is the same member. A board in which nothing was done yet gives way. Raises Refused where
    both are too much for one board.
    """
    joined, same = _join_casts(board, other)
    taken = {panel.id for panel in board.panels()}
    ids = {panel.id: new_id() if panel.id in taken else panel.id for panel in other.panels()}
    naming = Naming([member.name for member in board.cast])
    new = tuple(_make_scene(scene, ids, same, naming) for scene in other.scenes)
    kept = () if is_untouched(board) else board.scenes
    at = next((place + 1 for place, scene in enumerate(kept) if scene.id == behind), len(kept))
    joined = replace(joined, scenes=(*kept[:at], *new, *kept[at:]))
    check_board(joined)
    told = [_say_what(new, len(joined.cast) - len(board.cast)), naming.say()]
    return settle_panels(joined, set(ids.values())), [one for one in told if one]


def is_untouched(board: Board) -> bool:
    """Whether its scenes hold nothing but empty panels, as those of a new board."""
    return all(not scene.heading and all(panel == Panel(panel.id) for panel in scene.panels) for scene in board.scenes)


def _join_casts(board: Board, other: Board) -> tuple[Board, dict[str, str]]:
    """The board with those who are new to its cast; a member's id in `other` -> in the board."""
    known = {member.name.casefold(): member.id for member in board.cast}
    colours = Counter(member.colour for member in board.cast)
    new: list[Member] = []
    for member in other.cast:
        if member.name.casefold() not in known:
            new.append(replace(member, id=new_id(), colour=free_colour(colours)))
            colours[new[-1].colour] += 1
            known[member.name.casefold()] = new[-1].id
    return commands.add_members(board, new), {one.id: known[one.name.casefold()] for one in other.cast}


class Naming:
    """Makes mentions of names that a text says as whole words; several words stand in it with spaces or hyphens."""

    def __init__(self, names: Sequence[str]):
        self.names, self._known = {_join_parts(name): name for name in names if _join_parts(name)}, Names(names)
        self.counts: Counter[str] = Counter()  # in how many texts each is mentioned
        ways = sorted(self.names, key=len, reverse=True)
        words = "|".join(re.escape(way).replace("\\-", r"[\s-]+") for way in ways)
        self._said = re.compile(rf"(?<![\w@-])(?:{words})(?![\w-])", re.IGNORECASE) if words else None

    def mention(self, text: str) -> str:
        """What is a mention already, or an @ that is none, stays; so does a text that would become too long."""
        new = unicodedata.normalize("NFC", text)
        new = self._said.sub(lambda said: f"@{self.names[_join_parts(said[0])]}", new) if self._said else new
        new = new if len(new) <= MAX_TEXT else text
        said = (one for one in find(new, self._known) if one.place and not new[one.at + 1 : one.end].isdigit())
        self.counts.update({self._known.name(one.place) for one in said if one.place})
        return new

    def say(self) -> str:
        told = [f"@{name} in {say_count(count, 'panel')}" for name, count in self.counts.most_common()]
        more = f" and {len(told) - FEW} more" if len(told) > FEW else ""
        return f"Of the cast it mentions {', '.join(told[:FEW])}{more}." if told else ""


def _join_parts(name: str) -> str:
    return "-".join(re.findall(r"\w+", unicodedata.normalize("NFC", name))).casefold()


def _make_scene(scene: Scene, ids: dict[str, str], same: dict[str, str], naming: Naming) -> Scene:
    return Scene(new_id(), scene.heading, tuple(_make_panel(panel, ids, same, naming) for panel in scene.panels))


def _make_panel(panel: Panel, ids: dict[str, str], same: dict[str, str], naming: Naming) -> Panel:
    references = tuple(replace(one, member=same.get(one.member or "")) for one in panel.references)
    source = replace(panel.source, panel=ids.get(panel.source.panel or "", panel.source.panel))
    prompt = naming.mention(panel.prompt)
    return replace(panel, id=ids[panel.id], prompt=prompt, references=references, source=source)


def _say_what(new: tuple[Scene, ...], members: int) -> str:
    panels = say_count(sum(len(scene.panels) for scene in new), "panel")
    joined = f", {say_count(members, 'member')} of the cast" if members else ""
    return f"Added {panels} in {say_count(len(new), 'scene')}{joined}."
