"""What the model sees of a panel, in its order: the one place that decides it.

The tray numbers and colours by it, the prompt's mentions are found and compiled by it, the job sends it. So the number
on the screen, the words "image 2" and the second picture of the request can't disagree.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from itertools import islice
from typing import Literal
from unicodedata import normalize

import msgspec

from mlx_model.geometry import Size
from mlx_model.specs import ModelSpec

from .data import Board, Member, Panel, PanelReference, Picture, Take, list_pictures, numbers
from .heading import name_place, say_place
from .mentions import WORDS, Names, find, make_key
from .picture import Crop, Struct

MOST_SEEN = 100  # members that a panel is shown to mention
MOST_IN_STYLE, MOST_LETTERS = 200, 60  # of what a style mentions; names are shorter
MASK_SIDE = 2048  # pixels
SOURCE_COLOUR = "#8A8F98"
WORDS_OF_PLACE = re.compile(r"\w+")


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
    crop: Crop | None = None
    photo: Picture | None = None  # of which the picture is the depth map

    @property
    def size(self) -> Size | None:
        """Of what the model is given."""
        if self.picture is None:
            return None
        return Size(*self.crop.size) if self.crop else Size(self.picture.width, self.picture.height)


class Sight:
    """A board as it is looked at: what every panel of it asks for is found once. Boards never change."""

    def __init__(self, board: Board):
        self.board = board
        self.panels: dict[str, Panel] = {}
        for panel in board.panels():
            self.panels.setdefault(panel.id, panel)
        self.members = {member.id: member for member in board.cast}
        self.cast = Names([member.name for member in board.cast])
        self.style = _condense(board.style)
        self._last: tuple[Panel, str | None, tuple[Seen, ...]] | None = None

    @cached_property
    def numbers(self) -> dict[str, str]:
        """See data.numbers."""
        return numbers(self.board)

    @cached_property
    def uses(self) -> dict[str, str]:
        """See say_use, by sha256."""
        sound = {self.board.sound.sha256: "the sound"} if self.board.sound else {}
        cast = {one.sha256: f"a picture of @{member.name}" for member in self.board.cast for one in member.pictures}
        found = sound | cast
        for panel in self.panels.values():
            found |= {one.sha256: f"a picture of panel {self.numbers[panel.id]}" for one in list_pictures(panel)}
        for panel in self.panels.values():
            label = self.numbers[panel.id]
            found |= {take.picture.sha256: f"take {take.number} of panel {label}" for take in panel.takes}
        return found

    @cached_property
    def outdated(self) -> dict[str, Panel]:
        """See list_out_of_date."""
        behind: dict[str, list[Panel]] = {}
        for panel in self.panels.values():
            if origin := self._find_origin(panel):
                behind.setdefault(origin.id, []).append(panel)
        replaced = [panel for panels in behind.values() for panel in panels if self._is_replaced(panel)]
        stale = _walk(replaced, behind)
        first = [panel for panel in stale.values() if panel.source.panel not in stale]
        return _walk(first, behind) | stale  # what continues itself in a circle comes last

    def _find_origin(self, panel: Panel) -> Panel | None:
        """The panel that it continues, where both have a picture."""
        origin = self.panels.get(panel.source.panel or "")
        return origin if origin and origin.take and panel.take else None

    def _is_replaced(self, panel: Panel) -> bool:
        """Also where what it was made from is deleted, or another panel's; of a picture that no model made, where it is
        older."""
        origin, root = self._find_origin(panel), _find_root(panel)
        if not (origin and origin.take and panel.take):
            return False
        return root != origin.current if root else origin.take.made > panel.take.made

    def number_makers(self, panel: Panel) -> dict[str, str]:
        """Id of a take that takes of this panel were made from -> the number of the other panel that has it."""
        own = {take.id for take in panel.takes}
        wanted = {take.parent for take in panel.takes if take.parent} - own
        if not wanted:
            return {}
        takes = ((take.id, one.id) for one in self.panels.values() for take in one.takes)
        return {take: self.numbers[panel_id] for take, panel_id in takes if take in wanted}

    @cached_property
    def _headings(self) -> dict[str, str]:
        return {panel.id: scene.heading for scene in self.board.scenes for panel in scene.panels}

    @cached_property
    def _places(self) -> dict[str, str]:
        return {panel.id: say_place(scene.heading) for scene in self.board.scenes for panel in scene.panels}

    def find_place(self, panel: Panel) -> str:
        """Where the panel's scene is, in words for its description; "" for an edit, and where the heading is none."""
        return self._places.get(panel.id, "") if panel.source.kind == "blank" else ""

    def find_unknown(self, panel: Panel, spec: ModelSpec | None) -> str:
        """The place that the scene's heading adds to the panel's words, where the model never learned it, else ""."""
        if not (spec and spec.places and panel.in_place and self.find_place(panel)):
            return ""
        place = name_place(self._headings[panel.id])
        return "" if spec.places & set(WORDS_OF_PLACE.findall(place)) else place

    def see(self, panel: Panel, text: str | None = None) -> tuple[Seen, ...]:
        """See `see`. The last one is remembered: what shows a panel asks ten times for every letter that is typed."""
        if self._last is None or self._last[0] is not panel or self._last[1] != text:
            self._last = panel, text, self._see(panel, text)
        return self._last[2]

    def _see(self, panel: Panel, text: str | None) -> tuple[Seen, ...]:
        source = [] if panel.source.kind == "blank" else [Seen("source", self.find_source(panel))]
        own = _name_once([*source, *(self._see_reference(reference) for reference in panel.references)])
        hidden = {reference.member for reference in panel.references}
        words = (panel.words if text is None else text, *(box.words for box in panel.boxes))
        prompt = normalize("NFC", " ".join(words))
        return (*own, *(_portrait(member) for member in self._find_mentioned(f"{prompt} {self.style}", own, hidden)))

    def find_source(self, panel: Panel) -> Picture | None:
        """See source_picture."""
        start = self.find_start(panel)
        return start.picture if start else None

    def find_start(self, panel: Panel) -> Take | None:
        """The take that the next picture is made from."""
        if panel.source.kind == "panel":
            origin = self.panels.get(panel.source.panel or "")
            return origin.take if origin else None
        if panel.source.kind == "take":
            return panel.find_take(panel.source.take) or panel.take
        return None

    def _see_reference(self, reference: PanelReference) -> Seen:
        named = self.members.get(reference.member or "") or reference
        map_, photo = (reference.map, reference.picture) if reference.role == "depth" else (None, None)
        return Seen("reference", map_ or reference.picture, named.name, reference.role, named.colour, reference.id,
                    reference.member, reference.crop, photo if map_ else None)  # fmt: skip

    def _find_mentioned(self, text: str, own: list[Seen], here: set[str | None]) -> list[Member]:
        """The members that `text` mentions, in the order of the mentions. Names of references come before theirs."""
        taken = {one.name.casefold() for one in own}
        hidden = {make_key(member.name) for one in here if one and (member := self.members.get(one))}
        called = Names(names(own), self.cast, hidden)
        places = (m.place - len(own) for m in find(text, called) if m.place and m.place > len(own))
        mentioned = (self.board.cast[place - 1] for place in dict.fromkeys(places))
        free = (member for member in mentioned if member.id not in here and member.name.casefold() not in taken)
        return list(islice(free, MOST_SEEN))


def _condense(style: str) -> str:
    """Each thing that the style mentions, once: it is looked at for every panel of the board."""
    style = normalize("NFC", style)
    said = (WORDS.match(style, m.at + 1) for m in find(style, ()) if m.place or m.error)
    words = dict.fromkeys(word[0][:MOST_LETTERS] for word in said if word)
    return " ".join(f"@{word}" for word in islice(words, MOST_IN_STYLE))


_last: Sight | None = None


def look(board: Board) -> Sight:
    """The Sight of a board; that of the last one is remembered."""
    global _last
    sight = _last
    if sight is None or sight.board is not board:
        sight = _last = Sight(board)
    return sight


def say_use(board: Board, sha256: str) -> str:
    """What the picture or sound of that file is on the board, such as "take 2 of panel 1A"."""
    return look(board).uses.get(sha256, "a file of this board")


def see(board: Board, panel: Panel, text: str | None = None) -> tuple[Seen, ...]:
    """The source picture (where the panel starts from a take), the panel's references, then the cast members that
    the prompt or the board's style mentions and that are not among them, each by its first picture.

    `text` stands in for the panel's words. Nothing is raised: what is missing has no picture. No more than MOST_SEEN
    members are listed: no model looks at a tenth of that.
    """
    return look(board).see(panel, text)


def names(shown: Sequence[Seen]) -> list[str]:
    """What app.mentions takes."""
    return [one.name for one in shown]


def source_picture(board: Board, panel: Panel) -> Picture | None:
    """The picture that the panel starts from, None where it starts from nothing or there is none yet."""
    return look(board).find_source(panel)


def list_unknown(board: Board, spec: ModelSpec | None) -> list[str]:
    """The places, see Sight.find_unknown, of the panels that wait for their first picture by the board's own model."""
    if not (spec and spec.places):
        return []
    waiting = [panel for panel in board.panels() if not (panel.take or panel.settings.model)]
    return [*dict.fromkeys(place for panel in waiting if (place := look(board).find_unknown(panel, spec)))]


def find_ground(board: Board, panel: Panel, layers: bool = False) -> Take | None:
    """What a mask and placed pictures lie on: the start where some lie there already, else the take that is seen.

    `layers`: what is placed next lies on. A mask alone, left from the change before, doesn't hold these at the start.
    """
    start = look(board).find_start(panel)
    return start if panel.placed or (panel.mask and not layers) else panel.take or start


def is_out_of_date(board: Board, panel: Panel) -> bool:
    """Whether its picture was made from one that the panel it continues has replaced since, or that is such itself."""
    return panel.id in look(board).outdated


def list_out_of_date(board: Board) -> tuple[str, ...]:
    """The ids of such panels, each behind the one that it continues."""
    return tuple(look(board).outdated)


def _find_root(panel: Panel) -> str | None:
    """The id of the take, none of the panel's own, that its picture goes back to; None where that is not known."""
    take, passed = panel.take, set[str]()
    while take and take.id not in passed:  # a stranger's board may go round in a circle
        passed.add(take.id)
        above = panel.find_take(take.parent)
        if above is None:
            return take.parent
        take = above
    return None


def _walk(starts: Sequence[Panel], behind: Mapping[str, Sequence[Panel]]) -> dict[str, Panel]:
    """The panels by their ids, then those behind them, and so on; each once."""
    found: dict[str, Panel] = {}
    line = list(starts)
    for panel in line:  # which grows
        if panel.id not in found:
            found[panel.id] = panel
            line += behind.get(panel.id, ())
    return found


def mask_size(picture: Picture) -> Size:
    """Of a mask that is painted on `picture`: its own size, at most MASK_SIDE on the longer side.

    Models make pictures of four megapixels at most, and a hand is not finer: forty-eight would only take longer.
    """
    longer = max(picture.width, picture.height)
    if longer <= MASK_SIDE:
        return Size(picture.width, picture.height)
    return Size(*(max(1, round(side * MASK_SIDE / longer)) for side in (picture.width, picture.height)))


def fits_mask(mask: Picture, picture: Picture) -> bool:
    """Whether the mask was painted on a picture of this size."""
    return (mask.width, mask.height) in ((picture.width, picture.height), mask_size(picture))


def find_mask(board: Board, panel: Panel) -> Picture | None:
    """The mask that a run keeps to: one that was painted on another picture than it starts from means nothing."""
    start = source_picture(board, panel)
    return panel.mask if panel.mask and start and fits_mask(panel.mask, start) else None


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
