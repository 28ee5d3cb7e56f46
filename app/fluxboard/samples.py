"""The sample boards: small stories that show what can be done, ready for the built-in model and for real ones.

Their pictures are drawn by tests/draw_samples.py (characters from Noto Color Emoji, licence in assets/examples).
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from msgspec.structs import replace

from ..base.paths import ASSETS
from ..board.camera import Camera
from ..board.data import COLOURS, Member, Panel, Picture, Role, Scene, Source, new_board, new_id
from ..board.panel_job import import_take
from ..board.rules import keep_take
from .file import BoardFile

FOLDER = ASSETS / "samples"
FIRST = "gull"
DRAWN = "sample art"  # no model made it


class Shot(NamedTuple):
    """A panel: what it is made from, what happens, and its picture (a file of assets/samples without extension)."""

    prompt: str
    action: str = ""
    dialogue: str = ""
    picture: str = ""
    seconds: float = 2.0
    shot: str = ""
    move: str = ""
    continues: bool = False  # starts from the panel before


class Sample(NamedTuple):
    """`story` says in a sentence what one does with it, `cover` is a picture of it, `needs` the model that plays it
    well: of the built-in one some figures come out as a blur."""

    title: str
    story: str
    cover: str
    needs: str
    cast: tuple[tuple[str, Role, str], ...]  # name, role, picture
    scenes: tuple[tuple[str, tuple[Shot, ...]], ...]


SAMPLES: dict[str, Sample] = {
    "gull": Sample(
        "The Gull Goes Out",
        "One character through a whole storyboard, scene by scene.",
        "gull_2a",
        "flux2-klein-4b",
        (
            ("gull", "character", "gull"), ("fox", "character", "fox"), ("robot", "character", "robot"),
            ("headset", "prop", "headset"), ("bar", "place", "bar"),
        ),
        (
            ("INT. BAR - DAY", (
                Shot("@gull in @bar", "The gull waits, alone.", "", "gull_1a", 3, "MS", "static"),
                Shot("put on the headset from @headset", "It puts on the headset.", "Oh. Oh!", "gull_1b", 2, "CU",
                     "push in", True),
                Shot("add @fox on the right", "The fox sits down next to it.", "Is that any good?", "gull_1c", 3, "MS",
                     "", True),
                Shot("add @robot on the left", "The robot wants a turn.", "", "gull_1d", 2, "MS", "",
                     True),
            )),
            ("EXT. BEACH - SUNSET", (
                Shot("@gull and @fox on the beach at sunset", "Out at last.", "", "gull_2a", 4, "LS", "pan"),
                Shot("make it night", "They stay until it is dark.", "Same time tomorrow?", "gull_2b", 3, "LS", "",
                     True),
                Shot("a fox on the beach at night"),
            )),
        ),
    ),
    "outfit": Sample(
        "An Outfit from Six Pictures",
        "Somebody, four things to wear and hold, and a place become one picture.",
        "outfit_1d",
        "flux2-klein-4b",
        (
            ("anna", "character", "anna"), ("hat", "prop", "hat"), ("sunglasses", "prop", "glasses"),
            ("scarf", "prop", "scarf"), ("umbrella", "prop", "umbrella"), ("park", "place", "park"),
        ),
        (
            ("FITTING", (
                Shot("@anna in the park", "As she comes in.", "", "outfit_1a", 2, "MS", ""),
                Shot("put on the hat from @hat", "First the hat.", "", "outfit_1b", 2, "MS", "", True),
                Shot("put on the sunglasses from @sunglasses", "Then the sunglasses.", "", "outfit_1c", 2, "MS", "",
                     True),
                Shot("@anna wearing @hat, the sunglasses from @sunglasses, the scarf from @scarf and the umbrella from "
                     "@umbrella in @park", "Everything at once: one picture from six.", "", "", 3, "LS",
                     ""),
            )),
        ),
    ),
    "product": Sample(
        "A Chair in a Room",
        "Put a piece of furniture into a room, and change the light.",
        "product_1b",
        "flux2-klein-4b",
        (("chair", "prop", "chair"), ("room", "place", "room")),
        (
            ("THE ROOM", (
                Shot("@room at sunset", "The empty room.", "", "product_1a", 2, "EST", ""),
                Shot("put @chair on the left", "With the chair.", "", "product_1b", 2, "EST", "", True),
                Shot("make it night", "The same, late.", "", "", 2, "EST", "", True),
            )),
        ),
    ),
    "face": Sample(
        "The Same Face",
        "Change what a person wears and where he is; he stays himself.",
        "face_1b",
        "flux2-klein-4b",
        (("leo", "character", "leo"),),
        (
            ("PORTRAIT", (
                Shot("@leo wearing sunglasses at the beach", "Hidden behind glasses.", "", "face_1a", 2, "CU", ""),
                Shot("remove the sunglasses", "The same face, nothing in front of it.", "", "face_1b", 2, "CU", "",
                     True),
                Shot("move to the snow", "Another place, the same person.", "", "", 2, "CU", "", True),
            )),
        ),
    ),
}  # fmt: skip


def create(name: str, path: str | Path) -> BoardFile:
    """The sample as a new package at `path`, open. Raises BoardError where something is there already, DiskFull."""
    sample = SAMPLES[name]
    empty = new_board(sample.title, (1, 1))  # the built-in model knows squares
    return BoardFile.create(path, empty, lambda file: _fill(file, sample))


def _fill(file: BoardFile, sample: Sample) -> None:
    cast = tuple(
        Member(new_id(), name, role, COLOURS[place % len(COLOURS)], (_picture(file, picture),))
        for place, (name, role, picture) in enumerate(sample.cast)
    )
    scenes = tuple(_scene(file, heading, shots) for heading, shots in sample.scenes)
    file.save(replace(file.board, cast=cast, scenes=scenes))


def _scene(file: BoardFile, heading: str, shots: tuple[Shot, ...]) -> Scene:
    panels: list[Panel] = []
    for shot in shots:
        source = Source("panel", panels[-1].id) if shot.continues and panels else Source()
        words = {"instruction": shot.prompt} if source.panel else {"prompt": shot.prompt}
        made = replace(_panel(file, shot), source=source, **words)
        start = panels[-1].current if source.panel else None
        takes = tuple(replace(take, parent=start) for take in made.takes)  # drawn on the picture before
        panels.append(replace(made, takes=takes))
    return Scene(new_id(), heading, tuple(panels))


def _panel(file: BoardFile, shot: Shot) -> Panel:
    panel = Panel(
        new_id(),
        action=shot.action,
        dialogue=shot.dialogue,
        camera=Camera(shot.shot, "", shot.move),
        seconds=shot.seconds,
    )
    return keep_take(panel, import_take(_picture(file, shot.picture), DRAWN), True) if shot.picture else panel


def _picture(file: BoardFile, name: str) -> Picture:
    return file.put_picture((FOLDER / f"{name}.png").read_bytes(), name)
