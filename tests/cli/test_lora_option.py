"""--lora: how it is written, what is recorded, what --again does with it, and baking it with convert."""

from pathlib import Path

import numpy as np
import pytest

from app.pictures import images
from app.pictures.metadata import hide_paths
from mlx_model.request import Lora
from mlx_model.store.folder import sha256_of
from tests.cli.scripted_pipeline import FakePipeline, run
from tests.converters.checkpoints import manifest, single_file
from tests.model.store.made_loras import low_rank, peft, save

LAYER = "double_blocks.1.img_attn.qkv"


@pytest.fixture(autouse=True)
def files(machine):
    """A LoRA under several names; the tests' own transformer is 64 wide."""
    tensors = peft(LAYER, *low_rank(0, 192, 64))
    for name in ("a.safetensors", "night: blue:2", "c.safetensors:0.5", "ü ñ.safetensors"):
        save(Path(name), tensors)
    return machine


def generated(*words, **options):
    run("generate", "x", "-o", "out.png", "--size", "64x64", *words, **options)
    return FakePipeline.requests[-1].loras


WRITTEN = {
    "a.safetensors": ("a.safetensors", 1.0),
    "a.safetensors:0.8": ("a.safetensors", 0.8),
    "a.safetensors:-1": ("a.safetensors", -1.0),
    "a.safetensors:1e-1": ("a.safetensors", 0.1),
    "night: blue:2": ("night: blue:2", 1.0),  # there is a file of that name
    "night: blue:2:3": ("night: blue:2", 3.0),
    "c.safetensors:0.5": ("c.safetensors:0.5", 1.0),
    "c.safetensors:0.5:0.7": ("c.safetensors:0.5", 0.7),
    "ü ñ.safetensors:2": ("ü ñ.safetensors", 2.0),
}


@pytest.mark.parametrize("text", WRITTEN)
def test_path_and_scale(files, text):
    name, scale = WRITTEN[text]
    assert generated("--lora", text) == (Lora(str(files / name), scale, sha256_of(files / name)),)


def test_a_home_folder_behind_an_equals_sign(files, monkeypatch):
    monkeypatch.setenv("HOME", str(files))
    assert generated("--lora=~/a.safetensors:2")[0].path == str(files / "a.safetensors")


def test_several_keep_their_order():
    given = generated("--lora", "c.safetensors:0.5:2", "--lora", "a.safetensors:3")
    assert [(Path(lora.path).name, lora.scale) for lora in given] == [("c.safetensors:0.5", 2), ("a.safetensors", 3)]


@pytest.mark.parametrize("text", ["b.safetensors", "a.safetensors:", "a.safetensors:big", ":1", "b:0.5", "."])
def test_no_such_file(text):
    result = run("generate", "x", "--lora", text, code=2)
    assert "There is no LoRA at" in result.stderr
    assert FakePipeline.opened == []


@pytest.mark.parametrize("scale", ["nan", "inf", "1e999"])
def test_a_scale_is_a_number(scale):
    assert "no scale" in run("generate", "x", "--lora", f"a.safetensors:{scale}", code=2).stderr
    assert FakePipeline.opened == []


def test_again_uses_them_or_others_or_none(files):
    first = generated("--lora", "a.safetensors:0.3")
    run("generate", "--again", "out.png")
    assert FakePipeline.requests[-1] == FakePipeline.requests[0]
    run("generate", "--again", "out.png", "--lora", "ü ñ.safetensors")
    assert [Path(lora.path).name for lora in FakePipeline.requests[-1].loras] == ["ü ñ.safetensors"]
    run("generate", "--again", "out.png", "--lora", "none")
    assert FakePipeline.requests[-1].loras == ()
    assert first[0].scale == 0.3


def test_again_notices_a_changed_or_missing_file(files):
    generated("--lora", "a.safetensors")
    (files / "pictures").mkdir()
    original = Path("a.safetensors").read_bytes()
    save(Path("a.safetensors"), peft(LAYER, *low_rank(1, 192, 64)))
    assert "has changed" in run("generate", "--again", "out.png", code=2).stderr
    Path("a.safetensors").unlink()
    assert "no longer there" in run("generate", "--again", "out.png", code=2).stderr
    Path("out.png").rename("pictures/out.png")
    Path("pictures/a.safetensors").write_bytes(original)
    run("generate", "--again", "pictures/out.png")  # it may also lie beside the picture
    assert FakePipeline.requests[-1].loras[0].path == str(files / "pictures" / "a.safetensors")


def test_again_finds_in_the_library_what_a_take_of_a_board_names(files, tmp_path):
    """Boards are shared: the requests of their takes hold names in place of paths."""
    run("lora", "add", "a.safetensors")
    (first,) = generated("--lora", "a:0.7")
    text = hide_paths(images.read_request("out.png").to_json())
    images.save_picture(np.zeros((64, 64, 3), np.uint8), tmp_path / "take.png", text)
    Path("a.safetensors").unlink()
    run("generate", "--again", str(tmp_path / "take.png"), "-o", "again.png")
    assert FakePipeline.requests[-1].loras == (first,)
    save(Path(first.path), peft(LAYER, *low_rank(1, 192, 64)))
    told = run("generate", "--again", str(tmp_path / "take.png"), "-o", "again.png", code=2).stderr
    assert "has changed" in told


def test_a_given_file_is_never_overwritten():
    original = Path("a.safetensors").read_bytes()
    words = ("--lora", "a.safetensors", "--save-latents", "a.safetensors", "--force")
    assert "never overwrites" in run("generate", "x", *words, code=2).stderr
    assert Path("a.safetensors").read_bytes() == original


def test_convert_bakes(files):
    source = single_file(files / "source")
    run("convert", str(source), "-o", "plain", "--bits", "32")
    run("convert", str(source), "-o", "baked", "--bits", "32", "--lora", "a.safetensors:0.5")
    assert manifest(files / "baked")["source"]["loras"] == [
        {"name": "a.safetensors", "sha256": sha256_of(files / "a.safetensors"), "scale": 0.5}
    ]
    hashes = [manifest(files / name)["components"]["transformer"]["files"] for name in ("plain", "baked")]
    assert hashes[0] != hashes[1]


def test_convert_refuses_before_it_writes(files):
    source, other = single_file(files / "source"), peft("single_blocks.7.linear1", *low_rank(0, 64, 64))
    save(Path("wrong.safetensors"), other)
    result = run("convert", str(source), "-o", "out", "--lora", "wrong.safetensors", code=3)
    assert "single_blocks.7.linear1" in result.stderr
    assert "no LoRA" in run("convert", str(source), "-o", "out", "--lora", "gone", code=2).stderr
    assert not Path("out").exists()
