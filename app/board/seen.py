"""What the model sees of a panel, in its order: the one place that decides it.

The tray numbers and colours by it, the prompt's mentions are found and compiled by it, the job sends it. So the number
on the screen, the words "image 2" and the second picture of the request can't disagree.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal
from unicodedata import normalize

import msgspec

from .data import Board, Member, Panel, PanelReference, Picture, Struct
from .mentions import LIMIT, find

SOURCE_COLOUR = "#8A8F98"


class Seen(Struct, frozen=True):
    """One picture; its number is its place, from 1, in what `see` gives.

    `picture` is None where it is not there (yet).
    """

    kind: Literal["source", "reference", "cast"]
    picture: Picture | None
    name: str = ""  # that a prompt may use; "" where only the number names it
    role: str = ""
    colour: str = SOURCE_COLOUR
    reference: str | None = None  # id in Panel.references
    member: str | None = None  # id in Board.cast


def see(board: Board, panel: Panel, text: str | None = None) -> tuple[Seen, ...]:
    """The source picture (where the panel starts from a take), the panel's references, then the cast members that
    the prompt or the board's style mentions and that are not among them, each by its first picture.

    `text` stands in for the panel's prompt. Nothing is raised: what is missing has no picture.
    """
    source = [] if panel.source.kind == "blank" else [Seen("source", source_picture(board, panel))]
    own = _name_once([*source, *(_reference(board, reference) for reference in panel.references)])
    here = {reference.member for reference in panel.references}
    others = [member for member in board.cast if member.id not in here]
    prompt = normalize("NFC", f"{panel.prompt if text is None else text} {board.style}")
    return (*own, *(_portrait(member) for member in _find_mentioned(prompt, names(own), others)))


def names(shown: Sequence[Seen]) -> list[str]:
    """What app.mentions takes."""
    return [one.name for one in shown]


def source_picture(board: Board, panel: Panel) -> Picture | None:
    """The picture that the panel starts from, None where it starts from nothing or there is none yet."""
    origin: Panel | None = panel
    if panel.source.kind == "panel":
        origin = next((other for other in board.panels() if other.id == panel.source.panel), None)
    if panel.source.kind == "blank" or origin is None or origin.take is None:
        return None
    return origin.take.picture


def _reference(board: Board, reference: PanelReference) -> Seen:
    member = next((one for one in board.cast if one.id == reference.member), None)
    named = member or reference
    return Seen(
        "reference", reference.picture, named.name, reference.role, named.colour, reference.id, reference.member
    )


def _portrait(member: Member) -> Seen:
    picture = member.pictures[0] if member.pictures else None
    return Seen("cast", picture, member.name, member.role, member.colour, member=member.id)


def _name_once(shown: list[Seen]) -> list[Seen]:
    """Of several pictures with one name the first carries it, so that a mention is never ambiguous."""
    taken: set[str] = set()
    kept = []
    for one in shown:
        key = one.name.casefold()
        kept.append(msgspec.structs.replace(one, name="") if key in taken else one)
        taken.add(key)
    return kept


def _find_mentioned(text: str, own: Sequence[str], others: Sequence[Member]) -> list[Member]:
    """The members that `text` mentions, in the order of the mentions. Names of references come before theirs."""
    taken = {name.casefold() for name in own}
    free = [member for member in others if member.name.casefold() not in taken]
    # Places that stand for no picture keep numbers from reaching the members.
    everyone = [*own, *[""] * max(0, LIMIT - len(own)), *(member.name for member in free)]
    first = len(everyone) - len(free)
    places = [mention.place for mention in find(text, everyone) if mention.place and mention.place > first]
    return [free[place - first - 1] for place in dict.fromkeys(places)]
