"""Everything in the program that writes what somebody would miss, each with a judge of what is there afterwards."""

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from msgspec.structs import replace

from app.base import settings
from app.board import commands
from app.board.data import Board, Member, Panel, Scene, Take, new_board, new_id, pictures
from app.fluxboard import earlier
from app.fluxboard.archive import export_zip, import_zip
from app.fluxboard.file import BoardFile
from app.interchange.formats import export_board
from app.pictures.images import open_picture, read_request, save_picture
from mlx_model.errors import FluxLocalError
from mlx_model.request import Request
from tests.converters.checkpoints import single_file

Tell = Callable[[Any], None]
STATES = 4  # of the board that is saved again and again
OLD, NEW = 10, 200  # grey of a picture before and after
REQUEST = Request("mini", prompt="a fox", seed=5, width=64, height=64).to_json()


@dataclass(frozen=True)
class Writer:
    """`prepare` makes what is there before, `work` is done by a process that may die, `judge` says what is lost."""

    name: str
    prepare: Callable[[Path], object]
    work: Callable[[Path, Tell], object]
    judge: Callable[[Path, list[Any]], str]


def grey(level: int, side: int = 64) -> np.ndarray:
    return np.full((side, side, 3), level, np.uint8)


def no_preparation(_: Path) -> None:
    pass


# The board: states 0, 1, 2, ... whose title is their number, and which have as many members with a picture.


def add_state(file: BoardFile, board: Board) -> Board:
    number = int(board.title) + 1
    picture = file.put_picture(grey(number, 8), "a.png")
    board = commands.add_member(board, Member(new_id(), f"gull{number}", pictures=(picture,)))
    return commands.set_board(board, title=str(number))


def write_board(place: Path, tell: Tell) -> None:
    """Made, saved, noted, restored and copied."""
    earlier.MINUTES = 0  # a restore point with every save
    with BoardFile.create(place / "film", new_board("0")) as file:
        tell(["saved", 0])
        board = file.board
        for number in range(1, STATES):
            board = add_state(file, board)
            tell(["begun", number])
            file.note(board)
            file.save(board)
            tell(["saved", number])
        tell(["begun", int(file.restore(file.restore_points()[-1]).title)])
        file.copy_to(place / "copy").close()
        tell(["copied", STATES - 1])


def judge_board(place: Path, told: list[Any]) -> str:
    """Opens as the last state that was saved, or the one that was being saved, whole; and can be worked with."""
    saved = [number for word, number in told if word == "saved"]
    lost = check_board(place / "film.fluxboard", saved, [number for word, number in told if word == "begun"])
    copied = ["copied", STATES - 1] in told
    failed = any(word == "told" for word, _ in told)  # then what was made of the copy is no loss
    if copied or ((place / "copy.fluxboard").exists() and not failed):
        lost = lost or check_board(place / "copy.fluxboard", [STATES - 1] if copied else [], [STATES - 1], copied)
    return lost


def check_board(path: Path, saved: list[int], begun: list[int], whole: bool = True) -> str:
    if not path.exists():
        return f"{path.name} is gone" if saved else ""
    try:
        with BoardFile.open(path) as file:
            lost = find_loss(file, max(saved, default=0), begun, whole)
            file.save(commands.set_board(file.board, style="on"))
        with BoardFile.open(path, write=False) as file:
            return lost or ("" if file.board.style == "on" else "it can't be saved")
    except FluxLocalError as error:
        return f"{path.name} does not open: {error}"


def find_loss(file: BoardFile, saved: int, begun: list[int], whole: bool) -> str:
    number = int(file.board.title)
    if number < saved and number not in begun:
        return f"state {saved} was saved, {number} is there"
    if len(file.board.cast) != number:
        return f"state {number} has {len(file.board.cast)} members"
    damaged = [picture for picture in pictures(file.board) if file.damage(picture)]
    if damaged and whole:
        return f"{len(damaged)} pictures of state {number} are damaged"
    return "".join(f"{path.name} was left" for path in file.path.rglob("*.partial"))


# A picture that somebody has, and a run that saves beside it, or over it where it was asked to.


def prepare_picture(place: Path) -> None:
    save_picture(grey(OLD), place / "x.png", REQUEST)


def judge_picture(place: Path, told: list[Any]) -> str:
    levels = {path.name: read_level(path) for path in place.iterdir() if not path.name.startswith(".")}
    if levels.get("x.png") != OLD:
        return f"the picture that was there is now {levels.get('x.png')}"
    odd = {name for name, level in levels.items() if level != NEW and name != "x.png" and not is_claim(place / name)}
    return f"half a picture: {odd}" if odd else _check_done(levels.get("x-2.png") == NEW, told)


def is_claim(path: Path) -> bool:
    """The empty file that holds a name where a disk has no hard links."""
    return path.stat().st_size == 0


def judge_forced(place: Path, told: list[Any]) -> str:
    level = read_level(place / "x.png")
    if level not in (OLD, NEW):
        return f"neither the old picture nor the new one: {level}"
    return _check_done(level == NEW, told)


def read_level(path: Path) -> int | str:
    try:
        read_request(path)
        return int(open_picture(path)[0, 0, 0])
    except FluxLocalError as error:
        return str(error)


def _check_done(there: bool, told: list[Any]) -> str:
    return "it was said to be written and is not there" if ["done", 0] in told and not there else ""


def save_beside(place: Path, tell: Tell) -> None:
    save_picture(grey(NEW), place / "x.png", REQUEST)
    tell(["done", 0])


def save_over(place: Path, tell: Tell) -> None:
    save_picture(grey(NEW), place / "x.png", REQUEST, force=True)
    tell(["done", 0])


# Zips and exports


def make_film(place: Path) -> Board:
    """A saved board with two members and a panel with a take."""
    with BoardFile.create(place / "film", new_board("0")) as file:
        board = add_state(file, add_state(file, file.board))
        picture = file.put_picture(grey(NEW))
        take = Take(new_id(), picture, REQUEST, "mini", "", 1, 1.0)
        panel = Panel(new_id(), "a fox", takes=(take,), current=take.id)
        file.save(replace(board, scenes=(Scene(new_id(), panels=(panel, replace(panel, id=new_id()))),)))
        return file.board


def prepare_zip(place: Path) -> None:
    make_film(place)
    with BoardFile.open(place / "film.fluxboard", write=False) as file:
        export_zip(file, place / "film.zip")


def zip_over(place: Path, tell: Tell) -> None:
    with BoardFile.open(place / "film.fluxboard", write=False) as file:
        export_zip(file, place / "film.zip", force=True)
    tell(["done", 0])


def unzip(place: Path, tell: Tell) -> None:
    import_zip(place / "film.zip", place / "mine").close()
    tell(["done", 0])


def judge_zip(place: Path, told: list[Any]) -> str:
    """The zip is a whole board, the one that was there or the new one; what came out of it too, or is not there."""
    lost = ""
    if ["done", 0] not in told or not (place / "mine.fluxboard").exists():
        try:
            import_zip(place / "film.zip", place / "again").close()
            lost = check_board(place / "again.fluxboard", [2], [])
        except FluxLocalError as error:
            lost = f"the zip can't be read: {error}"
    if (place / "mine.fluxboard").exists():
        lost = lost or check_board(place / "mine.fluxboard", [2], [])
    return lost or check_board(place / "film.fluxboard", [2], [])


def prepare_export(place: Path) -> None:
    make_film(place)
    (place / "frames").mkdir()
    (place / "frames" / "notes.txt").write_text("mine")
    export_frames(place, "png", "frames")
    export_frames(place, "csv", "film.csv")


def export_frames(place: Path, kind: str, name: str) -> None:
    with BoardFile.open(place / "film.fluxboard", write=False) as file:
        export_board(kind, file.board, file.picture_path, place / name, force=True)


def export_over(place: Path, tell: Tell) -> None:
    export_frames(place, "png", "frames")
    export_frames(place, "csv", "film.csv")
    export_frames(place, "shots", "shots")
    tell(["done", 0])


def judge_export(place: Path, told: list[Any]) -> str:
    if (place / "frames" / "notes.txt").read_text() != "mine":
        return "a file of somebody else in the folder"
    frames = sorted((place / "frames").glob("*.png"))
    if len(frames) != 2 or any(open_picture(frame)[0, 0, 0] != NEW for frame in frames):
        return f"frames of the export that was there: {[frame.name for frame in frames]}"
    if len((place / "film.csv").read_text().splitlines()) < 3:
        return "the shot list that was there"
    if (place / "shots").exists() and not list((place / "shots").iterdir()):
        return "half a folder has the name of a whole one"
    return check_board(place / "film.fluxboard", [2], [])


# Settings, and a model that replaces one


def prepare_settings(place: Path) -> None:
    os.environ["FLUX_LOCAL_HOME"] = str(place)
    settings.save(settings.Settings(model="old", recent=("a", "b")))


def save_settings(place: Path, tell: Tell) -> None:
    os.environ["FLUX_LOCAL_HOME"] = str(place)
    settings.save(replace(settings.load(), model="new"))
    tell(["done", 0])


def judge_settings(place: Path, told: list[Any]) -> str:
    os.environ["FLUX_LOCAL_HOME"] = str(place)
    found = settings.load()
    if found.model not in ("old", "new") or found.recent != ("a", "b"):
        return f"the settings are {found}"
    return _check_done(found.model == "new", told)


def prepare_model(place: Path) -> None:
    from converters.convert import convert

    source = single_file(place / "source")
    list(convert(source, place / "model"))
    (place / "model" / "model.json").rename(place / "kept.json")
    shutil.copy(place / "kept.json", place / "model" / "model.json")


def replace_model(place: Path, tell: Tell) -> None:
    from converters.convert import convert

    list(convert(place / "source" / "flux-2-klein-4b.safetensors", place / "model", bits=8, force=True))
    tell(["done", 0])


def judge_model(place: Path, told: list[Any]) -> str:
    """The old model or the new one is there, whole, at the next start."""
    from mlx_model.store.folder import open_folder, verify

    try:
        folder = open_folder(place / "model")
        list(verify(folder))
    except FluxLocalError as error:
        return f"there is no whole model: {error}"
    return _check_done(folder.plan != "16bit", told)


WRITERS = (
    Writer("board", no_preparation, write_board, judge_board),
    Writer("picture beside another", prepare_picture, save_beside, judge_picture),
    Writer("picture over another", prepare_picture, save_over, judge_forced),
    Writer("zip over another", prepare_zip, zip_over, judge_zip),
    Writer("board from a zip", prepare_zip, unzip, judge_zip),
    Writer("exports over others", prepare_export, export_over, judge_export),
    Writer("settings", prepare_settings, save_settings, judge_settings),
)
MODEL = Writer("model over another", prepare_model, replace_model, judge_model)
