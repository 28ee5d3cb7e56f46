"""The title page of a Fountain script: `Key: value` lines at its head, at least one of them by a name that says so."""

import re

from .values import clean_line

KEY = re.compile(r"([^\W\d_][\w .'/&-]{0,40}):[ \t]*(.*)$")
HEADING = re.compile(r"(?:INT|EXT|EST|I/E)[. ]", re.IGNORECASE)
KNOWN = frozenset((
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
    if not KNOWN & {key.lower() for key, _ in page}:
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
        match = KEY.match(line)
        if not line.strip() or HEADING.match(line) or line.startswith((">", "#", "=")):
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
        kept = [line.strip() for line in values if line is not title and line.strip()]
        if kept:
            found.append(clean_line(f"{key}: {' / '.join(kept)}", 1000))
    return found
