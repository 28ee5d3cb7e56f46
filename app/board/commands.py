"""Every change of a board: pure functions from Board to Board, which the window, the command line and tests share.

All raise Refused for what can't be done, also to what is no longer there; a ValueError is a fault of the caller (an
unknown field, an id for the second time). Where a command takes a place `at`, that is where the moved or new thing (the
first of them) ends up, counted from 0; None is the end.
The commands of the cast are in cast.py and can be called from here.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

from msgspec.structs import replace

from mlx_model.errors import Refused

from .cast import add_member, add_members, find_members, member_reference, refer_to, remove_member, set_member
from .data import (
    Board,
    Panel,
    PanelReference,
    Picture,
    Scene,
    Source,
    Take,
    find_id,
    free_colour,
    free_name,
    new_id,
    no_longer,
    reference_names,
)
from .rules import (
    Settler,
    change_fields,
    change_panels,
    check_board,
    check_panel,
    check_type,
    keep_take,
    settle_panel,
    settle_panels,
)
from .seen import find_ground, fits_mask, source_picture

__all__ = [
    "add_member", "add_members", "add_panel", "add_reference", "add_scene", "add_take", "apply_to_all", "choose_take",
    "continue_from", "duplicate_panels", "find_members", "free_colour", "free_name", "member_reference", "move_panels",
    "move_reference", "move_scene", "refer_to", "remove_member", "remove_panels", "remove_reference", "remove_scene",
    "remove_take", "set_board", "set_mask", "set_member", "set_panel", "set_reference", "set_scene",
    "set_take", "start_from_seen", "take_up_placed", "turn_to_take",
]  # fmt: skip
T = TypeVar("T")


# Scenes and the board itself


def set_board(board: Board, **changes: Any) -> Board:
    """title, aspect, fps, style, model, loras, sound."""
    board = change_fields(board, changes, fixed=("id", "schema", "cast", "scenes"))
    check_board(board)
    return board


def add_scene(board: Board, at: int | None = None, heading: str = "") -> Board:
    """A scene without panels."""
    scene = change_fields(Scene(new_id()), {"heading": heading})
    return _check(replace(board, scenes=_insert(board.scenes, [scene], at)))


def remove_scene(board: Board, scene_id: str) -> Board:
    """The scene with its panels; see remove_panels."""
    board = remove_panels(board, [panel.id for panel in _scene(board, scene_id).panels])
    return replace(board, scenes=tuple(scene for scene in board.scenes if scene.id != scene_id))


def move_scene(board: Board, scene_id: str, at: int) -> Board:
    """The scene to place `at`."""
    scene = _scene(board, scene_id)
    others = tuple(other for other in board.scenes if other.id != scene_id)
    return replace(board, scenes=_insert(others, [scene], at))


def set_scene(board: Board, scene_id: str, **changes: Any) -> Board:
    """heading."""
    return _with_scene(board, change_fields(_scene(board, scene_id), changes, fixed=("id", "panels")))


# Panels


def add_panel(board: Board, scene_id: str, at: int | None = None, panel: Panel | None = None) -> Board:
    """`panel`, or an empty one. One from another board loses the members and sources that this board doesn't have."""
    panel, scene = check_type(panel or Panel(new_id())), _scene(board, scene_id)
    if any(other.id == panel.id for other in board.panels()):
        raise ValueError(f"the board has a panel {panel.id}")
    check_panel(panel)
    panel = settle_panel(board, panel)
    return _check(_with_scene(board, replace(scene, panels=_insert(scene.panels, [panel], at))))


def remove_panels(board: Board, ids: Iterable[str]) -> Board:
    """The panels with their takes; what starts from one of them starts from nothing then."""
    gone = _find_panels(board, ids)
    kept = [replace(scene, panels=tuple(p for p in scene.panels if p.id not in gone)) for scene in board.scenes]
    board = replace(board, scenes=tuple(kept))
    return settle_panels(board, {panel.id for panel in board.panels() if panel.source.panel in gone})


def move_panels(board: Board, ids: Iterable[str], scene_id: str, at: int | None = None) -> Board:
    """The panels, in the board's order, to place `at` of a scene: the first of them is the scene's panel `at` then."""
    moved = _find_panels(board, ids)
    panels = [panel for panel in board.panels() if panel.id in moved]
    kept = [replace(scene, panels=tuple(p for p in scene.panels if p.id not in moved)) for scene in board.scenes]
    board = replace(board, scenes=tuple(kept))
    scene = _scene(board, scene_id)
    return _with_scene(board, replace(scene, panels=_insert(scene.panels, panels, at)))


def duplicate_panels(board: Board, ids: Iterable[str]) -> Board:
    """A copy of each panel with its takes, behind the last of them in its scene; copies start from copies."""
    wanted = _find_panels(board, ids)
    renamed = {panel_id: new_id() for panel_id in wanted}
    for scene in board.scenes:
        copies = [_copy(panel, renamed) for panel in scene.panels if panel.id in wanted]
        if copies:
            last = max(place for place, panel in enumerate(scene.panels) if panel.id in wanted)
            board = _with_scene(board, replace(scene, panels=_insert(scene.panels, copies, last + 1)))
    return _check(board)


def _copy(panel: Panel, renamed: dict[str, str]) -> Panel:
    """The panel with new ids throughout; `renamed` maps panels that are copied with it."""
    ids = {take.id: new_id() for take in panel.takes}
    takes = tuple(replace(t, id=ids[t.id], parent=ids.get(t.parent or "", t.parent)) for t in panel.takes)
    origin, start = panel.source.panel, panel.source.take
    source = replace(panel.source, panel=renamed.get(origin or "", origin), take=ids.get(start or ""))
    return replace(
        panel,
        id=renamed[panel.id],
        references=tuple(replace(reference, id=new_id()) for reference in panel.references),
        source=source,
        takes=takes,
        current=ids.get(panel.current or ""),
    )


def set_panel(board: Board, panel_id: str, **changes: Any) -> Board:
    """Any field but id, takes and current. Mask and what is placed belong to the source: another one drops them."""
    return set_panels(board, {panel_id: changes})


def set_panels(board: Board, changes: Mapping[str, Mapping[str, Any]]) -> Board:
    """By id what set_panel sets, of several panels at once."""
    _find_panels(board, changes)
    settler = Settler(board)

    def change(before: Panel) -> Panel:
        given = dict(changes[before.id])
        panel = change_fields(before, given, fixed=("id", "takes", "current"))
        if panel.source != before.source:
            panel = replace(panel, mask=given.get("mask"), placed=given.get("placed", ()))
        check_panel(panel)
        if panel.source.panel is not None and panel.source.panel not in settler.panel_ids:
            raise no_longer("panel")
        return settler.settle(panel)

    return change_panels(board, changes, change)


def set_mask(board: Board, panel_id: str, picture: Picture | None) -> Board:
    """The mask's picture, or none."""
    return set_panel(board, panel_id, mask=picture)


def start_from_seen(board: Board, panel_id: str, layers: bool = False) -> Board:
    """The next edit changes what a mask or (`layers`) a placed picture would lie on, see seen.find_ground.

    It is this take from then on, whichever is chosen later: what lies on one picture must not come to lie on another.
    A mask of its size is the same part of it.
    """
    panel = board.panel(panel_id)
    ground = find_ground(board, panel, layers)
    if ground is None or panel.find_take(ground.id) is None:
        return board
    same = source_picture(board, panel) == ground.picture
    mask = panel.mask if same or (panel.mask and fits_mask(panel.mask, ground.picture)) else None
    return set_panel(board, panel_id, source=Source("take", take=ground.id), mask=mask, placed=panel.placed)


def continue_from(board: Board, panel_id: str, new: str) -> Board:
    """A panel with the id `new` right behind that starts from this one's take and has its references."""
    panel, scene = board.panel(panel_id), board.scene_of(panel_id)
    follower = Panel(
        new,
        camera=panel.camera,
        seconds=panel.seconds,
        references=tuple(replace(reference, id=new_id()) for reference in panel.references),
        source=Source("panel", panel_id),
        seed=panel.seed,
        seed_locked=panel.seed_locked,
        settings=panel.settings,
    )
    place = [other.id for other in scene.panels].index(panel_id)
    board = _with_scene(board, replace(scene, panels=_insert(scene.panels, [follower], place + 1)))
    return _check(board)


def apply_to_all(board: Board, panel_ids: Iterable[str], instruction: str) -> Board:
    """Each panel's next render edits its own current take with `instruction`, without a mask.

    Panels without a take have nothing to edit and stay as they are. Raises Refused where that is all of them.
    """
    wanted = _find_panels(board, panel_ids)
    panels = [panel for panel in board.panels() if panel.id in wanted and panel.take]
    if not panels or not instruction.strip():
        raise Refused("An instruction for all needs words, and a panel with a take to edit.", "Render a panel first.")
    edit = {"instruction": instruction, "source": Source("take"), "mask": None, "placed": ()}
    return set_panels(board, {panel.id: edit for panel in panels})


# References


def add_reference(board: Board, panel_id: str, reference: PanelReference, at: int | None = None) -> Board:
    """The reference under a name and colour that are free in the panel.

    Raises Refused where the panel has as many as a panel can have, or this picture of the same member already.
    """
    panel, reference = board.panel(panel_id), check_type(reference)
    if any(other.id == reference.id for other in panel.references):
        raise ValueError(f"the panel has a reference {reference.id}")
    if reference.member is not None:
        board.member(reference.member)
        if any((r.member, r.picture.sha256) == (reference.member, reference.picture.sha256) for r in panel.references):
            raise Refused("The panel has this picture of the member already.", "Choose another picture of it.")
    return _with_checked_panel(board, replace(panel, references=_insert(panel.references, [reference], at)))


def remove_reference(board: Board, panel_id: str, reference_id: str) -> Board:
    """The others move up, in the model too."""
    panel, gone = board.panel(panel_id), _reference(board.panel(panel_id), reference_id)
    return _with_panel(board, replace(panel, references=tuple(r for r in panel.references if r != gone)))


def move_reference(board: Board, panel_id: str, reference_id: str, at: int) -> Board:
    """The reference to place `at`, which is its place in the model."""
    panel, moved = board.panel(panel_id), _reference(board.panel(panel_id), reference_id)
    others = tuple(reference for reference in panel.references if reference != moved)
    return _with_panel(board, replace(panel, references=_insert(others, [moved], at)))


def set_reference(board: Board, panel_id: str, reference_id: str, **changes: Any) -> Board:
    """picture, role, name, colour, member. A new name follows into the panel's prompt; it must be free.

    Setting a name or colour that the member of the cast decides is an error: see set_member.
    """
    panel = board.panel(panel_id)
    before = _reference(panel, reference_id)
    after = change_fields(before, changes)
    if after.member is not None and {"name", "colour"} & set(changes):
        raise Refused("It has its name and colour from the cast.", "Change them there.")
    references = tuple(after if reference.id == reference_id else reference for reference in panel.references)
    place, names = references.index(after), reference_names(board, panel)
    panel = settle_panel(board, replace(panel, references=references))
    if "name" in changes and panel.references[place].name != after.name:
        raise Refused(f"The name {after.name!r} is taken or is not one word.", "Choose another name.")
    return _with_checked_panel(board, _prompt_follows(panel, names, reference_names(board, panel)))


def _prompt_follows(panel: Panel, before: Sequence[str], after: Sequence[str]) -> Panel:
    from .cast import rename_in_panel

    return rename_in_panel(panel, dict(zip(before, after, strict=True)), before)


# Takes


def add_take(board: Board, panel_id: str, take: Take, make_current: bool = True) -> Board:
    """The result of a run; the first one is current in any case."""
    panel = board.panel(panel_id)
    if any(other.id == take.id for other in panel.takes):
        raise ValueError(f"the panel has a take {take.id}")
    return _with_checked_panel(board, keep_take(panel, check_type(take), make_current))


def choose_take(board: Board, panel_id: str, take_id: str) -> Board:
    """Make a take the current one."""
    panel = board.panel(panel_id)
    return _with_panel(board, replace(panel, current=_take(panel, take_id).id))


def turn_to_take(board: Board, panel_id: str, take_id: str) -> Board:
    """Choose a take, which the next change of the picture then starts from.

    Where something lies on another start, or the panel continues another one, that stays: nothing is lost by looking.
    """
    board = choose_take(board, panel_id, take_id)
    panel = board.panel(panel_id)
    if panel.source.kind != "take" or panel.mask or panel.placed:
        return board
    return set_panel(board, panel_id, source=Source("take"))


def set_take(board: Board, panel_id: str, take_id: str, **changes: Any) -> Board:
    """note, star; the rest of a take is what happened and stays."""
    panel = board.panel(panel_id)
    kept = tuple(name for name in Take.__struct_fields__ if name not in ("note", "star"))
    noted = change_fields(_take(panel, take_id), changes, fixed=kept)
    takes = tuple(noted if take.id == take_id else take for take in panel.takes)
    return _with_checked_panel(board, replace(panel, takes=takes))


def take_up_placed(board: Board, panel_id: str, take_id: str) -> Board:
    """Back to what a take was made from: its start, with what lay on that, and its words, to be changed once more.

    Raises Refused where the start is gone.
    """
    panel = board.panel(panel_id)
    take = _take(panel, take_id)
    if panel.find_take(take.parent):
        source = Source("take", take=take.parent)
    elif panel.source.panel and board.panel(panel.source.panel).find_take(take.parent):
        source = panel.source
    else:
        raise Refused("What this take was made from is no longer here.", "Undo brings a deleted take back.")
    return set_panel(board, panel_id, source=source, placed=take.placed, instruction=take.instruction)


def remove_take(board: Board, panel_id: str, take_id: str) -> Board:
    """Where it was the current one, the take before it is, or the one behind it. The picture stays in the package."""
    panel = board.panel(panel_id)
    place = panel.takes.index(_take(panel, take_id))
    takes = panel.takes[:place] + panel.takes[place + 1 :]
    current = panel.current
    if current == take_id:
        current = takes[max(0, place - 1)].id if takes else None
    return _with_checked_panel(board, replace(panel, takes=takes, current=current))


# How the tuples are changed


def _insert(items: Sequence[T], new: Sequence[T], at: int | None) -> tuple[T, ...]:
    at = len(items) if at is None else at
    if not 0 <= at <= len(items):
        raise Refused(f"There is no place {at} among {len(items)}.")
    return (*items[:at], *new, *items[at:])


def _check(board: Board) -> Board:
    check_board(board)
    return board


def _scene(board: Board, scene_id: str) -> Scene:
    return find_id(board.scenes, scene_id, "scene")


def _reference(panel: Panel, reference_id: str) -> PanelReference:
    return find_id(panel.references, reference_id, "reference")


def _take(panel: Panel, take_id: str) -> Take:
    return find_id(panel.takes, take_id, "take")


def _find_panels(board: Board, ids: Iterable[str]) -> set[str]:
    """The ids as a set. Raises Refused for one that is no panel."""
    wanted = {ids} if isinstance(ids, str) else set(ids)
    strange = wanted - {panel.id for panel in board.panels()}
    if strange:
        raise no_longer("panel")
    return wanted


def _with_scene(board: Board, scene: Scene) -> Board:
    return replace(board, scenes=tuple(scene if other.id == scene.id else other for other in board.scenes))


def _with_panel(board: Board, panel: Panel) -> Board:
    return change_panels(board, {panel.id}, lambda _: panel)


def _with_checked_panel(board: Board, panel: Panel) -> Board:
    check_panel(panel)
    if panel.source.panel is not None:
        board.panel(panel.source.panel)
    return _with_panel(board, settle_panel(board, panel))
