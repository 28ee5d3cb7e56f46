"""Pictures, animations and layers, opened again by programs that are not ours: Pillow, av, psd-tools, zipfile."""

import io
import json
import zipfile
from xml.etree import ElementTree

import numpy as np
import pytest
from msgspec.structs import replace
from PIL import Image, ImageSequence

from app.board.data import Board, Panel, Scene, Take
from app.interchange import frames
from app.interchange.formats import export_board
from app.pictures import metadata
from mlx_model.geometry import Size
from tests.app.interchange.made_boards import SKIES, drawn, long_board, panel, sample

ORDER = (0, 1, 2, 3, 4)  # the skies of 1A 1B 1C 2A 2B; 2C has none


def near(pixel, sky: int, within: int = 12) -> bool:
    return bool(np.abs(np.asarray(pixel[:3], int) - np.asarray(SKIES[sky])).max() <= within)


def test_png_sequence_is_the_takes_byte_for_byte(board, blobs, tmp_path):
    made = export_board("png", board, blobs.path, tmp_path / "frames")
    files = sorted(made.path.iterdir())
    assert [file.name for file in files] == [
        "001_1A.png", "002_1B.png", "003_1C.png", "004_2A.png", "005_2B.png", "006_2C.png",
    ]  # fmt: skip
    for file, shown in zip(files, board.panels(), strict=True):
        if shown.take:
            assert file.read_bytes() == blobs.path(shown.take.picture.sha256).read_bytes()
    with Image.open(files[5]) as empty:
        assert empty.size == (640, 360)
        assert empty.getpixel((5, 300)) == (226, 226, 226)


@pytest.mark.parametrize(("name", "options"), [("png", {}), ("png", {"takes": "all"}), ("shots", {}), ("otio", {})])
def test_a_picture_keeps_its_mark_and_its_request(blobs, tmp_path, name, options):
    """Whatever copies takes leaves them as they are; a painted picture has no request, and gets none."""
    request = '{"prompt": "a gull"}'
    data = io.BytesIO()
    drawn(0).save(data, "PNG", **metadata.save_options("PNG", metadata.packet(request, False), request))
    pictures = blobs.put(data.getvalue()), blobs.put(drawn(1))
    takes = [Take(f"take{picture.sha256[:8]}", picture, "{}", "", "", 0) for picture in pictures]
    panels = tuple(Panel(f"panel{take.id}", takes=(take,), current=take.id) for take in takes)
    export_board(name, Board("board", scenes=(Scene("scene", panels=panels),)), blobs.path, tmp_path / "it", **options)
    found = sorted(tmp_path.glob("it*/*.png"))
    with Image.open(found[0]) as made, Image.open(found[-1]) as painted:
        assert metadata.find_request(made) == request
        assert metadata.MADE in made.info["XML:com.adobe.xmp"]
        assert metadata.find_request(painted) is None


def test_png_sequence_with_all_takes(board, blobs, tmp_path):
    out = export_board("png", board, blobs.path, tmp_path / "frames", takes="all").path
    names = sorted(file.name for file in out.iterdir())
    assert "003_1C_take1.png" in names
    assert "003_1C_take2_current.png" in names
    assert "006_2C_empty.png" in names
    assert len(names) == 7


def test_a_thousand_frames_sort_by_name(blobs, tmp_path, monkeypatch):
    """Their names alone: what is in them is looked at above."""
    monkeypatch.setattr(frames, "write_png", lambda source, target: target.touch())
    out = export_board("png", long_board(blobs, 1003), blobs.path, tmp_path / "frames").path
    names = sorted(file.name for file in out.iterdir())
    assert len(names) == 1003
    assert names[0] == "0001_1A.png"
    assert names[999].startswith("1000_")


def test_force_replaces_files_and_keeps_others(board, blobs, tmp_path):
    out = tmp_path / "frames"
    out.mkdir()
    (out / "mine.txt").write_text("keep")
    (out / "001_1A.png").write_bytes(b"old")
    assert export_board("png", board, blobs.path, out, force=True).path == out
    assert (out / "mine.txt").read_text() == "keep"
    assert (out / "001_1A.png").read_bytes() != b"old"


def test_shots_join_what_continues(board, blobs, tmp_path):
    out = export_board("shots", board, blobs.path, tmp_path / "shots").path
    manifest = json.loads((out / "shots.json").read_text("utf-8"))
    assert manifest["fps"] == 24
    assert [shot["name"] for shot in manifest["shots"]] == ["1A-1B", "1C", "2A", "2B", "2C"]
    first = manifest["shots"][0]
    assert first["frames"] == 48 + 36
    assert [key["frame"] for key in first["keyframes"]] == [0, 83]
    for place, file in enumerate((first["first"], first["last"])):
        with Image.open(out / file) as image:
            assert near(image.getpixel((2, 2)), place)
    assert first["panels"][0]["prompt"] == "Gull in the bar, picture 0"
    assert manifest["shots"][1]["last"] is None
    assert manifest["shots"][4]["keyframes"][0]["empty"] is True
    assert sum(shot["frames"] for shot in manifest["shots"]) == 322
    named = {key["file"] for shot in manifest["shots"] for key in shot["keyframes"]}
    assert named | {"shots.json"} == {file.name for file in out.iterdir()}


def test_shots_as_pairs_and_as_scenes(board, blobs, tmp_path):
    out = export_board("shots", board, blobs.path, tmp_path / "pairs", shots="pairs").path
    pairs = json.loads((out / "shots.json").read_text("utf-8"))["shots"]
    assert [shot["name"] for shot in pairs] == ["1A-1B", "1B-1C", "1C", "2A-2B", "2B-2C", "2C"]
    assert pairs[0]["frames"] == 48
    out = export_board("shots", board, blobs.path, tmp_path / "scenes", shots="scenes").path
    scenes = json.loads((out / "shots.json").read_text("utf-8"))["shots"]
    assert [[key["frame"] for key in shot["keyframes"]] for shot in scenes] == [[0, 48, 160], [0, 48, 160]]


@pytest.mark.parametrize(("name", "unit"), [("gif", 10), ("webp", 1)])
def test_animations_last_as_long_as_the_board(board, blobs, tmp_path, name, unit):
    path = export_board(name, board, blobs.path, tmp_path / "film", width=320).path
    with Image.open(path) as film:
        assert film.format == name.upper()
        assert film.size == (320, 180)
        assert film.n_frames == 6
        assert film.info.get("loop", 0) == 0
        frames = [(frame.convert("RGB"), frame.info["duration"]) for frame in ImageSequence.Iterator(film)]
    assert abs(sum(length for _, length in frames) - 322 / 24 * 1000) <= unit / 2 + 0.5
    exact = [48, 36, 77, 48, 17, 96]
    assert all(abs(length - n / 24 * 1000) <= unit for (_, length), n in zip(frames, exact, strict=True))
    assert all(near(frames[k][0].getpixel((2, 2)), k, 24) for k in ORDER)


def test_a_long_gif_does_not_drift(blobs, tmp_path):
    panels = tuple(panel(blobs, i, (64, 64), seconds=0.51) for i in range(12)) * 9
    panels = tuple(replace(one, id=f"p{i}") for i, one in enumerate(panels))
    board = Board("b", aspect=(1, 1), scenes=(Scene("s", panels=panels),))
    path = export_board("gif", board, blobs.path, tmp_path / "film", width=64).path
    with Image.open(path) as film:
        total = sum(frame.info["duration"] for frame in ImageSequence.Iterator(film))
    assert abs(total - 108 * 510) <= 30  # half a frame of 1/24 s


def test_a_very_long_panel_in_a_gif_is_noted(blobs, tmp_path):
    board = Board("b", scenes=(Scene("s", panels=(panel(blobs, 0, seconds=700.0), panel(blobs, 1))),))
    made = export_board("gif", board, blobs.path, tmp_path / "film", width=64)
    assert "655" in made.notes[0]


@pytest.mark.first_case
@pytest.mark.parametrize("aspect", [(16, 9), (239, 100), (1, 1), (9, 16)])
def test_mp4_has_every_frame_in_its_colour(blobs, tmp_path, aspect):
    av = pytest.importorskip("av")
    board = sample(blobs, (320, 180), aspect)
    path = export_board("mp4", board, blobs.path, tmp_path / "film", width=320, captions=False).path
    with av.open(path) as film:
        stream = film.streams.video[0]
        assert stream.frames == 322
        assert stream.average_rate == 24
        assert abs(stream.duration * stream.time_base - 322 / 24) < 1e-6
        assert stream.codec_context.pix_fmt == "yuv420p"
        assert stream.codec_context.colorspace == 1
        frames = [frame.to_ndarray(format="rgb24") for frame in film.decode(stream)]
    assert len(frames) == 322
    assert max(frames[0].shape[:2]) == 320
    assert abs(frames[0].shape[1] / frames[0].shape[0] / (aspect[0] / aspect[1]) - 1) < 0.02
    centre_top = [frame[frame.shape[0] // 2 - 40, frame.shape[1] // 2] for frame in frames]
    borders = [0, 48, 84, 161, 209, 226, 322]
    for k in ORDER:
        inside = centre_top[borders[k] : borders[k + 1]]
        assert all(near(pixel, k, 9) for pixel in (inside[0], inside[-1])), (k, inside[0], inside[-1])


@pytest.mark.sweep
def test_mp4_burns_captions_into_a_bar(board, blobs, tmp_path):
    av = pytest.importorskip("av")
    plain = export_board("mp4", board, blobs.path, tmp_path / "a", width=320, captions=False).path
    path = export_board("mp4", board, blobs.path, tmp_path / "b", width=320).path
    with av.open(plain) as film:
        height = film.streams.video[0].height
    with av.open(path) as film:
        stream = film.streams.video[0]
        assert stream.height > height
        assert stream.height % 2 == 0
        frame = next(film.decode(stream)).to_ndarray(format="rgb24")
    bar = frame[height:]
    assert np.median(bar) < 40  # dark ground
    assert (bar.max(axis=2) > 180).sum() > 30  # light words
    assert (bar[:, :40].max(axis=2) > 100).any()  # the number, at the left


def test_mp4_captions_of_any_length_stay_in_the_bar(blobs, tmp_path):
    pytest.importorskip("av")
    from app.interchange import animatic
    from app.interchange.job import Job

    board = Board("b", scenes=(Scene("s", panels=(panel(blobs, 0, dialogue="WORD " * 400, seconds=0.1),)),))
    job = Job(board, blobs.path, tmp_path / "x.mp4")
    bar = animatic._draw_bar(job.entries[0], Size(640, 120), 18.0, set())
    assert bar.shape == (120, 640, 3)
    light = np.flatnonzero((bar.max(axis=2) > 120).any(axis=1))
    assert light[0] > 2
    assert light[-1] < 117


def test_ora_is_what_the_draft_says(board, blobs, tmp_path):
    path = export_board("ora", board, blobs.path, tmp_path / "1C", panels={"panel0000002"}).path
    assert path.name == "1C.ora"
    with zipfile.ZipFile(path) as archive:
        first = archive.infolist()[0]
        assert (first.filename, first.compress_type) == ("mimetype", zipfile.ZIP_STORED)
        assert archive.read("mimetype") == b"image/openraster"
        assert path.read_bytes()[30:54] == b"mimetypeimage/openraster"
        stack = ElementTree.fromstring(archive.read("stack.xml"))
        assert stack.attrib["w"], stack.attrib["h"] == ("640", "360")
        layers = stack.findall("stack/layer")
        assert [layer.get("name").split()[0] for layer in layers] == ["mask", "take", "take"]
        assert [layer.get("visibility") for layer in layers] == ["hidden", "visible", "hidden"]
        opened = [Image.open(io.BytesIO(archive.read(layer.get("src")))) for layer in layers]
        assert {image.size for image in opened} == {(640, 360)}
        assert np.array_equal(np.asarray(opened[2]), np.asarray(drawn(2)))
        mask = np.asarray(opened[0].getchannel("A"))
        assert (mask[110, 240], mask[5, 5]) == (255, 0)
        merged = Image.open(io.BytesIO(archive.read("mergedimage.png")))
        assert np.array_equal(np.asarray(merged), np.asarray(opened[1]))
        assert max(Image.open(io.BytesIO(archive.read("Thumbnails/thumbnail.png"))).size) == 256
        assert archive.testzip() is None


def test_layers_hold_the_picture_that_a_panel_started_from(board, blobs, tmp_path):
    path = export_board("ora", board, blobs.path, tmp_path / "1B.ora", panels={"panel0000001"}).path
    with zipfile.ZipFile(path) as archive:
        layers = ElementTree.fromstring(archive.read("stack.xml")).findall("stack/layer")
        assert [layer.get("name").split()[0] for layer in layers] == ["take", "original"]
        original = np.asarray(Image.open(io.BytesIO(archive.read(layers[1].get("src")))))
    assert np.array_equal(original, np.asarray(drawn(0)))


def test_psd_layers(board, blobs, tmp_path):
    psd_tools = pytest.importorskip("psd_tools")
    path = export_board("psd", board, blobs.path, tmp_path / "1C", panels={"panel0000002"}).path
    document = psd_tools.PSDImage.open(path)
    assert document.size == (640, 360)
    layers = list(document)
    assert [layer.name.split()[0] for layer in layers] == ["take", "take", "mask"]
    assert [layer.visible for layer in layers] == [False, True, False]
    assert np.array_equal(np.asarray(layers[0].topil().convert("RGB")), np.asarray(drawn(2)))
    mask = np.asarray(layers[2].mask.topil())  # transparency becomes a layer mask
    assert (mask[110, 240], mask[5, 5]) == (255, 0)
    with Image.open(path) as flat:  # Pillow reads the merged picture only
        assert flat.format == "PSD"
        assert np.array_equal(np.asarray(flat.convert("RGB")), np.asarray(layers[1].topil().convert("RGB")))


def test_layers_of_all_panels_are_a_folder(board, blobs, tmp_path):
    out = export_board("ora", board, blobs.path, tmp_path / "layers.ora").path
    assert out.name == "layers"
    assert len(list(out.glob("*.ora"))) == 6


def test_takes_of_other_sizes_share_one_canvas(blobs, tmp_path):
    pytest.importorskip("psd_tools")
    import psd_tools

    from tests.app.interchange.made_boards import take

    takes = (take(blobs, 0, 1, (320, 180)), take(blobs, 1, 1, (640, 360)), take(blobs, 2, 1, (300, 300)))
    one = panel(blobs, 0, takes=takes, current=takes[0].id)
    board = Board("b", scenes=(Scene("s", panels=(one,)),))
    document = psd_tools.PSDImage.open(export_board("psd", board, blobs.path, tmp_path / "x").path)
    assert document.size == (640, 360)
    assert [layer.size for layer in document] == [(640, 360)] * 3
