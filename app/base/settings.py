"""The few things the app remembers about a person's choices: one JSON file in the app's folder."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Literal

import msgspec

from mlx_model.files import make_folders, write_new

from . import paths

RECENT = 10
FILE = "settings.json"


class Settings(msgspec.Struct, frozen=True):
    """What is set in the window. Unknown fields of another version are passed over."""

    appearance: Literal["system", "light", "dark"] = "system"
    model: str | None = None  # the default model; None: the first real one that was installed
    previews: bool = True  # a picture after every step
    folder: str | None = None  # where new boards go; None: see paths.boards
    notifications: bool = True
    recent: tuple[str, ...] = ()
    titles: dict[str, str] = {}  # of the recent boards, by path
    cell: int = 0  # least width of a panel in the board view; 0: by the width of the window
    geometry: str = ""


def path() -> Path:
    """Where they are kept."""
    return paths.home() / FILE


def load() -> Settings:
    """The settings; the defaults where there are none or the file can't be read."""
    try:
        return msgspec.json.decode(path().read_bytes(), type=Settings)
    except (OSError, msgspec.DecodeError):
        return Settings()


def save(settings: Settings) -> None:
    """Replace the file as a whole. Raises DiskFull, RequestError."""
    with contextlib.suppress(FileExistsError):
        make_folders(path().parent)
    text = msgspec.json.format(msgspec.json.encode(settings), indent=2)
    write_new(path(), lambda handle: handle.write(text), force=True)


def with_recent(settings: Settings, board: Path, title: str) -> Settings:
    """`board` in front of the recent ones."""
    others = [one for one in settings.recent if one != str(board)]
    recent = (str(board), *others)[:RECENT]
    known = settings.titles | {str(board): title}
    return msgspec.structs.replace(settings, recent=recent, titles={one: known[one] for one in recent if one in known})


def name_recent(settings: Settings) -> list[tuple[str, str]]:
    """(path, title) of the recent boards; where two have one title, or it isn't known, their files are named too."""
    titles = list(settings.titles.values())
    named = []
    for path in settings.recent:
        title, file = settings.titles.get(path, ""), Path(path).stem
        named.append((path, title if titles.count(title) == 1 else f"{title} ({file})" if title else file))
    return named


def boards_folder(settings: Settings) -> Path:
    """Where new boards go."""
    return Path(settings.folder).expanduser() if settings.folder else paths.boards()
