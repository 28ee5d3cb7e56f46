"""Saving: metadata in every format, names never lost, nothing half-written."""

import builtins
import dataclasses
import errno
import json
import os
import re
import threading

import numpy as np
import pytest
from PIL import Image

from app.pictures import inputs
from app.pictures.images import open_picture, read_request, save_picture
from mlx_model import files
from mlx_model.errors import DiskFull, RequestError
from mlx_model.request import Lora, Mask, Reference, Request
from tests.app.pictures.made_pictures import halves, saved

PIXELS = np.asarray(halves())
REQUEST = Request("mini", 'a "cat" & <dog> @ 猫 ]]>\n\ttwo', 96, 64, 4, 1.0, 7, references=(Reference("/a.png", "a"),))
SUFFIXES = ("png", "jpg", "jpeg", "webp", "tiff", "tif", "avif", "PNG")


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_request_and_colours_come_back(tmp_path, suffix):
    path = save_picture(PIXELS, tmp_path / f"out.{suffix}", REQUEST.to_json())
    assert read_request(path) == REQUEST
    assert np.abs(open_picture(path)[30, [20, 75]].astype(int) - PIXELS[30, [20, 75]]).max() <= 6


def test_a_request_with_everything(tmp_path):
    whole = dataclasses.replace(
        REQUEST, mask=Mask("/m.png", "00"), outpaint=(1, 2, 3, 4), strength=0.5, loras=(Lora("x", 0.5),), noise="/n"
    )
    assert read_request(save_picture(PIXELS, tmp_path / "o.webp", whole.to_json())) == whole


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("edited", [True, False])
def test_the_mark_of_ai_is_always_there(tmp_path, suffix, edited):
    data = save_picture(PIXELS, tmp_path / f"out.{suffix}", None, edited=edited).read_bytes()
    name = b"compositeWithTrainedAlgorithmicMedia" if edited else b"/trainedAlgorithmicMedia"
    assert name in data
    assert b"CreatorTool>Flux Local<" in data
    assert b"fluxlocal:request" not in data


def test_xmp_is_xml_and_the_png_chunk_is_the_plain_request(tmp_path):
    from xml.etree import ElementTree

    path = save_picture(PIXELS, tmp_path / "out.png", REQUEST.to_json())
    with Image.open(path) as image:
        assert json.loads(image.text["flux-local"])["prompt"] == REQUEST.prompt
        tree = ElementTree.fromstring(image.info["xmp"])
    assert tree.find(".//{urn:flux-local:1}request").text == REQUEST.to_json()


def test_a_very_long_prompt(tmp_path):
    long = dataclasses.replace(REQUEST, prompt="word " * 30_000)
    assert read_request(save_picture(PIXELS, tmp_path / "o.png", long.to_json())) == long
    with pytest.raises(RequestError, match="no request"):
        read_request(save_picture(PIXELS, tmp_path / "o.jpg", long.to_json()))


def test_a_picture_without_a_request_and_with_a_broken_one(tmp_path):
    with pytest.raises(RequestError, match=r"plain\.png carries no request"):
        read_request(saved(halves(), tmp_path / "plain.png"))
    with pytest.raises(RequestError, match="not a request"):
        read_request(save_picture(PIXELS, tmp_path / "odd.png", '{"prompt": 3, "colour": 1}'))


def test_extensions_that_can_not_be_written(tmp_path):
    for name in ("out", "out.gif", "out.psd", "out.heic"):
        with pytest.raises(RequestError, match=r"\.png"):
            save_picture(PIXELS, tmp_path / name, None)


def test_names_are_numbered_and_force_replaces(tmp_path):
    (tmp_path / "out.png").write_bytes(b"mine")
    names = [save_picture(PIXELS, tmp_path / "out.png", None).name for _ in range(3)]
    assert names == ["out-2.png", "out-3.png", "out-4.png"]
    assert (tmp_path / "out.png").read_bytes() == b"mine"
    assert save_picture(PIXELS, tmp_path / "out.png", None, force=True).name == "out.png"
    assert open_picture(tmp_path / "out.png").shape == (64, 96, 3)
    assert len(os.listdir(tmp_path)) == 4


def test_many_writers_at_once_never_share_a_name(tmp_path):
    given = []
    threads = [
        threading.Thread(target=lambda i=i: given.append((i, files.write_new(tmp_path / "a.bin", _writes(i)))))
        for i in range(16)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({path for _, path in given}) == 16
    assert all(path.read_bytes() == bytes([i]) for i, path in given)


def _writes(i: int):
    return lambda handle: handle.write(bytes([i]))


def test_disks_without_hard_links(tmp_path, monkeypatch):
    def refuse(*_args, **_options):
        raise OSError(errno.ENOTSUP, "no links here")

    monkeypatch.setattr(os, "link", refuse)
    (tmp_path / "a.bin").write_bytes(b"mine")
    assert files.write_new(tmp_path / "a.bin", _writes(1)).name == "a-2.bin"
    assert (tmp_path / "a.bin").read_bytes() == b"mine"
    assert sorted(os.listdir(tmp_path)) == ["a-2.bin", "a.bin"]


@pytest.mark.parametrize("place", ["open", "write", "fsync", "link"])
@pytest.mark.parametrize("force", [True, False])
def test_a_full_disk_leaves_nothing_behind(tmp_path, monkeypatch, place, force):
    if place == "link" and force:
        place = "replace"

    def full(*_args, **_options):
        raise OSError(errno.ENOSPC, "No space left on device")

    (tmp_path / "out.png").write_bytes(b"mine")
    if place == "write":
        with pytest.raises(DiskFull, match=r"out\.png"):
            files.write_new(tmp_path / "out.png", full, force)
    else:
        target = builtins if place == "open" else os
        with monkeypatch.context() as patch:
            patch.setattr(target, place, full)
            with pytest.raises(DiskFull, match=r"out\.png") as caught:
                save_picture(PIXELS, tmp_path / "out.png", None, force)
        assert caught.value.exit_code == 4
    assert os.listdir(tmp_path) == ["out.png"]
    assert (tmp_path / "out.png").read_bytes() == b"mine"


def test_interrupted_while_writing(tmp_path):
    def interrupt(handle):
        handle.write(b"half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        files.write_new(tmp_path / "out.png", interrupt)
    assert os.listdir(tmp_path) == []


def test_no_folder_and_a_file_for_a_folder(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    for path in (tmp_path / "no" / "out.png", tmp_path / "file" / "out.png"):
        with pytest.raises(RequestError, match=re.escape(str(path.parent))):
            files.check_writable(path)
        with pytest.raises(RequestError):
            save_picture(PIXELS, path, None)


# references of a recorded request


def test_references_are_found_by_path_beside_and_checked(tmp_path):
    there, out = tmp_path / "there", tmp_path / "results" / "out.png"
    there.mkdir()
    out.parent.mkdir()
    source = saved(halves(), there / "cat.png")
    request = Request("mini", "x", references=(inputs.load_reference(source, []),))
    assert request.references[0].name == "cat"
    assert len(request.references[0].sha256) == 64
    recorded = read_request(save_picture(PIXELS, out, request.to_json()))
    again = inputs.reload(recorded, out, [])
    assert again == request
    assert np.array_equal(again.references[0].pixels, request.references[0].pixels)
    os.rename(source, out.parent / "cat.png")
    assert inputs.reload(recorded, out, []).references[0].path == str(out.parent / "cat.png")
    saved(halves(left=(0, 0, 0)), out.parent / "cat.png")
    with pytest.raises(RequestError, match=r"cat\.png has changed"):
        inputs.reload(recorded, out, [])
    (out.parent / "cat.png").unlink()
    with pytest.raises(RequestError, match=r"cat\.png is no longer there"):
        inputs.reload(recorded, out, [])


def test_masks_fit_their_picture(tmp_path):
    picture = open_picture(saved(halves(192, 128), tmp_path / "p.png"))
    white = saved(Image.new("L", (96, 64), 255), tmp_path / "m.png")
    assert inputs.load_mask(white, picture).pixels.shape == (128, 192)
    with pytest.raises(RequestError, match="another shape"):
        inputs.load_mask(saved(Image.new("L", (96, 96), 255), tmp_path / "square.png"), picture)
    with pytest.raises(RequestError, match="marks nothing"):
        inputs.load_mask(saved(Image.new("L", (192, 128), 0), tmp_path / "black.png"), picture)
