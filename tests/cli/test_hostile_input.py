"""Requests written by hand, names that no disk takes, links, bytes that are no text: a message and no traceback."""

import json
import os
import shutil
import time
from pathlib import Path

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from app.pictures.images import read_request
from tests.cli.scripted_pipeline import EDITOR, FakePipeline, run

WRONG = [
    {"model": 5},
    {"model": None},
    {"model": "a" * 5000},
    {"prompt": 5},
    {"prompt": None},
    {"prompt": "\ud800"},
    {"negative": 5},
    {"width": "128", "height": 128},
    {"steps": True},
    {"guidance": "3"},
    {"seed": 1.5},
    {"seed": None},
    {"outpaint": ["a"] * 4},
    {"references": [{"path": 5}]},
    {"references": [{"path": "x" * 5000}]},
    {"references": [{"path": "room.png", "pixels": [[1]]}]},
    {"mask": {"path": 5}},
    {"loras": [{"path": 5}]},
    {"loras": [{"path": "room.png", "scale": "a"}]},
    {"noise": 5},
    {"noise": "/dev/zero"},
    {"prompt": "a" * 100_001},
    {"sampler": []},
]


def carry(text):
    info = PngInfo()
    info.add_itxt("flux-local", text)
    Image.open("room.png").save("carrier.png", pnginfo=info)


@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: json.dumps(wrong)[:40])
def test_a_request_with_a_wrong_value_is_refused(wrong):
    carry(json.dumps({"model": EDITOR, "prompt": "x", **wrong}))
    result = run("edit", "--again", "carrier.png", code=2)
    assert "Traceback" not in result.stderr
    assert FakePipeline.opened == []


def test_a_request_nested_too_deep_is_refused():
    carry("[" * 100_000)
    assert "not a request" in run("edit", "--again", "carrier.png", code=2).stderr


def test_xmp_that_opens_a_hundred_thousand_times_is_read_at_once():
    info = PngInfo()
    info.add_itxt("XML:com.adobe.xmp", "<fluxlocal:request>" * 100_000)
    Image.open("room.png").save("carrier.png", pnginfo=info)
    began = time.monotonic()
    assert "carries no request" in run("edit", "--again", "carrier.png", code=2).stderr
    assert time.monotonic() - began < 20  # it took minutes


@pytest.mark.parametrize("words", [("-m", "m" * 5000), ("-o", "n" * 300 + ".png"), ("--lora", "l" * 5000)])
def test_names_that_are_too_long(words):
    run("generate", "x", *words, code=2)
    assert FakePipeline.opened == []


def test_a_picture_whose_name_leaves_no_room_for_the_output_s_name():
    name = "m" * 248 + ".png"
    shutil.copy("room.png", name)
    assert "too long" in run("edit", name, "-p", "x", code=2).stderr
    assert FakePipeline.opened == []
    run("edit", name, "-p", "x", "-o", "short.png")


def test_a_link_that_leads_to_itself():
    os.symlink("loop.png", "loop.png")
    assert run("generate", "x", "-o", "loop.png").stdout.strip().endswith("loop-2.png")
    run("generate", "x", "-o", "loop.png/out.png", code=2)


def test_an_original_is_kept_under_another_of_its_names():
    os.link("room.png", "link.png")
    before = Path("link.png").read_bytes()
    assert "never overwrites" in run("edit", "room.png", "-p", "x", "-o", "link.png", "--force", code=2).stderr
    assert Path("link.png").read_bytes() == before


def test_the_noise_that_was_given_is_kept():
    Path("noise.safetensors").write_bytes(b"noise")
    words = ("--noise", "noise.safetensors", "--save-latents", "noise.safetensors", "--force")
    assert "never overwrites" in run("generate", "x", *words, code=2).stderr


def test_convert_refuses_a_pipe():
    os.mkfifo("pipe")
    assert "pipe" in run("convert", "pipe", "-o", "out", code=2).stderr


def test_a_prompt_that_is_no_text():
    assert "no text" in run("generate", os.fsdecode(b"a \xff dog"), code=2).stderr


@pytest.mark.skipif(os.uname().sysname == "Darwin", reason="names are always UTF-8 there")
def test_a_picture_whose_name_is_not_utf8_can_be_edited_and_redone():
    name = os.fsdecode(b"caf\xe9.png")
    shutil.copy("room.png", name)
    run("edit", name, "-p", "x", "-o", "out.png")
    assert read_request("out.png").references[0].path == str(Path(name).absolute())
    run("edit", "--again", "out.png", "-o", "again.png")
    assert Path("again.png").exists()


def test_a_manifest_whose_model_is_no_name():
    Path("odd").mkdir()
    Path("odd/model.json").write_text('{"schema": 1, "model": ["mini"]}')
    assert "Traceback" not in run("generate", "x", "-m", "odd", code=3).stderr


def test_the_built_in_model_has_no_download_to_tell():
    assert "download" not in run("models", "info", "mini").stdout
    assert "download 33.7 GB" in run("models", "info", "flux1-dev").stdout  # as in README, in Finder's units
