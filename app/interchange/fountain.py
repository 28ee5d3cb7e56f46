"""Fountain 1.1 (fountain.io/syntax): scenes, action, dialogue, scene numbers, notes, sections and synopses.

Read line by line, in time that grows with the length of the script and nothing else, whatever is left unclosed.
"""

import re
from collections.abc import Iterator

from ..board.data import Board
from .files import Source, read_document
from .script import Element, build_board
from .values import clean, clean_line, decode

HEADING = re.compile(r"(?:INT\.?/EXT|EXT\.?/INT|INT|EXT|EST|I\.?/E|E\.?/I)[. \t]", re.IGNORECASE)
OTHER_TONGUES = re.compile(  # not in Fountain's description, but in scripts; only in capitals
    r"(?:ИНТ|НАТ|ЭКСТ|INNEN|AU(?:SS|ẞ|ß)EN|(?:INT|EXT)[EÉ]RIEUR|INTERIOR|EXTERIOR|INTERNO|ESTERNO)(?:[./]|\s+[-–—/])|"
    r"[内內外]景[\s.．。、·]"
)
NUMBER = re.compile(r"#([^#\n]{1,20})#\s*$")
STARS = re.compile(r"(?<!\\)(\*{1,3})(?=\S)([^*\n]{1,300})(?<=[^\s\\])\1")
# Not inside words, names of files and addresses.
LINES = re.compile(r"(?<![\w\\/.:@&=?#-])_(?=\S)((?:[^_\n]|(?<=\w)_(?=\w)){1,300})(?<=[^\s\\])_(?![\w/@&=-])")
ESCAPED = re.compile(r"\\([*_\\])")
TRANSITION = re.compile(r"[^\n]{0,80}\bTO:|FADE (?:IN|OUT)[.:]?")
PAGE_BREAK = re.compile(r"={3,}\s*$")
INSIDE = re.compile(r"#+\s+\S|=(?!=)\s*\S")  # a section or synopsis among other lines
SYNOPSIS = re.compile(r"=(?!=)")
NOTE = "\ufdd0"  # stands where a note was; no text holds it, as clean takes it out
CUT = 80  # characters that a note shows of what was left out


def load(source: Source) -> Board:
    """A board of the script. Raises RequestError for a file that is no text or holds nothing."""
    text = clean(decode(read_document(source.path), source.path.name, source.notes), longest=1 << 30)
    text, cut = _take_out(text, "/*", "*/", "")
    for passage in cut:
        source.notes.append(f"Commented out with /* */, and left out: {_shorten(passage)}")
    text, notes = _take_out(text, "[[", "]]", NOTE)
    title, lines = split_title_page(text.split("\n"), source.notes, NOTE)
    return build_board(source, _strip_marks(title), _Reader(notes).read(lines))


def _shorten(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= CUT else f"{text[:CUT]}… ({len(text.split())} words)"


def _take_out(text: str, opening: str, closing: str, mark: str) -> tuple[str, list[str]]:
    """`text` with `mark` for what stands between opening and closing, over lines and blank lines; and what stood there.

    An opening that is never closed is text. A passage with a blank line in it that ends
    its line ends its paragraph too; a line that holds nothing else is no blank line.
    """
    parts, found, place = [], [], 0
    seek = str.rfind if mark else str.find  # a note left open may not swallow the next one
    while (end := text.find(closing, place)) >= 0:
        start = seek(text, opening, place, end)
        if start < 0 or end < start + len(opening):
            parts.append(text[place : end + len(closing)])
            place = end + len(closing)
            continue
        inside = text[start + len(opening) : end]
        before, place = text[place:start], end + len(closing)
        alone = (not before or before.endswith("\n")) and text[place : place + 1] in ("\n", "")
        parts.append(before + mark)
        if alone and not mark:
            place += 1
        if "\n\n" in inside and (alone or text[place : place + 1] == "\n"):
            parts.append("\n")
        found.append(inside)
    return "".join([*parts, text[place:]]), found


def _strip_marks(text: str) -> str:
    """Without the marks of bold, italic and underlined; `***` may stand around `_`."""
    if not any(mark in text for mark in "*_\\"):
        return text.strip()
    for _ in range(2):
        text = LINES.sub(r"\1", STARS.sub(r"\2", text))
    return ESCAPED.sub(r"\1", text).strip()


class _Reader:
    """Lines to elements; `notes` are those that NOTE stands for, in order."""

    def __init__(self, notes: list[str]):
        self.notes = iter(notes)

    def read(self, lines: list[str]) -> Iterator[Element]:
        """Blocks are separated by blank lines; a line of two spaces keeps a dialogue open."""
        block: list[str] = []
        for line in [*lines, ""]:
            if line.strip() or (line == "  " and block and _is_character(block)):
                block.append(line.rstrip() or " ")
            elif block:
                yield from self._read_block(block)
                block = []

    def _read_block(self, block: list[str]) -> Iterator[Element]:
        """One paragraph, with its notes and synopses after it; page breaks stand for nothing."""
        notes = [note for line in block for note in self._list_notes(line)]
        lines = [line.replace(NOTE, "") for line in block if line.strip(f"{NOTE} \t") or line == " "]
        lines = [line for line in lines if not PAGE_BREAK.match(line.strip())]
        yield from _read_paragraphs(lines)
        for note in notes:
            yield Element("note", note)

    def _list_notes(self, line: str) -> list[str]:
        found = [_strip_marks(next(self.notes, "")) for _ in range(line.count(NOTE))]
        return [note for note in found if note]


def _read_paragraphs(lines: list[str]) -> Iterator[Element]:
    """Headings, sections and synopses need no blank line after them; what follows is one action or one speech."""
    rest: list[str] = []
    for line in [*lines, None]:
        inside = bool(rest) and not (len(rest) == 1 and _is_transition(rest[0].strip(), 1))
        found = _read_leading(line.strip(), inside) if line is not None else []
        if found is None:
            rest.append(line or "")
            continue
        if any(map(str.strip, rest)):
            yield from _read_paragraph(rest)
        rest = []
        yield from found


def _read_paragraph(lines: list[str]) -> Iterator[Element]:
    if _is_transition(lines[0].strip(), len(lines)):
        yield Element("transition", _strip_marks(lines[0].strip().lstrip("> ")))
    elif _is_character(lines):
        yield from _read_speech(lines)
    else:
        yield Element("action", _strip_marks("\n".join(_read_action_line(line) for line in lines)))


def _read_leading(text: str, inside: bool) -> list[Element] | None:
    """What a line of its own kind stands for. None: it is another line, as most are `inside` a paragraph."""
    if inside and not INSIDE.match(text):
        return None
    if _is_heading(text):
        return [_read_heading(text)]
    if text.startswith("#"):
        return [Element("section", _strip_marks(text.strip("# ")))] if text.strip("# ") else []
    if SYNOPSIS.match(text):
        return [Element("synopsis", _strip_marks(text.lstrip("= ")))] if text.strip("= ") else []
    return None


def _is_heading(text: str) -> bool:
    bare = text.lstrip("*_")
    known = HEADING.match(bare) or OTHER_TONGUES.match(bare)
    return bool(known) or (text.startswith(".") and text[1:2].isalnum())


def _read_heading(text: str) -> Element:
    whole = _strip_marks(text.removeprefix("."))
    number = NUMBER.search(whole)
    heading = whole[: number.start()] if number else whole
    return Element("heading", heading.strip(), number[1].strip() if number else "")


def _is_transition(text: str, lines: int) -> bool:
    forced = text.startswith(">") and not text.endswith("<")
    return lines == 1 and (forced or (text == text.upper() and bool(TRANSITION.fullmatch(text))))


def _is_character(lines: list[str]) -> bool:
    """Capitals above another line, or @ in front; (V.O.) and (cont'd) may be in any case."""
    name = lines[0].replace(NOTE, "").strip()
    if len(lines) < 2 or len(name) > 80 or name.startswith(("!", ">", "~")):
        return False
    bare = re.sub(r"\([^)]{0,100}\)|\^\s*$", "", name)
    return name.startswith("@") or (bare == bare.upper() and any(c.isupper() for c in bare))


def _read_speech(lines: list[str]) -> Iterator[Element]:
    yield Element("character", _strip_marks(lines[0].strip().removeprefix("@").rstrip("^ ")))
    for line in lines[1:]:
        text = line.strip()
        if text:
            kind = "parenthetical" if text.startswith("(") and text.endswith(")") else "dialogue"
            yield Element(kind, _strip_marks(text.removeprefix("~")))


def _read_action_line(line: str) -> str:
    text = line.strip()
    if text.startswith(">") and text.endswith("<"):
        return text[1:-1].strip()
    return text.removeprefix("!").removeprefix("~")


TITLE_LINE = re.compile(r"([^\W\d_][\w .'/&-]{0,40}):[ \t]*(.*)$")
SCENE_START = re.compile(r"(?:INT|EXT|EST|I/E)[. ]", re.IGNORECASE)
TITLE_KEYS = frozenset((
    "title", "credit", "author", "authors", "writer", "writers", "written by", "source", "based on", "draft",
    "draft date", "date", "contact", "contact info", "copyright", "notes", "revision", "version", "episode", "series",
    "subtitle", "logline", "font", "header", "footer", "watermark", "format", "language", "tl", "tc", "tr", "cc", "bl",
    "br",
))  # fmt: skip


def split_title_page(lines: list[str], notes: list[str], mark: str) -> tuple[str, list[str]]:
    """The title, and the lines after the title page where there is one; what else the page says goes to `notes`.

    Lines that hold `mark` only may stand before it, and stay among the lines.
    """
    start = next((number for number, line in enumerate(lines) if line.strip(f"{mark} \t")), 0)
    page = _read_page(lines[start:])
    if not TITLE_KEYS & {key.lower() for key, _ in page}:
        return "", lines
    used = sum(len(values) for _, values in page)
    title = next((value for key, values in page if key.lower() == "title" for value in values if value.strip()), "")
    if rest := _list_rest(page, title):
        notes.append(f"The title page also says, and a board has no place for it: {'; '.join(rest)}")
    marks = [mark * line.count(mark) for line in lines[start : start + used] if mark in line]
    return title.replace(mark, ""), [*lines[:start], *marks, *lines[start + used :]]


def _read_page(lines: list[str]) -> list[tuple[str, list[str]]]:
    """(key, its lines) up to a blank line, or one that is no key, not indented, and after a value."""
    page: list[tuple[str, list[str]]] = []
    for line in lines:
        match = TITLE_LINE.match(line)
        if not line.strip() or SCENE_START.match(line) or line.startswith((">", "#", "=")):
            break
        if match and not match[1].upper().endswith(" TO") and match[1].upper() not in ("FADE IN", "FADE OUT"):
            page.append((match[1].strip(), [match[2]]))
        elif page and (line[:1].isspace() or not any(map(str.strip, page[-1][1]))):
            page[-1][1].append(line)
        else:
            break
    return page


def _list_rest(page: list[tuple[str, list[str]]], title: str) -> list[str]:
    """Everything but the title's line, as "Key: value"."""
    found = []
    for key, values in page:
        kept = [_strip_marks(line) for line in values if line is not title and line.strip()]
        if kept:
            found.append(clean_line(f"{key}: {' / '.join(kept)}", 1000))
    return found
