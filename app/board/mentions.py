"""@1 ... @10 and @name in a prompt become "image 1": the words the models were trained on.

The number is the place of the picture in the list of references, which is also its place in the model.
"""

import re
import unicodedata
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice

from mlx_model.errors import RequestError

LIMIT = 10
# An "image " before the @ is swallowed, so that "image @1" does not become "image image 1".
MENTION = re.compile(r"(?P<escaped>\\@)|(?<![\w@.])(?:image\s+)?@(?=\w)", re.IGNORECASE)
WORD = re.compile(r"\w")
WORDS = re.compile(r"\w[\w-]*")
DIGITS = re.compile(r"\d+")
LISTED, LONGEST = 20, 80  # names and characters that a message shows
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


class Names:
    """What a prompt may mention, by place from 1, ready to be looked up; `further` names come behind these.

    `hidden`: keys of `further` (see make_key) that can't be said here. `offered`: names that would mean a picture if
    they were said, for the hint alone.
    """

    def __init__(
        self,
        names: Sequence[str],
        further: "Names | None" = None,
        hidden: Container[str] = (),
        offered: Sequence[str] = (),
    ):
        self.names, self.further, self.hidden, self.offered = names, further, hidden, offered
        self.places: dict[str, list[int]] = {}
        for place, name in enumerate(names, 1):
            if name:
                self.places.setdefault(make_key(name), []).append(place)
        self.lengths = sorted({len(key) for key in self.places}, reverse=True)

    def match(self, keys: str, start: int, hidden: Container[str] = ()) -> tuple[str, list[int]] | None:
        """The longest name at `start` of a text's `keys` and its places; only whole words count."""
        other = self.further.match(keys, start, self.hidden) if self.further else None
        for length in self.lengths:
            if other and len(other[0]) > length:
                break
            key = keys[start : start + length]
            if key in self.places and key not in hidden and not WORD.match(keys, start + length):
                return key, self.places[key]
        return (other[0], [len(self.names) + place for place in other[1]]) if other else None

    def name(self, place: int) -> str:
        """The name at `place`."""
        behind = place - len(self.names)
        return self.further.name(behind) if self.further and behind > 0 else self.names[place - 1]

    @cached_property
    def hint(self) -> str:
        """Which pictures there are, for a mention of none."""
        said = dict.fromkeys(islice(self._list(), LISTED + 1))
        known = [f"@{name}" for name in said]
        more = ", ..." if len(known) > LISTED else ""
        there = f"There are {', '.join(known[:LISTED])}{more}." if known else "There is no picture to mention."
        return f"{there} {ESCAPE_HINT}"

    def _list(self) -> Iterator[str]:
        """What may be said: the names, of those without one the number, and what comes behind these."""
        yield from (name or str(place) for place, name in enumerate(self.names[:LIMIT], 1))
        behind = self.further.names if self.further else self.offered
        yield from (name for name in behind if name and make_key(name) not in self.hidden)


def find(text: str, names: Sequence[str] | Names) -> Iterator[Mention]:
    """All mentions in `text` (in Unicode form NFC) in order, for compiling and for colouring: they can't disagree."""
    if "@" not in text:
        return  # with every letter that is typed; what is not ASCII is lowered letter by letter
    known = names if isinstance(names, Names) else Names(names)
    keys, position = _lower(text), 0
    for match in list_signs(text):
        if match.start() < position:
            continue
        mention = _mention(text, keys, match, known)
        position = mention.end
        yield mention


def list_signs(text: str) -> Iterator[re.Match]:
    """MENTION.finditer(text), looked for only where an @ stands: of long texts a hundred times as fast."""
    at = text.find("@")
    while at >= 0:
        space = at
        while space and text[space - 1].isspace():
            space -= 1
        for start in (max(0, space - len("image")), max(0, at - 1), at):
            match = MENTION.match(text, start)
            if match and match.end() == at + 1:
                yield match
                break
        at = text.find("@", at + 1)


def _mention(text: str, keys: str, match: re.Match, names: Names) -> Mention:
    start, at = match.start(), match.end() - 1
    if match["escaped"]:
        return Mention(start, at, match.end())
    try:
        number, end = _place(text, keys, match.end(), names)
    except RequestError as error:
        word = WORDS.match(text, match.end())
        return Mention(start, at, word.end() if word else match.end(), error=error)
    return Mention(start, at, end, number)


def compile_prompt(prompt: str, names: Sequence[str] | Names, called: str | Sequence[str] = "image {}") -> str:
    r"""The prompt with each mention replaced; `names` are the references' names in their order.

    `called` is what the model calls a picture, {} for its number (ModelSpec.mention), or what it calls each.

    A number is always a place, also where a reference is called by that number. Names match whole words, longest
    first, in any case. `\@` and the @ inside an e-mail address stay text.
    Raises RequestError for a number beyond the references, an unknown name or a name that two references share.
    """
    text = unicodedata.normalize("NFC", prompt)
    parts, position = [], 0
    for mention in find(text, names):
        if mention.error:
            raise mention.error
        parts += [text[position : mention.start], "@" if mention.place is None else _call(called, mention.place)]
        position = mention.end
    return "".join(parts) + text[position:]


def _call(called: str | Sequence[str], place: int) -> str:
    return called.format(place) if isinstance(called, str) else called[place - 1]


def _place(text: str, keys: str, start: int, names: Names) -> tuple[int, int]:
    """The reference mentioned at `start` and where the mention ends."""
    digits = DIGITS.match(text, start)
    if digits and not WORD.match(text, digits.end()):
        return _find_number(digits[0], len(names.names)), digits.end()
    if found := names.match(keys, start):
        return _unique(*found), start + len(found[0])
    word = WORDS.match(text, start)
    raise RequestError(f"@{_shorten(word[0]) if word else ''} names no picture.", names.hint)


def _find_number(digits: str, count: int) -> int:
    number = int(digits) if len(digits) < 10 else 10**9
    if 1 <= number <= min(count, LIMIT):
        return number
    have = f"the pictures are @1 to @{min(count, LIMIT)}" if count else "no pictures are given"
    raise RequestError(f"@{number if len(digits) < 10 else _shorten(digits)} names no picture: {have}.", ESCAPE_HINT)


def _unique(name: str, places: list[int]) -> int:
    if len(places) > 1:
        told = " or ".join(f"@{place}" for place in places[:LISTED])
        raise RequestError(f"More than one picture is called {name}.", f"Say {told} instead.")
    return places[0]


def _shorten(word: str) -> str:
    return word if len(word) <= LONGEST else f"{word[:LONGEST]}..."


def make_key(name: str) -> str:
    """Finder writes names decomposed and keyboards compose them: compare in one form. Lower keeps the length."""
    return _lower(unicodedata.normalize("NFC", name))


def _lower(text: str) -> str:
    return text.lower() if text.isascii() else "".join(c.lower() if len(c.lower()) == 1 else c for c in text)
