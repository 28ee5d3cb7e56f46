"""The commands of the cast, and what its names mean in prompts. Called through commands.py."""

import unicodedata
from collections import ChainMap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from msgspec.structs import replace

from mlx_model.errors import Refused

from . import mentions
from .data import (
    Board,
    Member,
    NamesInUse,
    Panel,
    PanelReference,
    Picture,
    Scene,
    name_references,
    new_id,
    numbers,
)
from .regions import replace_words
from .rules import Settler, change_fields, check_board, check_member, check_panel, check_type


def add_member(board: Board, member: Member) -> Board:
    """Raises Refused where the name is taken or is not one word (storyboard.free_name gives one that is free)."""
    return add_members(board, [member])


def add_members(board: Board, members: Iterable[Member]) -> Board:
    """Several at once: quicker than one by one, for every panel is looked at. Raises Refused as add_member."""
    cast, ids = list(board.cast), {member.id for member in board.cast}
    names = NamesInUse(member.name for member in cast)
    for member in map(check_type, members):
        if member.id in ids:
            raise ValueError(f"the board has a member {member.id}")
        check_member(member)
        _require_free(member.name, names)
        cast.append(member)
        ids.add(member.id)
        names.add(member.name)
    return _with_cast(board, tuple(cast))


def set_member(board: Board, member_id: str, **changes: Any) -> Board:
    """name, role, colour, pictures, notes, taught. A new name is put into all prompts that mention the old one."""
    before = board.member(member_id)
    after = change_fields(before, changes)
    check_member(after)
    _require_free(after.name, NamesInUse(member.name for member in board.cast if member.id != member_id))
    cast = tuple(after if member.id == member_id else member for member in board.cast)
    renamed = _with_cast(board, cast)
    if after.name == before.name:
        return renamed
    names = [member.name for member in board.cast]
    return replace(renamed, style=rename_mentions(board.style, {before.name: after.name}, names))


def remove_member(board: Board, member_id: str) -> Board:
    """Panels keep the pictures they had from the member, under its name and in its colour."""
    member = board.member(member_id)

    def keep_reference(reference: PanelReference) -> PanelReference:
        if reference.member != member_id:
            return reference
        return replace(reference, member=None, name=member.name, colour=member.colour)

    scenes = tuple(
        replace(s, panels=tuple(replace(p, references=tuple(map(keep_reference, p.references))) for p in s.panels))
        for s in board.scenes
    )
    after = replace(board, scenes=scenes, cast=tuple(other for other in board.cast if other.id != member_id))
    return _Following(board, after, {other.name: other.name for other in after.cast}).settle()


def member_reference(member: Member, place: int = 0) -> PanelReference:
    """A panel's reference to picture `place` of the member. Raises Refused where it has no such picture."""
    if not 0 <= place < len(member.pictures):
        raise Refused(
            f"{member.name} has {len(member.pictures)} pictures, none at {place}.", "Add one to the cast member."
        )
    picture = member.pictures[place]
    return PanelReference(new_id(), picture, member.role, member.name, member.colour, member.id)


def refer_to(board: Board, panel: Panel, picture: Picture) -> PanelReference:
    """A panel's reference to a picture as what it is: of a member, a panel's, one of its takes, what another panel has
    as a reference, else a file's.

    A whole panel is there for how it is composed, unless the artist says otherwise; its name is that of the window.
    """
    for member in board.cast:
        kept = [one.sha256 for one in member.pictures]
        if picture.sha256 in kept:
            return member_reference(member, kept.index(picture.sha256))
    for other in (panel, *board.panels()):
        for take in other.takes:
            if take.picture.sha256 == picture.sha256:
                own, shown = f"Take-{take.number}", f"Panel-{numbers(board)[other.id]}"
                name = own if other is panel else shown if take.id == other.current else f"{shown}-{own}"
                return PanelReference(new_id(), picture, "composition", name)
    if known := next((one for one in _list_references(board) if one.picture.sha256 == picture.sha256), None):
        return PanelReference(new_id(), picture, known.role, known.name)
    return PanelReference(new_id(), picture, name=picture.name.removesuffix(".png"))


def _list_references(board: Board) -> Iterator[PanelReference]:
    """Those that have a name of their own."""
    return (one for panel in board.panels() for one in panel.references if one.member is None)


def find_takes(board: Board) -> set[str]:
    """The pictures that panels have as takes, by their sha256: their names are numbers."""
    return {take.picture.sha256 for panel in board.panels() for take in panel.takes}


def find_members(board: Board, prompt: str) -> list[Member]:
    """The members whose names the prompt mentions, in its order, each once."""
    names, text = [member.name for member in board.cast], unicodedata.normalize("NFC", prompt)
    places = [m.place for m in mentions.find(text, names) if m.place and not text[m.at + 1 : m.end].isdigit()]
    return [board.cast[place - 1] for place in dict.fromkeys(places)]


def rename_mentions(prompt: str, renamed: Mapping[str, str], names: Sequence[str] | mentions.Names) -> str:
    """The prompt with each mention of a name in `renamed` saying the new one; `names` are all that it can mention."""
    if "@" not in prompt:
        return prompt
    text = unicodedata.normalize("NFC", prompt)
    known = names if isinstance(names, mentions.Names) else mentions.Names(list(dict.fromkeys([*names, *renamed])))
    parts, position = [], 0
    for mention in mentions.find(text, known):
        old = text[mention.at + 1 : mention.end]
        name = known.name(mention.place) if mention.place and not old.isdigit() else ""
        if renamed.get(name) and renamed[name] != name:
            parts += [text[position : mention.at + 1], renamed[name]]
            position = mention.end
    return "".join(parts) + text[position:] if parts else prompt


def rename_in_panel(panel: Panel, renamed: Mapping[str, str], names: Sequence[str] | mentions.Names) -> Panel:
    """The panel with all of its words that can mention something renamed: see rename_mentions."""
    prompt, instruction = (rename_mentions(text, renamed, names) for text in (panel.prompt, panel.instruction))
    boxes = replace_words(panel.boxes, lambda words: rename_mentions(words, renamed, names))
    written = tuple(
        replace(one, own=rename_mentions(one.own, renamed, names), text=rename_mentions(one.text, renamed, names))
        for one in panel.written
    )
    return replace(panel, prompt=prompt, instruction=instruction, boxes=boxes, written=written)


def _require_free(name: str, names: NamesInUse) -> None:
    if name in names:
        raise Refused(f"The cast has a {name} already.", "Choose another name.")


def _with_cast(board: Board, cast: tuple[Member, ...]) -> Board:
    """The board with another cast; pictures of single panels give way where a name or colour is a member's now."""
    old = {member.id: member.name for member in board.cast}
    renamed = {old[member.id]: member.name for member in cast if member.id in old}
    after = replace(board, cast=cast)
    check_board(after)
    return _Following(board, after, renamed).settle()


class _Following:
    """Every panel with its references' names settled anew and its prompt following them and `renamed`.

    `named` is the board with the names as prompts say them.
    """

    def __init__(self, named: Board, board: Board, renamed: Mapping[str, str]):
        self.named, self.board, self.renamed = named, board, dict(renamed)
        self.before, self.after = ({member.id: member.name for member in one.cast} for one in (named, board))
        self.settler, self.known = Settler(board), mentions.Names(list(renamed))

    def settle(self) -> Board:
        scenes = zip(self.board.scenes, self.named.scenes, strict=True)
        return replace(self.board, scenes=tuple(self._settle_scene(*both) for both in scenes))

    def _settle_scene(self, scene: Scene, before: Scene) -> Scene:
        return replace(scene, panels=tuple(map(self._settle_panel, scene.panels, before.panels)))

    def _settle_panel(self, panel: Panel, before: Panel) -> Panel:
        references = self.settler.settle_references(panel.references)
        was = name_references(before.references, self.before)
        new_names = ChainMap(dict(zip(was, name_references(references, self.after), strict=True)), self.renamed)
        known = mentions.Names(was, self.known)
        after = rename_in_panel(replace(panel, references=references), new_names, known)
        if after == panel:
            return panel
        _check_prompt(after)
        return after


def _check_prompt(panel: Panel) -> None:
    """A longer name may make a prompt too long."""
    try:
        check_panel(panel)
    except Refused as error:
        raise Refused(error.message, "Choose a shorter name.") from error
