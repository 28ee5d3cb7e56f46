"""The few things the app remembers about a person's choices: one JSON file in the app's folder."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Literal

import msgspec

from mlx_model.files import make_folders, write_new
from mlx_model.held import hold

from . import paths

RECENT = 10
LARGEST, LONGEST, WIDEST = 2**20, 4096, 4096  # bytes of the file; letters of a path; pixels of a panel


class Settings(msgspec.Struct, frozen=True):
    """What is set in the window. Unknown fields of another version are passed over."""

    appearance: Literal["system", "light", "dark"] = "system"
    model: str | None = None  # the default model; None: the first real one that was installed
    previews: bool = True  # a picture after every step
    cache: bool = True  # what is computed of prompts and pictures is kept on the disk for later runs
    low_memory: bool = False  # weights are read from the disk as they are used, also where a model fits
    full_references: bool = False  # one large reference is looked at up to 4 megapixels, as the models' makers do
    json_prompts: bool = False  # the pen writes descriptions as JSON for the models that read it
    folder: str | None = None  # where new boards go; None: see paths.boards
    notifications: bool = True
    recent: tuple[str, ...] = ()
    titles: dict[str, str] = {}  # of the recent boards, by path
    stories: dict[str, str] = {}  # where the copy of each story is that was made last, by its name
    cell: int = 0  # least width of a panel in the board view; 0: by the width of the window
    geometry: str = ""


def path() -> Path:
    """Where they are kept."""
    return paths.settings()


def load() -> Settings:
    """The settings; the defaults where there are none or the file can't be read, also of what makes no sense."""
    try:
        return _mend(msgspec.json.decode(_read(path()), type=Settings))
    except (OSError, ValueError, RecursionError):
        return Settings()


def _read(file: Path) -> bytes:
    """The start of it: if it is longer it is none of ours. Raises OSError for what is, or leads to, no plain file."""
    real = Path(os.path.realpath(file))
    with hold(real.parent) as folder, open(folder.open(real.name), "rb") as handle:
        return handle.read(LARGEST)


def _mend(made: Settings) -> Settings:
    """A file from elsewhere may name what no disk has and no screen shows."""
    recent = tuple(one for one in made.recent if _is_path(one))[:RECENT]
    return msgspec.structs.replace(
        made,
        model=made.model if made.model and _is_path(made.model) else None,
        folder=made.folder if made.folder and _is_path(made.folder) else None,
        recent=recent,
        titles={one: made.titles[one][:LONGEST] for one in recent if one in made.titles},
        stories={name: one for name, one in made.stories.items() if _is_path(one)},
        cell=made.cell if 0 <= made.cell <= WIDEST else 0,
        geometry=made.geometry if made.geometry.isascii() and len(made.geometry) <= LONGEST else "",
    )


def _is_path(text: str) -> bool:
    return "\0" not in text and len(text) <= LONGEST


def save(settings: Settings) -> None:
    """Replace the file as a whole. Raises DiskFull, RequestError."""
    with contextlib.suppress(FileExistsError):
        make_folders(path().parent)
    text = msgspec.json.format(msgspec.json.encode(settings), indent=2)
    write_new(path(), lambda handle: handle.write(text), force=True)


def find_last(settings: Settings) -> str:
    """Where the board of last time is; "" where none of lately is there any more."""
    return next((one for one in settings.recent if os.path.isdir(one)), "")


def with_recent(settings: Settings, board: Path, title: str) -> Settings:
    """`board` in front of the recent ones."""
    others = [one for one in settings.recent if one != str(board)]
    recent = (str(board), *others)[:RECENT]
    known = settings.titles | {str(board): title}
    return msgspec.structs.replace(settings, recent=recent, titles={one: known[one] for one in recent if one in known})


def without_recent(settings: Settings, board: str) -> Settings:
    """`board` is no recent one any more."""
    return msgspec.structs.replace(settings, recent=tuple(one for one in settings.recent if one != board))


def name_recent(settings: Settings) -> list[tuple[str, str]]:
    """(path, title) of the recent boards; where two have one title, or it isn't known, their files are named too.

    A file that begins with the title, such as Harbour-2, tells them apart alone.
    """
    titles = list(settings.titles.values())
    named = []
    for path in settings.recent:
        title, file = settings.titles.get(path, ""), Path(path).stem
        both = file if file.startswith(title) else f"{title} ({file})"
        named.append((path, title if titles.count(title) == 1 else both))
    return named


def boards_folder(settings: Settings) -> Path:
    """Where new boards go."""
    return Path(settings.folder).expanduser() if settings.folder else paths.boards()
