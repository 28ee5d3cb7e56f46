"""What is opened and saved is one table; what is said about it says the same."""

import re

import numpy as np
import pytest
from PIL import Image

from app.cli.options import run_options
from app.pictures import images, kinds
from app.pictures.images import open_picture, save_picture
from mlx_model.errors import RequestError


@pytest.mark.parametrize("ending", kinds.SAVED)
def test_what_is_saved_is_opened_again(tmp_path, ending):
    path = save_picture(np.full((64, 80, 3), 90, np.uint8), tmp_path / f"a{ending}", None, edited=False)
    with Image.open(path) as image:
        assert image.format == kinds.OPENED[ending]
    assert open_picture(path).shape == (64, 80, 3)


def test_every_format_that_is_saved_has_its_settings():
    assert set(kinds.SAVED.values()) == set(images.SETTINGS)


def test_the_names_are_those_of_the_table():
    called = {"HEIC": kinds.HEIF}
    named = [called.get(name, name.upper()) for name in re.split(", | or ", kinds.NAMES)]
    assert sorted(named) == sorted(set(kinds.OPENED.values()))


def test_the_help_of_output_names_what_is_saved():
    command = run_options(lambda: None)
    [output] = [option for option in command.__click_params__ if option.name == "output"]
    named = re.findall(r"[a-z]+", output.help.split(": ")[1])
    assert {kinds.SAVED[f".{name}"] for name in named} == set(kinds.SAVED.values())


def tiff(*tags: tuple[int, int], order: str = "little") -> bytes:
    """A first directory with these tags, each a number of 32 bits."""
    entries = b"".join(
        tag.to_bytes(2, order) + (4).to_bytes(2, order) + (1).to_bytes(4, order) + value.to_bytes(4, order)
        for tag, value in tags
    )
    start = (b"II*\0" if order == "little" else b"MM\0*") + (8).to_bytes(4, order)
    return start + len(tags).to_bytes(2, order) + entries + bytes(64)


def iso(*brands: bytes) -> bytes:
    named = brands[0] + bytes(4) + b"".join(brands[1:])
    return (8 + len(named)).to_bytes(4, "big") + b"ftyp" + named + bytes(64)


RAW, VIDEO = "a camera's raw file", "a video"
NOT_READ = [
    ("a.dng", tiff((50706, 0x101)), RAW), ("a.tif", tiff((254, 1), (50706, 0x104), order="big"), RAW),
    ("a.cr2", b"II*\0\x10\0\0\0CR\x02\0" + bytes(64), RAW), ("a.tif", b"II*\0\x10\0\0\0CR\x02\0" + bytes(64), RAW),
    ("a.nef", tiff((254, 1), (330, 99), order="big"), RAW), ("a.arw", tiff((254, 1), (330, 99)), RAW),
    ("a.tif", tiff((254, 1), (330, 99)), RAW), ("a.pef", tiff((271, 5)), RAW),
    ("a.cr3", iso(b"crx ", b"isom"), RAW), ("a.raf", b"FUJIFILMCCD-RAW 0201", RAW),
    ("a.rw2", b"IIU\0" + bytes(64), RAW),
    ("a.orf", b"IIRO" + bytes(64), RAW), ("a.x3f", b"FOVb" + bytes(64), RAW),
    ("a.heic", iso(b"msf1", b"hevc", b"isom"), "a HEIC sequence"), ("a.heics", iso(b"hevc"), "a HEIC sequence"),
    ("a.heic", iso(b"msf1", b"mif1", b"heic", b"hevc"), "a HEIC sequence"),  # its still picture is missing
    ("a.mov", iso(b"qt  "), VIDEO), ("a.mp4", iso(b"isom", b"mp42"), VIDEO),
    ("a.mov", b"\0\0\0\x08moov" + bytes(64), VIDEO),
    ("a.avi", b"RIFF\0\0\0\0AVI LIST", VIDEO), ("a.mkv", b"\x1aE\xdf\xa3" + bytes(64), VIDEO),
    ("a.ts", (b"G" + bytes(187)) * 3, VIDEO), ("a.wmv", b"\x30\x26\xb2\x75" + bytes(64), VIDEO),
    ("a.psd", b"8BPS\0\x01" + bytes(64), "a Photoshop file"), ("a.psb", b"8BPS\0\x02" + bytes(64), "a Photoshop file"),
    ("a.svg", b"<svg xmlns='x'/>", "an SVG drawing"), ("a.svg", b"<?xml version='1.0'?>\n<svg/>", "an SVG drawing"),
    ("a.pdf", b"%PDF-1.7", "a PDF"),
    ("a.ai", b"%PDF-1.5", "an Illustrator drawing"), ("a.eps", b"%!PS-Adobe", "PostScript"),
    ("a.jxl", b"\xff\x0a" + bytes(64), "a JPEG XL"), ("a.jxl", b"\0\0\0\x0cJXL \r\n\x87\n", "a JPEG XL"),
    ("a.jp2", b"\0\0\0\x0cjP  \r\n", "a JPEG 2000"), ("a.kra", b"PK\3\4" + bytes(64), "a Krita file"),
    ("a.procreate", b"PK\3\4" + bytes(64), "a Procreate file"), ("a.zip", b"PK\3\4" + bytes(64), "a zip archive"),
    ("a.xcf", b"gimp xcf v011", "a GIMP file"), ("a.svgz", b"\x1f\x8b" + bytes(64), "a compressed SVG drawing"),
    ("a.hdr", b"#?RGBE\nFORMAT=32-bit_rle_rgbe\n", "a Radiance HDR file"),
    ("a.tga", b"\0\0\2" + bytes(9) + b"\x40\0\x40\0\x18\0", "a Targa picture"), ("a.m4a", iso(b"M4A "), "a sound"),
    ("a.mxf", b"\x06\x0e\x2b\x34" + bytes(64), VIDEO), ("a.blend", b"BLENDER-v300", "a Blender file"),
    ("a.indd", b"\x06\x06\xed\xf5" + bytes(64), "an InDesign document"), ("a.gz", b"\x1f\x8b", "a compressed file"),
    ("a.clip", b"CSFCHUNK" + bytes(64), "a Clip Studio file"), ("a.exr", b"\x76\x2f\x31\x01", "an OpenEXR file"),
    ("a.ppm", b"P6\n64 64\n255\n", "a Netpbm picture"), ("a.wav", b"RIFF\0\0\0\0WAVEfmt ", "a sound"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "data", "said"), NOT_READ)
def test_what_is_not_read_is_named_with_what_to_do(tmp_path, name, data, said):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(RequestError, match=f"{name} is {said}") as error:
        open_picture(tmp_path / name)
    assert error.value.hint
    assert said != RAW or "Develop" in error.value.hint
    assert said != VIDEO or "frame" in error.value.hint


def test_a_tiff_with_a_smaller_copy_of_itself_is_one(tmp_path):
    Image.new("RGB", (80, 64), (1, 2, 3)).save(tmp_path / "a.tif", tiffinfo={330: 0, 254: 0})
    assert open_picture(tmp_path / "a.tif").shape == (64, 80, 3)


@pytest.mark.parametrize("name", ["a.gif", "a.png", "a.webp", "a.avif", "a.tif"])
@pytest.mark.parametrize("count", [1, 3])
def test_of_several_pictures_the_first_is_used_and_that_is_told(tmp_path, name, count):
    frames = [Image.new("RGB", (80, 64), colour) for colour in ("red", "lime", "blue")[:count]]
    frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:])
    notes: list[str] = []
    red, green, blue = open_picture(tmp_path / name, notes)[32, 40]
    assert (red > 240, green < 15, blue < 15) == (True, True, True)
    assert [note for note in notes if "several pictures" in note] == notes
    assert len(notes) == (count > 1)


def test_a_smaller_page_is_a_preview(tmp_path):
    frames = [Image.new("RGB", size, "red") for size in ((80, 64), (40, 32))]
    frames[0].save(tmp_path / "a.tif", save_all=True, append_images=frames[1:])
    notes: list[str] = []
    assert open_picture(tmp_path / "a.tif", notes).shape == (64, 80, 3)
    assert notes == []
