"""board.json: bytes from anywhere into a board that every command can work with, and back.

Nothing is believed: sizes are bounded before anything is built, types are checked strictly, numbers and hashes are in
range. What can be put right without losing anything (ids used twice, a source that is gone) is repaired and told.
"""

import re
import secrets
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from typing import Any

import msgspec
from msgspec.structs import asdict, replace

from mlx_model.errors import BoardError, Refused, say_reason
from mlx_model.foreign import parse_json

from ..board.data import SCHEMA, Board, Member, NamesInUse, Panel, PanelReference, Scene, Take
from ..board.rate import choose_rate
from ..board.rules import ID, Settler, check_board, check_member, check_panel, default_colour, free_word

RATE = re.compile(r"([0-9]{1,9})/([0-9]{1,9})", re.ASCII)
MAX_RATE = 10_000
MAX_BYTES = 64 * 1024 * 1024
MAX_OBJECTS = 1_000_000  # counted as opening braces, before anything is built
OLDER = "It was written by an older version of Flux Local. Once it is saved, that version can't open it any more."
NEWER = "Update Flux Local to open it. Nothing was changed."
DAMAGED = "Go back to a restore point, or take the file from a backup."


class NewerBoard(BoardError):
    """Written by a newer version: whole, and not to be replaced by anything older."""


class _Stored(Board, frozen=True):
    """As the file has it: a rate that is not whole is an exact fraction, such as "24000/1001"."""

    fps: int | str = 24  # type: ignore[assignment]


class _Header(msgspec.Struct):
    schema: int = 0


def encode(board: Board) -> bytes:
    """board.json, each panel on a line. Raises BoardError for a board that could not be read again."""
    return Encoder()(board)


class Encoder:
    """encode() for one state of a board after the other: only panels that are new are checked and written out.

    Panels are immutable, so the same object is the same text. Those of the last board are remembered.
    """

    def __init__(self) -> None:
        self._known: dict[int, tuple[Panel, msgspec.Raw]] = {}

    def __call__(self, board: Board) -> bytes:
        try:
            check_board(board)
            for member in board.cast:
                check_member(member)
            self._known = {id(panel): self._one(panel) for panel in board.panels()}
            fps = board.fps if isinstance(board.fps, int) else str(board.rate)
            return msgspec.json.encode({**asdict(board), "fps": fps, "scenes": self._scenes(board)})
        except Refused as error:
            raise BoardError(
                f"The board can't be saved. {error.message}", "Undo the last step and try again."
            ) from error
        except (ValueError, TypeError) as error:
            raise BoardError(f"The board can't be saved: {error}.", "Undo the last step and try again.") from error

    def _one(self, panel: Panel) -> tuple[Panel, msgspec.Raw]:
        known = self._known.get(id(panel))  # the panel is kept with its text, so no other can have its id
        if known is None:
            check_panel(panel)
            known = (panel, msgspec.Raw(b"\n" + msgspec.json.encode(panel)))
        return known

    def _scenes(self, board: Board) -> list[dict[str, Any]]:
        return [
            {"id": s.id, "heading": s.heading, "panels": [self._known[id(panel)][1] for panel in s.panels]}
            for s in board.scenes
        ]


def decode(data: bytes, name: str = "board.json") -> tuple[Board, list[str]]:
    """The board and what had to be repaired. Raises BoardError saying why `data` is no board."""
    try:
        board, repairs = _decode_typed(data, name)
        check_board(board)  # how much there is, before anything is done for each of it
        board = _repair(board, repairs)
        check(board)
    except Refused as error:
        raise BoardError(f"{name} is damaged or not a board. {error.message}", DAMAGED) from error
    except BoardError:
        raise
    except (ValueError, TypeError, OverflowError) as error:
        reason = "a number in it is out of all bounds" if "out of range" in str(error) else say_reason(error)
        raise BoardError(f"{name} is damaged or not a board: {reason}.", DAMAGED) from error
    except RecursionError as error:
        raise BoardError(f"{name} is not a board: it is nested too deeply.", DAMAGED) from error
    return board, repairs


def check(board: Board) -> None:
    """All limits of a whole board. Raises Refused."""
    check_board(board)
    for member in board.cast:
        check_member(member)
    for panel in board.panels():
        check_panel(panel)


def _decode_typed(data: bytes, name: str) -> tuple[Board, list[str]]:
    if len(data) > MAX_BYTES or data.count(b"{") > MAX_OBJECTS:
        raise BoardError(f"{name} is too large to be a board.", DAMAGED)
    schema = msgspec.json.decode(data, type=_Header).schema
    if schema > SCHEMA:
        raise NewerBoard(f"{name} was written by a newer version of Flux Local (schema {schema}).", NEWER)
    if schema < 1:
        raise BoardError(f"{name} is not a board: it has no schema version.", DAMAGED)
    if schema == SCHEMA:
        return _read_rate(msgspec.json.decode(data, type=_Stored)), []
    plain = migrate(msgspec.json.decode(data, type=dict), schema)
    return _read_rate(msgspec.convert(plain, _Stored)), [OLDER]


def _read_rate(stored: _Stored) -> Board:
    """Raises ValueError for what is no rate."""
    values = {name: getattr(stored, name) for name in Board.__struct_fields__}
    if isinstance(stored.fps, str):
        rate = RATE.fullmatch(stored.fps)
        if rate is None or not int(rate[2]):
            raise ValueError(f"{stored.fps[:20]!r} is no frame rate")
        values["fps"] = choose_rate(int(rate[1]) / int(rate[2]))
    return Board(**values)


def migrate(plain: dict[str, Any], schema: int) -> dict[str, Any]:
    """Plain data of an older schema as today's. Raises ValueError where the data is not what its schema says."""
    try:
        for migration in MIGRATIONS[schema - 1 :]:
            plain = migration(plain)
    except (KeyError, AttributeError, IndexError, TypeError) as error:
        raise ValueError(f"it does not hold what schema {schema} says: {say_reason(error)}") from error
    return {**plain, "schema": SCHEMA}


def _divide_words(plain: dict[str, Any]) -> dict[str, Any]:
    """Schema 1 had one text for description and instruction, takes without parents, and rates as decimals."""
    panels = [panel for scene in plain.get("scenes", ()) for panel in scene.get("panels", ())]
    takes = {take["picture"]["sha256"]: take["id"] for panel in panels for take in panel.get("takes", ())}
    for panel in panels:
        if panel.get("source", {}).get("kind", "blank") != "blank":
            panel["instruction"], panel["prompt"] = panel.get("prompt", ""), ""
        for take in panel.get("takes", ()):
            take |= _find_origin(take, takes)
    fps = plain.get("fps", 24)
    exact = isinstance(fps, float) and 0 < fps < MAX_RATE
    return {**plain, "fps": str(Fraction(fps).limit_denominator(1001)) if exact else fps}


def _find_origin(take: dict[str, Any], takes: dict[str, str]) -> dict[str, Any]:
    """What its request says of it: the words as the model got them, and the take that it changed, which had no name."""
    try:
        request = parse_json(take.get("request", ""))
    except ValueError:
        return {}
    words = request.get("prompt", "") if isinstance(request, dict) else ""
    first = next(iter(_list_references(request)), {})
    parent = None if first.get("name") else takes.get(str(first.get("sha256", "")))
    return {"instruction": words if isinstance(words, str) else "", "parent": parent if parent != take["id"] else None}


def _list_references(request: object) -> Iterator[dict[str, Any]]:
    given = request.get("references") if isinstance(request, dict) else None
    yield from (one for one in given if isinstance(one, dict)) if isinstance(given, list) else ()


# MIGRATIONS[n] turns the plain data of schema n + 1 into that of schema n + 2.
MIGRATIONS: list[Callable[[dict[str, Any]], dict[str, Any]]] = [_divide_words]


def _repair(board: Board, repairs: list[str]) -> Board:
    ids = _Ids(repairs)
    board = ids.one(board, "board")
    board = replace(board, cast=_name_members(ids.all(board.cast, "cast member"), repairs))
    scenes = ids.all(board.scenes, "scene")
    board = replace(board, scenes=tuple(_scene(scene, ids) for scene in scenes))
    return _settle_panels(board, repairs)


class _Ids:
    """Makes every id of a kind its own: the first keeps it, a later one gets a new one."""

    def __init__(self, repairs: list[str]):
        self.repairs = repairs
        self.seen: set[tuple[str, Any]] = set()

    def all(self, items: Iterable, kind: str) -> tuple:
        return tuple(self.one(item, kind) for item in items)

    def one(self, item: Any, kind: str) -> Any:
        if ID.fullmatch(item.id) and (kind, item.id) not in self.seen:
            self.seen.add((kind, item.id))
            return item
        self.repairs.append(f"A {kind} had an id that was taken or odd, and got a new one.")
        return self.one(replace(item, id=secrets.token_hex(6)), kind)


def _scene(scene: Scene, ids: _Ids) -> Scene:
    return replace(scene, panels=tuple(_panel(panel, ids) for panel in ids.all(scene.panels, "panel")))


def _panel(panel: Panel, ids: _Ids) -> Panel:
    references: tuple[PanelReference, ...] = ids.all(panel.references, "reference")
    references = tuple(replace(r, colour=default_colour(r.colour)) for r in references)
    takes: tuple[Take, ...] = ids.all(panel.takes, "take")
    return replace(panel, references=references, takes=takes)


def _name_members(cast: tuple[Member, ...], repairs: list[str]) -> tuple[Member, ...]:
    """Names that a mention can say, each once, and colours that are colours."""
    done: list[Member] = []
    taken = NamesInUse()
    for member in cast:
        name = free_word(member.name, taken)
        taken.add(name)
        if name != member.name:
            repairs.append(f"The cast member {member.name[:80]!r} is called {name} now.")
        done.append(replace(member, name=name, colour=default_colour(member.colour)))
    return tuple(done)


def _settle_panels(board: Board, repairs: list[str]) -> Board:
    """Every panel with what it names in place, see rules.Settler."""
    settler, scenes = Settler(board), []
    for scene in board.scenes:
        panels = tuple(map(settler.settle, scene.panels))
        for before, after in zip(scene.panels, panels, strict=True):
            repairs += _describe_repairs(before, after)
        scenes.append(replace(scene, panels=panels))
    return replace(board, scenes=tuple(scenes))


def _describe_repairs(before: Panel, after: Panel) -> list[str]:
    told = []
    if before.source != after.source:
        told.append("A panel started from a panel that is gone; it starts from nothing now.")
    if before.current != after.current:
        told.append("A panel's current take was gone; it shows its last one now.")
    if [r.member for r in before.references] != [r.member for r in after.references]:
        told.append("A reference came from a cast member that is gone; it keeps its picture.")
    return told
