"""Final Draft's .fdx. It is XML from anywhere: read with defusedxml, which expands no entities and fetches nothing."""

import re
from collections.abc import Iterator
from xml.etree.ElementTree import Element as Node
from xml.etree.ElementTree import ParseError

import defusedxml  # type: ignore[import-untyped]  # its stubs are a package of their own
from defusedxml import ElementTree

from mlx_model.errors import RequestError

from ..board.data import Board
from .files import read_document
from .formats import Source
from .script import Element, build_board
from .values import clean

DECLARED = re.compile(rb"^\s*<\?xml[^>]*\?>")
KINDS = {
    "scene heading": "heading",
    "action": "action",
    "general": "action",
    "shot": "action",
    "character": "character",
    "parenthetical": "parenthetical",
    "dialogue": "dialogue",
    "singing": "dialogue",
    "transition": "transition",
}


def load(source: Source) -> Board:
    """A board of the script. Raises RequestError for hostile or broken XML, or another kind of file."""
    root = _parse(source)
    content = root.find("Content") if root.tag == "FinalDraft" else None
    if content is None:
        raise RequestError(f"{source.path} is not a Final Draft script.", "Save it as .fdx in Final Draft 8 or later.")
    title = _find_title(root)
    return build_board(source.path, title, _read_elements(content))


def _parse(source: Source) -> Node:
    data = read_document(source.path)
    try:
        return _parse_xml(data)
    except ParseError as error:
        try:  # said to be UTF-8, but Western European
            root = _parse_xml(DECLARED.sub(b"", data).decode("cp1252").encode())
        except (ParseError, UnicodeDecodeError):
            raise RequestError(f"{source.path} is damaged ({error}).", "Export it again from Final Draft.") from error
        source.notes.append(f"{source.path.name} is not in UTF-8 as it says: check the accents.")
        return root
    except (defusedxml.DefusedXmlException, ValueError, LookupError, RecursionError) as error:
        raise RequestError(
            f"{source.path} has definitions that no script needs and that attacks use.", "Export it again."
        ) from error


def _parse_xml(data: bytes) -> Node:
    root: Node = ElementTree.fromstring(data, forbid_dtd=True, forbid_entities=True, forbid_external=True)
    return root


def _read_elements(content: Node) -> Iterator[Element]:
    """Paragraphs in order; those of a dual dialogue stand inside another one."""
    for paragraph in content.iter("Paragraph"):
        kind = KINDS.get(paragraph.get("Type", "").strip().lower())
        text = clean(_join_words(paragraph)).strip()
        if kind == "action" and not text:
            continue
        if kind and (text or kind == "heading"):
            yield Element(kind, text, clean(paragraph.get("Number", "")))
        for note in paragraph.findall("ScriptNote"):
            if words := clean(" ".join(_join_words(inside) for inside in note.iter("Paragraph"))).strip():
                yield Element("note", words)


def _join_words(paragraph: Node) -> str:
    return "".join(node.text or "" for node in paragraph.findall("Text"))


def _find_title(root: Node) -> str:
    """The first line of the title page."""
    page = root.find("TitlePage/Content")
    lines = (_join_words(paragraph).strip() for paragraph in (page.iter("Paragraph") if page is not None else ()))
    return next((line for line in lines if line), "")
