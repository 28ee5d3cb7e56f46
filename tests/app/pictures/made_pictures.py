"""Pictures and colour profiles made in the test, so that every colour is known."""

import struct
from pathlib import Path

import numpy as np
from PIL import Image

P3 = ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060))
ADOBE = ((0.64, 0.33), (0.21, 0.71), (0.15, 0.06))
PROPHOTO = ((0.7347, 0.2653), (0.1596, 0.8404), (0.0366, 0.0001))
SRGB = ((0.64, 0.33), (0.30, 0.60), (0.15, 0.06))
D65, D50 = (0.3127, 0.3290), (0.3457, 0.3585)
BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
# 96 x 64, left half (200, 30, 30), right half (30, 30, 200); made with pillow-heif, which pi-heif can't do.
HEIC = (
    "AAAAHGZ0eXBoZWl4AAAAAG1pZjFoZWl4bWlhZgAAAVVtZXRhAAAAAAAAACFoZGxyAAAAAAAAAABwaWN0AAAAAAAAAAAAAAAAAAAAACJp"
    "bG9jAAAAAERAAAEAAQAAAAABeQABAAAAAAAAAJIAAAAjaWluZgAAAAAAAQAAABVpbmZlAgAAAAABAABodmMxAAAAAA5waXRtAAAAAAAB"
    "AAAA1WlwcnAAAAC2aXBjbwAAAHdodmNDAQQIAAAAnjgAAAAAHvAA/P/4+AAADwNgAAEAF0ABDAH//wQIAAADAJ44AAADAAAeugJAYQAB"
    "ACpCAQEECAAAAwCeOAAAAwAAHpAGECCy3UklNc3AQ0GBAAADABkAAAMAAQhiAAEACEQBwXKGDAIkAAAAE2NvbHJuY2x4AAEADQAGgAAA"
    "ABRpc3BlAAAAAAAAAGAAAABAAAAAEHBpeGkAAAAAAwgICAAAABdpcG1hAAAAAAAAAAEAAQSBAgMEAAAAmm1kYXQAAACOKAGvBjha/P03"
    "+SXv//+qRvof6TWIu+VqVfkt0vv5lbv/+AzAJw/4bEh3y7TeLajADjQConcIeowpYSZ80yLPkyP9n87+f7o4XSaHdv56fCp40+Edgux+"
    "+XqPAUJ/Ynr+dkD8ymZVDHen3T9nk8hOU5z7mu0AQV38DGswbzn+8vHQOhf7+n9J1+stToPR4A=="
)


def _xyz(xy: tuple[float, float]) -> np.ndarray:
    return np.array([xy[0] / xy[1], 1.0, (1 - xy[0] - xy[1]) / xy[1]])


def to_xyz_d50(primaries, white=D65) -> np.ndarray:
    """RGB -> XYZ relative to D50, by Bradford, as ICC profiles hold it."""
    columns = np.stack([_xyz(p) for p in primaries], axis=1)
    matrix = columns * np.linalg.solve(columns, _xyz(white))
    gains = (BRADFORD @ _xyz(D50)) / (BRADFORD @ _xyz(white))
    return np.linalg.inv(BRADFORD) @ np.diag(gains) @ BRADFORD @ matrix


def icc(primaries, gamma: float, white=D65) -> bytes:
    """A matrix profile, ICC version 2."""
    fixed = lambda v: struct.pack(">i", round(v * 65536))  # noqa: E731
    xyz = lambda v: b"XYZ \0\0\0\0" + b"".join(map(fixed, v))  # noqa: E731
    matrix = to_xyz_d50(primaries, white)
    curve = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256)) + b"\0\0"
    text = b"desc\0\0\0\0" + struct.pack(">I", 5) + b"test\0" + b"\0" * 79
    tags = {b"desc": text, b"cprt": b"text\0\0\0\0none\0\0\0\0", b"wtpt": xyz(_xyz(D50))}
    tags |= {name: xyz(matrix[:, i]) for i, name in enumerate((b"rXYZ", b"gXYZ", b"bXYZ"))}
    tags |= dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve)
    return _put_together(b"mntrRGB XYZ ", tags)


INKS = {  # CIELAB of full inks as a press prints them, far from what the plain arithmetic of inks gives
    "c": (55, -37, -50), "m": (48, 74, -3), "y": (89, -5, 93), "k": (16, 0, 0),
    "cm": (24, 22, -46), "cy": (50, -68, 33), "my": (47, 68, 48), "cmy": (23, 0, 0), "": (100, 0, 0),
}  # fmt: skip


def cmyk_icc() -> bytes:
    """A press, ICC version 2: a table of the 16 full inks over each other (mft2 with CIELAB), straight in between."""
    words = lambda *values: struct.pack(f">{len(values)}H", *values)  # noqa: E731
    table = b""
    for number in range(16):
        inks = "".join(name for bit, name in ((8, "c"), (4, "m"), (2, "y"), (1, "k")) if number & bit)
        light, a, b = INKS["k" if "k" in inks else inks]
        light = 8 if len(inks) > 1 and "k" in inks else light
        table += words(round(light * 652.8), round((a + 128) * 256), round((b + 128) * 256))
    identity = struct.pack(">9i", *(65536 if n % 4 == 0 else 0 for n in range(9)))
    head = b"mft2\0\0\0\0" + bytes([4, 3, 2, 0]) + identity + words(2, 2)
    lut = head + words(0, 65535) * 4 + table + words(0, 65535) * 3
    text = b"desc\0\0\0\0" + struct.pack(">I", 5) + b"test\0" + b"\0" * 79
    white = b"XYZ \0\0\0\0" + b"".join(struct.pack(">i", round(v * 65536)) for v in _xyz(D50))
    tags = {b"desc": text, b"cprt": b"text\0\0\0\0none\0\0\0\0", b"wtpt": white}
    return _put_together(b"prtrCMYKLab ", {**tags, **dict.fromkeys((b"A2B0", b"A2B1", b"A2B2"), lut)})


def _put_together(kind: bytes, tags: dict[bytes, bytes]) -> bytes:
    table, body, offset = b"", b"", 128 + 4 + 12 * len(tags)
    for name, data in tags.items():
        data += b"\0" * (-len(data) % 4)
        table += name + struct.pack(">II", offset + len(body), len(data))
        body += data
    header = bytearray(128)
    header[8:12], header[12:24], header[36:40] = b"\x02\x40\0\0", kind, b"acsp"
    header[68:80] = b"".join(struct.pack(">i", round(v * 65536)) for v in _xyz(D50))
    whole = bytes(header) + struct.pack(">I", len(tags)) + table + body
    return struct.pack(">I", len(whole)) + whole[4:]


def lab_as_srgb(lab) -> np.ndarray:
    """CIELAB (D50) in sRGB, 0 to 255, clipped."""
    light = (lab[0] + 16) / 116
    f = np.array([light + lab[1] / 500, light, light - lab[2] / 200])
    xyz = _xyz(D50) * np.where(f > 6 / 29, f**3, 3 * (6 / 29) ** 2 * (f - 4 / 29))
    rgb = np.clip(np.linalg.solve(to_xyz_d50(SRGB), xyz), 0, 1)
    return 255 * np.where(rgb <= 0.0031308, 12.92 * rgb, 1.055 * rgb ** (1 / 2.4) - 0.055)


def as_srgb(colour, primaries, gamma: float, white=D65) -> np.ndarray:
    """What an 8-bit colour of that space is in sRGB, clipped."""
    linear = to_xyz_d50(primaries, white) @ (np.asarray(colour) / 255.0) ** gamma
    rgb = np.clip(np.linalg.solve(to_xyz_d50(SRGB), linear), 0, 1)
    return 255 * np.where(rgb <= 0.0031308, 12.92 * rgb, 1.055 * rgb ** (1 / 2.4) - 0.055)


def halves(width: int = 96, height: int = 64, left=(200, 30, 30), right=(30, 30, 200)) -> Image.Image:
    """Left half one colour, right half another."""
    image = Image.new("RGB", (width, height), left)
    image.paste(right, (width // 2, 0, width, height))
    return image


def saved(image: Image.Image, path: Path, **options) -> Path:
    image.save(path, **options)
    return path


def near(pixels: np.ndarray, where: tuple[int, int], colour, tolerance: float = 2) -> bool:
    """Whether the pixel at (x, y) has that colour."""
    return bool(np.abs(pixels[where[1], where[0]].astype(float) - np.asarray(colour)).max() <= tolerance)
