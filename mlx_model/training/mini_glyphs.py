"""The characters and things of the built-in model's world: emoji glyphs, cut out and scaled.

A glyph key is an emoji, or an emoji with a disguise for characters that have no name: "🐀|f|bgr" is
the rat mirrored (f) with its red and blue exchanged; or a name of DRAWN. Art comes from Noto Color Emoji (SIL OFL
1.1), which FreeType draws at 109 pixels only; everything is scaled from there.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

FONT_PATHS = (
    "/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf",
    "/usr/share/fonts/noto/NotoColorEmoji.ttf",
    "/usr/share/fonts/google-noto-color-emoji-fonts/NotoColorEmoji.ttf",
)
FONT_SIZE = 109

CHARACTERS: dict[str, str] = {
    "dog": "🐶", "cat": "🐱", "mouse": "🐭", "rabbit": "🐰", "fox": "🦊", "bear": "🐻", "panda": "🐼",
    "koala": "🐨", "tiger": "🐯", "lion": "🦁", "cow": "🐮", "pig": "🐷", "frog": "🐸", "monkey": "🐵",
    "chicken": "🐔", "penguin": "🐧", "owl": "🦉", "wolf": "🐺", "horse": "🐴", "unicorn": "🦄",
    "dragon": "🐲", "octopus": "🐙", "crab": "🦀", "elephant": "🐘", "dinosaur": "🦖", "robot": "🤖",
    "alien": "👽", "ghost": "👻", "clown": "🤡", "pumpkin": "🎃", "snowman": "⛄", "astronaut": "🧑‍🚀",
    "wizard": "🧙", "vampire": "🧛", "princess": "👸", "santa": "🎅", "cowboy": "🤠", "woman": "👩",
    "man": "👨", "devil": "😈", "seagull": "seagull", "boy": "👦", "sofa": "🛋", "chair": "🪑",
}  # fmt: skip
KNOWN = (  # the characters that words alone can call; what two cores can teach is about this many
    "dog", "cat", "rabbit", "fox", "bear", "panda", "tiger", "pig", "frog", "penguin", "owl", "unicorn", "robot",
    "alien", "ghost", "pumpkin", "seagull", "woman", "boy", "sofa", "chair",
)  # fmt: skip
FURNITURE = ("sofa", "chair")
WEARABLES: dict[str, str] = {
    "sunglasses": "🕶", "hat": "🎩", "crown": "👑", "headset": "headset", "cap": "🧢", "glasses": "👓", "scarf": "🧣",
}  # fmt: skip
HEADWEAR, EYEWEAR, NECKWEAR = ("hat", "crown", "cap"), ("sunglasses", "glasses", "headset"), ("scarf",)
SNOW = {"snow": "snow"}  # lies on a head as clothes do, but nobody is dressed in it
PROPS: dict[str, str] = {
    "ball": "⚽", "guitar": "🎸", "book": "📕", "balloon": "🎈", "flower": "🌻",
    "camera": "📷", "umbrella": "☂", "gift": "🎁", "pizza": "🍕", "trophy": "🏆",
}  # fmt: skip
BORN_WITH: dict[str, str] = {"👸": "crown", "⛄": "hat"}  # what a glyph already wears

STRANGERS = (  # characters without a name, seen in references
    "🐀🐁🐂🐃🐄🐅🐆🐇🐈🐉🐊🐋🐌🐍🐎🐏🐐🐑🐒🐓🐕🐖🐗🐚🐛🐜🐝🐞🐟🐠🐡🐢🐣🐤🐥🐦🐩🐪🐫🐬🐳🐹🐿🦂🦃🦅🦆🦇🦈🦋🦌🦍🦎🦏🦐🦑🦒🦓"
    "🦔🦕🦗🦘🦙🦚🦛🦜🦝🦞🦟🦠🦡🦢🦣🦤🦥🦦🦧🦨🦩🦪🦫🦬🦭🙈😺😸😻😼😽🙀😿😾"
    "😀😂😅😇😉😊😋😍😎😐😑😒😘😜😡😭😱😴😵😷🙃🙄🤐🤑🤒🤓🤔🤕🤗🤢🤣🤤🤥🤧🤩🤪🤬🤭🤮🤯🥰🥳🥴🥵🥶🥸🥺🧐👹👺👾👿💩💀🌚🌝🌞"
    "👦👧👱👲👳👴👵👶👷👮👰👼💂💃🕺🕵🤴🤵🤶🦸🦹🧑🧒🧓🧔🧕🧚🧜🧝🧞🧟🥷🧍🧎🧘🏄🏂🏇🤹🤸🙋🙅🙆💁💆🤰🚶🏃"
    "🌭🌮🌯🌰🌽🌶🍄🍅🍆🍇🍈🍉🍊🍋🍌🍍🍎🍐🍑🍒🍓🍔🍖🍗🍙🍚🍜🍝🍞🍟🍡🍣🍤🍦🍧🍩🍪🍫🍬🍭🍮🍯🍰🍱🍲🍵🍷🍸🍹🍺🍿🎂🥐🥑🥒🥓🥕🥖🥗🥚"
    "🥝🥞🥟🥥🥦🥧🥨🥩🥪🥭🥯🧀🧁🧄🧅🧆🧇🧋🌲🌳🌴🌵🌷🌹🌺🍀🍁🌿🎄💐"
    "🚀🚁🚂🚃🚅🚌🚎🚑🚒🚓🚕🚗🚙🚚🚜🚞🚢🚤🚲🛴🛵🛸🛶🚡🏍🏎⛵🛥🛺🛹🚠🚐"
    "🎀🎒🎓🎙🎡🎢🎤🎧🎨🎪🎬🎭🎮🎯🎰🎲🎳🎷🎹🎺🎻🏀🏈🏉🏐🎾🏓🏠🏰🏯🏝⛺🗼🗽🗿⛲💎💡💣💻📞📺📻📡🔑🔔🔥🔦🔨🔫🔬🔭🔮🕰🖥🗡🛋🛎🛏"
    "🛒🛡🧨🧩🧪🧭🧯🧲🧳🧸🧹🧺🪀🪁🪃🪐🪑🪓🪔🪕☎⚓⛑⛸🥁🥊🥇💍👒👔👕👖👗👘👚👛👜👞👟👠👢🧢🧣🧤🧦🥾💼📚📦📮🚦🌈🌋🌍🌙⚡🌊🧱🧊"
)
HELD_OUT_COUNT = 48
_held = {int((i + 0.5) * len(STRANGERS) / HELD_OUT_COUNT) for i in range(HELD_OUT_COUNT)}
TEST_GLYPHS: tuple[str, ...] = tuple(g for i, g in enumerate(STRANGERS) if i in _held)
TRAIN_GLYPHS: tuple[str, ...] = tuple(
    g for i, g in enumerate(STRANGERS) if i not in _held and g not in CHARACTERS.values()
)
UNNAMED: tuple[str, ...] = tuple(glyph for name, glyph in CHARACTERS.items() if name not in KNOWN)
DISGUISES = ("", "", "rgb", "rbg", "grb", "gbr", "brg", "bgr")

Head = tuple[float, float, float, float]  # fractions of the art: middle x, eyes y, width of longer side, crown y
FACE: Head = (0.5, 0.45, 0.7, 0.1)
HEADS: dict[str, Head] = {
    "🐶": (0.5, 0.52, 0.66, 0.08), "🐱": (0.5, 0.55, 0.72, 0.22), "🐭": (0.5, 0.63, 0.6, 0.28),
    "🐰": (0.5, 0.6, 0.48, 0.42), "🦊": (0.5, 0.58, 0.66, 0.3), "🐻": (0.5, 0.45, 0.68, 0.1),
    "🐼": (0.5, 0.5, 0.72, 0.08), "🐨": (0.5, 0.55, 0.6, 0.1), "🐯": (0.5, 0.5, 0.7, 0.12),
    "🦁": (0.5, 0.5, 0.6, 0.14), "🐮": (0.5, 0.42, 0.6, 0.12), "🐷": (0.5, 0.53, 0.74, 0.14),
    "🐸": (0.5, 0.26, 0.78, 0.08), "🐵": (0.5, 0.46, 0.62, 0.08), "🐔": (0.4, 0.4, 0.5, 0.2),
    "🐧": (0.44, 0.14, 0.44, 0.06), "🦉": (0.5, 0.31, 0.56, 0.1), "🐺": (0.5, 0.5, 0.62, 0.24),
    "🐴": (0.4, 0.43, 0.48, 0.16), "🦄": (0.42, 0.46, 0.48, 0.24), "🐲": (0.38, 0.36, 0.46, 0.2),
    "🐙": (0.6, 0.3, 0.5, 0.1), "🦀": (0.5, 0.35, 0.44, 0.28), "🐘": (0.32, 0.33, 0.44, 0.1),
    "🦖": (0.2, 0.13, 0.4, 0.06), "🤖": (0.5, 0.53, 0.72, 0.3), "👽": (0.5, 0.5, 0.76, 0.1),
    "👻": (0.5, 0.22, 0.56, 0.08), "🤡": (0.5, 0.4, 0.66, 0.12), "🎃": (0.5, 0.58, 0.74, 0.3),
    "⛄": (0.5, 0.3, 0.44, 0.24), "🧑‍🚀": (0.5, 0.45, 0.5, 0.08), "🧙": (0.49, 0.47, 0.5, 0.24),
    "🧛": (0.5, 0.45, 0.5, 0.12), "👸": (0.5, 0.65, 0.58, 0.3), "🎅": (0.5, 0.45, 0.5, 0.22),
    "🤠": (0.5, 0.55, 0.6, 0.3), "👩": (0.5, 0.52, 0.58, 0.1), "👨": (0.5, 0.48, 0.6, 0.14),
    "😈": (0.5, 0.53, 0.64, 0.28), "seagull": (0.3, 0.2, 0.36, 0.06), "👦": (0.5, 0.6, 0.62, 0.06),
    "🛋": (0.5, 0.3, 0.6, 0.1), "🪑": (0.5, 0.3, 0.5, 0.1),
}  # fmt: skip


def font_path() -> Path | None:
    """Where the emoji font is, or None."""
    return next((Path(p) for p in FONT_PATHS if Path(p).exists()), None)


@lru_cache(maxsize=1)
def font() -> ImageFont.FreeTypeFont:
    """The emoji font; FileNotFoundError where it is not installed."""
    path = font_path()
    if path is None:
        raise FileNotFoundError("Noto Color Emoji is not installed (Debian: fonts-noto-color-emoji)")
    return ImageFont.truetype(str(path), FONT_SIZE)


def draw_emoji(emoji: str) -> Image.Image:
    """RGBA at the font's own size, cut to what is visible."""
    page = Image.new("RGBA", (160, 160))
    ImageDraw.Draw(page).text((0, 0), emoji, font=font(), embedded_color=True)
    return page.crop(page.getchannel("A").getbbox())


def disguise(art: Image.Image, flags: str) -> Image.Image:
    """Mirrored where flags has f; channels in the order of its three letters."""
    mirror, _, order = flags.partition("|")
    if mirror == "f":
        art = art.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    if order in ("", "rgb"):
        return art
    bands = dict(zip("rgba", art.split(), strict=True))
    return Image.merge("RGBA", [bands[c] for c in order + "a"])


@lru_cache(maxsize=8192)
def glyph_art(key: str, size: int) -> Image.Image:
    """RGBA, its longer side exactly `size` pixels; treat it as read-only."""
    emoji, _, flags = key.partition("|")
    if flags:
        return disguise(glyph_art(emoji, size), flags)
    art = DRAWN[emoji]() if emoji in DRAWN else draw_emoji(emoji)
    scale = size / max(art.size)
    wide, tall = (max(1, round(side * scale)) for side in art.size)
    return art.resize((wide, tall), Image.Resampling.LANCZOS)


def glyph_image(key: str, size: int) -> Image.Image:
    """(size x size) RGBA: the art standing in the middle of the lower edge."""
    art = glyph_art(key, size)
    page = Image.new("RGBA", (size, size))
    page.paste(art, ((size - art.width) // 2, size - art.height))
    return page


@lru_cache(maxsize=8192)
def head(key: str) -> Head:
    """Where a face is: looked up, or for strangers the top of the art's middle third."""
    emoji, _, flags = key.partition("|")
    if emoji in HEADS:
        x, eyes, wide, top = HEADS[emoji]
    else:
        x, eyes, wide, top = guess_head(np.asarray(glyph_art(emoji, 52))[..., 3] > 100)
    return (1 - x if flags.startswith("f") else x), eyes, wide, top


def guess_head(solid: np.ndarray) -> Head:
    """From (h, w) bool, where the art is opaque."""
    h, w = solid.shape
    rows = np.flatnonzero(solid[:, w // 3 : w - w // 3].any(1))
    top = float(rows[0]) / h
    eyes = min(0.8, top + 0.36 * (1 - top))
    columns = np.flatnonzero(solid[int(eyes * h)])
    if not len(columns):
        return FACE
    wide = (columns[-1] - columns[0] + 1) / max(h, w)
    return float(columns[0] + columns[-1]) / 2 / w, eyes, float(np.clip(wide * 0.8, 0.44, 0.7)), min(0.5, top + 0.06)


def stranger(rng: np.random.Generator, split: str) -> str:
    """A glyph key: in training disguised, in tests one never seen in training, as it is."""
    if split != "train":
        return TEST_GLYPHS[int(rng.integers(len(TEST_GLYPHS)))]
    pool = TRAIN_GLYPHS + UNNAMED
    emoji = pool[int(rng.integers(len(pool)))]
    flip, order = "f" if rng.random() < 0.5 else "", DISGUISES[int(rng.integers(len(DISGUISES)))]
    return f"{emoji}|{flip}|{order}" if flip or order else emoji


def recolour(rng: np.random.Generator, split: str, key: str) -> str:
    """In training the art in other colours, so that only its picture tells them."""
    order = DISGUISES[int(rng.integers(len(DISGUISES)))] if split == "train" and key not in DRAWN else ""
    return f"{key}||{order}" if order else key


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
