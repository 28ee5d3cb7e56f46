"""What a board holds. Plain immutable data: every change makes a new Board (commands.py), so undo is keeping the old.

Pictures are named by the sha256 of their file, whose bytes live in the package's blobs (app/fluxboard). Ids are short
random strings that never change and are never used again. Order is the order of the tuples.
"""

from __future__ import annotations

import re
import secrets
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from fractions import Fraction
from itertools import count
from typing import Literal, Protocol, TypeVar, get_args

from mlx_model.errors import Refused

from .camera import Camera
from .heading import OWN_NUMBER, letters
from .picture import Crop, Placed, Struct
from .picture import Picture as Picture  # so that what a board holds is found here
from .pose import Figure
from .regions import Region
from .written import Written, find_written

SCHEMA = 2
ASPECTS: dict[str, tuple[int, int]] = {
    "16:9": (16, 9), "2.39:1": (239, 100), "1.85:1": (185, 100), "4:3": (4, 3), "1:1": (1, 1), "9:16": (9, 16),
}  # fmt: skip
Role = Literal["character", "prop", "place", "style", "pose", "composition", "edges", "depth", "layout"]
ROLES: tuple[Role, ...] = get_args(Role)
# One per reference of a panel, told apart in light and dark and by most colour-blind people (after Okabe and Ito).
COLOUR_NAMES = {
    "#0072B2": "blue", "#E69F00": "orange", "#009E73": "green", "#CC79A7": "pink", "#D55E00": "vermilion",
    "#56B4E9": "sky", "#B8A800": "yellow", "#7F5FC0": "violet", "#8C564B": "brown", "#6B7A8F": "grey",
}  # fmt: skip
COLOURS = tuple(COLOUR_NAMES)
DEFAULT_SECONDS = 2.0
MAX_NAME = 40
MAX_REFERENCES = 10  # of a panel: what the largest model looks at, and how many colours can be told apart


def new_id() -> str:
    """12 random hexadecimal digits."""
    return secrets.token_hex(6)


class Taught(Struct, frozen=True):
    """A LoRA of the library in which a model, by its name, has learned the member; `word` calls it."""

    model: str
    lora: str
    word: str
    strength: float = 1.0


class Member(Struct, frozen=True):
    """Somebody or something of the cast; any prompt mentions it as @name (one word, unique in the board)."""

    id: str
    name: str
    role: Role = "character"
    colour: str = COLOURS[0]
    pictures: tuple[Picture, ...] = ()
    notes: str = ""
    taught: tuple[Taught, ...] = ()


class PanelReference(Struct, frozen=True):
    """A picture the model looks at for one panel. Its place in Panel.references is its place in the model.

    `member` names the cast member it came from; its name and colour are the member's then. Else `name` (one word,
    unique in the panel) and `colour` are its own.
    """

    id: str
    picture: Picture
    role: Role = "character"
    name: str = ""
    colour: str = COLOURS[0]
    member: str | None = None
    crop: Crop | None = None  # the part that the model looks at; None: all of it
    figures: tuple[Figure, ...] = ()  # that its picture was drawn of, to be posed anew
    map: Picture | None = None  # the depth map made of its picture, which the model gets where the role is depth


class Source(Struct, frozen=True):
    """What a panel starts from: nothing ("blank"), a take of its own ("take"), another panel's current one ("panel").

    `take` is the id of its own; None is the current one, whichever that is when the run begins.
    """

    kind: Literal["blank", "take", "panel"] = "blank"
    panel: str | None = None
    take: str | None = None


class Take(Struct, frozen=True):
    """One result of a panel, kept for good; `request` is the whole request as JSON (mlx_model.request)."""

    id: str
    picture: Picture
    request: str
    model: str
    made: str  # ISO 8601, UTC
    seed: int
    seconds: float = 0.0  # that it took to make
    note: str = ""  # such as "imported"
    parent: str | None = None  # id of the take that it was made from, of any panel; it may be gone
    instruction: str = ""  # the artist's words that it was made by
    star: bool = False
    placed: tuple[Placed, ...] = ()  # what lay on the picture that it was made from, to go back to
    composite: Picture | None = None  # both together, as the model saw them
    number: int = 0  # what it is called by in its panel, and keeps; 0: not in one yet


class Sound(Struct, frozen=True):
    """The sound under the board: sha256 of a file in blobs/, what it was called, when it begins, in seconds."""

    sha256: str
    name: str = ""
    start: float = 0.0


class Adapter(Struct, frozen=True):
    """A LoRA of the library by its name, and how strongly it counts."""

    name: str
    strength: float = 1.0


class Settings(Struct, frozen=True):
    """How a panel is rendered; None is the board's or the model's own value."""

    model: str | None = None
    steps: int | None = None
    guidance: float | None = None
    strength: float | None = None
    width: int | None = None
    height: int | None = None
    loras: tuple[Adapter, ...] | None = None
    step_cache: float | None = None  # approximate; None is off
    region: bool = False  # with a mask: only what it repaints is computed; approximate


class Panel(Struct, frozen=True):
    id: str
    prompt: str = ""  # the description: what is seen
    action: str = ""
    dialogue: str = ""
    notes: str = ""
    camera: Camera = Camera()
    seconds: float = DEFAULT_SECONDS
    references: tuple[PanelReference, ...] = ()
    source: Source = Source()
    instruction: str = ""  # what the next edit is to change
    placed: tuple[Placed, ...] = ()  # on the picture that the next edit starts from
    boxes: tuple[Region, ...] = ()  # what is to be where, for models that read boxes
    mask: Picture | None = None  # grey PNG, white = repaint; its size: seen.mask_size
    seed: int = 0
    seed_locked: bool = False
    settings: Settings = Settings()
    takes: tuple[Take, ...] = ()
    current: str | None = None  # id of a take
    in_place: bool = False  # whether where its scene is, by the heading, is added to the description
    written: tuple[Written, ...] = ()  # what a language model made of the artist's words

    @property
    def take(self) -> Take | None:
        """The current take."""
        return self.find_take(self.current)

    @property
    def own_words(self) -> str:
        """The artist's: the instruction of an edit where it has one, else the description."""
        return getattr(self, self.words_field).strip() or self.prompt

    @property
    def written_out(self) -> Written | None:
        """What is used in place of them."""
        return one if (one := find_written(self.written, self.own_words)) and one.used else None

    @property
    def words(self) -> str:
        """What its next picture is made by."""
        return self.written_out.text.strip() if self.written_out else self.own_words

    @property
    def words_field(self) -> Literal["prompt", "instruction"]:
        """Which of its texts the artist writes for the next picture."""
        return "prompt" if self.source.kind == "blank" else "instruction"

    @property
    def caption(self) -> str:
        """What it is called in one line."""
        return self.action or self.prompt or self.instruction

    def find_take(self, take_id: str | None) -> Take | None:
        """None where it has none of that id."""
        return next((take for take in self.takes if take.id == take_id), None)


class Scene(Struct, frozen=True):
    id: str
    heading: str = ""
    panels: tuple[Panel, ...] = ()


class Board(Struct, frozen=True):
    id: str
    title: str = "Untitled"
    aspect: tuple[int, int] = (16, 9)
    fps: int | float = 24  # whole where it is; 24000 / 1001 for what is called 23.976
    style: str = ""  # added to the prompt of every panel
    model: str | None = None  # the name of a model or the path of its folder; None: the default model
    loras: tuple[Adapter, ...] = ()  # of every panel that names none of its own
    cast: tuple[Member, ...] = ()
    scenes: tuple[Scene, ...] = ()
    sound: Sound | None = None
    schema: int = SCHEMA

    @property
    def rate(self) -> Fraction:
        """Frames a second, exactly."""
        return Fraction(self.fps).limit_denominator(1001)

    def panels(self) -> Iterator[Panel]:
        """All panels in order."""
        for scene in self.scenes:
            yield from scene.panels

    def panel(self, panel_id: str) -> Panel:
        """Raises Refused where it is not there."""
        return find_id(self.panels(), panel_id, "panel")

    def member(self, member_id: str) -> Member:
        """Raises Refused where it is not there."""
        return find_id(self.cast, member_id, "cast member")

    def scene_of(self, panel_id: str) -> Scene:
        """Raises Refused where it is not there."""
        for scene in self.scenes:
            if any(panel.id == panel_id for panel in scene.panels):
                return scene
        raise no_longer("panel")

    def before(self, panel_id: str) -> Panel | None:
        """The panel in front of this one, over the borders of scenes."""
        earlier = None
        for panel in self.panels():
            if panel.id == panel_id:
                return earlier
            earlier = panel
        raise no_longer("panel")


class _Named(Protocol):
    @property
    def id(self) -> str: ...


N = TypeVar("N", bound=_Named)


def find_id(items: Iterable[N], wanted: str, kind: str) -> N:
    """The one with the id. Raises Refused, calling it a `kind`."""
    for item in items:
        if item.id == wanted:
            return item
    raise no_longer(kind)


def no_longer(kind: str) -> Refused:
    """What is said of an id that isn't there: what had it was deleted meanwhile, by an undo perhaps."""
    return Refused(f"That {kind} is no longer in the board.", "It was deleted, or undone, meanwhile.")


def reference_names(board: Board, panel: Panel) -> list[str]:
    """What a prompt calls each reference of the panel, in order: the member's name or the reference's own.

    "" for a further picture of a member that is there already: only its number names it (as in seen.py).
    """
    return name_references(panel.references, {member.id: member.name for member in board.cast})


def name_references(references: Iterable[PanelReference], members: Mapping[str, str]) -> list[str]:
    """See reference_names; `members`: id -> name."""
    names: list[str] = []
    for reference in references:
        name = members.get(reference.member or "", reference.name)
        names.append("" if name in names else name)
    return names


class NamesInUse:
    """Names that differ in case only count as the same; `beneath` are further ones, which stay as they are."""

    def __init__(self, names: Iterable[str] = (), beneath: NamesInUse | None = None):
        self._names, self._beneath = {name.casefold() for name in names}, beneath
        self._numbers: dict[str, int] = {}  # the last that each word got, so that the next need not count again

    def __contains__(self, name: str) -> bool:
        return name.casefold() in self._names or (self._beneath is not None and name in self._beneath)

    def add(self, name: str) -> None:
        self._names.add(name.casefold())

    def number(self, word: str) -> str:
        """The word, or with the first number from 2 on that is free."""
        while word in self:
            stem = word
            number = self._numbers[stem] = self._numbers.get(stem, 1) + 1
            if f"{stem}-{number}" not in self:
                return f"{stem}-{number}"
        return word


def free_name(wanted: str, taken: Iterable[str] | NamesInUse, empty: str = "picture") -> str:
    """`wanted` as one word that a mention can say and nothing in `taken` is called: spaces become -, a number is added.

    Names that differ in case only count as the same.
    """
    word = "-".join(re.findall(r"\w+", unicodedata.normalize("NFC", wanted)))[:MAX_NAME].rstrip("-") or empty
    word = f"{empty}-{word}" if word.isdigit() else word
    return (taken if isinstance(taken, NamesInUse) else NamesInUse(taken)).number(word)


def free_colour(taken: Iterable[str] | Counter[str]) -> str:
    """The first of COLOURS that is used least."""
    used = Counter(taken)
    return min(COLOURS, key=used.__getitem__)


def pictures(board: Board) -> Iterator[Picture]:
    """Every picture that the board names, some of them several times."""
    for member in board.cast:
        yield from member.pictures
    for panel in board.panels():
        yield from list_pictures(panel)


def list_pictures(panel: Panel) -> Iterator[Picture]:
    """Every picture that a panel names, some of them several times."""
    for reference in panel.references:
        yield from (reference.picture, reference.map) if reference.map else (reference.picture,)
    yield from (one.picture for one in panel.placed)
    for take in panel.takes:
        yield take.picture
        yield from (one.picture for one in take.placed)
        if take.composite:
            yield take.composite
    if panel.mask:
        yield panel.mask


def blobs(board: Board) -> dict[str, Picture | Sound]:
    """Every file that the board names, once: by its sha256."""
    found: dict[str, Picture | Sound] = {picture.sha256: picture for picture in pictures(board)}
    return found | ({board.sound.sha256: board.sound} if board.sound else {})


def scene_numbers(board: Board) -> dict[str, str]:
    """Scene id -> "12A" where its heading ends in #12A#, as a script numbers it, else its place; each only once."""
    found: dict[str, str] = {}
    taken: set[str] = set()
    for scene in board.scenes:
        own = OWN_NUMBER.search(scene.heading)
        if own and own[1].upper() not in taken:
            found[scene.id] = own[1].upper()
            taken.add(found[scene.id])
    last = 0  # up to here all are taken
    for place, scene in enumerate(board.scenes, 1):
        if scene.id not in found:
            last = next(n for n in count(max(place, last + 1)) if str(n) not in taken)
            found[scene.id] = str(last)
    return found


def numbers(board: Board) -> dict[str, str]:
    """Panel id -> "1A": scene number, then a letter; after Z come AA, AB ... In scene 12A it is "12A.A"."""
    scenes = scene_numbers(board)
    return {
        panel.id: f"{number}{'' if number[-1].isdigit() else '.'}{letters(place)}"
        for scene, number in ((scene, scenes[scene.id]) for scene in board.scenes)
        for place, panel in enumerate(scene.panels)
    }


def new_board(title: str = "Untitled", aspect: tuple[int, int] = (16, 9)) -> Board:
    """One scene with one empty panel."""
    return Board(new_id(), title, aspect, scenes=(Scene(new_id(), panels=(Panel(new_id()),)),))
