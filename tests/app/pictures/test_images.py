"""Opening: the 24 cases of pictures that artists and attackers bring. Colours are known because the test made them."""

import base64
import contextlib
import io
import os
import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms, PngImagePlugin

from app.pictures import images
from app.pictures.images import open_layer, open_mask, open_picture
from mlx_model.errors import RequestError
from tests.app.pictures.made_pictures import (
    ADOBE,
    D50,
    HEIC,
    INKS,
    P3,
    PROPHOTO,
    as_srgb,
    cmyk_icc,
    halves,
    icc,
    lab_as_srgb,
    near,
    saved,
)

LEFT, RIGHT = (20, 30), (75, 30)


def refused(path: Path, *words: str) -> RequestError:
    with pytest.raises(RequestError) as caught:
        open_picture(path)
    said = str(caught.value)
    assert path.name[:40] in said
    assert caught.value.hint
    assert all(word in said for word in words), said
    return caught.value


# files that are no picture


def test_zero_byte(tmp_path):
    (tmp_path / "empty.png").write_bytes(b"")
    refused(tmp_path / "empty.png", "0 bytes")


def test_missing_and_icloud(tmp_path):
    refused(tmp_path / "gone.png", "no file")
    (tmp_path / ".cloud.png.icloud").write_bytes(b"x")
    refused(tmp_path / "cloud.png", "iCloud")


def test_directory_and_pipe(tmp_path):
    refused(tmp_path, "folder")
    os.mkfifo(tmp_path / "pipe.png")
    refused(tmp_path / "pipe.png", "pipe")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_unreadable(tmp_path):
    path = saved(halves(), tmp_path / "secret.png")
    path.chmod(0)
    refused(path, "may not be read")


def test_unreadable_by_the_system(tmp_path, monkeypatch):
    path = saved(halves(), tmp_path / "secret.png")
    monkeypatch.setattr(os, "open", lambda *a: (_ for _ in ()).throw(PermissionError(13, "Permission denied")))
    refused(path, "may not be read")


def test_vanished_volume(tmp_path, monkeypatch):
    path = saved(halves(), tmp_path / "far.png")
    monkeypatch.setattr(os, "open", lambda *a: (_ for _ in ()).throw(OSError(5, "Input/output error")))
    refused(path, "Input/output error")


@pytest.mark.parametrize("name", ["nul\0l.png", "n" * 300 + ".png"])
def test_impossible_names(name):
    with pytest.raises(RequestError):
        open_picture(Path("/tmp") / name)


@pytest.mark.parametrize("name", ["Ünïcode 🎨.png", "نص‏.png", "two\nlines.png", "n" * 250 + ".png"])
def test_odd_names_open(tmp_path, name):
    assert near(open_picture(saved(halves(), tmp_path / name)), LEFT, (200, 30, 30))


def test_symlink(tmp_path):
    (tmp_path / "link.png").symlink_to(saved(halves(), tmp_path / "real.png"))
    assert near(open_picture(tmp_path / "link.png"), RIGHT, (30, 30, 200))


REFUSED = {
    "a.eps": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "PostScript"),
    "b.eps": (b"\xc5\xd0\xd3\xc6" + bytes(40), "EPS"),
    "c.pdf": (b"%PDF-1.7\n", "PDF"),
    "d.svg": (b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>', "SVG"),
    "e.psd": (b"8BPS\0\1" + bytes(30), "Photoshop"),
    "f.xcf": (b"gimp xcf v011\0", "GIMP"),
    "g.txt": (b"just words", "text"),
    "h.png": (b"%!PS-Adobe-3.0\n", "PostScript"),
    "i.kra": (b"PK\3\4" + bytes(30), "Krita"),
    "i.zip": (b"PK\3\4" + bytes(30), "zip"),
    "j.mov": (b"\0\0\0\x14ftypqt  \0\0\0\0qt  ", "video"),
    "k.jxl": (b"\xff\x0a" + bytes(30), "JPEG XL"),
    "l.bin": (bytes(range(200, 256)), "not a picture"),
    "m.exr": (b"\x76\x2f\x31\x01" + bytes(30), "OpenEXR"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_other_formats_are_refused_by_name(tmp_path, name):
    content, word = REFUSED[name]
    (tmp_path / name).write_bytes(content)
    refused(tmp_path / name, word)


# sizes


def huge_png(width: int, height: int) -> bytes:
    """A header that claims a size, with next to no data."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(99))) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(("width", "height"), [(10_001, 10_000), (12_000, 12_000), (20_000, 20_000)])
def test_bombs_are_refused_from_the_header(tmp_path, width, height):
    (tmp_path / "bomb.png").write_bytes(huge_png(width, height))
    refused(tmp_path / "bomb.png", "100 megapixels")


def test_81_megapixels_pass_the_limit_without_a_warning(tmp_path):
    (tmp_path / "large.png").write_bytes(huge_png(9000, 9000))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        refused(tmp_path / "large.png", "cut short")  # not for its size


@pytest.mark.parametrize("size", [(1, 1), (1, 20_000), (63, 64), (64, 63)])
def test_too_small(tmp_path, size):
    refused(saved(Image.new("RGB", size), tmp_path / "small.png"), f"{size[0]}x{size[1]}", "64")


def test_smallest(tmp_path):
    assert open_picture(saved(Image.new("RGB", (64, 64)), tmp_path / "s.png")).shape == (64, 64, 3)


# damage


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "tiff", "bmp", "gif", "avif"])
@pytest.mark.parametrize("share", [0.3, 0.7])
def test_truncated(tmp_path, suffix, share):
    noise = Image.fromarray(np.random.default_rng(1).integers(0, 256, (96, 128, 3), np.uint8))
    whole = saved(noise, tmp_path / f"whole.{suffix}").read_bytes()
    (tmp_path / f"cut.{suffix}").write_bytes(whole[: int(len(whole) * share)])
    refused(tmp_path / f"cut.{suffix}")


def test_png_text_bomb(tmp_path):
    info = PngImagePlugin.PngInfo()
    info.add_text("bomb", "A" * 80_000_000, zip=True)
    path = saved(halves(), tmp_path / "text.png", pnginfo=info)
    assert path.stat().st_size < 200_000
    refused(path)


def test_exif_with_a_large_maker_note(tmp_path):
    exif = Image.Exif()
    exif[0x8769] = {0x927C: b"M" * 60_000}
    exif[0x0112] = 3
    path = saved(halves(), tmp_path / "note.jpg", exif=exif, quality=95, subsampling=0)
    assert near(open_picture(path), LEFT, (30, 30, 200), 6)


def test_broken_exif_is_no_reason_to_refuse(tmp_path):
    path = saved(halves(), tmp_path / "exif.jpg", exif=b"Exif\0\0II*\0\xff\xff\xff\xff", quality=95, subsampling=0)
    assert near(open_picture(path), LEFT, (200, 30, 30), 6)


# content decides


@pytest.mark.parametrize("kind", ["JPEG", "WEBP", "TIFF", "BMP", "GIF", "AVIF"])
def test_wrong_extension(tmp_path, kind):
    path = saved(halves(), tmp_path / "really.png", format=kind)
    assert near(open_picture(path), LEFT, (200, 30, 30), 6)


@pytest.mark.parametrize("suffix", ["gif", "webp", "png"])
def test_animation_gives_its_first_frame(tmp_path, suffix):
    frames = [Image.new("RGB", (80, 80), colour) for colour in ("red", "blue", "lime")]
    path = saved(frames[0], tmp_path / f"film.{suffix}", save_all=True, append_images=frames[1:], duration=50)
    assert near(open_picture(path), (40, 40), (255, 0, 0), 4)


def test_heic(tmp_path):
    (tmp_path / "phone.jpg").write_bytes(base64.b64decode(HEIC))
    pixels = open_picture(tmp_path / "phone.jpg")
    assert pixels.shape == (64, 96, 3)
    assert near(pixels, LEFT, (200, 30, 30), 4)
    assert near(pixels, RIGHT, (30, 30, 200), 4)


def test_truncated_heic(tmp_path):
    (tmp_path / "cut.heic").write_bytes(base64.b64decode(HEIC)[:430])
    refused(tmp_path / "cut.heic")


# depth and mode


@pytest.mark.parametrize("suffix", ["png", "tiff"])
def test_16_bit_grey_is_scaled(tmp_path, suffix):
    values = np.full((70, 70), 60_000, np.uint16)
    values[:, :35] = 12_850
    pixels = open_picture(saved(Image.fromarray(values), tmp_path / f"deep.{suffix}"))
    assert near(pixels, (60, 9), (233, 233, 233), 0)
    assert near(pixels, (9, 9), (50, 50, 50), 0)


def test_16_bit_colour_png(tmp_path):
    row = b"\0" + struct.pack(">HHH", 60_000, 12_850, 257) * 64
    data = bytearray(huge_png(64, 64))
    body = zlib.compress(row * 64)
    data[24] = 16  # bits a channel
    data[29:33] = struct.pack(">I", zlib.crc32(bytes(data[12:29])))
    chunk = struct.pack(">I", len(body)) + b"IDAT" + body + struct.pack(">I", zlib.crc32(b"IDAT" + body))
    (tmp_path / "deep.png").write_bytes(bytes(data[:33]) + chunk + bytes(data[-12:]))
    assert near(open_picture(tmp_path / "deep.png"), (9, 9), (233, 50, 1), 1)


@pytest.mark.parametrize(
    ("low", "high", "wanted"),
    [(0.0, 1.0, 255), (0.0, 0.5, 128), (0.0, 200.0, 200), (0.0, 51400.0, 200), (0.0, 3.5, 255)],
)
def test_float_tiff_is_scaled_not_clipped(tmp_path, low, high, wanted):
    values = np.full((70, 70), low, np.float32)
    values[:, 35:] = high
    pixels = open_picture(saved(Image.fromarray(values), tmp_path / "float.tiff"))
    assert near(pixels, (9, 9), (0, 0, 0), 0)
    assert near(pixels, (60, 9), (wanted,) * 3, 1)


def test_float_tiff_with_negative_and_not_finite_values(tmp_path):
    values = np.full((70, 70), -1.0, np.float32)
    values[:, 35:], values[0, 0] = 3.0, np.nan
    notes = []
    pixels = open_picture(saved(Image.fromarray(values), tmp_path / "float.tiff"), notes)
    assert near(pixels, (9, 9), (0, 0, 0), 0)
    assert near(pixels, (60, 9), (255, 255, 255), 0)
    assert "scaled" in notes[0]


def test_one_bit(tmp_path):
    path = saved(halves(left=(0, 0, 0), right=(255, 255, 255)).convert("1"), tmp_path / "bit.png")
    assert near(open_picture(path), RIGHT, (255, 255, 255), 0)


def test_palette_with_transparency(tmp_path):
    path = saved(halves().quantize(4), tmp_path / "palette.png", transparency=halves().quantize(4).getpixel(LEFT))
    pixels = open_picture(path)
    assert near(pixels, LEFT, (255, 255, 255), 0)
    assert near(pixels, RIGHT, (30, 30, 200), 1)


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_alpha_is_laid_over_white(tmp_path, mode):
    colour = (200, 0, 0, 128) if mode == "RGBA" else (100, 128)
    pixels = open_picture(saved(Image.new(mode, (70, 70), colour), tmp_path / "clear.png"), notes := [])
    wanted = (227, 127, 127) if mode == "RGBA" else (177, 177, 177)
    assert near(pixels, (9, 9), wanted, 1)
    assert notes == ["clear.png is transparent in parts: they are white here."]


def test_alpha_that_hides_nothing_is_not_spoken_of(tmp_path):
    open_picture(saved(Image.new("RGBA", (70, 70), (200, 0, 0, 255)), tmp_path / "opaque.png"), notes := [])
    assert notes == []


def test_cmyk_without_a_profile(tmp_path):
    path = saved(Image.new("CMYK", (70, 70), (0, 255, 255, 0)), tmp_path / "print.jpg", quality=95)
    assert near(open_picture(path), (9, 9), (255, 0, 0), 6)


@pytest.mark.first_case
@pytest.mark.parametrize(("suffix", "options"), [("jpg", {"quality": 100, "subsampling": 0}), ("tiff", {})])
@pytest.mark.parametrize("inks", ["c", "m", "y", "k", "cm", "cy", "my", ""])
def test_cmyk_with_a_profile(tmp_path, inks, suffix, options):
    """The colours of the press that the profile describes, not those of the plain arithmetic of inks."""
    values = tuple(255 * (ink in inks) for ink in "cmyk")
    image = Image.new("CMYK", (70, 70), values)
    path = saved(image, tmp_path / f"print.{suffix}", icc_profile=cmyk_icc(), **options)
    notes: list[str] = []
    pixels = open_picture(path, notes)
    press, srgb = ImageCms.ImageCmsProfile(io.BytesIO(cmyk_icc())), ImageCms.createProfile("sRGB")
    flags = ImageCms.Flags.BLACKPOINTCOMPENSATION
    wanted = ImageCms.profileToProfile(
        image, press, srgb, ImageCms.Intent.RELATIVE_COLORIMETRIC, outputMode="RGB", flags=flags
    )
    assert near(pixels, (9, 9), wanted.getpixel((9, 9)), 3)  # what JPEG rounds
    assert notes == []
    if len(inks) < 2 and inks != "k":  # black point compensation makes the darkest ink black
        assert near(pixels, (9, 9), lab_as_srgb(INKS[inks]), 8)
        plain = np.array(image.convert("RGB").getpixel((9, 9)))
        assert not inks or np.abs(plain - pixels[9, 9]).max() > 12


# colour profiles


@pytest.mark.parametrize(
    ("primaries", "gamma", "white"), [(P3, 2.2, (0.3127, 0.3290)), (ADOBE, 2.2, (0.3127, 0.3290)), (PROPHOTO, 1.8, D50)]
)
@pytest.mark.parametrize("suffix", ["png", "jpg", "tiff", "webp"])
def test_profiles_are_converted(tmp_path, primaries, gamma, white, suffix):
    colour = (180, 120, 90)
    options = {"png": {}, "tiff": {}, "jpg": {"quality": 100, "subsampling": 0}, "webp": {"lossless": True}}[suffix]
    profile = icc(primaries, gamma, white)
    path = saved(Image.new("RGB", (70, 70), colour), tmp_path / f"wide.{suffix}", icc_profile=profile, **options)
    wanted = as_srgb(colour, primaries, gamma, white)
    assert np.abs(wanted - colour).max() > 4
    assert near(open_picture(path), (9, 9), wanted, 3)


@pytest.mark.parametrize("profile", [b"not a profile", b"\0" * 500, icc(P3, 2.2)[:200]])
def test_broken_profile_is_ignored_with_a_note(tmp_path, profile):
    notes = []
    pixels = open_picture(saved(halves(), tmp_path / "odd.png", icc_profile=profile), notes)
    assert near(pixels, LEFT, (200, 30, 30), 0)
    assert "profile of odd.png was ignored" in notes[0]


def test_profile_of_other_channels_and_a_huge_one(tmp_path):
    notes = []
    path = saved(Image.new("CMYK", (70, 70), (0, 255, 255, 0)), tmp_path / "p.tiff", icc_profile=icc(P3, 2.2))
    assert near(open_picture(path, notes), (9, 9), (255, 0, 0), 3)
    huge = saved(halves(), tmp_path / "h.tiff", icc_profile=icc(P3, 2.2) + bytes(17 * 2**20))
    open_picture(huge, notes)
    assert [("ignored" in note) for note in notes] == [True, True]


def test_grey_with_an_rgb_profile(tmp_path):
    path = saved(Image.new("L", (70, 70), 128), tmp_path / "grey.png", icc_profile=icc(P3, 2.2))
    pixels = open_picture(path)
    assert np.ptp(pixels[9, 9].astype(int)) <= 1


# orientation


@pytest.mark.parametrize("suffix", ["jpg", "png", "tiff", "webp", "avif"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation(tmp_path, suffix, orientation):
    upright = Image.new("RGB", (96, 64), (250, 250, 250))
    upright.paste((200, 0, 0), (0, 0, 48, 32))
    upright.paste((0, 0, 200), (48, 32, 96, 64))
    method = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}.get(orientation)  # the inverse of what a viewer does
    stored = upright if method is None else upright.transpose(Image.Transpose(method))
    if orientation in (6, 8):
        stored = upright.transpose(Image.Transpose.ROTATE_90 if orientation == 6 else Image.Transpose.ROTATE_270)
    exif = Image.Exif()
    exif[0x0112] = orientation
    lossy = {} if suffix in ("png", "tiff") else {"quality": 95}
    pixels = open_picture(saved(stored, tmp_path / f"turned.{suffix}", exif=exif, **lossy))
    assert pixels.shape == (64, 96, 3)
    assert near(pixels, (20, 12), (200, 0, 0), 8)
    assert near(pixels, (76, 52), (0, 0, 200), 8)
    assert near(pixels, (76, 12), (250, 250, 250), 8)


# masks


def test_grey_mask(tmp_path):
    mask = open_mask(saved(halves(left=(0, 0, 0), right=(255, 255, 255)).convert("L"), tmp_path / "m.png"))
    assert mask.dtype == np.float32
    assert mask.shape == (64, 96)
    assert (mask[9, 9], mask[9, 90]) == (0.0, 1.0)


def test_16_bit_mask(tmp_path):
    mask = open_mask(saved(Image.fromarray(np.full((64, 64), 32_896, np.uint16)), tmp_path / "m.png"))
    assert abs(mask[9, 9] - 0.5) < 0.01


def test_painted_mask_on_a_clear_layer(tmp_path):
    image = Image.new("RGBA", (96, 64), (0, 0, 0, 0))
    image.paste((10, 10, 10, 255), (48, 0, 96, 64))
    mask = open_mask(saved(image, tmp_path / "m.png"))
    assert (mask[9, 9], mask[9, 90]) == (0.0, 1.0)


def test_opaque_alpha_is_not_the_mask(tmp_path):
    mask = open_mask(saved(halves(left=(0, 0, 0), right=(255, 255, 255)).convert("RGBA"), tmp_path / "m.png"))
    assert (mask[9, 9], mask[9, 90]) == (0.0, 1.0)


def test_mask_that_is_no_picture(tmp_path):
    (tmp_path / "m.png").write_bytes(b"%PDF-1.7")
    with pytest.raises(RequestError, match=r"m\.png"):
        open_mask(tmp_path / "m.png")


# anything at all


def test_no_bytes_crash_it(tmp_path):
    """Damage in a hundred places: the answer is a picture or a RequestError, never another exception."""
    rng = np.random.default_rng(7)
    for kind in ("PNG", "JPEG", "WEBP", "TIFF", "GIF", "AVIF"):
        buffer = io.BytesIO()
        halves().save(buffer, kind)
        for _ in range(100):
            data = bytearray(buffer.getvalue())
            for place in rng.integers(0, len(data), 4):
                data[place] = rng.integers(256)
            with contextlib.suppress(RequestError):
                images.open_picture(tmp_path / "damaged", data=bytes(data))


@pytest.mark.parametrize("ending", ["png", "webp"])
def test_what_is_half_clear_keeps_its_own_colour(tmp_path, ending):
    """Over white first, it would have a pale fringe on any other picture."""
    path = tmp_path / f"sofa.{ending}"
    Image.new("RGBA", (80, 80), (200, 30, 30, 100)).save(path, **({"lossless": True} if ending == "webp" else {}))
    assert open_layer(path)[40, 40].tolist() == [200, 30, 30, 100]
    images.inspect(path, notes := [])
    said = "is transparent in parts: they stay so where it is placed, and are white elsewhere."
    assert notes == [f"sofa.{ending} {said}"]
