"""Fountain 1.1 (fountain.io/syntax): scenes, action, dialogue, scene numbers, notes.

Read line by line, in time that grows with the length of the script and nothing else, whatever is left unclosed.
"""

import re
from collections.abc import Iterator

from ..board.data import Board
from .files import read_document
from .formats import Source
from .script import Element, build_board
from .values import clean, decode

HEADING = re.compile(r"(?:INT\.?/EXT|EXT\.?/INT|INT|EXT|EST|I/E)[. ]", re.IGNORECASE)
NUMBER = re.compile(r"#([^#\n]{1,20})#\s*$")
TITLE_KEY = re.compile(r"([A-Za-z][A-Za-z ]{0,40}):[ \t]*(.*)$")
EMPHASIS = re.compile(r"(?<!\\)(\*{1,3}|_)(?=\S)([^*_\n]{1,300})(?<=\S)\1")
ESCAPED = re.compile(r"\\([*_\\])")
TRANSITION = re.compile(r"[A-Z .'’-]{0,60}TO:|FADE (?:IN|OUT)[.:]?")
PAGE_BREAK = re.compile(r"={3,}\s*$")


def load(source: Source) -> Board:
    """A board of the script. Raises RequestError for a file that is no text or holds nothing."""
    text = clean(decode(read_document(source.path), source.path.name, source.notes), longest=1 << 30)
    title, lines = _split_title_page(_cut_out(text, "/*", "*/").split("\n"))
    return build_board(source.path, title, _read_elements(lines))


def _cut_out(text: str, opening: str, closing: str) -> str:
    """`text` without what stands between the marks; an opening mark that is never closed is text."""
    parts, place = [], 0
    while (start := text.find(opening, place)) >= 0 and (end := text.find(closing, start + 2)) >= 0:
        parts.append(text[place:start])
        place = end + len(closing)
    return "".join([*parts, text[place:]])


def _split_title_page(lines: list[str]) -> tuple[str, list[str]]:
    """The title, and the lines after the title page where there is one."""
    start = next((number for number, line in enumerate(lines) if line.strip()), 0)
    first = TITLE_KEY.match(lines[start]) if lines else None
    if not first or HEADING.match(lines[start]) or first[1].upper().endswith(" TO") or lines[start].isupper():
        return "", lines
    end = next((number for number in range(start, len(lines)) if not lines[number].strip()), len(lines))
    return _strip_marks(_find_value("title", lines[start:end])), lines[end:]


def _find_value(key: str, lines: list[str]) -> str:
    """The first line of what stands after `key`: behind it, or indented below it."""
    found, inside = [], False
    for line in lines:
        match = TITLE_KEY.match(line)
        if match and not line[:1].isspace():
            inside = match[1].strip().lower() == key
            found += [match[2]] if inside else []
        elif inside:
            found.append(line)
    return next((line for line in found if line.strip()), "")


def _strip_marks(text: str) -> str:
    """Without the marks of bold, italic and underlined; `***` may stand around `_`."""
    if not any(mark in text for mark in "*_\\"):
        return text.strip()
    for _ in range(2):
        text = EMPHASIS.sub(r"\2", text)
    return ESCAPED.sub(r"\1", text).strip()


def _read_elements(lines: list[str]) -> Iterator[Element]:
    """Blocks are separated by blank lines; a line of two spaces keeps a dialogue open."""
    block: list[str] = []
    for line in [*lines, ""]:
        if line.strip() or (line == "  " and block and _is_character(block)):
            block.append(line.rstrip() or " ")
        elif block:
            yield from _read_block(block)
            block = []


def _read_block(block: list[str]) -> Iterator[Element]:
    """One paragraph, with its notes after it."""
    text, notes = _take_notes_out("\n".join(block))
    lines = [line for line in text.split("\n") if line.strip() or len(block) == 1]
    if lines and any(line.strip() for line in lines):
        yield from _read_paragraph(lines)
    for note in notes:
        yield Element("note", note)


def _take_notes_out(text: str) -> tuple[str, list[str]]:
    """[[Notes]] taken out. They may span lines; one that its paragraph leaves open is text."""
    parts, notes, place = [], [], 0
    while (start := text.find("[[", place)) >= 0 and (end := text.find("]]", start + 2)) >= 0:
        parts.append(text[place:start])
        notes.append(_strip_marks(text[start + 2 : end]))
        place = end + 2
    return "".join([*parts, text[place:]]), [note for note in notes if note]


def _read_paragraph(lines: list[str]) -> Iterator[Element]:
    """Headings, sections and synopses need no blank line after them; what follows is one action or one speech."""
    start = 0
    while start < len(lines) and (found := _read_leading(lines[start].strip())) is not None:
        yield from found
        start += 1
    rest = lines[start:]
    if not rest:
        return
    if _is_transition(rest[0].strip(), len(rest)):
        yield from (Element("transition", _strip_marks(line.strip().lstrip("> "))) for line in rest)
    elif _is_character(rest):
        yield from _read_speech(rest)
    else:
        yield Element("action", _strip_marks("\n".join(_read_action_line(line) for line in rest)))


def _read_leading(text: str) -> list[Element] | None:
    """What a line of its own kind stands for; sections and page breaks stand for nothing. None: it is another line."""
    if _is_heading(text):
        return [_read_heading(text)]
    if text.startswith("#") or PAGE_BREAK.match(text):
        return []
    if text.startswith("="):
        return [Element("note", _strip_marks(text.lstrip("= ")))] if text.strip("= ") else []
    return None


def _is_heading(text: str) -> bool:
    return bool(HEADING.match(text)) or (text.startswith(".") and text[1:2].isalnum())


def _read_heading(text: str) -> Element:
    number = NUMBER.search(text)
    heading = text[: number.start()] if number else text
    return Element("heading", _strip_marks(heading.removeprefix(".")), number[1].strip() if number else "")


def _is_transition(text: str, lines: int) -> bool:
    forced = text.startswith(">") and not text.endswith("<")
    return lines == 1 and (forced or bool(TRANSITION.fullmatch(text)))


def _is_character(lines: list[str]) -> bool:
    """Capitals above another line, or @ in front; (V.O.) and (cont'd) may be in any case."""
    name = lines[0].strip()
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
