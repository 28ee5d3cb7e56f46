"""LoRAs in whole runs of the built-in model: on, off, changed on disk, beside kept references, on packed weights."""

import dataclasses
import os
import shutil

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest
from mlx.utils import tree_flatten

from converters.quantize import PLANS, encode
from mlx_model.errors import FluxLocalError, LayoutError, RequestError
from mlx_model.events import Note
from mlx_model.nets import flux2
from mlx_model.request import Lora
from mlx_model.run.pipeline import Pipeline
from mlx_model.run.references import Kept
from mlx_model.store import folder, lora, weights
from tests.model.run.test_pipeline import MINI, done, picture, request
from tests.model.store.made_loras import low_rank, peft, random, save

QKV = "double_blocks.1.img_attn.qkv"


@pytest.fixture(scope="module")
def pipeline():
    return Pipeline.open(MINI, "float32")


def adapter(file, seed=0, layer=QKV):
    return save(file, peft(f"diffusion_model.{layer}", *(4 * a for a in low_rank(seed, 3 * 256, 256))))


def test_on_and_off_again(pipeline, tmp_path):
    """What was there before comes back to the bit, and the same request gives the same bytes in a new pipeline."""
    path = adapter(tmp_path / "a.safetensors")
    plain = done(pipeline).latents
    adapted = done(pipeline, loras=(Lora(path),)).latents
    assert np.abs(adapted - plain).max() > 0.01
    assert np.array_equal(done(pipeline).latents, plain)
    fresh = Pipeline.open(MINI, "float32")
    assert np.array_equal(done(fresh, loras=(Lora(path),)).latents, adapted)


def test_the_scale_and_the_order_of_magnitude_count(pipeline, tmp_path):
    path = adapter(tmp_path / "a.safetensors")
    plain = done(pipeline).latents
    small, large = (np.abs(done(pipeline, loras=(Lora(path, s),)).latents - plain).mean() for s in (0.01, 0.5))
    assert 0 < small < large / 5
    half = done(pipeline, loras=(Lora(path, 0.25), Lora(path, 0.25))).latents
    assert np.abs(half - done(pipeline, loras=(Lora(path, 0.5),)).latents).max() < 1e-3


def test_a_run_equals_one_with_the_matrices_added(pipeline, tmp_path):
    path, place = adapter(tmp_path / "a.safetensors"), tmp_path / "baked"
    networks = {"model": lora.describe(pipeline.transformer, "flux2")}
    (((scale, found),),) = lora.gather(networks, [Lora(path, 0.5)], [])["model"].values()
    matrices = dense()
    base = matrices[f"{QKV}.weight"]
    matrices[f"{QKV}.weight"] = base + scale * lora.delta(found.change.addition, found.place, 3 * 256, 256, base)
    baked = Pipeline.open(written(place, matrices), "float32")
    assert np.abs(done(baked).latents - done(pipeline, loras=(Lora(path, 0.5),)).latents).max() < 1e-3


@pytest.mark.first_case
@pytest.mark.parametrize("how", ["overwritten", "replaced", "times kept"])
def test_a_file_overwritten_under_the_same_path_is_noticed(pipeline, tmp_path, how):
    path = adapter(tmp_path / "a.safetensors")
    before, given = os.stat(path), (Lora(path),)
    first = done(pipeline, loras=given).latents
    other = adapter(tmp_path / "b.safetensors", seed=7)
    os.replace(other, path) if how == "replaced" else shutil.copyfile(other, path)
    if how == "times kept":
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    second = done(pipeline, loras=given).latents
    assert np.abs(second - first).max() > 0.01
    assert np.array_equal(done(Pipeline.open(MINI, "float32"), loras=given).latents, second)


def test_nothing_is_read_again_while_the_file_stays(pipeline, tmp_path, monkeypatch):
    given = (Lora(adapter(tmp_path / "a.safetensors")),)
    done(pipeline, loras=given)
    monkeypatch.setattr(lora, "gather", None)
    done(pipeline, loras=given, seed=4)


def test_another_content_than_the_recorded_one_is_refused(pipeline, tmp_path):
    path = adapter(tmp_path / "a.safetensors")
    done(pipeline, loras=(Lora(path, 1.0, folder.sha256_of(tmp_path / "a.safetensors")),))
    with pytest.raises(RequestError, match="not the file"):
        done(pipeline, loras=(Lora(path, 1.0, "0" * 64),))


BAD = {
    "of FLUX.1": (peft("transformer.single_transformer_blocks.1.proj_mlp", *low_rank(0, 64, 64)), "FLUX.1"),
    "of FLUX.3": (peft("txt_mode_blocks.0.q_proj", *low_rank(0, 64, 64)), "FLUX.3"),
    "in part": (
        peft(QKV, *low_rank(0, 768, 256))
        | peft("double_blocks.9.img_mlp.0", *low_rank(1, 9, 9))
        | peft("double_blocks.8.img_mlp.0", *low_rank(1, 9, 9)),
        "only in part",
    ),
    "of a larger model": (peft(QKV, *low_rank(0, 3 * 3072, 3072)), "another size"),
    "no LoRA": ({"x": random(0, 4, 4)}, "x"),
}


@pytest.mark.parametrize("case", BAD)
def test_refused_before_any_weights_are_loaded(tmp_path, case):
    """With the names, and nothing in memory; the next run is the plain one."""
    tensors, said = BAD[case]
    fresh = Pipeline.open(MINI, "float32")
    with pytest.raises(LayoutError, match=said):
        done(fresh, loras=(Lora(save(tmp_path / "x.safetensors", tensors)),))
    assert "transformer" not in vars(fresh)
    assert fresh._loaded == {}


def test_what_is_left_out_is_told_once(tmp_path):
    tensors = peft(QKV, *low_rank(0, 768, 256)) | {"odd": random(0, 4, 4)}
    given = (Lora(save(tmp_path / "x.safetensors", tensors)),)
    fresh = Pipeline.open(MINI, "float32")
    for told in (["x.safetensors: 1 tensor belongs to nothing that is known here: odd. They are left out."], []):
        notes = [event.text for event in fresh.run(request(loras=given)) if isinstance(event, Note)]
        assert notes == told


def test_the_text_encoder_is_adapted_too(tmp_path):
    """Its features change, come back with the plain ones, and are adapted again when it is loaded anew."""
    part = peft("text_encoder.model.layers.0.mlp.gate_proj", *(8 * one for one in low_rank(3, 384, 128)))
    given = (Lora(save(tmp_path / "x.safetensors", part)),)
    fresh = Pipeline.open(MINI, "float32")
    plain = done(fresh).latents
    adapted = done(fresh, loras=given).latents
    assert np.abs(adapted - plain).max() > 1e-3
    fresh._loaded.pop("text_encoder", None)
    fresh.prompts = Kept()
    assert np.array_equal(done(fresh, loras=given).latents, adapted)
    assert np.array_equal(done(fresh).latents, plain)


def test_a_refused_file_leaves_the_adapters_that_are_on(pipeline, tmp_path):
    good = (Lora(adapter(tmp_path / "a.safetensors")),)
    first = done(pipeline, loras=good).latents
    with pytest.raises(FluxLocalError):
        done(pipeline, loras=(*good, Lora(save(tmp_path / "x.safetensors", BAD["of FLUX.1"][0]))))
    assert np.array_equal(done(pipeline, loras=good).latents, first)


@pytest.mark.sweep
def test_kept_references_know_the_adapters(tmp_path):
    """K and V that are kept of references depend on the weights, so on the adapters too."""
    path = adapter(tmp_path / "a.safetensors")

    def opened():
        banked = Pipeline.open(MINI, "float32")
        banked.spec = dataclasses.replace(banked.spec, reference_bank=True)
        return banked

    one, fresh = opened(), opened()
    done(one, picture(1))
    assert one.banks.misses == 1
    adapted = done(one, picture(1), loras=(Lora(path),)).latents
    assert np.array_equal(adapted, done(fresh, picture(1), loras=(Lora(path),)).latents)
    done(one, picture(1))
    assert one.banks.misses == 2  # the first set is still there


@pytest.mark.sweep
@pytest.mark.parametrize("plan", ["q8", "q4r"])
def test_on_packed_weights(tmp_path, plan, monkeypatch):
    """The same adapter moves the packed model as it moves the exact one, and comes off again."""
    monkeypatch.setattr(folder, "SMALL_BYTES", 0)
    groups = [encode(name, array, PLANS[plan]) for name, array in dense().items()]
    filled = {name: value for group in groups for name, value in group.items()}
    packed = Pipeline.open(written(tmp_path / "packed", filled), "float32")
    exact = Pipeline.open(written(tmp_path / "exact", dense()), "float32")
    kinds = {type(p.transformer.double_blocks[1].img_attn.qkv) for p in (packed, exact)}
    assert kinds == {weights.PackedLinear, nn.Linear}
    given = (Lora(adapter(tmp_path / "a.safetensors")),)
    plain = done(packed).latents
    moved, wanted = (done(p, loras=given).latents - done(p).latents for p in (packed, exact))
    assert np.corrcoef(moved.ravel(), wanted.ravel())[0, 1] > 0.9
    assert np.array_equal(done(packed).latents, plain)


def dense():
    """The matrices of the built-in model's transformer, which ships packed."""
    model = weights.open_component(folder.open_folder(MINI), "transformer", mx.float32)
    arrays = dict(tree_flatten(model.parameters()))
    for name, layer in model.named_modules():
        if isinstance(layer, weights.PackedLinear):
            parts = [arrays.pop(f"{name}.{part}") for part in ("weight", "scales", "biases")]
            arrays[f"{name}.weight"] = mx.dequantize(*parts, group_size=layer.group_size, bits=layer.bits)
    return arrays


def written(place, arrays):
    """The built-in model with another transformer."""
    shutil.copytree(MINI, place)
    shutil.rmtree(place / "transformer")
    was = folder.open_folder(MINI)
    part = was.components["transformer"]
    params = flux2.Params(**part.params)
    saved = weights.save_component(place, "transformer", part.family, params, arrays)
    others = {role: dataclasses.asdict(c) for role, c in was.components.items()}
    settings = {"source": {}, "licence": "x", "plan": "x", "dtype": "float32"}
    folder.write_manifest(place, "mini", others | {"transformer": saved}, was.tokenizer, **settings)
    return place
