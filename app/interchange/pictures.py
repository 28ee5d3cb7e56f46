"""A folder of pictures as a board: a panel a picture, in the order that people count; folders inside are scenes."""

from collections.abc import Iterator
from pathlib import Path

from mlx_model.errors import RequestError

from ..board.data import ASPECTS, Board, Panel, Scene, new_id
from ..pictures.kinds import ENDINGS, NAMES
from .files import Source, make_sort_key
from .values import add_file, clean_line

MOST = 5_000  # pictures


def load(source: Source) -> Board:
    """Pictures that can't be used are noted, and which other files and folders were passed over.

    Raises RequestError where no picture is left, or more than MOST are there.
    """
    folders = [
        source.path,
        *sorted((p for p in _list_visible(source.path) if p.is_dir()), key=lambda p: make_sort_key(p.name)),
    ]
    files = [(folder, list(list_pictures(folder))) for folder in folders]
    if sum(len(found) for _, found in files) > MOST:
        raise RequestError(f"{source.path} has more than {MOST:,} pictures.", "Import it in parts.")
    _note_others(folders, source)
    scenes = [_make_scene(folder, found, source) for folder, found in files if found]
    scenes = [scene for scene in scenes if scene.panels]
    if not scenes:
        why = f" {source.notes[0]}" if source.notes else ""
        raise RequestError(f"{source.path} has no picture that can be used.{why}", f"Use {NAMES}.")
    return Board(
        new_id(), clean_line(source.path.name) or "Untitled", choose_aspect(scenes[0].panels[0]), scenes=tuple(scenes)
    )


def _note_others(folders: list[Path], source: Source) -> None:
    """Files that are named as no picture, and folders below the first level."""
    others = [path for folder in folders for path in _list_visible(folder) if path.suffix.lower() not in ENDINGS]
    others = [path for path in others if path not in folders]
    if others:
        names = ", ".join(clean_line(str(path.relative_to(source.path)), 60) for path in sorted(others)[:12])
        more = f" and {len(others) - 12} more" if len(others) > 12 else ""
        source.notes.append(f"Passed over, as no pictures or folders too deep: {names}{more}.")


def _list_visible(folder: Path) -> list[Path]:
    """Without hidden files, such as the ._ companions that Macs leave on other disks."""
    try:
        return [path for path in folder.iterdir() if not path.name.startswith(".")]
    except OSError as error:
        raise RequestError(f"{folder} can't be read: {error.strerror}.", "Check its permissions.") from error


def list_pictures(folder: Path) -> Iterator[Path]:
    """The files of a folder that are named as pictures, 2 before 10. Raises RequestError where it can't be read."""
    files = (path for path in _list_visible(folder) if path.suffix.lower() in ENDINGS and not path.is_dir())
    return iter(sorted(files, key=lambda path: make_sort_key(path.name)))


def _make_scene(folder: Path, files: list[Path], source: Source) -> Scene:
    panels = (add_file(Panel(new_id()), path, source) for path in files)
    heading = "" if folder == source.path else clean_line(folder.name)
    return Scene(new_id(), heading, tuple(panel for panel in panels if panel.takes))


def choose_aspect(panel: Panel) -> tuple[int, int]:
    """The preset nearest to the panel's picture, or its own shape where none is within 3 %."""
    width, height = panel.takes[-1].picture.width, panel.takes[-1].picture.height
    nearest = min(ASPECTS.values(), key=lambda aspect: abs(aspect[0] / aspect[1] / (width / height) - 1))
    close = abs(nearest[0] / nearest[1] / (width / height) - 1) <= 0.03
    return nearest if close else (width, height)
