"""The real pipeline behind the real command, in its own process: a model of mini's shape with random weights."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import mlx.core as mx
import numpy as np
import pytest
from mlx.utils import tree_flatten
from PIL import Image
from safetensors.numpy import load_file, save_file
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

from app.pictures.images import open_picture, read_request
from mlx_model.specs import SPECS
from mlx_model.store import folder, weights
from tests.model.store.made_loras import low_rank, peft, save

ROOT = Path(__file__).resolve().parents[2]
MINI = ROOT / "assets" / "mini"
SIDE = 64


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A converted folder that opens as `mini` does."""
    path, spec = tmp_path_factory.mktemp("model") / "tiny", SPECS["mini"]
    path.mkdir()
    sizes = {"transformer": spec.transformer, "text_encoder": spec.text, "autoencoder": spec.autoencoder}
    parts = {role: part(path, role, name, sizes[role]) for role, name in folder.roles(spec).items()}
    tokenizer = folder.save_tokenizer(path, tokenizer_files(path.parent))
    folder.write_manifest(path, "mini", parts, tokenizer, source={}, licence="x", plan="32bit", dtype="float32")
    return path


def part(path, role, family, sizes):
    from importlib import import_module

    params = import_module(f"mlx_model.nets.{family}").Params(**sizes)
    arrays = dict(tree_flatten(weights.build(role, family, params).parameters()))
    return weights.save_component(path, role, family, params, {name: mx.array(a) for name, a in arrays.items()})


def tokenizer_files(place):
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel()
    special = ["<unk>", "<pad>", "<|im_start|>", "<|im_end|>"]
    tokenizer.train_from_iterator(["a cat on a beach"], trainers.BpeTrainer(vocab_size=300, special_tokens=special))
    tokenizer.save(str(place / "tokenizer.json"))
    (place / "tokenizer_config.json").write_text(json.dumps({"pad_token": "<pad>"}))
    return [place / "tokenizer.json", place / "tokenizer_config.json"]


@pytest.fixture
def work(tmp_path):
    Image.new("RGB", (96, 96), (200, 10, 10)).save(tmp_path / "room.png")
    mask = Image.new("L", (96, 96), 0)
    mask.paste(255, (0, 0, 48, 96))
    mask.save(tmp_path / "mask.png")
    return tmp_path


def command(*words):
    return [sys.executable, "-m", "app", *map(str, words)]


def environment(work):
    return {**os.environ, "FLUX_LOCAL_HOME": str(work / "home"), "PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1"}


def call(work, *words, code=0):
    setting = {"cwd": work, "env": environment(work), "text": True}
    done = subprocess.run(command(*words), capture_output=True, check=False, **setting)
    assert done.returncode == code, done.stdout + done.stderr
    return done


def test_generate_again_gives_the_same_picture(model, work):
    words = ("-m", model, "--size", "64x64", "--steps", "2", "--seed", "5")
    call(work, "generate", "a cat", *words, "-o", "one.png", "--save-latents", "l.safetensors", "--preview", "steps")
    call(work, "generate", "--again", "one.png", "-o", "two.png")
    assert np.array_equal(open_picture(work / "one.png"), open_picture(work / "two.png"))
    assert read_request(work / "one.png") == read_request(work / "two.png")
    tokens = (SIDE // SPECS["mini"].size_multiple) ** 2
    assert load_file(work / "l.safetensors")["latents"].shape == (tokens, SPECS["mini"].transformer["in_channels"])
    assert len(list((work / "steps").iterdir())) == 1


@pytest.mark.sweep
def test_low_memory_saves_the_same_latents(model, work):
    words = ("generate", "a cat", "-m", model, "--size", "64x64", "--steps", "2", "--seed", "5")
    call(work, *words, "-o", "one.png", "--save-latents", "one.safetensors")
    said = call(work, *words, "-o", "two.png", "--save-latents", "two.safetensors", "--low-memory").stderr
    assert "read from the disk block by block" in said
    assert (work / "one.safetensors").read_bytes() == (work / "two.safetensors").read_bytes()


@pytest.mark.sweep
def test_noise_decides_and_the_seed_does_not(model, work):
    shape = ((SIDE // SPECS["mini"].size_multiple) ** 2, SPECS["mini"].transformer["in_channels"])
    save_file({"noise": np.random.default_rng(1).normal(size=shape).astype(np.float32)}, work / "n.safetensors")
    for seed in (1, 2):
        words = ("--size", "64x64", "--steps", "1", "--seed", seed, "--noise", "n.safetensors", "-o", f"{seed}.png")
        call(work, "generate", "x", "-m", model, *words)
    assert np.array_equal(open_picture(work / "1.png"), open_picture(work / "2.png"))
    save_file({"other": np.zeros(3, np.float32)}, work / "n.safetensors")
    assert "noise" in call(work, "generate", "--again", "1.png", code=2).stderr


def test_edit_with_a_mask_keeps_the_rest(model, work):
    words = ("-p", "a cat at @room", "--mask", "mask.png", "-m", model, "--steps", "2", "-o", "out.png", "--json")
    lines = [json.loads(line) for line in call(work, "edit", "room.png", *words).stdout.splitlines()]
    assert [line["event"] for line in lines if line["event"] in ("step", "done", "failed")] == ["step", "step", "done"]
    pixels = open_picture(work / "out.png")
    assert (pixels[:, -16:] == [200, 10, 10]).all()
    assert not (pixels[:, :16] == [200, 10, 10]).all()


@pytest.mark.sweep
def test_a_lora_on_the_built_in_model_and_again(work):
    """The same bytes again; another picture without it; refused when the file changed or is for another model."""
    words = ("-m", MINI, "--size", "64x64", "--steps", "2", "--seed", "5")
    save(work / "a.safetensors", peft("transformer.single_transformer_blocks.0.attn.to_out", *low_rank(0, 256, 1024)))
    save(work / "b.safetensors", peft("transformer.single_transformer_blocks.0.proj_out", *low_rank(0, 256, 1280)))
    call(work, "generate", "a cat", *words, "-o", "plain.png")
    call(work, "generate", "a cat", *words, "-o", "one.png", "--lora", "a.safetensors:9")
    call(work, "edit", "plain.png", "-p", "night", *words, "-o", "edit.png", "--lora", "a.safetensors:9")
    call(work, "generate", "--again", "one.png", "-o", "two.png")
    call(work, "generate", "--again", "one.png", "-o", "off.png", "--lora", "none")
    plain, one, two, off = (open_picture(work / f"{name}.png") for name in ("plain", "one", "two", "off"))
    assert np.array_equal(one, two)
    assert np.array_equal(plain, off)
    assert np.abs(one.astype(int) - plain).mean() > 1
    refused = call(work, "generate", "a cat", *words, "--lora", "b.safetensors", "-o", "x.png", code=3).stderr
    assert "single_transformer_blocks.0.proj_out" in refused
    assert "It is for FLUX.1." in refused
    save(work / "a.safetensors", peft("transformer.single_transformer_blocks.0.attn.to_out", *low_rank(3, 256, 1024)))
    assert "has changed" in call(work, "generate", "--again", "one.png", "-o", "x.png", code=2).stderr
    assert not (work / "x.png").exists()


@pytest.mark.sweep
def test_ctrl_c_stops_within_a_step_and_leaves_nothing(model, work):
    before = sorted(path.name for path in work.iterdir())
    words = ("generate", "a cat", "-m", model, "--size", "128x128", "--steps", "200", "--json", "-o", "out.png")
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command(*words), cwd=work, env=environment(work), text=True, **pipes) as process:
        while '"step"' not in process.stdout.readline():
            assert process.poll() is None
        start = time.monotonic()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert json.loads(out.splitlines()[-1])["event"] == "cancelled"
    assert "Cancelled" in err
    assert "Traceback" not in err
    assert time.monotonic() - start < 10
    assert sorted(path.name for path in work.iterdir()) == before


def test_a_damaged_model_says_so(model, work, tmp_path):
    import shutil

    copy = shutil.copytree(model, tmp_path / "copy")
    shard = next(copy.rglob("*.safetensors"))
    data = bytearray(shard.read_bytes())
    data[-1] ^= 1
    shard.write_bytes(data)
    assert "damaged" in call(work, "models", "verify", copy, code=3).stderr
    shard.unlink()
    assert "missing" in call(work, "generate", "x", "-m", copy, code=3).stderr


def test_bench(model, work):
    words = ("bench", "-m", model, "--size", "64x64", "--steps", "1", "--runs", "1", "--json")
    found = json.loads(call(work, *words).stdout)
    assert found["edit_seconds"] > 0
    assert (found["slower"], len(found["each"]), found["streamed"]) == (1.0, 1, [])
    assert found["peak_bytes"] > 10_000_000


@pytest.mark.sweep
def test_references_are_looked_at_at_the_size_that_is_asked_for(model, work):
    Image.effect_noise((192, 192), 90).convert("RGB").save(work / "large.png")
    words = ("edit", "large.png", "-p", "a cat", "-m", model, "--size", "64x64", "--steps", "1", "--seed", "1")
    said = call(work, *words, "--reference-size", "16384", "-o", "small.png").stderr
    assert "192x192, used at 128x128" in said
    assert read_request(work / "small.png").reference_size == 16384
    call(work, *words, "-o", "usual.png")
    assert not np.array_equal(open_picture(work / "small.png"), open_picture(work / "usual.png"))
    assert "can't be seen" in call(work, *words, "--reference-size", "5", code=2).stderr


@pytest.mark.sweep
def test_a_step_cache_is_told_recorded_and_taken_off_again(model, work):
    words = ("edit", "room.png", "-p", "a cat", "--size", "64x64", "--steps", "8", "--seed", "1")

    def make(name, *words):
        said = call(work, *words, "-m", model, "-o", f"{name}.png", "--save-latents", f"{name}.safetensors").stderr
        return said, load_file(work / f"{name}.safetensors")["latents"], read_request(work / f"{name}.png").step_cache

    exact, short = make("exact", *words), make("short", *words, "--step-cache", "1")
    again = make("again", "edit", "--again", "short.png")
    off = make("off", "edit", "--again", "short.png", "--step-cache", "0")
    assert [made[2] for made in (exact, short, again, off)] == [None, 1, 1, None]
    assert ["Step cache" in made[0] for made in (exact, short, again, off)] == [False, True, True, False]
    assert np.array_equal(again[1], short[1])
    assert np.array_equal(off[1], exact[1])
    assert not np.array_equal(short[1], exact[1])
    for wrong in ("2", "-1", "nan", "much"):
        assert "step-cache" in call(work, *words, "-m", model, "--step-cache", wrong, code=2).stderr
    few = ("--again", "short.png", "-m", model, "--steps", "4")
    assert "In 4 steps a step cache gains nothing" in call(work, "edit", *few, code=2).stderr


@pytest.mark.sweep
def test_a_picture_is_enlarged_and_that_is_done_again(model, work):
    made = call(work, "enlarge", "room.png", "-m", model, "-o", "large.png", "--steps", "1")
    assert "One tile" in made.stderr or "1 tile" in made.stderr
    recorded = read_request(work / "large.png")
    assert (recorded.enlarge, recorded.width, recorded.height, recorded.seed) == (2, 192, 192, 0)
    call(work, "edit", "--again", "large.png", "-o", "again.png")
    assert np.array_equal(open_picture(work / "again.png"), open_picture(work / "large.png"))
    call(work, "enlarge", "large.png", "--by", "3", code=2)
