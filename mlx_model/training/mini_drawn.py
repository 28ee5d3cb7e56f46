"""What the world of the built-in model needs and no emoji shows: a headset, a seagull, snow on a head, all RGBA."""

from __future__ import annotations

from collections.abc import Callable

from PIL import Image, ImageDraw

Colour = tuple[int, int, int, int]
WHITE, EDGE, BLACK, ORANGE = (250, 250, 252, 255), (120, 130, 142, 255), (48, 52, 60, 255), (240, 150, 40, 255)
SNOWY, SHADE = (248, 251, 255, 255), (206, 224, 244, 255)


def blank(width: int, height: int) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    """Nothing, and a brush on it."""
    page = Image.new("RGBA", (width, height))
    return page, ImageDraw.Draw(page)


def draw_headset() -> Image.Image:
    """(128 x 64) RGBA: a virtual reality headset seen from the front."""
    big, brush = blank(512, 256)
    brush.rectangle((0, 84, 512, 150), fill=(52, 56, 66, 255))  # strap
    brush.rounded_rectangle((40, 12, 472, 244), 70, fill=(232, 236, 242, 255))
    brush.rounded_rectangle((64, 40, 448, 216), 52, fill=(38, 42, 54, 255))
    brush.polygon([(120, 70), (250, 70), (180, 186), (90, 186)], fill=(96, 190, 232, 255))
    return big.resize((128, 64), Image.Resampling.LANCZOS)


def draw_seagull() -> Image.Image:
    """(256 x 232) RGBA: a seagull from the side, looking left."""
    big, brush = blank(512, 464)
    for x in (240, 310):
        brush.line((x, 370, x, 450), fill=ORANGE, width=16)
        brush.line((x - 34, 452, x + 10, 452), fill=ORANGE, width=18)
    brush.polygon([(400, 230), (510, 250), (500, 300), (390, 320)], fill=BLACK)  # tail
    for box in ((110, 180, 440, 392), (60, 24, 236, 200)):  # body, head
        brush.ellipse(box, fill=WHITE, outline=EDGE, width=6)
    brush.polygon([(118, 120), (214, 110), (260, 240), (124, 270)], fill=WHITE)  # neck
    brush.polygon([(180, 240), (330, 206), (480, 268), (320, 330), (220, 320)], fill=(150, 162, 178, 255))  # wing
    brush.polygon([(72, 96), (0, 128), (76, 146)], fill=(246, 176, 44, 255))  # beak
    brush.ellipse((106, 76, 138, 108), fill=(24, 26, 32, 255))
    return big.resize((256, 232), Image.Resampling.LANCZOS)


def draw_snow() -> Image.Image:
    """(128 x 88) RGBA: a heap of snow that hangs over a forehead."""
    big, brush = blank(512, 352)
    for x, y, r in ((90, 130, 86), (200, 96, 94), (320, 100, 98), (424, 138, 84)):
        brush.ellipse((x - r, y - r, x + r, y + r), fill=SNOWY)
    brush.rectangle((30, 110, 484, 210), fill=SNOWY)
    for x, low, r in ((66, 290, 36), (150, 238, 46), (250, 330, 40), (340, 246, 50), (440, 300, 42)):
        brush.rounded_rectangle((x - r, 150, x + r, low), r, fill=SNOWY)
    for x, y in ((120, 110), (260, 70), (380, 130)):
        brush.ellipse((x - 26, y - 12, x + 26, y + 12), fill=SHADE)
    return big.resize((128, 88), Image.Resampling.LANCZOS)


DRAWN: dict[str, Callable[[], Image.Image]] = {"headset": draw_headset, "seagull": draw_seagull, "snow": draw_snow}
