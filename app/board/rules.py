"""What a board may hold: limits that commands and files share, and repairs that keep references and names in order."""

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Container, Iterable
from functools import cached_property
from typing import Any, TypeVar

import msgspec
from msgspec.structs import replace

from mlx_model.errors import Refused
from mlx_model.request import LEAST_CROP, MAX_SEED, MAX_SIDE, MAX_STEPS, MAX_TEXT
from mlx_model.shortcuts import MOST_CHANGE

from .camera import Camera
from .data import (
    COLOURS,
    MAX_NAME,
    MAX_REFERENCES,
    Adapter,
    Board,
    Member,
    NamesInUse,
    Panel,
    PanelReference,
    Picture,
    Scene,
    Settings,
    Sound,
    Source,
    Take,
    free_colour,
    free_name,
)
from .picture import Crop, Placed
from .pose import JOINTS, LEAST, MOST, Figure

MAX_SCENES, MAX_PANELS, MAX_MEMBERS, MAX_TAKES = 2_000, 20_000, 1_000, 5_000
MAX_NUMBER = 10**9  # of a take
MAX_SECONDS = 3_600.0
MAX_LORAS, MAX_STRENGTH = 16, 20
MAX_PLACED = 100  # on one picture
MAX_FIGURES = 20  # of one pose
MAX_BOXES, MAX_WRITTEN = 50, 100  # of a panel
FAR, WIDE, TURNS = 10.0, 20.0, 3600.0  # of what is placed: its middle and its width in shares of the ground, degrees
COLOUR = re.compile(r"#[0-9A-Fa-f]{6}")
SHA256 = re.compile(r"[0-9a-f]{64}")
ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
S = TypeVar("S", bound=msgspec.Struct)


def change_fields(item: S, changes: dict[str, Any], fixed: tuple[str, ...] = ("id",)) -> S:
    """`item` with its fields changed. Raises ValueError for an unknown or fixed field.

    Refused for a value of the wrong type."""
    known = set(item.__struct_fields__) - set(fixed)
    strange = set(changes) - known
    if strange:
        raise ValueError(f"{type(item).__name__} has no {', '.join(sorted(strange))} to set; it has {sorted(known)}")
    clean = {key: _clean(value) if isinstance(value, str) else value for key, value in changes.items()}
    return check_type(replace(item, **clean))


def check_type(item: S) -> S:
    """`item` as a file would give it back (structs don't check types when made). Raises Refused."""
    try:
        return msgspec.json.decode(msgspec.json.encode(item), type=type(item))
    except (TypeError, ValueError) as error:
        raise Refused(f"That can't be part of a board: {error}.") from error


def _clean(text: str) -> str:
    """Half of a surrogate pair, which a text field can hand over, can't be written to any file."""
    return text.encode("utf-8", "replace").decode("utf-8") if not text.isascii() else text


def check_board(board: Board) -> None:
    """The board's own fields and how much is in it. Raises Refused."""
    _text(board.title, board.style, board.model or "")
    if not all(0 < side <= 10_000 for side in board.aspect):
        raise Refused("The aspect must be two numbers from 1 to 10000.", "Say a shape such as 16:9.")
    if not 1 <= board.fps <= 240:
        raise Refused(f"{board.fps} frames a second are out of range.", "Choose 1 to 240.")
    _check_loras(board.loras)
    if board.sound:
        _check_sound(board.sound)
    if len(board.scenes) > MAX_SCENES:
        raise Refused(f"A board has no more than {MAX_SCENES} scenes.", "Go on in another board.")
    if sum(len(scene.panels) for scene in board.scenes) > MAX_PANELS:
        raise Refused(f"A board has no more than {MAX_PANELS} panels.", "Go on in another board.")
    if len(board.cast) > MAX_MEMBERS:
        raise Refused(f"A cast has no more than {MAX_MEMBERS} members.", "Remove one first.")


def check_member(member: Member) -> None:
    """Raises Refused; that the name is unique is the board's affair."""
    if not is_name(member.name):
        raise Refused(f"{member.name!r} is not one word that a mention can say.", "Use letters, digits, - and _.")
    if not COLOUR.fullmatch(member.colour):
        raise Refused(f"{member.colour!r} is not a colour.", "Say it as #0072B2.")
    if len(member.pictures) > MAX_TAKES:
        raise Refused(f"A member has no more than {MAX_TAKES} pictures.", "Remove one first.")
    _text(member.notes)
    _check_loras(tuple(Adapter(one.lora, one.strength) for one in member.taught))
    for one in member.taught:
        _text(one.model, one.lora)
        if not is_name(one.word):
            raise Refused(f"{one.word!r} is not one word that a prompt can say.", "Teach it under another name.")
    for picture in member.pictures:
        check_picture(picture)


def check_panel(panel: Panel) -> None:
    """Everything about a panel that can be seen without its board. Raises Refused."""
    _text(panel.prompt, panel.instruction, panel.action, panel.dialogue, panel.notes)
    _check_camera(panel.camera)
    if not 0 < panel.seconds <= MAX_SECONDS:
        raise Refused(f"{panel.seconds} seconds are out of range.", f"A panel lasts up to {MAX_SECONDS:g} s.")
    if not 0 <= panel.seed <= MAX_SEED:
        raise Refused(f"The seed {panel.seed} is out of range.", f"Choose 0 to {MAX_SEED}.")
    if len(panel.references) > MAX_REFERENCES:
        raise Refused(f"A panel can't have more than {MAX_REFERENCES} references.", "Remove one first.")
    if len(panel.takes) > MAX_TAKES:
        raise Refused(f"A panel has no more than {MAX_TAKES} takes.", "Delete one first.")
    if (panel.source.kind == "panel") != (panel.source.panel is not None):
        raise Refused("A start from another panel must name that panel.")
    if panel.source.take is not None and panel.source.kind != "take":
        raise Refused("Only a start from the panel's own takes can name one of them.")
    if panel.source.panel == panel.id:
        raise Refused("A panel can't continue from itself.", "Start from its own take instead.")
    _check_settings(panel.settings)
    for reference in panel.references:
        check_reference(reference)
    for take in panel.takes:
        check_take(take)
    _check_placed(panel.placed)
    if len(panel.written) > MAX_WRITTEN:
        raise Refused(f"A panel keeps no more than {MAX_WRITTEN} texts that were written out.")
    _text(*(text for one in panel.written for text in (one.own, one.text)))
    if len(panel.boxes) > MAX_BOXES:
        raise Refused(f"A panel has no more than {MAX_BOXES} boxes.", "Remove one first.")
    for box in panel.boxes:
        _text(box.words)
        if not box.is_whole:  # which NaN is not
            raise Refused("A box must lie inside the picture.", "Draw it again.")
    if panel.mask:
        check_picture(panel.mask)


def check_reference(reference: PanelReference) -> None:
    """Raises Refused."""
    check_picture(reference.picture)
    if not COLOUR.fullmatch(reference.colour):
        raise Refused(f"{reference.colour!r} is not a colour.", "Say it as #0072B2.")
    if reference.crop:
        _check_crop(reference.crop, reference.picture)
    _check_figures(reference.figures)
    _text(reference.name)


def _check_figures(figures: tuple[Figure, ...]) -> None:
    if len(figures) > MAX_FIGURES:
        raise Refused(f"A pose has no more than {MAX_FIGURES} figures.", "Remove one first.")
    for figure in figures:
        if len(figure.joints) != len(JOINTS):
            raise Refused(f"A figure has {len(JOINTS)} joints, not {len(figure.joints)}.")
        near = all(abs(side) <= FAR for point in figure.joints for side in point)  # which NaN is not
        if not (near and 0.9 * LEAST <= figure.height <= 1.1 * MOST):
            raise Refused("A figure stands too far off its picture, or is too large.", "Move it nearer.")


def _check_crop(crop: Crop, picture: Picture) -> None:
    if not (0 <= crop.left < crop.right <= picture.width and 0 <= crop.top < crop.bottom <= picture.height):
        raise Refused("A crop must lie inside its picture.", "Crop it again.")
    if min(crop.size) < min(LEAST_CROP, picture.width, picture.height):
        raise Refused(f"A crop has at least {LEAST_CROP} pixels a side.", "Choose a larger part.")


def _check_placed(placed: tuple[Placed, ...]) -> None:
    if len(placed) > MAX_PLACED:
        raise Refused(f"No more than {MAX_PLACED} pictures can lie on another.", "Remove one first.")
    for one in placed:
        check_picture(one.picture)
        near = abs(one.x) <= FAR and abs(one.y) <= FAR and abs(one.angle) <= TURNS  # which NaN is not
        if not (near and 0 < one.width <= WIDE and 0 <= one.opacity <= 1):
            raise Refused("A picture lies too far off, or is too large, on another.", "Place it again.")


def check_take(take: Take) -> None:
    """Raises Refused."""
    check_picture(take.picture)
    _check_placed(take.placed)
    if take.composite:
        check_picture(take.composite)
    _text(take.request, take.model, take.made, take.note, take.instruction, take.parent or "")
    if not 0 <= take.seed <= MAX_SEED:
        raise Refused(f"The seed {take.seed} is out of range.", f"Choose 0 to {MAX_SEED}.")
    if not 0 <= take.number <= MAX_NUMBER:
        raise Refused(f"A take can't have the number {take.number}.")
    if not 0 <= take.seconds < math.inf:
        raise Refused(f"{take.seconds} seconds are out of range.")


def check_picture(picture: Picture) -> None:
    """Raises Refused; nothing but a hash may ever become the name of a file."""
    if not SHA256.fullmatch(picture.sha256):
        raise Refused(f"{picture.sha256[:80]!r} is not a sha256.")
    if min(picture.width, picture.height) <= 0:
        raise Refused("A picture without pixels can't be in a board.")
    if picture.width * picture.height > 10**9:
        raise Refused("A picture of more than 1000 megapixels can't be in a board.")
    _text(picture.name)


def _check_sound(sound: Sound) -> None:
    if not SHA256.fullmatch(sound.sha256):
        raise Refused(f"{sound.sha256[:80]!r} is not a sha256.")
    if not abs(sound.start) <= MAX_SECONDS * MAX_PANELS:
        raise Refused(f"A sound can't begin at {sound.start} seconds.")
    _text(sound.name)


def _check_settings(settings: Settings) -> None:
    if not (settings.steps is None or 1 <= settings.steps <= MAX_STEPS):
        raise Refused(f"{settings.steps} steps are out of range.", f"Choose 1 to {MAX_STEPS}.")
    guidance, strength = settings.guidance, settings.strength
    if not (guidance is None or 0 <= guidance <= 100):
        raise Refused(f"The guidance {guidance} is out of range.", "Choose 0 to 100.")
    if not (strength is None or 0 < strength <= 1):
        raise Refused(f"The strength {strength} is out of range.", "Choose above 0, up to 1.")
    if not (settings.step_cache is None or 0 < settings.step_cache <= MOST_CHANGE):
        raise Refused(f"A step cache of {settings.step_cache} is out of range.", "Choose above 0, up to 1.")
    for side in (settings.width, settings.height):
        if not (side is None or 16 <= side <= MAX_SIDE):
            raise Refused(f"{side} pixels are out of range.", f"Choose 16 to {MAX_SIDE}.")
    _text(settings.model or "")
    _check_loras(settings.loras or ())


def _check_loras(loras: tuple[Adapter, ...]) -> None:
    if len(loras) > MAX_LORAS:
        raise Refused(f"No more than {MAX_LORAS} LoRAs can be used together.", "Take one off first.")
    for lora in loras:
        if not (math.isfinite(lora.strength) and abs(lora.strength) <= MAX_STRENGTH):
            raise Refused(f"{lora.strength} is no strength for a LoRA.", f"Choose -{MAX_STRENGTH} to {MAX_STRENGTH}.")
        _text(lora.name)


def _check_camera(camera: Camera) -> None:
    _text(camera.shot, camera.angle, camera.move)
    if not all(frame is None or frame.fits for frame in (camera.begin, camera.end)):
        raise Refused("A frame of the camera must lie within the picture.", "Draw it inside.")


def _text(*texts: str) -> None:
    for text in texts:
        if len(text) > MAX_TEXT:
            raise Refused(f"A text has no more than {MAX_TEXT} characters.", "Shorten it.")


def is_name(name: str) -> bool:
    """Whether `@name` is one mention: a word of letters, digits, _ and -, not a number, composed (NFC)."""
    whole = re.fullmatch(r"\w[\w-]*", name) and unicodedata.is_normalized("NFC", name)
    return bool(whole) and not name.isdigit() and len(name) <= MAX_NAME + 10


def free_word(name: str, taken: NamesInUse) -> str:
    """`name` where a mention can say it and it is free, else free_name."""
    return name if is_name(name) and name not in taken else free_name(name, taken)


class Settler:
    """Fits panels into a board: every member, source panel and current take that one names exists.

    A reference to a member that is gone keeps its picture; names and colours are made free (see reference_names).
    """

    def __init__(self, board: Board):
        self.members = {member.id: member for member in board.cast}
        self.names = NamesInUse(member.name for member in board.cast)
        self.colours = Counter(member.colour for member in board.cast)
        self._board = board

    @cached_property
    def panel_ids(self) -> frozenset[str]:
        return frozenset(panel.id for panel in self._board.panels())

    def settle(self, panel: Panel) -> Panel:
        """The same object where all fits."""
        current = panel.current if panel.take else (panel.takes[-1].id if panel.takes else None)
        source, prompt = panel.source, panel.prompt
        if source.kind == "panel" and source.panel not in self.panel_ids:
            source, prompt = Source(), prompt or panel.instruction  # its words stay what it is made by
        if source.take is not None and panel.find_take(source.take) is None:
            source = Source("take")
        mask, placed = (panel.mask, panel.placed) if source == panel.source else (None, ())
        references, takes = self.settle_references(panel.references), number_takes(panel.takes)
        same = (current, source, references) == (panel.current, panel.source, panel.references) and takes is panel.takes
        changes = {"current": current, "source": source, "references": references, "prompt": prompt,
                   "mask": mask, "placed": placed, "takes": takes}  # fmt: skip
        return panel if same else replace(panel, **changes)

    def settle_references(self, references: Iterable[PanelReference]) -> tuple[PanelReference, ...]:
        """Names free of each other and of the cast, colours free of each other, members that exist."""
        members = self.members
        kept = [r if r.member is None or r.member in members else replace(r, member=None) for r in references]
        names = NamesInUse(beneath=self.names)
        colours = [members[r.member].colour for r in kept if r.member]
        done = []
        for reference in kept:
            if reference.member is None:
                name = free_word(reference.name or reference.picture.name.rsplit(".", 1)[0], names)
                taken = reference.colour in colours
                colour = free_colour(self.colours + Counter(colours)) if taken else reference.colour
                names.add(name)
                colours.append(colour)
                if (name, colour) != (reference.name, reference.colour):
                    reference = replace(reference, name=name, colour=colour)
            done.append(reference)
        return tuple(done)


def settle_panel(board: Board, panel: Panel) -> Panel:
    """One panel, see Settler."""
    return Settler(board).settle(panel)


def change_panels(board: Board, ids: Container[str], change: Callable[[Panel], Panel]) -> Board:
    """The board with `change` made to some panels; it is gone through once, however many these are."""

    def look(scene: Scene) -> Scene:
        if not any(panel.id in ids for panel in scene.panels):
            return scene
        return replace(scene, panels=tuple(change(panel) if panel.id in ids else panel for panel in scene.panels))

    return replace(board, scenes=tuple(map(look, board.scenes)))


def settle_panels(board: Board, ids: Container[str]) -> Board:
    """Some panels of the board, see Settler."""
    return change_panels(board, ids, Settler(board).settle)


def keep_take(panel: Panel, take: Take, show: bool) -> Panel:
    """The panel with one more take, which is its picture where `show` says so or it had none.

    Where it was an edit of the take that was current, the next try starts from that same take, not from its result.
    """
    source = panel.source
    if source == Source("take") and panel.find_take(take.parent):
        source = Source("take", take=take.parent)
    current = take.id if show or panel.current is None else panel.current
    return replace(panel, takes=number_takes((*panel.takes, take)), current=current, source=source)


def number_takes(takes: tuple[Take, ...]) -> tuple[Take, ...]:
    """Each with a number of its own, which it keeps when others are deleted; the same tuple where all have one."""
    if all(take.number for take in takes) and len({take.number for take in takes}) == len(takes):
        return takes
    last, taken = max((take.number for take in takes), default=0), {0}
    done = []
    for take in takes:
        if take.number in taken:
            last += 1
            take = replace(take, number=last)
        taken.add(take.number)
        done.append(take)
    return tuple(done)


def default_colour(colour: str) -> str:
    """`colour`, or where it is none, the first of COLOURS."""
    return colour if COLOUR.fullmatch(colour) else COLOURS[0]
