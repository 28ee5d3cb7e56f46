"""The libraries that this program is made of, with their licences: from what pip says of them, wherever it runs."""

import re
import sys
import sysconfig
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

from .paths import ASSETS

OURS = "flux-local-studio"
PARTS = frozenset(("coreml", "edges", "layers", "serve", "video", "writer"))  # extras for people; the rest are tools
REQUIREMENT = re.compile(r"(?P<name>[\w.-]+)\s*(\[(?P<extras>[^\]]*)\])?")
EXTRA = re.compile(r"""extra\s*==\s*["']([\w.-]+)["']""")
TEXTS = re.compile(r"(licen[sc]e|copying|notice|authors)[^/]*$", re.IGNORECASE)
SHARED = ASSETS / "licences"
GENERAL = ("Apache-2.0",)  # its text names no author, so that it is the same for every library
# Wheels without a licence's text in them that don't name one of those -> the texts that their licence means.
LACKING = {
    "pyside6-essentials": ("LGPL-3.0", "GPL-3.0"),
    "shiboken6": ("LGPL-3.0", "GPL-3.0"),
    "tokenizers": ("Apache-2.0",),
}
QT = (
    "Qt and PySide6 are used under the GNU Lesser General Public License, version 3. Their libraries are separate "
    "files beside this program, which you may replace by others of the same interface; their source is at "
    "https://download.qt.io and https://code.qt.io."
)
NOTES = {"pyside6-essentials": (QT,), "shiboken6": (QT,)}


class Library(NamedTuple):
    """`text` is empty where no licence was found."""

    name: str
    version: str
    licence: str
    text: str


def list_libraries() -> list[Library]:
    """All that is installed for this program and runs in it, by name; Python first, in a bundle the system's last."""
    found = sorted(_walk(OURS, PARTS, {}).items())
    system = [Library(path.stem, "", "see its text", _read(path)) for path in sorted(SHARED.glob("system/*.txt"))]
    return [_python(), *(_describe(name, one) for name, one in found if name != OURS), *system]


def _walk(
    name: str, extras: frozenset[str], found: dict[str, metadata.Distribution]
) -> dict[str, metadata.Distribution]:
    """What `name` with its extras needs, itself included, as far as it is installed."""
    key = re.sub(r"[-_.]+", "-", name).lower()
    try:
        found[key] = one = metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return found
    for line in one.requires or ():
        needed, asked = REQUIREMENT.match(line), EXTRA.search(line)
        more = frozenset(re.findall(r"[\w.-]+", needed["extras"] or "")) if needed else frozenset()
        new = needed and re.sub(r"[-_.]+", "-", needed["name"]).lower() not in found
        if needed and (new or more) and (not asked or asked[1] in extras):
            _walk(needed["name"], more, found)
    return found


def _describe(name: str, one: metadata.Distribution) -> Library:
    files = [Path(str(one.locate_file(file))) for file in one.files or () if _is_text(str(file))]
    licence = _name_licence(one)
    shared = LACKING.get(name, (licence,) if licence in GENERAL else ())
    texts = [*filter(None, map(_read, files))] or [_read(SHARED / f"{way}.txt") for way in shared]
    return Library(name, one.version, licence, "\n\n".join([*NOTES.get(name, ()), *texts]))


def _is_text(file: str) -> bool:
    return ".dist-info/" in file and bool(TEXTS.search(file))


def _read(path: Path) -> str:
    """The text of a file; "" where there is none."""
    try:
        return path.read_text("utf-8", "replace").strip()
    except OSError:
        return ""


def _name_licence(one: metadata.Distribution) -> str:
    """In a few words."""
    said = next(filter(None, map(one.metadata.json.get, ("license_expression", "license"))), "")
    kinds = [line.rpartition(" :: ")[2] for line in one.metadata.get_all("Classifier") or () if "License ::" in line]
    return (str(said).strip().splitlines() or kinds or ["see its text"])[0].strip()


def _python() -> Library:
    """Its own licence lies among its modules, in a bundle among ours."""
    number = ".".join(map(str, sys.version_info[:3]))
    places = (SHARED / "Python.txt", Path(sysconfig.get_path("stdlib")) / "LICENSE.txt")
    return Library("Python", number, "PSF-2.0", next(filter(None, map(_read, places)), ""))
