"""The commands of the cast, and what its names mean in prompts. Called through commands.py."""

import unicodedata
from collections.abc import Iterable, Mapping
from typing import Any

from msgspec.structs import replace

from mlx_model.errors import Refused

from . import mentions
from .data import Board, Member, Panel, PanelReference, Scene, new_id, reference_names
from .rules import change_fields, check_board, check_member, check_panel, check_type, settle_references


def add_member(board: Board, member: Member) -> Board:
    """Raises Refused where the name is taken or is not one word (storyboard.free_name gives one that is free)."""
    return add_members(board, [member])


def add_members(board: Board, members: Iterable[Member]) -> Board:
    """Several at once: quicker than one by one, for every panel is looked at. Raises Refused as add_member."""
    cast = board.cast
    for member in members:
        if any(other.id == member.id for other in cast):
            raise ValueError(f"the board has a member {member.id}")
        cast = (*cast, _check_in_cast(replace(board, cast=cast), check_type(member)))
    return _with_cast(board, cast)


def set_member(board: Board, member_id: str, **changes: Any) -> Board:
    """name, role, colour, pictures, notes. A new name is put into all prompts that mention the old one."""
    before = board.member(member_id)
    after = _check_in_cast(board, change_fields(before, changes))
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
    before = {panel.id: reference_names(board, panel) for panel in board.panels()}
    board = replace(board, scenes=scenes, cast=tuple(other for other in board.cast if other.id != member_id))
    return _settle_again(board, before, {other.name: other.name for other in board.cast})


def member_reference(member: Member, place: int = 0) -> PanelReference:
    """A panel's reference to picture `place` of the member. Raises Refused where it has no such picture."""
    if not 0 <= place < len(member.pictures):
        raise Refused(
            f"{member.name} has {len(member.pictures)} pictures, none at {place}.", "Add one to the cast member."
        )
    picture = member.pictures[place]
    return PanelReference(new_id(), picture, member.role, member.name, member.colour, member.id)


def find_members(board: Board, prompt: str) -> list[Member]:
    """The members whose names the prompt mentions, in its order, each once."""
    names, text = [member.name for member in board.cast], unicodedata.normalize("NFC", prompt)
    places = [m.place for m in mentions.find(text, names) if m.place and not text[m.at + 1 : m.end].isdigit()]
    return [board.cast[place - 1] for place in dict.fromkeys(places)]


def rename_mentions(prompt: str, renamed: Mapping[str, str], names: Iterable[str]) -> str:
    """The prompt with each mention of a name in `renamed` saying the new one; `names` are all that it can mention."""
    known, text = [name for name in dict.fromkeys([*names, *renamed]) if name], unicodedata.normalize("NFC", prompt)
    parts, position = [], 0
    for mention in mentions.find(text, known):
        old = text[mention.at + 1 : mention.end]
        name = known[mention.place - 1] if mention.place and not old.isdigit() else ""
        if renamed.get(name) and renamed[name] != name:
            parts += [text[position : mention.at + 1], renamed[name]]
            position = mention.end
    return "".join(parts) + text[position:] if parts else prompt


def _check_in_cast(board: Board, member: Member) -> Member:
    check_member(member)
    if any(o.id != member.id and o.name.casefold() == member.name.casefold() for o in board.cast):
        raise Refused(f"The cast has a {member.name} already.", "Choose another name.")
    return member


def _with_cast(board: Board, cast: tuple[Member, ...]) -> Board:
    """The board with another cast; pictures of single panels give way where a name or colour is a member's now."""
    before = {panel.id: reference_names(board, panel) for panel in board.panels()}
    old = {member.id: member.name for member in board.cast}
    renamed = {old[member.id]: member.name for member in cast if member.id in old}
    board = replace(board, cast=cast)
    check_board(board)
    return _settle_again(board, before, renamed)


def _settle_again(board: Board, before: Mapping[str, list[str]], renamed: Mapping[str, str]) -> Board:
    """Every panel with its references' names settled anew and its prompt following them and `renamed`."""
    return replace(board, scenes=tuple(_settle_scene_again(board, scene, before, renamed) for scene in board.scenes))


def _settle_scene_again(
    board: Board, scene: Scene, before: Mapping[str, list[str]], renamed: Mapping[str, str]
) -> Scene:
    panels = []
    for panel in scene.panels:
        settled = replace(panel, references=settle_references(board, panel.references))
        was, now = before[panel.id], reference_names(board, settled)
        new_names = {**renamed, **dict(zip(was, now, strict=True))}
        prompt = rename_mentions(panel.prompt, new_names, [*was, *renamed])
        if (prompt, settled) != (panel.prompt, panel):
            panel = replace(settled, prompt=prompt)
            _check_prompt(panel)
        panels.append(panel)
    return replace(scene, panels=tuple(panels))


def _check_prompt(panel: Panel) -> None:
    """A longer name may make a prompt too long."""
    try:
        check_panel(panel)
    except Refused as error:
        raise Refused(error.message, "Choose a shorter name.") from error
