"""Pictures for others: what a camera noted is gone, what is seen and that an AI made it stays."""

import io
import random

import numpy as np
import pytest
from PIL import Image, TiffImagePlugin
from PIL.PngImagePlugin import PngInfo

from app.board import commands
from app.board.data import Member, PanelReference, new_board, new_id
from app.fluxboard.archive import export_zip, import_zip
from app.fluxboard.file import BoardFile
from app.pictures import kinds, metadata
from app.pictures.images import find_frame, open_picture, save_picture
from app.pictures.sharing import as_png, clean, cut_part
from mlx_model.request import Reference, Request
from tests.app.pictures.made_pictures import P3, halves, icc

SECRET = "59N-secret-harbour"
MARK = f"<x>{SECRET}<Iptc4xmpExt:DigitalSourceType>{metadata.SOURCE}{metadata.MADE}</Iptc4xmpExt:DigitalSourceType></x>"
KINDS = ["PNG", "JPEG", "WEBP", "TIFF", "AVIF", "GIF"]


def photo(kind: str, turned: int = 1, xmp: str = "", comment: bool = True) -> bytes:
    """A picture that says where, by whom and with what it was taken."""
    image, data = halves(160, 96), io.BytesIO()
    exif = Image.Exif()
    exif[0x0112], exif[0x010F], exif[0x013B] = turned, SECRET, SECRET
    exif.get_ifd(0x8825)[1], exif.get_ifd(0x8825)[29] = "N", SECRET
    options = {"exif": exif.tobytes(), "icc_profile": icc(P3, 2.2)}
    if xmp:
        options["xmp"] = xmp.encode()
    if kind == "PNG":
        options["pnginfo"] = PngInfo()
        options["pnginfo"].add_text("Comment", SECRET)
        if xmp:
            options["pnginfo"].add_itxt("XML:com.adobe.xmp", xmp)
            del options["xmp"]
    if kind == "GIF":
        options = {"comment": SECRET.encode()}
    if kind == "TIFF":
        options = {"tiffinfo": TiffImagePlugin.ImageFileDirectory_v2()}
        options["tiffinfo"][270] = options["tiffinfo"][315] = SECRET
        options["tiffinfo"][274] = turned
        if xmp:
            options["tiffinfo"][700] = xmp.encode()
    if kind == "JPEG" and comment:
        options["comment"] = SECRET.encode()
    if kind == "WEBP":
        options["lossless"] = True
    image.save(data, kind, **options)
    trailer = SECRET.encode() if kind in ("PNG", "JPEG") else b""  # as phones hang films on their photos
    return data.getvalue() + trailer


def seen(data: bytes) -> np.ndarray:
    return open_picture("x", data=data)


@pytest.mark.parametrize("turned", [1, 6])
@pytest.mark.parametrize("kind", KINDS)
def test_what_the_camera_said_is_gone_and_the_picture_is_the_same(kind, turned):
    data = photo(kind, turned)
    assert SECRET.encode() in data
    made, ending = clean(data)
    assert SECRET.encode() not in made
    assert np.array_equal(seen(made), seen(data))
    assert kinds.KEPT[kinds.recognise("x", made)] == ending
    assert clean(made) == (made, ending)
    if kind in ("PNG", "JPEG", "WEBP"):
        assert ending == kinds.KEPT[kind]
        assert find_frame(made).info["icc_profile"] == icc(P3, 2.2)
    elif kind == "AVIF":
        assert ending == (".avif" if turned == 1 else ".png")  # Pillow makes EXIF of a turned one that stands nowhere
    else:
        assert ending == ".png"


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF", "AVIF"])
def test_that_an_ai_made_it_is_still_said(kind):
    made, _ = clean(photo(kind, xmp=MARK))
    assert SECRET.encode() not in made
    assert metadata.MADE.encode() in made
    assert b"Flux Local" not in made  # it was somebody else's
    assert metadata.MADE.encode() in as_png(photo(kind, xmp=MARK))


@pytest.mark.parametrize("kind", KINDS)
def test_what_says_nothing_stays_byte_for_byte(kind):
    data = io.BytesIO()
    halves().save(data, kind)
    assert clean(data.getvalue()) == (data.getvalue(), kinds.KEPT[kind])


@pytest.mark.parametrize("ending", [".png", ".jpg", ".webp", ".tif", ".avif"])
def test_our_own_keep_mark_and_request_and_no_path(tmp_path, ending):
    reference = Reference(f"/Users/anna/{SECRET}/gull.png", "gull", "prop", "a" * 64)
    request = Request("mini", "a gull", references=(reference,)).to_json()
    pixels = np.asarray(halves())
    path = save_picture(pixels, tmp_path / f"a{ending}", request)
    assert SECRET.encode() in path.read_bytes()
    for made in (clean(path.read_bytes())[0], as_png(path.read_bytes())):
        assert SECRET.encode() not in made
        assert metadata.find_request(find_frame(made)) == metadata.hide_paths(request)
        assert metadata.EDITED.encode() in made
    hidden = save_picture(pixels, tmp_path / "b.png", metadata.hide_paths(request)).read_bytes()
    assert clean(hidden) == (hidden, ".png")  # as the takes of a board are
    assert as_png(hidden) == hidden


@pytest.mark.parametrize("kind", KINDS)
def test_as_png_is_what_is_seen(kind):
    for data in (photo(kind, 6), photo(kind)):
        made = as_png(data)
        image = Image.open(io.BytesIO(made))
        assert (image.format, SECRET.encode() in made) == ("PNG", False)
        assert np.array_equal(np.asarray(image.convert("RGB")), seen(data))


@pytest.mark.sweep
def test_odd_files_neither_crash_nor_tell():
    random_ = random.Random(4)
    for kind in ("PNG", "JPEG", "WEBP"):
        whole = photo(kind)
        for _ in range(60):
            bent = bytearray(whole)
            for _ in range(random_.randrange(1, 4)):
                bent[random_.randrange(8, len(bent))] = random_.randrange(256)
            try:
                pixels = seen(bytes(bent))
            except Exception:  # no picture any more: never in a board
                continue
            assert np.array_equal(seen(clean(bytes(bent))[0]), pixels)


def test_a_shared_board_tells_nothing_and_renders_the_same(tmp_path):
    data = photo("JPEG", 6)
    with BoardFile.create(tmp_path / "b", new_board("b")) as file:
        picture = file.put_picture(data, "harbour.jpg")
        board = commands.add_member(file.board, Member(new_id(), "harbour", pictures=(picture,)))
        panel = next(board.panels()).id
        board = commands.add_reference(board, panel, PanelReference(new_id(), picture, name="sea"))
        file.save(board)
        export_zip(file, tmp_path / "b.zip")
        assert file.picture_path(picture.sha256).read_bytes() == data  # the board's own stays
        with import_zip(tmp_path / "b.zip", tmp_path / "again") as again:
            shared = again.board.cast[0].pictures[0]
            assert next(again.board.panels()).references[0].picture.sha256 == shared.sha256 != picture.sha256
            assert (shared.width, shared.height, again.damage(shared)) == (96, 160, "")
            kept = again.picture_path(shared.sha256)
            assert SECRET.encode() not in kept.read_bytes()
            assert np.array_equal(open_picture(kept), seen(data))
    assert SECRET.encode() not in (tmp_path / "b.zip").read_bytes()


def test_a_part_keeps_the_mark_that_a_model_made_it_and_what_is_clear():
    made = cut_part(photo("PNG", xmp=MARK), (10, 20, 50, 40))
    assert metadata.MADE.encode() in made
    with Image.open(io.BytesIO(made)) as image:
        assert (image.size, image.mode) == ((40, 20), "RGB")
    clear, data = Image.new("RGBA", (80, 80), (200, 30, 30, 0)), io.BytesIO()
    clear.save(data, "PNG")
    with Image.open(io.BytesIO(cut_part(data.getvalue(), (0, 0, 70, 70)))) as image:
        assert image.getpixel((5, 5)) == (200, 30, 30, 0)
