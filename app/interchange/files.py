"""What an importer gets, a document read whole, a folder that appears whole, names that every disk takes."""

import os
import re
import shutil
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any
from xml.etree.ElementTree import Element as Node
from xml.etree.ElementTree import ParseError, TreeBuilder

import defusedxml  # type: ignore[import-untyped]  # its stubs are a package of their own
from defusedxml import ElementTree

from mlx_model.errors import RequestError, say_reason
from mlx_model.files import begin, explain, finish, number_names, sync, sync_folder

from ..board.data import ASPECTS, Picture
from ..pictures.kinds import read_bytes

DECLARED = re.compile(rb"^\s*<\?xml[^>]*\?>")
DOCTYPE = re.compile(rb"<!DOCTYPE\s+\w+(?:\s+SYSTEM\s+(?:\"[^\"<>]{0,300}\"|'[^'<>]{0,300}'))?\s*>")
MAX_SCRIPT = 32 * 1024**2
DEEPEST, MOST_ELEMENTS, LONGEST_TAG = 100, 1_000_000, 300
UNSAFE = re.compile(r'[<>:"/\\|?*\s]+')
RESERVED = {"con", "prn", "aux", "nul", *(f"{port}{digit}" for port in ("com", "lpt") for digit in "0123456789¹²³")}
LONGEST_NAME = 80  # bytes: room for a number and an extension below the 143 of encrypted and the 255 of other disks
DIGITS = "0123456789"
JOINERS = "\u200d\ufe0f"  # invisible, but parts of emoji


class TooMuch(Exception):
    """More than a document of this kind ever holds; the text says of what."""


@dataclass(frozen=True)
class Source:
    """What every importer gets: the chosen file or folder, and how pictures get into the board.

    `put_picture` takes a picture's bytes, looked through or not, or (H, W, 3) uint8, and stores them. `notes` collects
    what the person should know, `names` what a timeline calls the clip of a panel (by its id), the surest name first,
    `lost` which of the notes are about its picture. `fps` and `aspect` are for formats that do not say theirs.
    """

    path: Path
    put_picture: Callable[[Any], Picture]
    notes: list[str]
    fps: float | None = None
    aspect: tuple[int, int] = ASPECTS["16:9"]
    names: dict[str, tuple[str, ...]] = field(default_factory=dict)
    lost: dict[str, tuple[str, ...]] = field(default_factory=dict)


def read_document(path: Path, largest: int = MAX_SCRIPT) -> bytes:
    """The whole file. Raises RequestError where it is missing, empty, no file, unreadable or over `largest` bytes."""
    if path.is_dir():
        raise RequestError(f"{path} is a folder.", "Choose the file inside it.")
    try:
        too_large = path.stat().st_size > largest
    except (OSError, ValueError):
        too_large = False  # read_bytes says what is wrong
    if too_large:
        raise RequestError(f"{path} is larger than {largest // 1024**2} MB.", "Split it into several files.")
    return read_bytes(path)


def find_beside(folder: Path, relative: str) -> Path | None:
    """The file that a document in `folder` names, or None where it leads out of the folder or is not there."""
    name = relative.replace("\\", "/")
    if "\0" in name or not name or len(name) > 4096 or ".." in PurePosixPath(name).parts:
        return None
    try:
        home = folder.resolve()
        path = (home / name).resolve()
        return path if path.is_relative_to(home) and path.is_file() else None
    except (OSError, ValueError, RuntimeError):
        return None


def write_folder(path: Path, fill: Callable[[Path], object], force: bool = False) -> Path:
    """Let `fill` write files into a fresh folder that then gets the name `path`; the name it got.

    Without `force` a number is added where the name is taken. With it, files of the same names in an existing folder
    are replaced one by one and others stay. Raises DiskFull, or RequestError where the place can't be written.
    """
    temporary = begin(path)
    try:
        temporary.mkdir()
        fill(temporary)
        _sync_files(temporary)
        final = _merge(temporary, path) if force and path.exists() else _claim(temporary, path)
        sync_folder(final)
        sync_folder(final.parent)
        return final
    except OSError as error:
        raise explain(error, path) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        finish(temporary)


def _sync_files(folder: Path) -> None:
    for file in folder.iterdir():
        with open(file, "rb+") as handle:
            sync(handle.fileno())


def _merge(temporary: Path, path: Path) -> Path:
    for file in sorted(temporary.iterdir()):
        os.replace(file, path / file.name)
    return path


def _claim(temporary: Path, path: Path) -> Path:
    for candidate in number_names(path):
        try:
            if not os.path.lexists(candidate):
                os.rename(temporary, candidate)  # fails where another program filled the name in the meantime
                return candidate
        except OSError:
            if not os.path.lexists(candidate):
                raise
    raise RequestError(f"Too many folders are called like {path}.", "Choose another name.")


def make_safe_name(text: str, fallback: str = "untitled") -> str:
    """`text` as a file name without extension for macOS, Windows, Linux, exFAT and network disks alike."""
    text = "".join(c for c in unicodedata.normalize("NFC", text) if _is_visible(c))
    text = _cut(re.sub(r"-{2,}", "-", UNSAFE.sub(lambda match: " " if match[0].isspace() else "-", text)))
    text = text.strip(" .-") or fallback
    return f"{text}-" if text.split(".")[0].strip().lower() in RESERVED else text


def _is_visible(character: str) -> bool:
    return character.isspace() or character in JOINERS or not unicodedata.category(character).startswith("C")


def _cut(text: str) -> str:
    return text.encode()[:LONGEST_NAME].decode(errors="ignore")


def make_sort_key(name: str) -> tuple[tuple[int, int, str], ...]:
    """Sort key: 2 before 10, capitals as small letters, accents composed."""
    parts = [part for part in re.split(r"([0-9]+)", unicodedata.normalize("NFC", name).casefold()) if part]
    key = tuple((0, int(part[:300]), "") if part[0] in DIGITS else (1, 0, part) for part in parts)
    return (*key, (-1, 0, name))


def read_xml(source: Source, doctype: bool = False) -> Node:
    """The file's root; <!DOCTYPE name> is let through where `doctype` says that the format has one.

    The file that it may name is not read.

    Raises RequestError for hostile or broken XML.
    """
    data = read_document(source.path)
    if doctype:
        data = DOCTYPE.sub(b"", data, count=1)
    try:
        return _parse_text(source, data)
    except ParseError as error:
        raise RequestError(f"{source.path} is damaged ({say_reason(error)}).", "Export it again.") from error
    except TooMuch as error:
        raise RequestError(f"{source.path} can't be read: {error}.", "Export it again.") from error
    except (defusedxml.DefusedXmlException, ValueError, LookupError, RecursionError) as error:
        raise RequestError(
            f"{source.path} has definitions that it does not need and that attacks use.", "Export it again."
        ) from error


def _parse_text(source: Source, data: bytes) -> Node:
    """Also where it says that it is UTF-8, and is Western European. Raises what _parse_bytes does."""
    try:
        return _parse_bytes(data)
    except ParseError as error:
        try:
            root = _parse_bytes(DECLARED.sub(b"", data).decode("cp1252").encode())
        except (ParseError, UnicodeDecodeError):
            raise error from None
        source.notes.append(f"{source.path.name} is not in UTF-8 as it says: check the accents.")
        return root


class _Bounded(TreeBuilder):
    """Makes the tree of a document that no reader of it can be driven mad by.

    A name with its namespace is spelt out for each element: one of a megabyte, used a million times, never ends.
    """

    def __init__(self) -> None:
        super().__init__()
        self.depth = self.count = 0

    def start(self, tag: str, attributes: dict[str, str]) -> Node:
        self.depth, self.count = self.depth + 1, self.count + 1
        if self.depth > DEEPEST:
            raise TooMuch("it is nested too deeply")
        if self.count > MOST_ELEMENTS:
            raise TooMuch("it has more than a million elements")
        if max(map(len, (tag, *attributes))) > LONGEST_TAG:
            raise TooMuch("it has a name without end")
        return super().start(tag, attributes)

    def end(self, tag: str) -> Node:
        self.depth -= 1
        return super().end(tag)


def _parse_bytes(data: bytes) -> Node:
    parser = ElementTree.XMLParser(target=_Bounded(), forbid_dtd=True, forbid_entities=True, forbid_external=True)
    parser.feed(data)
    root: Node = parser.close()
    return root
