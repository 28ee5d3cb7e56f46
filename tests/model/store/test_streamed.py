"""Networks whose blocks are read as they run: the same numbers, in the room of two blocks."""

import dataclasses
import gc
import os
import shutil
from functools import partial
from pathlib import Path

import mlx.core as mx
import numpy as np
import pytest
from mlx.utils import tree_flatten
from safetensors.numpy import save_file

from mlx_model.errors import LayoutError
from mlx_model.events import Note
from mlx_model.nets import flux2, flux3, selfflow, text_mistral3, text_qwen3, text_t5
from mlx_model.nets.ops import timestep_features
from mlx_model.request import Lora, Reference, Request
from mlx_model.run.latents import grid_ids, text_ids
from mlx_model.run.pipeline import Pipeline
from mlx_model.store.counting import add_up, block_of, count_blocks
from mlx_model.store.streamed import KEPT, Streamer, close, rest, stream
from mlx_model.store.weights import build, load, save_component
from tests.bench.bank import made_network
from tests.measuring import exact_memory, peak_of_mlx
from tests.model.run.tiny_flux1 import transformer

MINI = Path(__file__).parents[3] / "assets" / "mini"
SIZES = flux2.Params(256, 2, 2, 8, 64, in_channels=16)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Two shards of a transformer with ten blocks."""
    root = tmp_path_factory.mktemp("net")
    weights = dict(tree_flatten(made_network(SIZES, mx.float32).parameters()))
    entry = save_component(root, "transformer", "flux2", SIZES, weights, shard_bytes=12_000_000)
    found = [root / name for name in entry["files"]]
    assert len(found) > 1
    return found


def opened(files, streamed, dtype=mx.float32):
    module = build("transformer", "flux2", SIZES)
    (stream if streamed else load)(module, files, dtype)
    return module


def step(network, seed=1, rows=8):
    """One velocity, evaluated."""
    context = mx.random.normal((1, 16, 64), key=mx.random.key(seed))
    latents = mx.random.normal((1, 8 * rows, 16), key=mx.random.key(seed + 1))
    rope = network.rope(np.concatenate([text_ids(16), grid_ids((rows, 8))]))
    velocity = network(latents, timestep_features([0.5]), network.condition(context, rope))
    mx.eval(velocity)
    return np.array(velocity.astype(mx.float32)).tobytes()


@pytest.mark.first_case
@pytest.mark.parametrize("dtype", [mx.float32, mx.bfloat16])
def test_the_same_numbers_again_and_again(files, dtype):
    whole, streamed = (opened(files, how, dtype) for how in (False, True))
    for seed in (1, 2, 3):
        assert step(streamed, seed) == step(whole, seed)
    rest(streamed)
    assert step(streamed) == step(whole)


@pytest.mark.sweep
def test_two_and_a_half_blocks_are_in_memory_however_many_there_are(files):
    counted = count_blocks(((file, "") for file in files), 4)
    resting, moving = add_up(counted)
    whole, streamed = (opened(files, how) for how in (False, True))
    work = peak_of_mlx(lambda: step(whole))  # beside the weights
    found = peak_of_mlx(partial(step, streamed))
    assert found < 2.5 * moving / 2 + 1.1 * work
    assert moving < 0.3 * sum(counted.values())
    rest(streamed)
    with exact_memory():
        before = mx.get_active_memory()
        del streamed
        gc.collect()
        freed = before - mx.get_active_memory()
    assert freed == pytest.approx(resting, rel=0.02)


@pytest.mark.parametrize("change", ["vanish", "grow", "cut", "touch"])
def test_a_file_that_changes_meanwhile_ends_the_run(files, tmp_path, change):
    copies = [Path(shutil.copy(file, tmp_path)) for file in files]
    network, last = opened(copies, True), copies[-1]
    step(network)
    if change == "vanish":
        last.unlink()
    elif change == "grow":
        last.write_bytes(last.read_bytes() + b"\0")
    elif change == "cut":
        os.truncate(last, last.stat().st_size // 2)
    else:
        os.utime(last, ns=(0, 0))
    with pytest.raises(LayoutError, match="no longer there" if change == "vanish" else "was changed"):
        step(network)


def test_a_network_that_is_closed_leaves_nothing(files):
    """Without a collection of Python's, which may be long in coming."""
    step(opened(files, True))
    with exact_memory():
        gc.disable()
        try:
            before = mx.get_active_memory()
            network = opened(files, True)
            step(network)
            close(network)
            del network
            assert mx.get_active_memory() - before < 100_000
        finally:
            gc.enable()


def test_what_is_raised_between_two_blocks_ends_the_step(files):
    counted = []

    def stop():
        counted.append(1)
        if len(counted) == 3:
            raise KeyboardInterrupt

    network = build("transformer", "flux2", SIZES)
    stream(network, files, mx.float32, lambda: stop())
    with pytest.raises(KeyboardInterrupt):
        step(network)
    assert len(counted) == 3
    assert step(network) == step(opened(files, False))


def test_blocks_are_told_by_their_names():
    assert block_of("double_blocks.1.img_attn.qkv.weight", 2) == "double_blocks.1"
    assert block_of("content_mode_blocks.image_cond.0.q_proj.scales", 2) == "content_mode_blocks.image_cond.0"
    assert block_of("encoder.block.11.layer.0.SelfAttention.q.weight", 2) == "encoder.block.11"
    assert block_of("embed_tokens.weight", 2) == "embed_tokens"
    assert block_of("double_blocks.1.img_attn.norm.query_norm.scale", 1) == ""
    assert block_of("final_layer.adaLN_modulation.1.weight", 2) == ""
    assert block_of("t_embedder.mlp.0.weight", 2) == ""


NETWORKS = {
    "flux1": ("transformer", transformer("flux1-dev")),
    "flux3": ("transformer", flux3.Params(32, 2, 1, 2, 32, in_channels=16, axes_dim=(4, 4, 4, 4), flow_map=True)),
    "selfflow": ("transformer", selfflow.Params(4, 2, 4, 32, 2, 2)),
    "text_qwen3": ("text_encoder", text_qwen3.Params(32, 48, 4, 2, 16, (1, 3), vocab_size=64)),
    "text_mistral3": ("text_encoder", text_mistral3.Params(32, 48, 4, 2, 16, (1, 3), vocab_size=64)),
    "text_t5": ("text_encoder", text_t5.Params(32, 8, 48, 3, 2, 64)),
}


@pytest.mark.parametrize("family", NETWORKS)
def test_every_block_of_every_family_is_streamed(family, tmp_path):
    """What is outside of blocks is little, in the networks as they are published."""
    role, params = NETWORKS[family]
    network = build(role, family, params)
    weights = {name: mx.random.normal(array.shape) for name, array in tree_flatten(network.parameters())}
    found = save_component(tmp_path, role, family, params, weights)
    stream(network, [tmp_path / name for name in found["files"]], mx.float32)
    lists = {block.rpartition(".")[0] or block for block in streamer(network).blocks}
    assert lists == BLOCKS[family]


BLOCKS = {
    "flux1": {"double_blocks", "single_blocks"},
    "flux3": {"txt_mode_blocks", "content_mode_blocks.image", "content_mode_blocks.image_cond", "single_blocks"},
    "selfflow": {"blocks"},
    "text_qwen3": {"embed_tokens", "layers"},
    "text_mistral3": {"embed_tokens", "layers"},
    "text_t5": {"shared", "encoder.block"},
}


def run(low, request, dtype="float32", path=MINI):
    pipeline = Pipeline.open(path, dtype)
    pipeline.low_memory = low
    events = list(pipeline.run(request))
    return events[-1].latents.tobytes(), events[-1].pixels.tobytes(), pipeline, events


@pytest.mark.first_case
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_run_of_packed_weights_with_guidance_and_references_is_the_same(dtype):
    pixels = np.random.default_rng(1).integers(0, 256, (64, 64, 3), np.uint8)
    request = Request("mini", "a fox", 64, 64, steps=2, negative="fog", references=(Reference(pixels=pixels),))
    whole, low = (run(how, request, dtype) for how in (False, True))
    assert low[:2] == whole[:2]
    assert low[2].streamed == {"transformer", "text_encoder"}
    assert any("read from the disk" in event.text for event in low[3] if isinstance(event, Note))


def test_with_guidance_a_block_is_read_once_a_step(monkeypatch):
    read, reading = [], Streamer._read
    monkeypatch.setattr(Streamer, "_read", lambda self, block: (read.append(block), reading(self, block)))
    run(True, Request("mini", "a fox", 64, 64, steps=3, negative="fog"))
    blocks = [block for block in read if block.startswith(("double", "single"))]
    once = ["double_blocks.0", "double_blocks.1", *(f"single_blocks.{n}" for n in range(4))]
    assert blocks == [*once * 3, once[0]]  # the first is begun for a step that does not come


@pytest.mark.sweep
def test_a_bank_of_references_is_the_same():
    pixels = np.random.default_rng(1).integers(0, 256, (64, 64, 3), np.uint8)
    request = Request("mini", "a fox", 64, 64, steps=2, references=(Reference(pixels=pixels),))
    found = []
    for how in (False, True):
        pipeline = Pipeline.open(MINI)
        pipeline.low_memory = how
        pipeline.spec = dataclasses.replace(pipeline.spec, reference_bank=True)
        *_, done = pipeline.run(request)
        found.append(done.latents.tobytes())
    assert found[0] == found[1]


@pytest.mark.sweep
def test_adapters_lie_beside_streamed_layers(tmp_path):
    file = str(made_lora(tmp_path))
    request = Request("mini", "a fox", 64, 64, steps=1, loras=(Lora(file, 0.8),))
    whole, low = (run(how, request) for how in (False, True))
    assert low[0] == whole[0]
    assert low[0] != run(True, dataclasses.replace(request, loras=()))[0]


def test_the_same_pipeline_may_read_and_hold():
    """As where a larger picture no longer fits whole."""
    request = Request("mini", "a fox", 64, 64, steps=1)
    first, _, pipeline, _ = run(False, request)
    for low in (True, False):
        pipeline.low_memory = low
        *_, done = pipeline.run(request)
        assert done.latents.tobytes() == first
        assert bool(pipeline.streamed) == low


def test_after_a_file_has_changed_the_next_run_opens_it_anew(tmp_path):
    copy = Path(shutil.copytree(MINI, tmp_path / "mini"))
    request = Request("mini", "a fox", 64, 64, steps=1)
    first, _, pipeline, _ = run(True, request, path=copy)
    os.utime(copy / "transformer" / "00001.safetensors", ns=(0, 0))
    with pytest.raises(LayoutError, match="was changed"):
        list(pipeline.run(request))
    *_, done = pipeline.run(request)
    assert done.latents.tobytes() == first


def made_lora(folder):
    """Of a matrix inside a block, one of low rank and one whole."""
    rng = np.random.default_rng(3)
    name = "double_blocks.0.img_attn.proj"
    low = {f"{name}.lora_A.weight": (4, 256), f"{name}.lora_B.weight": (256, 4)}
    save_file(
        {key: rng.normal(0, 0.1, shape).astype(np.float32) for key, shape in low.items()}, folder / "a.safetensors"
    )
    return folder / "a.safetensors"


def streamer(network):
    return getattr(network, KEPT)
