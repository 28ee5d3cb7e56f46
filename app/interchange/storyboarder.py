"""Wonder Unit's .storyboarder: JSON beside a folder `images` with a PNG for each layer.

Nothing outside the file's own folder is read, whatever the file says.
"""

from math import inf
from typing import Any

import numpy as np

from mlx_model.errors import FluxLocalError, RequestError
from mlx_model.foreign import parse_json

from ..board.data import ASPECTS, Board, Panel, Scene, new_id
from ..board.rate import choose_rate
from ..board.rules import MAX_PANELS
from ..pictures.images import open_layer
from .files import Source, find_beside, read_document
from .values import add_take, clean_line, decode, read_number, read_seconds, read_words

# From the bottom up; "main" is the picture itself, which older versions keep outside the layers.
ORDER = ("shot-generator", "reference", "main", "fill", "tone", "pencil", "ink", "notes", "guides", "composite")
FIELDS = {  # of a board, whether we use them or not
    "uid", "url", "shot", "number", "newShot", "lastEdited", "time", "duration", "dialogue", "action", "notes", "audio",
    "layers", "link", "sg", "thumbnail", "lineMileage", "suggestedDuration",
}  # fmt: skip
MOST, MOST_LAYERS = MAX_PANELS, 64


def load(source: Source) -> Board:
    """A board of one scene. Raises RequestError for a file that is no storyboard; lost pictures are noted."""
    found = _parse(source)
    boards = found.get("boards")
    if not isinstance(boards, list) or not all(isinstance(board, dict) for board in boards):
        raise RequestError(
            f"{source.path} holds no boards.", "Choose a scene's file in the project's storyboards folder."
        )
    if not 0 < len(boards) <= MOST:
        raise RequestError(f"{source.path} has {len(boards):,} boards.", f"From 1 to {MOST:,} can be imported.")
    usual = found.get("defaultBoardTiming")
    panels = tuple(_read_panel(board, number, usual, source) for number, board in enumerate(boards, 1))
    title = clean_line(source.path.stem) or "Untitled"
    return Board(
        new_id(), title, _read_aspect(found.get("aspectRatio"), source.aspect), _read_fps(found.get("fps")),
        scenes=(Scene(new_id(), "", panels),),
    )  # fmt: skip


def _parse(source: Source) -> dict[str, Any]:
    text = decode(read_document(source.path), source.path.name, source.notes)
    try:
        found = parse_json(text, absurd=inf)
    except ValueError as error:
        raise RequestError(f"{source.path} is damaged: {error}.", "Try one of its backups.") from error
    if not isinstance(found, dict):
        raise RequestError(f"{source.path} is not a Storyboarder file.", "Choose the .storyboarder file of a scene.")
    return found


def _read_aspect(ratio: object, otherwise: tuple[int, int]) -> tuple[int, int]:
    ratio = read_number(ratio)
    if ratio is None or not 0.1 <= ratio <= 10:
        return otherwise
    nearest = min(ASPECTS.values(), key=lambda aspect: abs(aspect[0] / aspect[1] - ratio))
    return nearest if abs(nearest[0] / nearest[1] - ratio) < 0.02 else (round(ratio * 100), 100)


def _read_fps(fps: object) -> int | float:
    rate = read_number(fps)
    return choose_rate(rate) if rate is not None and 1 <= rate <= 240 else 24


def _read_panel(board: dict[str, Any], number: int, usual: object, source: Source) -> Panel:
    where = f"Board {clean_line(board.get('shot'), 20) or number}"
    given = board.get("duration")
    given = usual if given is None or given == "" else given
    thousandth = read_number(given)  # of a second, as a number or, up to version 3.0, as text
    length = read_seconds(given if thousandth is None else thousandth / 1000, where, source.notes, given)
    words = read_words(board)
    _note_left_out(board, where, source.notes)
    words["prompt"] = words["action"].replace("@", r"\@")
    panel = Panel(new_id(), seconds=length, **words)
    pixels = _compose_picture(board, where, source)
    return panel if pixels is None else add_take(panel, pixels, clean_line(board.get("url")), source)


def _note_left_out(board: dict[str, Any], where: str, notes: list[str]) -> None:
    """Sounds, and words in fields that Storyboarder does not have."""
    sound = board.get("audio")
    if isinstance(sound, dict) and sound.get("filename"):
        notes.append(f"{where}: the sound {clean_line(sound['filename'], 80)} was left out.")
    for name, value in board.items():
        if name not in FIELDS and isinstance(value, str) and value.strip():
            notes.append(f"{where}: {clean_line(name, 40)} was left out: {clean_line(value, 300)}")


def _compose_picture(board: dict[str, Any], where: str, source: Source) -> np.ndarray | None:
    """The layers on white paper, (H, W, 3) uint8; None where none can be read."""
    page: np.ndarray | None = None
    layers = _list_layers(board)
    if len(layers) > MOST_LAYERS:
        source.notes.append(f"{where}: of {len(layers)} layers only the first {MOST_LAYERS} were read.")
    for name, opacity in layers[:MOST_LAYERS]:
        path = find_beside(source.path.parent, f"images/{name}")
        if path is None:
            if name != board.get("url"):  # newer versions name a flat picture that they do not write
                source.notes.append(f"{where}: the picture {name[:80]} is not in the folder images; it was left out.")
            continue
        try:
            page = _paint_over(page, open_layer(path), opacity)
        except FluxLocalError as error:
            source.notes.append(f"{where}: {error.message}")
    if page is None:
        source.notes.append(f"{where} has no picture.")
    return page


def _list_layers(board: dict[str, Any]) -> list[tuple[str, float]]:
    """(file name, opacity) from the bottom up; layers that we don't know go on top."""
    given = board.get("layers")
    layers = {str(key): value for key, value in given.items()} if isinstance(given, dict) else {}
    layers["main"] = {"url": board.get("url")}
    known = [key for key in ORDER if key in layers]
    found = []
    for key in [*known, *(key for key in layers if key not in known and key != "onion")]:
        layer = layers[key]
        if isinstance(layer, dict) and isinstance(layer.get("url"), str):
            opacity = read_number(layer.get("opacity"))
            found.append((layer["url"], opacity if opacity is not None and 0 <= opacity <= 1 else 1.0))
    return found


def _paint_over(page: np.ndarray | None, layer: np.ndarray, opacity: float) -> np.ndarray:
    """What is clear of `layer` lets the page through."""
    if page is None:
        page = np.full((*layer.shape[:2], 3), 255, np.uint8)
    if page.shape[:2] != layer.shape[:2]:
        return page  # layers of a board have one size; another is a stray file
    alpha = layer[..., 3:].astype(np.float32) / 255.0
    shown = alpha * layer[..., :3] + (1.0 - alpha) * page
    mixed: np.ndarray = np.clip(np.rint(page + opacity * (shown - page)), 0, 255).astype(np.uint8)
    return mixed
