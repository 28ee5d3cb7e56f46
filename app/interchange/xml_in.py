"""XML from anywhere: read with defusedxml, which expands no entities and fetches nothing."""

import re
from xml.etree.ElementTree import Element as Node
from xml.etree.ElementTree import ParseError

import defusedxml  # type: ignore[import-untyped]  # its stubs are a package of their own
from defusedxml import ElementTree

from mlx_model.errors import RequestError

from .files import Source, read_document

DECLARED = re.compile(rb"^\s*<\?xml[^>]*\?>")
DOCTYPE = re.compile(rb"<!DOCTYPE\s+\w+\s*>")


def parse(source: Source, doctype: bool = False) -> Node:
    """The file's root; a bare <!DOCTYPE name> is let through where `doctype` says that the format has one.

    Raises RequestError for hostile or broken XML.
    """
    data = read_document(source.path)
    if doctype:
        data = DOCTYPE.sub(b"", data, count=1)
    try:
        return _parse_bytes(data)
    except ParseError as error:
        try:  # said to be UTF-8, but Western European
            root = _parse_bytes(DECLARED.sub(b"", data).decode("cp1252").encode())
        except (ParseError, UnicodeDecodeError):
            raise RequestError(f"{source.path} is damaged ({error}).", "Export it again.") from error
        source.notes.append(f"{source.path.name} is not in UTF-8 as it says: check the accents.")
        return root
    except (defusedxml.DefusedXmlException, ValueError, LookupError, RecursionError) as error:
        raise RequestError(
            f"{source.path} has definitions that it does not need and that attacks use.", "Export it again."
        ) from error


def _parse_bytes(data: bytes) -> Node:
    root: Node = ElementTree.fromstring(data, forbid_dtd=True, forbid_entities=True, forbid_external=True)
    return root
