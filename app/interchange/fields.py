"""Values from other programs, made into what a board may hold; what had to be changed is noted."""

from math import isfinite

from ..board.data import ANGLES, DEFAULT_SECONDS, MOVES, SHOTS, Camera
from ..board.rules import MAX_SECONDS


def seconds(value: object, where: str, notes: list[str]) -> float:
    """A length that is longer than nothing and at most an hour; DEFAULT_SECONDS where the file gives none."""
    if value is None or value == "":
        return DEFAULT_SECONDS
    try:
        number = float(str(value).replace(",", "."))
    except (ValueError, OverflowError):
        number = 0.0
    if isfinite(number) and 0 < number <= MAX_SECONDS:
        return number
    notes.append(f"{where} has no usable length ({str(value)[:40]}); it got {DEFAULT_SECONDS:g} seconds.")
    return DEFAULT_SECONDS


def camera(given: Camera, where: str, notes: list[str]) -> Camera:
    """The words that we know, in any case; others are dropped with a note."""
    return Camera(
        _known(given.shot, SHOTS, where, notes),
        _known(given.angle, ANGLES, where, notes),
        _known(given.move, MOVES, where, notes),
    )


def _known(word: str, words: tuple[str, ...], where: str, notes: list[str]) -> str:
    found = next((known for known in words if known.lower() == word.lower()), None)
    if found is None:
        notes.append(f"{where}: the camera's {word[:40]!r} is not one of {', '.join(filter(None, words))}.")
    return found or ""
