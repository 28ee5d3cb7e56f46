"""Pictures of every kind that is opened: a board keeps the bytes as they were given, whatever the file was called."""

import base64
import hashlib
import io

import numpy as np
import pytest
from PIL import Image

from app.board import commands
from app.board.data import Member, new_board, new_id
from app.fluxboard import disk
from app.fluxboard.archive import export_zip, import_zip
from app.fluxboard.check import problems
from app.fluxboard.file import BoardFile
from app.pictures import inputs, kinds, metadata
from app.pictures.images import inspect, open_picture, open_small
from mlx_model.errors import BoardError
from tests.app.pictures.made_pictures import HEIC, halves


def encode(kind: str) -> bytes:
    """96x64, upright; a JPEG lies on its side and says so."""
    if kind == kinds.HEIF:
        return base64.b64decode(HEIC)
    data, image, options = io.BytesIO(), halves(), {}
    if kind == "JPEG":
        image = image.transpose(Image.Transpose.ROTATE_90)
        options = {"exif": image.getexif()}
        options["exif"][0x0112] = 6
    image.save(data, kind, **options)
    return data.getvalue()


def with_cast(file: BoardFile, *pictures) -> None:
    member = Member(new_id(), "photo", pictures=tuple(pictures))
    file.save(commands.add_member(file.board, member))


@pytest.fixture
def file(tmp_path):
    with BoardFile.create(tmp_path / "b", new_board("b")) as made:
        yield made


@pytest.mark.parametrize("kind", kinds.KEPT)
def test_the_bytes_stay_through_the_board_a_zip_and_a_copy(kind, file, tmp_path):
    data = encode(kind)
    (tmp_path / "called.png").write_bytes(data)
    picture = file.put_picture(inspect(tmp_path / "called.png"), "called.png")
    assert picture == file.put_picture(data, "called.png")  # once, however it comes
    assert (picture.sha256, picture.width, picture.height) == (hashlib.sha256(data).hexdigest(), 96, 64)
    path = file.picture_path(picture.sha256)
    assert (path.name, path.read_bytes()) == (f"{picture.sha256}{kinds.KEPT[kind]}", data)
    with_cast(file, picture)
    assert [problem for problem in problems(file, "mini") if "picture" in problem.what] == []
    assert (file.missing(), file.list_unused_blobs()) == (0, [])
    export_zip(file, tmp_path / "b.zip")
    with import_zip(tmp_path / "b.zip", tmp_path / "again") as again, file.copy_to(tmp_path / "copy") as copy:
        assert (copy.picture_path(picture.sha256).name, copy.damage(picture)) == (path.name, "")
        shared = again.board.cast[-1].pictures[0]
        assert (again.damage(shared), again.picture_path(shared.sha256).suffix) == ("", path.suffix)
        assert (shared == picture) == (kind != "JPEG")  # whose EXIF is written anew for others, see test_sharing
    reference = inputs.load_reference(path, [])
    assert (reference.sha256, inputs.pixels_of(reference).shape) == (picture.sha256, (64, 96, 3))


@pytest.mark.parametrize("kind", kinds.KEPT)
def test_a_smaller_copy_looks_like_the_whole(kind, tmp_path):
    path = tmp_path / "x"
    path.write_bytes(encode(kind))
    whole, small = open_picture(path), open_small(path, 24)
    assert small.shape == (16, 24, 3)
    assert np.array_equal(open_small(path, 0), whole)
    for x in (4, 19):  # the middle of each half
        assert np.abs(small[8, x].astype(int) - whole[32, 4 * x]).max() <= 3, x  # JPEG at a quarter rounds anew


def test_a_smaller_copy_takes_nothing_from_what_is_transparent(tmp_path):
    pixels = np.zeros((64, 64, 4), np.uint8)
    pixels[:, :32] = (200, 0, 0, 255)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    small = open_small(tmp_path / "a.png", 16)
    assert (small[8, 3].tolist(), small[8, 12].tolist()) == ([200, 0, 0], [255, 255, 255])


def test_a_damaged_file_of_another_ending_does_not_hide_the_good_one(file):
    data = encode("JPEG")
    picture = file.put_picture(data)
    path = file.picture_path(picture.sha256)
    path.rename(path.with_suffix(".png")).write_bytes(data[:-9])
    path = file.path
    file.close()
    with BoardFile.open(path) as again:
        assert "damaged" in again.damage(picture)
        again.put_picture(data)
        assert (again.damage(picture), again.picture_path(picture.sha256).suffix) == ("", ".jpg")


def test_unused_ones_of_any_kind_are_found(file):
    kept, unused = file.put_picture(encode("JPEG")), file.put_picture(encode("WEBP"))
    with_cast(file, kept)
    assert file.list_unused_blobs() == [file.picture_path(unused.sha256)]


def test_a_hidden_path_of_any_kind_is_the_boards():
    sha256 = "a" * 64
    for ending in kinds.KEPT.values():
        assert metadata.hide_path(f"/Users/anna/b.fluxboard/blobs/{sha256}{ending}") == f"blobs/{sha256}{ending}"


def test_what_is_too_large_for_a_board_is_told(file, monkeypatch):
    monkeypatch.setattr(disk, "MAX_BLOB", 100)
    with pytest.raises(BoardError, match="photo is larger"):
        file.put_picture(encode("JPEG"), "photo")
