"""Folders of pictures and .storyboarder projects."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from app.board.data import Board
from app.fluxboard.codec import decode, encode
from app.interchange.formats import export_board, import_board
from app.pictures.images import open_picture
from mlx_model.errors import FluxLocalError, RequestError
from tests.app.interchange.made_boards import SKIES, drawn


def pixels(blobs, panel) -> np.ndarray:
    return open_picture(blobs.path(panel.take.picture.sha256))


def skies(blobs, board: Board) -> list[int]:
    """Which of the drawn pictures each panel shows."""
    corner = [pixels(blobs, panel)[2, 2].astype(int) for panel in board.panels()]
    return [min(range(6), key=lambda k: np.abs(colour - SKIES[k]).sum()) for colour in corner]


def test_a_folder_in_the_order_that_people_count(tmp_path, blobs):
    folder = tmp_path / "Boards"
    folder.mkdir()
    for place, name in enumerate(["shot 1.png", "shot 2.jpg", "shot 10.webp"]):
        drawn(place).save(folder / name)
    (folder / "notes.txt").write_text("x")
    (folder / "._shot 1.png").write_bytes(b"mac")
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nxx")
    made = import_board(folder, blobs.put)
    assert made.board.title == "Boards"
    assert made.board.aspect == (16, 9)
    assert skies(blobs, made.board) == [0, 1, 2]
    assert [panel.take.picture.name for panel in made.board.panels()] == ["shot 1.png", "shot 2.jpg", "shot 10.webp"]
    assert [note for note in made.notes if "broken.png" in note]
    assert decode(encode(made.board))[0] == made.board


def test_folders_inside_are_scenes(tmp_path, blobs):
    for place, scene in enumerate(["Scene 10", "Scene 9"]):
        (tmp_path / "b" / scene).mkdir(parents=True)
        drawn(place).save(tmp_path / "b" / scene / "1.png")
    drawn(2).save(tmp_path / "b" / "cover.png")
    board = import_board(tmp_path / "b", blobs.put).board
    assert [scene.heading for scene in board.scenes] == ["", "Scene 9", "Scene 10"]
    assert skies(blobs, board) == [2, 1, 0]


def test_pictures_come_upright_and_in_srgb(tmp_path, blobs):
    (tmp_path / "b").mkdir()
    image = drawn(0)
    exif = image.getexif()
    exif[0x0112] = 6
    image.save(tmp_path / "b" / "turned.jpg", exif=exif, quality=95)
    board = import_board(tmp_path / "b", blobs.put).board
    assert pixels(blobs, next(board.panels())).shape == (640, 360, 3)
    assert board.aspect == (9, 16)
    assert np.array_equal(pixels(blobs, next(board.panels())), open_picture(tmp_path / "b" / "turned.jpg"))


@pytest.mark.parametrize("content", [{}, {"a.txt": b"x"}, {"a.png": b""}, {"a.png": b"%PDF-1.4"}])
def test_a_folder_without_pictures_is_refused(tmp_path, blobs, content):
    (tmp_path / "b").mkdir()
    for name, data in content.items():
        (tmp_path / "b" / name).write_bytes(data)
    with pytest.raises(RequestError, match=r"has no picture"):
        import_board(tmp_path / "b", blobs.put)


def test_out_as_png_and_back(board, blobs, tmp_path):
    out = export_board("png", board, blobs.path, tmp_path / "frames").path
    back = import_board(out, blobs.put).board
    before = [pixels(blobs, panel) for panel in board.panels() if panel.take]
    assert all(np.array_equal(a, pixels(blobs, b)) for a, b in zip(before, back.panels(), strict=False))


# .storyboarder


def project(tmp_path: Path, boards: list[dict] | object, **more) -> Path:
    folder = tmp_path / "scene"
    (folder / "images").mkdir(parents=True, exist_ok=True)
    whole = {"version": "3.0.0", "aspectRatio": 2.39, "fps": 25, "defaultBoardTiming": 1500, "boards": boards} | more
    (folder / "scene.storyboarder").write_text(json.dumps(whole))
    return folder / "scene.storyboarder"


def images(path: Path) -> Path:
    return path.parent / "images"


def test_storyboarder(tmp_path, blobs):
    boards = [
        {"uid": "AAAAA", "url": "board-1-AAAAA.png", "shot": "1A", "duration": 2500, "action": "She @runs.",
         "dialogue": "ANA: Go!", "notes": "wide",
         "layers": {"reference": {"url": "board-1-AAAAA-reference.png", "opacity": 0.5},
                    "ink": {"url": "board-1-AAAAA-ink.png"}}},
        {"uid": "BBBBB", "url": "board-2-BBBBB.png", "shot": "2A"},
    ]  # fmt: skip
    path = project(tmp_path, boards)
    Image.new("RGB", (240, 100), (200, 0, 0)).save(images(path) / "board-1-AAAAA-reference.png")
    ink = Image.new("RGBA", (240, 100), (0, 0, 0, 0))
    ink.paste((0, 0, 250, 255), (0, 0, 100, 100))
    ink.paste((0, 0, 0, 128), (100, 0, 150, 100))
    ink.save(images(path) / "board-1-AAAAA-ink.png")
    drawn(3, (240, 100)).save(images(path) / "board-2-BBBBB.png")
    made = import_board(path, blobs.put)
    assert made.notes == []
    board = made.board
    assert (board.title, board.aspect, board.fps) == ("scene", (239, 100), 25)
    first, second = board.panels()
    assert (first.action, first.dialogue, first.notes, first.seconds) == ("She @runs.", "ANA: Go!", "wide", 2.5)
    assert first.prompt == r"She \@runs."
    assert second.seconds == 1.5
    page = pixels(blobs, first).astype(int)
    half = np.array([228, 128, 128])  # half of the red over white
    assert np.abs(page[50, 50] - [0, 0, 250]).max() <= 1
    assert np.abs(page[50, 200] - half).max() <= 1
    assert np.abs(page[50, 125] - half * 127 / 255).max() <= 2
    assert np.array_equal(pixels(blobs, second), np.asarray(drawn(3, (240, 100))))


OUTSIDE = ["../../secret.png", "{outside}", "link.png", "../secret.png", "a\x00.png", "..\\..\\secret.png", ""]


@pytest.mark.parametrize("url", OUTSIDE)
def test_pictures_outside_the_folder_stay_outside(tmp_path, blobs, url):
    drawn(0).save(tmp_path / "secret.png")
    layers = {"fill": {"url": url.format(outside=tmp_path / "secret.png")}}
    path = project(tmp_path, [{"url": "missing.png", "layers": layers}])
    (images(path) / "link.png").symlink_to(tmp_path / "secret.png")
    made = import_board(path, blobs.put)
    assert next(made.board.panels()).take is None
    assert made.notes


def test_lost_and_broken_layers_are_noted(tmp_path, blobs):
    path = project(tmp_path, [{"url": "a.png", "layers": {"ink": {"url": "b.png"}, "fill": {"url": "gone.png"}}}])
    drawn(1).save(images(path) / "a.png")
    (images(path) / "b.png").write_bytes(b"\x89PNG\r\n\x1a\nxx")
    made = import_board(path, blobs.put)
    assert skies(blobs, made.board) == [1]
    assert [name for name in ("gone.png", "b.png") if not any(name in note for note in made.notes)] == []


@pytest.mark.parametrize("boards", [None, {}, [], "x", [1], [[]]])
def test_what_holds_no_boards_is_refused(tmp_path, blobs, boards):
    with pytest.raises(RequestError, match=r"scene\.storyboarder"):
        import_board(project(tmp_path, boards), blobs.put)


@pytest.mark.parametrize("text", ["", "{", "[]", "5", "[" * 100_000, '{"boards": NaN}', "\x00"])
def test_what_is_no_json_is_refused(tmp_path, blobs, text):
    path = project(tmp_path, [])
    path.write_text(text)
    with pytest.raises(RequestError, match=r"scene\.storyboarder"):
        import_board(path, blobs.put)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
FIELDS = st.fixed_dictionaries(
    {},
    optional=dict.fromkeys(
        ("url", "layers", "duration", "action", "dialogue", "notes", "shot", "newShot", "uid", "time"), JSON
    ),
)


@pytest.mark.sweep
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(FIELDS, max_size=4), JSON, JSON, JSON)
def test_any_values_in_the_fields(tmp_path, blobs, boards, ratio, fps, timing):
    try:
        path = project(tmp_path, boards, aspectRatio=ratio, fps=fps, defaultBoardTiming=timing)
        board = import_board(path, blobs.put).board
    except FluxLocalError:
        return
    assert decode(encode(board))[0] == board
