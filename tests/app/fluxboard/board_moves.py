"""Everything an artist can do to a board, by chance: for tests that do a thousand of them."""

import hashlib
from collections.abc import Callable, Sequence
from typing import Any

from app.board import commands
from app.board.data import (
    ASPECTS,
    ROLES,
    Board,
    Camera,
    Member,
    Panel,
    PanelReference,
    Picture,
    Settings,
    Source,
    Take,
    free_colour,
    free_name,
    new_id,
)

Pick = Callable[[Sequence], Any]
WORDS = ("gull", "owl", "VR headset", "Bär", "gull-red", "7", "a bar", "猫", "@gull", "x" * 60, "", "gull's \\@ @owl-2")
MOVES: dict[str, Callable[[Board, Pick], Board]] = {}


def move(function):
    MOVES[function.__name__] = function
    return function


def picture(pick: Pick) -> Picture:
    """One of eight pictures."""
    number = pick(range(8))
    return Picture(hashlib.sha256(bytes([number])).hexdigest(), 64 + number, 64, f"{pick(WORDS)}.png")


def take(pick: Pick) -> Take:
    return Take(new_id(), picture(pick), '{"prompt": "é"}', "mini", "2026-01-01T00:00:00Z", pick(range(9)), 1.5)


def text(pick: Pick) -> str:
    return " ".join(f"{pick(('', '@'))}{pick(WORDS)}" for _ in range(pick(range(4))))


def any_panel(board: Board, pick: Pick) -> Panel | None:
    panels = list(board.panels())
    return pick(panels) if panels else None


def some_panels(board: Board, pick: Pick) -> list[str]:
    panels = [panel.id for panel in board.panels()]
    return list(dict.fromkeys(pick(panels) for _ in range(pick(range(1, 4))))) if panels else []


def place(items: Sequence, pick: Pick) -> int:
    return pick(range(len(items) + 1))


def reference(board: Board, pick: Pick) -> PanelReference:
    members = [member for member in board.cast if member.pictures]
    if members and pick((True, False)):
        member = pick(members)
        return commands.member_reference(member, pick(range(len(member.pictures))))
    return PanelReference(new_id(), picture(pick), pick(ROLES), pick(WORDS))


@move
def board(board, pick):
    return commands.set_board(
        board, title=pick(WORDS), style=text(pick), aspect=pick(list(ASPECTS.values())), fps=pick((12, 24, 60))
    )


@move
def scene(board, pick):
    return commands.add_scene(board, place(board.scenes, pick), pick(WORDS)) if len(board.scenes) < 6 else board


@move
def scene_gone(board, pick):
    return commands.remove_scene(board, pick(board.scenes).id) if len(board.scenes) > 1 else board


@move
def scene_moved(board, pick):
    return commands.move_scene(board, pick(board.scenes).id, pick(range(len(board.scenes))))


@move
def heading(board, pick):
    return commands.set_scene(board, pick(board.scenes).id, heading=text(pick))


@move
def panel(board, pick):
    if len(list(board.panels())) > 30:
        return panels_gone(board, pick)
    scene = pick(board.scenes)
    return commands.add_panel(board, scene.id, place(scene.panels, pick), Panel(new_id(), prompt=text(pick)))


@move
def panels_gone(board, pick):
    return commands.remove_panels(board, some_panels(board, pick))


@move
def panels_moved(board, pick):
    ids, scene = some_panels(board, pick), pick(board.scenes)
    others = [panel for panel in scene.panels if panel.id not in ids]
    return commands.move_panels(board, ids, scene.id, place(others, pick))


@move
def panels_copied(board, pick):
    return commands.duplicate_panels(board, some_panels(board, pick)) if len(list(board.panels())) < 30 else board


@move
def words(board, pick):
    one = any_panel(board, pick)
    field = pick(("prompt", "action", "dialogue", "notes"))
    return commands.set_panel(board, one.id, **{field: text(pick)}) if one else board


@move
def source(board, pick):
    one, other = any_panel(board, pick), any_panel(board, pick)
    sources = [Source(), Source("take")] + ([Source("panel", other.id)] if one != other else [])
    return commands.set_panel(board, one.id, source=pick(sources)) if one else board


@move
def numbers(board, pick):
    one = any_panel(board, pick)
    if one is None:
        return board
    given = {"guidance": pick((None, 0, 3.5)), "step_cache": pick((None, 0.1, 1))}
    settings = Settings(steps=pick((None, 1, 50)), width=pick((None, 512)), **given)
    values = {"seed": pick((0, 2**64 - 1)), "seconds": pick((0.04, 2, 90.5)), "camera": Camera(pick(WORDS))}
    return commands.set_panel(board, one.id, settings=settings, **values)


@move
def mask(board, pick):
    one = any_panel(board, pick)
    return commands.set_mask(board, one.id, pick((None, picture(pick)))) if one else board


@move
def continued(board, pick):
    one = any_panel(board, pick)
    return commands.continue_from(board, one.id, new_id()) if one and len(list(board.panels())) < 30 else board


@move
def applied(board, pick):
    ids = [panel.id for panel in board.panels() if panel.take]
    return commands.apply_to_all(board, ids, "make it night") if ids else board


@move
def member(board, pick):
    if len(board.cast) > 12:
        return member_gone(board, pick)
    name = free_name(pick(WORDS), [other.name for other in board.cast])
    colour = free_colour(other.colour for other in board.cast)
    pictures = tuple(picture(pick) for _ in range(pick(range(3))))
    return commands.add_member(board, Member(new_id(), name, pick(ROLES), colour, pictures))


@move
def member_gone(board, pick):
    return commands.remove_member(board, pick(board.cast).id) if board.cast else board


@move
def member_renamed(board, pick):
    if not board.cast:
        return board
    one = pick(board.cast)
    name = free_name(pick(WORDS), [other.name for other in board.cast if other != one])
    return commands.set_member(board, one.id, name=name, notes=pick(WORDS))


@move
def referenced(board, pick):
    one, new = any_panel(board, pick), reference(board, pick)
    there = one and (new.member, new.picture.sha256) in {(r.member, r.picture.sha256) for r in one.references}
    if one is None or len(one.references) == 10 or (there and new.member):
        return board
    return commands.add_reference(board, one.id, new, place(one.references, pick))


def with_references(board: Board) -> list[Panel]:
    return [panel for panel in board.panels() if panel.references]


@move
def unreferenced(board, pick):
    panels = with_references(board)
    one = pick(panels) if panels else None
    return commands.remove_reference(board, one.id, pick(one.references).id) if one else board


@move
def reference_moved(board, pick):
    panels = with_references(board)
    one = pick(panels) if panels else None
    if one is None:
        return board
    return commands.move_reference(board, one.id, pick(one.references).id, pick(range(len(one.references))))


@move
def reference_changed(board, pick):
    panels = with_references(board)
    one = pick(panels) if panels else None
    return commands.set_reference(board, one.id, pick(one.references).id, role=pick(ROLES)) if one else board


@move
def taken(board, pick):
    one = any_panel(board, pick)
    return commands.add_take(board, one.id, take(pick), pick((True, False))) if one else board


def with_takes(board: Board) -> list[Panel]:
    return [panel for panel in board.panels() if panel.takes]


@move
def chosen(board, pick):
    panels = with_takes(board)
    one = pick(panels) if panels else None
    return commands.choose_take(board, one.id, pick(one.takes).id) if one else board


@move
def take_gone(board, pick):
    panels = with_takes(board)
    one = pick(panels) if panels else None
    return commands.remove_take(board, one.id, pick(one.takes).id) if one else board
