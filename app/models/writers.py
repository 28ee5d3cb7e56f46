"""Which language model on this disk writes prompts out, and which of those that can be added are here."""

import contextlib
import os
from pathlib import Path
from typing import Any

from mlx_model import files, memory
from mlx_model.errors import Advice, FluxLocalError, NotInstalled, RequestError, say_reason
from mlx_model.foreign import read_small
from mlx_model.languages import LANGUAGES, LanguageModel
from mlx_model.spec_parts import BITS
from mlx_model.specs import ModelSpec
from mlx_model.store.writer_folder import RECORD, check_writer, read_bits
from mlx_model.writing import MAKERS_TOKENS

from ..base import paths
from . import library

LONGEST = 4096  # bytes of a path


def _note() -> Path:
    return paths.home() / "writer.txt"


def find_writer(spec: ModelSpec | None = None) -> Path | None:
    """The folder that writes for a model; None where none does.

    FLUX.3's own comes before the chosen one, then what was kept of the model's text encoder, then any other.
    """
    own = _find_added(spec.writer) if spec else None
    if own and spec and spec.needs_writer:
        return own
    chosen = read_choice()
    if chosen and os.path.isdir(chosen):
        return chosen
    return own or next(iter(list_added()), None)


def list_added() -> list[Path]:
    """The folders of those that `models add` has made, as LANGUAGES has them in order."""
    return [found for row in LANGUAGES if (found := _find_added(row))]


def read_choice() -> Path | None:
    """The folder that is remembered, whether or not it is there now; None: whichever is here writes."""
    try:
        folder = Path(os.fsdecode(read_small(_note(), LONGEST)).strip())
    except (OSError, ValueError):
        return None
    return folder if folder.is_absolute() else None


def forget_choice() -> None:
    """Whichever is here writes from now on. Raises RequestError where the note can't be deleted."""
    try:
        _note().unlink(missing_ok=True)
    except OSError as error:
        raise RequestError(f"{_note()} can't be deleted: {say_reason(error)}.", "Delete it.") from error


def _find_added(name: str) -> Path | None:
    folder = paths.writers() / name
    return folder if name and os.path.isfile(folder / RECORD) else None


def resolve(text: str) -> Path:
    """The folder that a name or a path means. Raises NotInstalled for the name of one that is not here."""
    if text not in LANGUAGES:
        return Path(text).expanduser().absolute()
    if found := _find_added(text):
        return found
    raise NotInstalled(f"{text} is not installed.", Advice("add_model", {"name": text}))


def pick(text: str | None, spec: ModelSpec | None, usable: int) -> Path:
    """The folder of a name or of a path; None: the one that writes for `spec`. See keep_first.

    `usable`: bytes of memory. Raises NotInstalled where there is none, LayoutError, WillNotFit for what can't be one.
    """
    if text is not None:
        folder = resolve(text)
        if text not in LANGUAGES:
            check_writer(folder, usable)
        return folder
    if found := find_writer(spec):
        return found
    name = (spec.writer if spec else "") or next(iter(LANGUAGES))
    raise NotInstalled("No language model is here that writes prompts out.", Advice("add_model", {"name": name}))


def choose_writer(folder: Path, usable: int) -> Path:
    """Remember it. `usable`: bytes of memory. Raises LayoutError, WillNotFit for what can't be one, DiskFull."""
    folder = folder.expanduser().absolute()
    check_writer(folder, usable)
    _remember(folder)
    return folder


def keep_first(text: str | None) -> None:
    """Remember what was given for one run, once its words were used: a path, and only where nothing writes yet."""
    if text is not None and text not in LANGUAGES and find_writer() is None:
        with contextlib.suppress(FluxLocalError):  # the words, which took minutes, are worth more
            _remember(resolve(text))


def _remember(folder: Path) -> None:
    files.make_folders(_note().parent)
    files.write_new(_note(), lambda handle: handle.write(os.fsencode(folder)), force=True)


def catalogue(here: memory.Machine) -> list[dict[str, Any]]:
    """`facts` of all that can be added, as library.catalogue has models."""
    return [facts(row, here) for row in LANGUAGES.values()]


def facts(row: LanguageModel, here: memory.Machine) -> dict[str, Any]:
    """One writer as a row of library.catalogue, ready for JSON."""
    needed = {str(bits): row.memory_bytes(bits, MAKERS_TOKENS) for bits in BITS}
    fits = {bits: count <= here.usable for bits, count in needed.items()}
    return {
        **library.tell_row(row),
        "family": "language",
        "does": dict.fromkeys(("generate", "edit", "mask", "negative"), False)
        | {"pictures": "", "references": 0, "classes": 0, "writes": True},
        "disk_bytes": {str(bits): row.disk_bytes(bits) for bits in BITS},
        "memory_bytes": needed,
        "fits": fits,
        "streamed_bytes": needed,
        "runs": fits,
        "seconds_per_step": None,
        "basis": "predicted",
        "steps": 0,
        "size": [0, 0],
        "installed": [_describe(found)] if (found := _find_added(row.name)) else [],
    }


def _describe(folder: Path) -> dict[str, Any]:
    try:
        bits, problem = read_bits(folder), ""
    except FluxLocalError as error:
        bits, problem = 16, error.message
    size = sum(file.stat().st_size for file in folder.iterdir() if file.is_file())
    return {"path": str(folder), "bytes": size, "plan": f"{bits}bit", "built_in": False, "problem": problem}


def verify(name: str) -> Path:
    """The folder of an added one, once every file has its recorded sha256. Raises NotInstalled, LayoutError."""
    folder = resolve(name)
    read_bits(folder, hashes=True)
    return folder


def remove(name: str) -> Path:
    """Move an added one to the Trash; where it was. Raises what library.throw_away does, NotInstalled."""
    return library.throw_away(resolve(name))
