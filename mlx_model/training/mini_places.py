"""The places of the built-in model's world, painted as flat illustrations.

A backdrop is a function of (place, light, variant, size) and nothing else. The light only changes
colours (and puts a sun, or a moon and stars, at the same spot of the sky), never the layout. A
variant is one of four layouts, mirrored or not. Shapes are given in fractions: x of the width, y of
the height, radii of the shorter side; they are painted SCALE times larger and averaged down.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw

VARIANTS = 8
SCALE = 4
PLAIN = "plain"  # one flat colour behind a reference character; not a place a prompt can name
UNLIT = ("space", PLAIN)
INDOORS = ("bar", "room")  # their light changes too, but no sky is seen

Colour = tuple[int, int, int]
Point = tuple[float, float]

SKIES: dict[str, tuple[Colour, Colour]] = {  # top of the picture, horizon
    "day": ((92, 176, 242), (206, 236, 253)),
    "sunset": ((112, 70, 150), (255, 160, 92)),
    "night": ((12, 16, 50), (46, 60, 118)),
    "space": ((10, 8, 30), (48, 28, 84)),
    "bar": ((104, 56, 44), (134, 74, 52)),  # walls
    "room": ((226, 208, 178), (226, 208, 178)),
}
TINTS: dict[str, tuple[tuple[float, float, float], Colour]] = {  # colour -> colour * gain + lift
    "sunset": ((0.90, 0.68, 0.64), (22, 6, 14)),
    "night": ((0.32, 0.38, 0.56), (4, 8, 30)),
}
PLAIN_COLOURS: tuple[Colour, ...] = (
    (255, 255, 255), (24, 24, 28), (150, 156, 164), (236, 222, 190),
    (168, 208, 236), (186, 222, 170), (244, 182, 176), (206, 184, 232),
)  # fmt: skip
FLOWERS: tuple[Colour, ...] = ((250, 96, 110), (255, 222, 80), (255, 255, 255))
BOTTLES: tuple[Colour, ...] = ((64, 150, 92), (222, 168, 62), (196, 72, 62), (92, 140, 196))
WALLS: tuple[Colour, ...] = ((226, 208, 178), (190, 210, 200), (214, 194, 206), (196, 206, 224))
HOUSES: tuple[Colour, ...] = ((112, 134, 168), (176, 110, 96), (134, 160, 166), (150, 128, 158))


@dataclass(frozen=True)
class Brush:
    """Where a painter paints: the enlarged picture (w x h pixels), its light, and its layout."""

    draw: ImageDraw.ImageDraw
    w: int
    h: int
    light: str | None
    layout: int  # 0..3
    mirrored: bool

    def at(self, x: float, y: float) -> Point:
        """Fractions of the picture to pixels of the enlarged picture."""
        return ((1 - x if self.mirrored else x) * self.w, y * self.h)

    def radius(self, r: float) -> float:
        """A fraction of the shorter side to pixels of the enlarged picture."""
        return r * min(self.w, self.h)


def tint(colour: Colour, light: str | None) -> Colour:
    """The colour of a thing that is `colour` by day."""
    if light not in TINTS:
        return colour
    gain, lift = TINTS[light]
    red, green, blue = (min(255, int(c * g) + a) for c, g, a in zip(colour, gain, lift, strict=True))
    return red, green, blue


def shape(b: Brush, points: Sequence[Point], colour: Colour, lit: bool = True) -> None:
    """A polygon; `lit` things take the colour of the light, others shine by themselves."""
    b.draw.polygon([b.at(x, y) for x, y in points], fill=tint(colour, b.light) if lit else colour)


def box(b: Brush, x0: float, y0: float, x1: float, y1: float, colour: Colour, lit: bool = True) -> None:
    """An upright rectangle."""
    shape(b, ((x0, y0), (x1, y0), (x1, y1), (x0, y1)), colour, lit)


def disc(b: Brush, x: float, y: float, r: float, colour: Colour, lit: bool = True, flat: float = 1.0) -> None:
    """A disc of radius r (of the shorter side), `flat` times as high as wide."""
    (cx, cy), r = b.at(x, y), b.radius(r)
    b.draw.ellipse((cx - r, cy - r * flat, cx + r, cy + r * flat), fill=tint(colour, b.light) if lit else colour)


def wave(b: Brush, y: float, height: float, turns: float, phase: float, colour: Colour) -> None:
    """Everything below a sine line around y: dunes, hills, shores."""
    xs = np.linspace(0, 1, 33)
    line = [(float(x), float(y + height * np.sin(2 * np.pi * (turns * x + phase)))) for x in xs]
    shape(b, [*line, (1.0, 1.01), (0.0, 1.01)], colour)


def fir(b: Brush, x: float, foot: float, tall: float, colour: Colour, snowy: bool = False) -> None:
    """A fir of three stacked triangles; tall in fractions of the height."""
    wide = tall * 0.42 * min(b.h, b.w) / b.w
    box(b, x - wide * 0.12, foot - tall * 0.2, x + wide * 0.12, foot, (110, 76, 50))
    for low, size in ((0.14, 1.0), (0.38, 0.8), (0.62, 0.6)):
        base, top = foot - tall * low, foot - tall * min(1.0, low + 0.44)
        shape(b, ((x - wide * size, base), (x + wide * size, base), (x, top)), colour)
    if snowy:
        shape(
            b,
            ((x - wide * 0.34, foot - tall * 0.76), (x + wide * 0.34, foot - tall * 0.76), (x, foot - tall)),
            (240, 246, 252),
        )


def crescent(b: Brush, x: float, y: float, r: float) -> None:
    """The moon."""
    (cx, cy), r = b.at(x, y), b.radius(r)
    turn = np.linspace(0, 2 * np.pi, 64)
    dx, dy = np.cos(turn), np.sin(turn)
    bitten = np.where(dx > 0, -0.1 + 0.35 * dx, dx)  # the right half bends inwards
    b.draw.polygon(
        [(cx + r * float(p), cy + r * float(q)) for p, q in zip(bitten, dy, strict=True)], fill=(250, 240, 200)
    )


def heavens(b: Brush, layout: np.random.Generator) -> None:
    """Sun, or moon and stars, at the spot this layout gives them."""
    x, y = 0.74 + 0.05 * b.layout, 0.15
    stars = layout.uniform((0.05, 0.05), (0.62, 0.4), (9, 2))
    if b.light == "night":
        crescent(b, x, y, 0.09)
        for sx, sy in stars:
            disc(b, float(sx), float(sy), 0.009, (236, 238, 250), lit=False)
    else:
        disc(b, x, y, 0.09, (255, 214, 64) if b.light == "day" else (255, 104, 66), lit=False)


def cloud(b: Brush, x: float, y: float) -> None:
    """A flat cloud of three discs, white by day."""
    for dx, dy, r in ((-0.07, 0.01, 0.04), (0.0, -0.012, 0.06), (0.07, 0.01, 0.045)):
        disc(b, x + dx * min(b.w, b.h) / b.w, y + dy, r, (250, 252, 255))


def paint_beach(b: Brush, layout: np.random.Generator) -> None:
    """Sea with a sail, sand, a palm."""
    box(b, 0, 0.46, 1, 0.68, (42, 150, 206))
    box(b, 0, 0.46, 1, 0.5, (30, 126, 186))
    sail, palm = float(layout.uniform(0.45, 0.8)), float(layout.uniform(0.08, 0.2))
    shape(b, ((sail, 0.34), (sail, 0.47), (sail + 0.1, 0.47)), (250, 250, 250))
    shape(b, ((sail - 0.05, 0.48), (sail + 0.12, 0.48), (sail + 0.08, 0.52), (sail - 0.02, 0.52)), (190, 72, 58))
    wave(b, 0.63, 0.012, 1.5, 0.2 * b.layout, (226, 244, 250))
    wave(b, 0.655, 0.012, 1.5, 0.2 * b.layout, (246, 220, 158))
    shape(b, ((palm - 0.035, 0.74), (palm + 0.035, 0.74), (palm + 0.075, 0.3), (palm + 0.04, 0.3)), (146, 100, 62))
    for turn in (-2.9, -2.2, -1.57, -0.94, -0.24):
        tip = (palm + 0.055 + 0.2 * np.cos(turn), 0.3 + 0.17 * np.sin(turn) + 0.08)
        shape(
            b,
            ((palm + 0.055, 0.3), ((palm + 0.055 + tip[0]) / 2, 0.3 + 0.13 * np.sin(turn) - 0.02), tip),
            (48, 146, 72),
        )


def paint_city(b: Brush, layout: np.random.Generator) -> None:
    """Six houses with a few large windows, a pavement, a road."""
    panes = {"day": (206, 230, 246), "sunset": (255, 214, 140), "night": (255, 222, 120)}[b.light or "day"]
    for i in range(6):
        left, top = i / 6, 0.66 - float(layout.uniform(0.2, 0.44))
        box(b, left, top, left + 1 / 6 + 0.002, 0.7, HOUSES[(i + b.layout) % 4])
        for row in range(int((0.66 - top) / 0.1)):
            for column in (0.03, 0.095):
                box(
                    b,
                    left + column,
                    top + 0.035 + row * 0.1,
                    left + column + 0.04,
                    top + 0.085 + row * 0.1,
                    panes,
                    lit=False,
                )
    box(b, 0, 0.68, 1, 0.76, (186, 186, 190))
    box(b, 0, 0.75, 1, 1.01, (84, 88, 98))
    for x in np.arange(0.05, 1, 0.25):
        box(b, float(x), 0.86, float(x) + 0.13, 0.885, (240, 236, 220))


def paint_snow(b: Brush, layout: np.random.Generator) -> None:
    """Two white-topped mountains, snowy firs, flakes."""
    for x, top, wide in ((0.25 + 0.06 * b.layout, 0.24, 0.36), (0.74, 0.34, 0.34)):
        shape(b, ((x - wide, 0.66), (x + wide, 0.66), (x, top)), (142, 164, 202))
        cap = 0.13
        s = wide * cap / (0.66 - top)
        shape(
            b,
            (
                (x - s, top + cap),
                (x - s * 0.3, top + cap * 0.7),
                (x, top + cap),
                (x + s * 0.4, top + cap * 0.7),
                (x + s, top + cap),
                (x, top),
            ),
            (244, 248, 255),
        )
    wave(b, 0.64, 0.02, 1.0, 0.25 * b.layout, (236, 243, 251))
    for x, tall in ((0.1, 0.36), (0.9, 0.3)):
        fir(b, x + float(layout.uniform(-0.03, 0.05)), 0.72, tall, (54, 116, 96), snowy=True)
    for x, y in layout.uniform((0.03, 0.05), (0.97, 0.6), (12, 2)):
        disc(b, float(x), float(y), 0.011, (255, 255, 255), lit=False)


def paint_forest(b: Brush, layout: np.random.Generator) -> None:
    """A far and a near row of firs over a mossy ground."""
    for i in range(8):
        fir(b, i / 7, 0.68, 0.36 + float(layout.uniform(-0.04, 0.06)), (92, 156, 112))
    wave(b, 0.62, 0.012, 1.0, 0.25 * b.layout, (98, 132, 62))
    for x, tall in ((0.02, 0.62), (0.24, 0.5), (0.77, 0.48), (0.99, 0.6)):
        fir(b, x + float(layout.uniform(-0.03, 0.03)), 0.78, tall, (34, 98, 60))
    wave(b, 0.78, 0.012, 1.5, 0.25 * b.layout, (78, 110, 50))


def paint_desert(b: Brush, layout: np.random.Generator) -> None:
    """A red table mountain, dunes, cactuses."""
    x = float(layout.uniform(0.12, 0.42))
    shape(b, ((x - 0.17, 0.64), (x - 0.11, 0.38), (x + 0.11, 0.38), (x + 0.17, 0.64)), (204, 112, 78))
    wave(b, 0.6, 0.03, 1.0, 0.25 * b.layout, (240, 200, 124))
    for x, foot, tall in (
        (float(layout.uniform(0.78, 0.9)), 0.74, 0.34),
        (float(layout.uniform(0.48, 0.6)), 0.66, 0.18),
    ):
        cactus(b, x, foot, tall)
    wave(b, 0.74, 0.03, 1.0, 0.25 * b.layout + 0.4, (224, 174, 96))


def cactus(b: Brush, x: float, foot: float, tall: float) -> None:
    """A stem with two arms; tall in fractions of the height."""
    t, green = tall * 0.1, (70, 142, 80)
    wide = t * min(b.h, b.w) / b.w
    box(b, x - wide, foot - tall, x + wide, foot, green)
    for side, low in ((-1, 0.4), (1, 0.55)):
        far = x + side * wide * 4
        box(b, x, foot - tall * low - t, far, foot - tall * low + t, green)
        box(b, far - wide, foot - tall * low - 3.5 * t, far + wide, foot - tall * low + t, green)


def paint_park(b: Brush, layout: np.random.Generator) -> None:
    """Hills, round trees, a winding path, flowers."""
    wave(b, 0.56, 0.05, 1.0, 0.25 * b.layout, (128, 192, 108))
    wave(b, 0.66, 0.02, 1.0, 0.25 * b.layout + 0.5, (112, 184, 82))
    shape(b, ((0.52, 0.66), (0.57, 0.66), (0.6, 0.76), (0.86, 1.01), (0.34, 1.01), (0.44, 0.8)), (232, 210, 166))
    for x, foot, r in ((float(layout.uniform(0.1, 0.2)), 0.74, 0.15), (float(layout.uniform(0.8, 0.9)), 0.7, 0.12)):
        thick = 0.025 * min(b.w, b.h) / b.w
        box(b, x - thick, foot - 0.2, x + thick, foot, (124, 84, 54))
        for dx, dy, size in ((-0.06, 0.03, 0.8), (0.06, 0.03, 0.8), (0.0, -0.03, 1.0)):
            disc(b, x + dx, foot - 0.2 - r * 0.5 + dy, r * size, (60, 148, 66))
    for i, x in enumerate((0.06, 0.2, 0.3, 0.82, 0.94)):
        disc(b, x, float(layout.uniform(0.8, 0.96)), 0.018, FLOWERS[(i + b.layout) % 3])


def paint_bar(b: Brush, layout: np.random.Generator) -> None:
    """A warm wall with a shelf of bottles, two lamps, the counter."""
    box(b, 0, 0.36, 1, 0.4, (86, 48, 34))
    for i in range(6):
        x, tall = 0.1 + 0.16 * i, float(layout.uniform(0.1, 0.15))
        box(b, x - 0.035, 0.36 - tall, x + 0.035, 0.36, BOTTLES[(i + b.layout) % 4])
        box(b, x - 0.014, 0.29 - tall, x + 0.014, 0.37 - tall, BOTTLES[(i + b.layout) % 4])
    for x in (0.24 + 0.03 * b.layout, 0.7 + 0.03 * b.layout):
        box(b, x - 0.006, 0, x + 0.006, 0.06, (40, 26, 24))
        shape(b, ((x - 0.035, 0.05), (x + 0.035, 0.05), (x + 0.1, 0.13), (x - 0.1, 0.13)), (38, 92, 84))
        box(b, x - 0.08, 0.13, x + 0.08, 0.15, (255, 232, 150), lit=False)
    box(b, 0, 0.56, 1, 0.61, (198, 134, 82))
    box(b, 0, 0.61, 1, 0.8, (122, 66, 42))
    for x in (0.02, 0.27, 0.52, 0.77):
        box(b, x, 0.64, x + 0.21, 0.77, (140, 80, 52))
    box(b, 0, 0.8, 1, 1.01, (74, 50, 48))


def paint_space(b: Brush, layout: np.random.Generator) -> None:
    """Stars, a ringed planet, the ground of a moon."""
    for x, y in layout.uniform((0.03, 0.04), (0.97, 0.6), (18, 2)):
        disc(b, float(x), float(y), 0.01, (240, 240, 252))
    x, colour = (
        float(layout.uniform(0.66, 0.8)),
        ((232, 150, 88), (98, 178, 214), (214, 110, 148), (140, 200, 130))[b.layout],
    )
    disc(b, x, 0.2, 0.2, (232, 214, 184), flat=0.26)
    disc(b, x, 0.2, 0.16, (28, 18, 54), flat=0.22)
    disc(b, x, 0.2, 0.12, colour)
    wave(b, 0.7, 0.02, 0.5, 0.0, (166, 166, 178))
    for cx, cy, r in ((0.16, 0.82, 0.09), (0.55, 0.9, 0.12), (0.86, 0.8, 0.08)):
        disc(b, cx + 0.02 * b.layout, cy, r, (132, 132, 146), flat=0.42)


def paint_room(b: Brush, layout: np.random.Generator) -> None:
    """A wall with a window, a picture and a lamp, floorboards, a rug."""
    box(b, 0, 0, 1, 0.66, WALLS[b.layout])
    x, frame = float(layout.uniform(0.14, 0.3)), (250, 248, 240)
    box(b, x - 0.02, 0.12, x + 0.28, 0.46, frame)
    outside = {"sunset": (255, 168, 104), "night": (26, 32, 84)}.get(b.light or "day", (150, 204, 240))
    box(b, x, 0.14, x + 0.26, 0.44, outside, lit=False)
    box(b, x + 0.12, 0.14, x + 0.14, 0.44, frame)
    box(b, 0.62, 0.16, 0.82, 0.38, (120, 78, 50))
    box(b, 0.64, 0.18, 0.8, 0.36, BOTTLES[b.layout])
    box(b, 0.9, 0.3, 0.915, 0.7, (70, 60, 56))
    shape(b, ((0.86, 0.2), (0.955, 0.2), (0.99, 0.32), (0.825, 0.32)), (250, 224, 140), lit=False)
    box(b, 0, 0.64, 1, 0.68, frame)
    box(b, 0, 0.68, 1, 1.01, (172, 122, 82))
    for y in (0.76, 0.86):
        box(b, 0, y, 1, y + 0.01, (144, 98, 64))
    disc(b, 0.5, 0.88, 0.36, HOUSES[b.layout], flat=0.24)


PAINTERS: dict[str, Callable[[Brush, np.random.Generator], None]] = {
    "beach": paint_beach, "city": paint_city, "snow": paint_snow, "forest": paint_forest,
    "desert": paint_desert, "park": paint_park, "bar": paint_bar, "space": paint_space, "room": paint_room,
}  # fmt: skip


def sky(place: str, light: str | None, width: int, height: int) -> np.ndarray:
    """(height, width, 3) uint8: sky, or a wall in this light; a vertical blend down to its colour at the horizon."""
    ends = SKIES[light or place] if place not in INDOORS else [tint(colour, light) for colour in SKIES[place]]
    top, low = (np.array(c, float) for c in ends)
    blend = np.clip(np.linspace(0, 1 / 0.65, height), 0, 1)[:, None]
    column = (top + (low - top) * blend).astype(np.uint8)  # (height, 3)
    return np.repeat(column[:, None], width, axis=1)


def paint(place: str, light: str | None, variant: int, width: int, height: int) -> Image.Image:
    """The backdrop at SCALE times its size."""
    big = Image.fromarray(sky(place, light, width * SCALE, height * SCALE))
    b = Brush(ImageDraw.Draw(big), big.width, big.height, light, variant // 2, variant % 2 == 1)
    layout = np.random.default_rng((sorted(PAINTERS).index(place), variant // 2))
    if light is not None and place not in INDOORS:
        heavens(b, layout)
        cloud(b, 0.3 + 0.05 * b.layout, 0.16)
    PAINTERS[place](b, layout)
    return big


@lru_cache(maxsize=1024)
def backdrop(place: str, light: str | None, variant: int, width: int, height: int) -> np.ndarray:
    """(height, width, 3) uint8, read-only: a place without anybody in it."""
    if place == PLAIN:
        pixels = np.full((height, width, 3), PLAIN_COLOURS[variant], np.uint8)
    else:
        pixels = np.array(paint(place, light, variant, width, height).reduce(SCALE))
    pixels.setflags(write=False)
    return pixels
