"""What a language model wrote out of the artist's words. It stays beside them and is never put in their place."""

from __future__ import annotations

from collections.abc import Iterable

from .picture import Struct

KEPT = 4  # of a panel: its description and its instruction, and what these were before


class Written(Struct, frozen=True):
    """`own` are the artist's words, `text` what was made of them; `used`: pictures are made by it.

    It counts while the panel says `own`: other words count by themselves.
    """

    own: str
    text: str
    used: bool = True


def find_written(written: Iterable[Written], own: str) -> Written | None:
    """What was written out of these words, used or not."""
    return next((one for one in written if one.own.strip() == own.strip()), None)


def put_one(written: Iterable[Written], new: Written) -> tuple[Written, ...]:
    """With `new` in the place of what was written out of the same words."""
    others = [one for one in written if one.own.strip() != new.own.strip()]
    return (*others[1 - KEPT :], new)
