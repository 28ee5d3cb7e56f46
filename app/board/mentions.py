"""@1 ... @10 and @name in a prompt become "image 1": the words the models were trained on.

The number is the place of the picture in the list of references, which is also its place in the model.
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mlx_model.errors import RequestError

LIMIT = 10
# An "image " before the @ is swallowed, so that "image @1" does not become "image image 1".
MENTION = re.compile(r"(?P<escaped>\\@)|(?<![\w@.])(?:image\s+)?@(?=\w)", re.IGNORECASE)
WORD = re.compile(r"\w")
WORDS = re.compile(r"\w[\w-]*")
ESCAPE_HINT = r"Write \@ where you mean the sign itself."


@dataclass(frozen=True)
class Mention:
    r"""`text[start:end]` is a mention (or `\@`, then `place` and `error` are None); its sign stands at `at`.

    `place` is the number of the reference it names, from 1; where it names none, `error` says why.
    """

    start: int
    at: int
    end: int
    place: int | None = None
    error: RequestError | None = None


def find(text: str, names: Sequence[str]) -> Iterator[Mention]:
    """All mentions in `text` (in Unicode form NFC) in order, for compiling and for colouring: they can't disagree."""
    known, position = [_key(name) for name in names], 0
    for match in MENTION.finditer(text):
        if match.start() < position:
            continue
        mention = _mention(text, match, known, names)
        position = mention.end
        yield mention


def _mention(text: str, match: re.Match, known: list[str], names: Sequence[str]) -> Mention:
    start, at = match.start(), match.end() - 1
    if match["escaped"]:
        return Mention(start, at, match.end())
    try:
        number, end = _place(text, match.end(), known, names)
    except RequestError as error:
        word = WORDS.match(text, match.end())
        return Mention(start, at, word.end() if word else match.end(), error=error)
    return Mention(start, at, end, number)


def compile_prompt(prompt: str, names: Sequence[str], called: str = "image {}") -> str:
    r"""The prompt with each mention replaced; `names` are the references' names in their order.

    `called` is what the model calls a picture, {} for its number (ModelSpec.mention).

    A number is always a place, also where a reference is called by that number. Names match whole words, longest
    first, in any case. `\@` and the @ inside an e-mail address stay text.
    Raises RequestError for a number beyond the references, an unknown name or a name that two references share.
    """
    text = unicodedata.normalize("NFC", prompt)
    parts, position = [], 0
    for mention in find(text, names):
        if mention.error:
            raise mention.error
        parts += [text[position : mention.start], "@" if mention.place is None else called.format(mention.place)]
        position = mention.end
    return "".join(parts) + text[position:]


def _place(text: str, start: int, known: list[str], names: Sequence[str]) -> tuple[int, int]:
    """The reference mentioned at `start` and where the mention ends."""
    digits = re.compile(r"\d+(?!\w)").match(text, start)
    if digits:
        return _find_number(int(digits[0]), len(names)), digits.end()
    for name in sorted({name for name in known if name}, key=len, reverse=True):
        end = start + len(name)
        if _key(text[start:end]) == name and not WORD.match(text, end):
            return _unique(name, known), end
    word = WORDS.match(text, start)
    listed = ", ".join(f"@{name}" for name in names if name) or "none: no pictures are given"
    raise RequestError(f"@{word[0] if word else ''} names no picture.", f"The pictures are {listed}. {ESCAPE_HINT}")


def _find_number(number: int, count: int) -> int:
    if 1 <= number <= min(count, LIMIT):
        return number
    have = f"the pictures are @1 to @{min(count, LIMIT)}" if count else "no pictures are given"
    raise RequestError(f"@{number} names no picture: {have}.", ESCAPE_HINT)


def _unique(name: str, known: list[str]) -> int:
    if known.count(name) > 1:
        places = " or ".join(f"@{i}" for i, other in enumerate(known, 1) if other == name)
        raise RequestError(f"More than one picture is called {name}.", f"Say {places} instead.")
    return known.index(name) + 1


def _key(name: str) -> str:
    """Finder writes names decomposed and keyboards compose them: compare in one form. Lower keeps the length."""
    return "".join(c.lower() if len(c.lower()) == 1 else c for c in unicodedata.normalize("NFC", name))
