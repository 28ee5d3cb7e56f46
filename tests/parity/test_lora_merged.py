"""Adapters that PEFT makes for every family, baked by us, against the weights that PEFT itself merges them into."""

from importlib import import_module

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")
peft = pytest.importorskip("peft")

import diffusers  # noqa: E402
import mlx.core as mx  # noqa: E402
import numpy as np  # noqa: E402
from diffusers.training_utils import _collate_lora_metadata  # noqa: E402

from converters.bake import bake, list_notes  # noqa: E402
from converters.keys import flux1, flux2, flux3, t5_clip  # noqa: E402
from converters.keys.rules import apply  # noqa: E402
from mlx_model.nets import text_clip  # noqa: E402
from mlx_model.request import Lora  # noqa: E402
from tests.parity import tiny_flux1, tiny_flux3, tiny_klein  # noqa: E402

pytestmark = [pytest.mark.parity, pytest.mark.filterwarnings("ignore")]
FAMILIES = {
    "flux1": (lambda: tiny_flux1.tiny_transformer(16, True), flux1, "FluxPipeline"),
    "flux2": (tiny_klein.tiny_transformer, flux2, "Flux2KleinPipeline"),
    "flux3": (lambda: tiny_flux3.tiny_transformer(True), flux3, "Flux2KleinPipeline"),  # has no saver of its own
}
KINDS = {
    "plain": {}, "rank-stabilised": {"use_rslora": True}, "DoRA": {"use_dora": True},
    "alpha by pattern": {"alpha_pattern": {r".*single_transformer_blocks\..*": 16, "to_q": 1}},
    "rank by pattern": {"rank_pattern": {r"^.*\.0\.attn\.to_[kv]": 2}},
}  # fmt: skip


def arrays(state, keys):
    """Their tensors by our names."""
    return apply(keys.DIFFUSERS, {name: mx.array(value.detach().numpy()) for name, value in state.items()})


def shake(module):
    with torch.no_grad():
        for name, value in module.named_parameters():
            if "lora_B" in name or "hada_" in name or "lokr_" in name:
                value.copy_(torch.randn_like(value) * 0.2)
            if "magnitude" in name:
                value.mul_(1.2)


def compare(base, merged, file, family, keys):
    """What baking the file into `base` gives, against `merged`."""
    ours, exact, networks = arrays(base, keys), arrays(merged, keys), {}
    shapes = {name: tuple(array.shape) for name, array in ours.items()}
    params = import_module(f"mlx_model.nets.{family}").Params(**keys.read_sizes(shapes, {}))
    changed = bake(ours, "transformer", family, params, networks, [Lora(str(file))])
    assert not [note for note in list_notes(networks, [Lora(str(file))]) if "left out" in note]
    assert len(changed) > 20
    for name, array in exact.items():
        error = float(mx.abs(ours[name] - array).max())
        assert error < 2e-5 * max(1, float(mx.abs(array).max())), name


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("kind", KINDS)
def test_low_ranks_as_diffusers_saves_them(tmp_path, kind, family):
    make, keys, pipeline = FAMILIES[family]
    torch.manual_seed(0)
    theirs = make().eval()
    base = {name: value.clone() for name, value in theirs.state_dict().items()}
    config = peft.LoraConfig(r=4, lora_alpha=2, target_modules="all-linear", **KINDS[kind])
    theirs.add_adapter(config)
    shake(theirs)
    state = peft.utils.get_peft_model_state_dict(theirs)
    getattr(diffusers, pipeline).save_lora_weights(
        tmp_path, transformer_lora_layers=state, **_collate_lora_metadata({"transformer": theirs})
    )
    theirs.fuse_lora()
    theirs.unload_lora()
    compare(base, theirs.state_dict(), tmp_path / "pytorch_lora_weights.safetensors", family, keys)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("kind", ["LoraConfig", "LoHaConfig", "LoKrConfig"])
def test_as_peft_saves_them_itself(tmp_path, kind, family):
    make, keys, _ = FAMILIES[family]
    torch.manual_seed(0)
    theirs = make().eval()
    base = {name: value.clone() for name, value in theirs.state_dict().items()}
    linear = [name for name, module in theirs.named_modules() if isinstance(module, torch.nn.Linear)]
    strength = {"lora_alpha": 2} if kind == "LoraConfig" else {"alpha": 2, "init_weights": False}
    model = peft.get_peft_model(theirs, getattr(peft, kind)(r=4, target_modules=linear, **strength))
    shake(model)
    model.save_pretrained(tmp_path)
    merged = model.merge_and_unload().state_dict()
    compare(base, merged, tmp_path / "adapter_model.safetensors", family, keys)


def test_clip_of_flux1(tmp_path):
    """The part for the pooled encoder, in the file that diffusers writes for both."""
    torch.manual_seed(0)
    theirs = tiny_flux1.tiny_clip(514).eval()
    base = {name: mx.array(value.detach().numpy().copy()) for name, value in theirs.state_dict().items()}
    config = peft.LoraConfig(r=4, lora_alpha=2, target_modules=["q_proj", "v_proj", "out_proj", "fc1"])
    theirs = peft.inject_adapter_in_model(config, theirs)
    theirs.peft_config = {"default": config}
    shake(theirs)
    layers = peft.utils.get_peft_model_state_dict(theirs)
    diffusers.FluxPipeline.save_lora_weights(
        tmp_path, text_encoder_lora_layers=layers, **_collate_lora_metadata({"text_encoder": theirs})
    )
    file = tmp_path / "pytorch_lora_weights.safetensors"
    merged = {}
    for name, module in theirs.named_modules():
        if hasattr(module, "lora_A"):
            module.merge()
            merged[f"{name}.weight"] = mx.array(module.get_base_layer().weight.detach().numpy())
    ours, networks = apply(t5_clip.CLIP, base), {}
    shapes = {name: tuple(array.shape) for name, array in ours.items()}
    params = text_clip.Params(**t5_clip.read_clip_sizes(shapes, {"num_attention_heads": 1}))
    changed = bake(ours, "pooled_encoder", "text_clip", params, networks, [Lora(str(file))])
    exact = apply(t5_clip.CLIP, {k if k in base else f"text_model.{k}": v for k, v in merged.items()})
    assert changed == exact.keys()
    for name, array in exact.items():
        assert np.abs(np.array(ours[name] - array)).max() < 1e-5, name
