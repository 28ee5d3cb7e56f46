"""A board with drawn pictures: no font, no model, every colour known."""

import hashlib
import io
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from app.board.camera import Camera
from app.board.data import Board, Panel, PanelReference, Picture, Scene, Source, Take
from app.pictures.images import Given, inspect

SKIES = ((126, 186, 224), (244, 162, 97), (24, 28, 52), (214, 226, 232), (70, 52, 92), (250, 214, 165))
ACTIONS = (
    "A seagull lands on the bar, a VR headset pushed up on its forehead. It looks around as if it had paid rent.",
    "The barkeeper goes on polishing the same glass.",
    "Close on the headset: the bar is mirrored in it, upside down.",
    "The door opens. Wind, sand, the smell of the sea.",
    "The seagull steps outside and stops. The real beach is empty.",
    "It pulls the headset down.",
)
DIALOGUES = (
    "SEAGULL: One herring. Virtual.",
    "",
    "BARKEEPER: We only have the real ones.\nSEAGULL: (sighs) Of course you do.",
    "",
    "SEAGULL: Where is everybody?",
    "",
)
NOTES = ("Warm light from the left.", "", "Match the horizon with 1D.", "Practical wind.", "", "Cut on the click.")
CAMERAS = (
    Camera("MS", "eye level", "static"), Camera("MCU", "low", ""), Camera("ECU", "", "push in"),
    Camera("LS", "eye level", "pan"), Camera("ELS", "high", "pull out"), Camera("CU", "", "static"),
)  # fmt: skip


class Blobs:
    """Pictures by the hash of their bytes, as the board's package keeps them."""

    def __init__(self, folder: Path):
        self.folder = folder / "blobs"
        self.folder.mkdir(parents=True, exist_ok=True)

    def path(self, sha256: str) -> Path:
        return next(self.folder.glob(f"{sha256}.*"), self.folder / f"{sha256}.png")

    def put(self, picture: bytes | np.ndarray | Image.Image | Given) -> Picture:
        picture = picture if isinstance(picture, bytes | Given) else encoded(picture)
        given = inspect("picture", data=picture, least=1) if isinstance(picture, bytes) else picture
        sha256 = hashlib.sha256(given.data).hexdigest()
        (self.folder / f"{sha256}{given.ending}").write_bytes(given.data)
        return Picture(sha256, *given.size)


def encoded(picture: np.ndarray | Image.Image) -> bytes:
    data = io.BytesIO()
    (Image.fromarray(picture) if isinstance(picture, np.ndarray) else picture).save(data, "PNG")
    return data.getvalue()


def drawn(place: int, size: tuple[int, int] = (640, 360)) -> Image.Image:
    """A beach with a gull: the sky tells which picture it is (its top left pixel is SKIES[place % 6])."""
    width, height = size
    sky = SKIES[place % len(SKIES)]
    image = Image.new("RGB", (2 * width, 2 * height), sky)
    draw = ImageDraw.Draw(image)
    sea, sand = [tuple(int(c * k) for c in sky) for k in (0.6, 0.85)]
    draw.rectangle((0, 1.1 * height, 2 * width, 2 * height), sea)
    draw.polygon([(0, 1.7 * height), (2 * width, 1.45 * height), (2 * width, 2 * height), (0, 2 * height)], sand)
    unit = min(width, height) / 3
    x, y = width * (0.5 + 0.2 * (place % 6)), 1.2 * height
    draw.ellipse((x - unit, y - unit * 0.5, x + unit, y + unit * 0.6), (240, 240, 238))
    draw.ellipse((x + unit * 0.4, y - unit * 1.2, x + unit * 1.3, y - unit * 0.3), (248, 248, 246))
    draw.polygon(
        [(x + unit * 1.25, y - unit * 0.9), (x + unit * 1.8, y - unit * 0.7), (x + unit * 1.25, y - unit * 0.6)],
        (238, 150, 40),
    )
    draw.rounded_rectangle(
        (x + unit * 0.7, y - unit * 1.05, x + unit * 1.35, y - unit * 0.72), unit * 0.1, (30, 30, 34)
    )
    draw.line((x - unit, y, x - unit * 1.7, y - unit * 0.3), (120, 120, 120), int(unit / 8))
    return image.resize(size, Image.Resampling.LANCZOS)


def take(blobs: Blobs, place: int, number: int = 1, size: tuple[int, int] = (640, 360)) -> Take:
    image = drawn(place, size)
    if number > 1:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    picture = blobs.put(image)
    made, seed = "2026-11-25T09:00:00Z", 100 * place + number
    return Take(f"take{place:04d}{number:04d}", picture, "{}", "mini", made, seed=seed, number=number)


def panel(blobs: Blobs, place: int, size: tuple[int, int] = (640, 360), **changes) -> Panel:
    made = take(blobs, place, 1, size)
    k = place % len(ACTIONS)
    values = {
        "prompt": f"@Gull in the bar, picture {place}",
        "action": ACTIONS[k],
        "dialogue": DIALOGUES[k],
        "notes": NOTES[k],
        "camera": CAMERAS[k],
        "seconds": (2.0, 1.5, 3.2, 2.0, 0.7, 4.0)[k],
        "takes": (made,),
        "current": made.id,
    }
    return Panel(f"panel{place:07d}", **(values | changes))


def sample(blobs: Blobs, size: tuple[int, int] = (640, 360), aspect: tuple[int, int] = (16, 9)) -> Board:
    """Two scenes: 1A 1B 1C | 2A 2B 2C. 1B continues 1A, 1C has two takes and a mask, 2C has no picture."""
    one = panel(blobs, 0, size)
    look = PanelReference("reference001", one.takes[0].picture, name="before")
    two = panel(blobs, 1, size, references=(look,), source=Source("panel", one.id))
    more = (take(blobs, 2, 1, size), take(blobs, 2, 2, size))
    mask = Image.new("L", size)
    ImageDraw.Draw(mask).ellipse((size[0] // 4, size[1] // 4, size[0] // 2, size[1] // 2), 255)
    three = panel(blobs, 2, size, takes=more, current=more[1].id, mask=blobs.put(mask))
    outside = tuple(panel(blobs, place, size) for place in (3, 4))
    empty = panel(blobs, 5, size, takes=(), current=None)
    return Board(
        "board0000001", "The Gull and the Headset", aspect, 24, "storybook",
        scenes=(
            Scene("scene0000001", "INT. HARBOUR BAR - EVENING", (one, two, three)),
            Scene("scene0000002", "EXT. BEACH - CONTINUOUS", (*outside, empty)),
        ),
    )  # fmt: skip


def long_board(blobs: Blobs, count: int, seconds: float = 0.51, fps: int = 24) -> Board:
    """`count` panels that share one picture, in scenes of twenty."""
    first = panel(blobs, 0)
    panels = [Panel(f"panel{i:07d}", takes=first.takes, current=first.current, seconds=seconds) for i in range(count)]
    scenes = tuple(Scene(f"scene{i:07d}", f"SCENE {i}", tuple(panels[i : i + 20])) for i in range(0, count, 20))
    return Board("board0000002", "Long", fps=fps, scenes=scenes)
