"""Final Draft's .fdx: every paragraph's words, of whatever kind, and the notes in and around them."""

import re
from collections import deque
from collections.abc import Iterator
from xml.etree.ElementTree import Element as Node

from mlx_model.errors import RequestError

from ..board.data import Board
from .files import Source, read_xml
from .script import Element, build_board
from .values import clean, clean_line

# What is not here is action: Final Draft's users make kinds of their own.
KINDS = {
    "scene heading": "heading",
    "character": "character",
    "parenthetical": "parenthetical",
    "dialogue": "dialogue",
    "singing": "dialogue",
    "lyrics": "dialogue",
    "transition": "transition",
    "new act": "section",
    "end of act": "note",
    "cast list": "note",
    "outline body": "synopsis",
}
OUTLINE = re.compile(r"outline \d+")
LISTS = ("ScriptNotes", "UnanchoredScriptNotes")
LONGEST = 1_000  # characters of what a note tells


def load(source: Source) -> Board:
    """A board of the script. Raises RequestError for hostile or broken XML, or another kind of file."""
    root = read_xml(source)
    content = root.find("Content") if root.tag == "FinalDraft" else None
    if content is None:
        raise RequestError(f"{source.path} is not a Final Draft script.", "Save it as .fdx in Final Draft 8 or later.")
    title = _read_title_page(root, source.notes)
    _note_rest(root, source.notes)
    return build_board(source, title, _Reader(root, source.notes).read(content))


class _Reader:
    """Paragraphs to elements. `capitals`: kinds whose letters are shown as capitals however they were typed."""

    def __init__(self, root: Node, notes: list[str]):
        self.notes = notes
        settings = root.iter("ElementSettings")
        self.capitals = {one.get("Type", "") for one in settings if _has_capitals(one.find("FontSpec"))}
        self.lists = deque(sorted(_list_notes(root)))
        self.place = 0  # in characters from the script's beginning, as the lists of notes count

    def read(self, content: Node) -> Iterator[Element]:
        """In order; an omitted scene's heading only stays where something not omitted follows it."""
        omitted: Element | None = None
        for paragraph in content.findall("Paragraph"):
            elements = list(self._read_paragraph(paragraph))
            if paragraph.find("OmittedScene") is not None:
                omitted = elements[0] if elements else None
                continue
            if omitted and elements and elements[0].kind != "heading":
                yield omitted
            omitted = None if elements else omitted
            yield from elements
        yield from (Element("note", note) for _, note in self.lists)

    def _read_paragraph(self, paragraph: Node) -> Iterator[Element]:
        """Its words, then what stands inside it: notes, a summary, two speeches side by side."""
        given = paragraph.get("Type", "").strip()
        words, kind = clean(_join_words(paragraph, given in self.capitals)).strip(), _choose_kind(given)
        inside = [child for child in paragraph if child.tag not in ("Text", "OmittedScene")]
        if words or (kind == "heading" and not any(child.tag == "DualDialogue" for child in inside)):
            yield Element(kind, words, clean(paragraph.get("Number", "")))
        self.place += len(_join_words(paragraph)) + 1
        for child in inside:
            yield from self._read_inside(child)
        if (hidden := paragraph.find("OmittedScene")) is not None:
            told = clean_line(f"{paragraph.get('Number', '')} {words} {_tell(hidden)}", LONGEST)
            self.notes.append(f"A scene that its author omitted was left out: {told}")
        while self.lists and self.lists[0][0] < self.place:
            yield Element("note", self.lists.popleft()[1])

    def _read_inside(self, child: Node) -> Iterator[Element]:
        if child.tag == "DualDialogue":
            for paragraph in child.findall("Paragraph"):
                yield from self._read_paragraph(paragraph)
            return
        name = child.get("Title", "") if child.tag == "SceneProperties" else ""
        for words in (clean(name).strip(), _read_note(child)):
            if words:
                yield Element("note", words)


def _choose_kind(given: str) -> str:
    name = given.lower()
    return "section" if OUTLINE.fullmatch(name) else KINDS.get(name, "action")


def _has_capitals(node: Node | None) -> bool:
    return node is not None and "AllCaps" in node.get("Style", "").split("+")


def _join_words(paragraph: Node, capitals: bool = False) -> str:
    """The paragraph's own; what its style shows as capitals are capitals."""
    parts = []
    for node in paragraph.findall("Text"):
        text = "".join(node.itertext())
        parts.append(text.upper() if capitals or _has_capitals(node) else text)
    return "".join(parts)


def _read_note(node: Node) -> str:
    """The words anywhere inside, a line a paragraph."""
    paragraphs = list(node.iter("Paragraph"))
    lines = [_join_words(paragraph) for paragraph in paragraphs] or ["".join(node.itertext())]
    return clean("\n".join(line.strip() for line in lines if line.strip()))


def _list_notes(root: Node) -> Iterator[tuple[int, str]]:
    """(where it begins, words) of the notes that stand in lists behind the script; 0 for those without a place."""
    for note in (note for name in LISTS for found in root.findall(name) for note in found.iter("ScriptNote")):
        start = note.get("Range", "").partition(",")[0].strip()
        if words := _read_note(note):
            yield (int(start) if re.fullmatch(r"[0-9]{1,9}", start) else 0), words


def _read_title_page(root: Node, notes: list[str]) -> str:
    """The first centred line of the title page, else its first; its other lines have no place on a board."""
    page = root.find("TitlePage/Content")
    found = list(page.iter("Paragraph")) if page is not None else []
    lines = [(one.get("Alignment") == "Center", words) for one in found if (words := clean_line(_join_words(one)))]
    title = max(lines, key=lambda line: line[0], default=(False, ""))
    if rest := [line[1] for line in lines if line is not title]:
        told = clean_line("; ".join(rest), LONGEST)
        notes.append(f"The title page also says, and a board has no place for it: {told}")
    return title[1]


def _note_rest(root: Node, notes: list[str]) -> None:
    """Words outside the script itself: headers, alternates, whatever a version of Final Draft adds."""
    for part in root:
        if part.tag not in ("Content", "TitlePage", *LISTS) and re.search(r"\w", words := _tell(part)):
            notes.append(f"Words outside the script ({clean_line(part.tag, 40)}) were left out: {words}")


def _tell(node: Node) -> str:
    return clean_line(" ".join("".join(text.itertext()) for text in node.iter("Text")), LONGEST)
