"""Adapters made by the programs that people train with, PEFT and LyCORIS, on diffusers' tiny FLUX.2, against ours.

At the largest strengths here the velocity reaches 3; float32 through four blocks leaves some 1e-5 of that.
"""

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")

import mlx.core as mx  # noqa: E402
import numpy as np  # noqa: E402
from mlx.utils import tree_map  # noqa: E402
from safetensors.torch import save_file  # noqa: E402

from mlx_model.request import Lora  # noqa: E402
from mlx_model.store import lora  # noqa: E402
from mlx_model.training import adapters, learner, loop  # noqa: E402
from mlx_model.training.needs import Settings  # noqa: E402
from tests.parity.test_lora import linears, ours, their_velocity, velocity  # noqa: E402
from tests.parity.tiny_klein import tiny_transformer  # noqa: E402

pytestmark = [pytest.mark.parity, pytest.mark.filterwarnings("ignore")]


@pytest.fixture
def theirs():
    torch.manual_seed(0)
    return tiny_transformer().eval()


def compare(plain, theirs_after, file, scale=1.0):
    before = velocity(plain)
    lora.apply(plain, "flux2", [Lora(str(file), scale)])
    after = velocity(plain)
    assert np.abs(after - theirs_after).max() < 1e-4
    assert np.abs(after - before).max() > 0.002  # 20 times what is let through: half the strength would show


# PEFT, through diffusers' own save

TARGETS = ["to_q", "to_k", "to_out.0", "to_qkv_mlp_proj", "norm_out.linear"]
CONFIGS = {
    "plain": {}, "rslora": {"use_rslora": True}, "dora": {"use_dora": True}, "bias": {"lora_bias": True},
    "alpha by name": {"alpha_pattern": {"single_transformer_blocks.0.attn.to_qkv_mlp_proj": 16}},
    "alpha by end": {"alpha_pattern": {"to_q": 16}},
    "alpha by pattern": {"alpha_pattern": {r"^single_transformer_blocks\..*": 16}},
    "alpha by middle": {"alpha_pattern": {r".*attn\.to_(q|k)": 16, "to_q": 1}},
    "rank": {"rank_pattern": {r".*\.1\.attn\.to_k": 2}},
}  # fmt: skip


@pytest.mark.parametrize("case", CONFIGS)
def test_peft_by_diffusers(theirs, tmp_path, case):
    peft = pytest.importorskip("peft")
    import diffusers
    from diffusers.training_utils import _collate_lora_metadata

    plain = ours(theirs)
    config = peft.LoraConfig(r=4, lora_alpha=2, target_modules=TARGETS, **CONFIGS[case])
    theirs.add_adapter(config)
    with torch.no_grad():
        for name, value in theirs.named_parameters():
            if "lora_B" in name:
                value.copy_(torch.randn_like(value) * 0.2)
            if "magnitude" in name:
                value.mul_(1.3)
    state = peft.utils.get_peft_model_state_dict(theirs)
    diffusers.Flux2KleinPipeline.save_lora_weights(
        tmp_path, transformer_lora_layers=state, **_collate_lora_metadata({"transformer": theirs})
    )
    compare(plain, their_velocity(theirs), tmp_path / "pytorch_lora_weights.safetensors")


@pytest.mark.parametrize("alpha", [4.0, 2.0])
def test_ours_as_the_trainer_writes_it_is_the_same_in_diffusers_and_peft(theirs, tmp_path, alpha):
    """What learns, what the file says of it to us, and what diffusers and PEFT make of the file."""
    pytest.importorskip("peft")
    import diffusers

    plain, learning = ours(theirs), ours(theirs)
    adapters.add_adapters(learning, adapters.choose_layers(learning, "blocks"), 4, alpha, seed=3)
    settings = Settings(rank=4, alpha=alpha, rate=2.0)
    optimizer, rng = learner.make_optimizer(learning, settings), np.random.default_rng(0)
    masters = learning.trainable_parameters()
    optimizer.init(masters)
    for _ in range(3):
        gradients = tree_map(lambda x: mx.array(rng.normal(size=x.shape).astype(np.float32)), masters)
        masters = optimizer.apply_gradients(gradients, masters)
    learning.update(masters)
    file = tmp_path / "bobo.safetensors"
    loop.save_arrays(file, adapters.name_for_files(masters, 4, alpha, mx.float32), {"trigger_word": "bobo"})
    state = diffusers.Flux2KleinPipeline.lora_state_dict(str(file))
    theirs.load_lora_adapter(state, prefix="transformer")
    learned = their_velocity(theirs)
    assert np.abs(velocity(learning) - learned).max() < 1e-4
    compare(plain, learned, file)


@pytest.mark.parametrize("kind", ["LoHaConfig", "LoKrConfig"])
def test_peft_saved_by_itself(theirs, tmp_path, kind):
    """adapter_model.safetensors with its adapter_config.json; alpha is there only."""
    peft = pytest.importorskip("peft")
    plain = ours(theirs)
    model = peft.get_peft_model(theirs, getattr(peft, kind)(r=4, alpha=2, target_modules=TARGETS, init_weights=False))
    with torch.no_grad():
        for name, value in model.named_parameters():
            if "hada_" in name or "lokr_" in name:
                value.copy_(torch.randn_like(value) * 0.3)
    model.save_pretrained(tmp_path)
    compare(plain, their_velocity(theirs), tmp_path / "adapter_model.safetensors")


# LyCORIS: each module's own forward gives the matrix that it makes of a layer

KINDS = {
    "LoCon": ("locon.LoConModule", {}),
    "DoRA": ("locon.LoConModule", {"weight_decompose": True}),
    "DoRA of columns": ("locon.LoConModule", {"weight_decompose": True, "wd_on_out": False}),
    "LoHa": ("loha.LohaModule", {}),
    "LoHa, rank-stabilised": ("loha.LohaModule", {"rs_lora": True}),
    "LoKr": ("lokr.LokrModule", {"factor": 4}),
    "LoKr of low ranks": ("lokr.LokrModule", {"factor": -1, "decompose_both": True, "lora_dim": 2}),
    "LoKr whole": ("lokr.LokrModule", {"factor": 4, "full_matrix": True}),
    "LoKr and DoRA": ("lokr.LokrModule", {"factor": 4, "weight_decompose": True}),
    "GLoRA": ("glora.GLoRAModule", {}),
    "IA3": ("ia3.IA3Module", {"train_on_input": True}),
}


@pytest.mark.parametrize(("kind", "scale"), [*((kind, 1.0) for kind in KINDS), ("DoRA", -0.5), ("LoKr", -0.5)])
def test_lycoris(theirs, tmp_path, kind, scale):
    pytest.importorskip("lycoris")
    from importlib import import_module

    (where, name), options = KINDS[kind][0].split("."), KINDS[kind][1]
    make = getattr(import_module(f"lycoris.modules.{where}"), name)
    plain, tensors = ours(theirs), {}
    for layer in linears(theirs):
        own = theirs.get_submodule(layer)
        module = make(f"lycoris_{layer}", own, 1.0, **{"lora_dim": 4, "alpha": 2.0, **options})
        with torch.no_grad():
            for value in module.parameters():
                if value.ndim and value is not own.weight:
                    value.copy_(torch.rand_like(value) * 0.4 - 0.2 + (1 if value.shape[-1] == 1 else 0))
            module.org_forward = own.forward
            made = module.forward(torch.eye(own.in_features)).T
            state = module.state_dict() if name == "IA3Module" else module.custom_state_dict()
            own.weight.add_(scale * (made - own.weight))
        flat = "lycoris_" + layer.replace(".", "_")
        tensors |= {f"{flat}.{part}": value.detach().clone().contiguous() for part, value in state.items()}
    save_file(tensors, tmp_path / "x.safetensors")
    compare(plain, their_velocity(theirs), tmp_path / "x.safetensors", scale)
