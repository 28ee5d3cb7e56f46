"""Matrices that bitsandbytes itself packs are read as it reads them."""

import pytest

torch = pytest.importorskip("torch")
packer = pytest.importorskip("bitsandbytes")

import mlx.core as mx  # noqa: E402
import numpy as np  # noqa: E402
from safetensors.torch import save_file  # noqa: E402

from converters.parts import open_components, open_parts  # noqa: E402

pytestmark = [pytest.mark.parity, pytest.mark.filterwarnings("ignore")]
LAYER = "double_blocks.0.img_mod.lin"


@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize("kind", ["nf4", "fp4"])
@pytest.mark.parametrize("shape", [(48, 64), (6, 22)])
def test_four_bits(tmp_path, kind, nested, shape):
    torch.manual_seed(0)
    layer = torch.nn.Linear(*shape[::-1], bias=False)
    made = packer.nn.Linear4bit(*shape[::-1], bias=False, quant_type=kind, compress_statistics=nested)
    made.load_state_dict(layer.state_dict())
    made = made.to("cpu")
    state = {f"{LAYER}.{name}": value.contiguous() for name, value in made.state_dict().items()}
    assert any("quant_state" in name for name in state)
    save_file(state, tmp_path / "x.safetensors")
    theirs = packer.functional.dequantize_4bit(made.weight.data, made.weight.quant_state).float().numpy()
    ours = open_components(tmp_path / "x.safetensors")[0].load_arrays(tmp_path)[f"{LAYER}.weight"]
    assert ours.dtype == mx.float32
    assert np.abs(np.array(ours) - theirs).max() < 1e-6
    assert np.abs(theirs - layer.weight.detach().numpy()).max() < 0.05


def test_eight_bits(tmp_path):
    layer = torch.nn.Linear(64, 48)
    made = packer.nn.Linear8bitLt(64, 48, has_fp16_weights=False)
    made.load_state_dict(layer.state_dict())
    state = {f"{LAYER}.{name}": value.contiguous() for name, value in made.to("cpu").state_dict().items()}
    assert {name.rpartition(".")[2] for name in state} == {"weight", "bias", "SCB", "weight_format"}
    save_file(state, tmp_path / "x.safetensors")
    theirs = packer.functional.int8_vectorwise_dequant(state[f"{LAYER}.weight"], state[f"{LAYER}.SCB"]).numpy()
    ours = open_components(tmp_path / "x.safetensors")[0].load_arrays(tmp_path)
    assert np.abs(np.array(ours[f"{LAYER}.weight"]) - theirs).max() < 1e-6
    assert np.array_equal(np.array(ours[f"{LAYER}.bias"]), layer.bias.detach().numpy())


@pytest.mark.parametrize("bits", [8, 4])
def test_a_t5_that_transformers_saved(tmp_path, bits):
    """In the folder that InvokeAI and diffusers have; what is not packed keeps its numbers."""
    transformers = pytest.importorskip("transformers")
    sizes = {"vocab_size": 64, "d_model": 64, "d_kv": 16, "d_ff": 96, "num_layers": 2, "num_heads": 4}
    plain = transformers.T5EncoderModel(transformers.T5Config(**sizes, feed_forward_proj="gated-gelu"))
    plain.save_pretrained(tmp_path / "plain")
    how = {"load_in_8bit": True} if bits == 8 else {"load_in_4bit": True, "bnb_4bit_use_double_quant": True}
    settings = transformers.BitsAndBytesConfig(**how)
    load = transformers.T5EncoderModel.from_pretrained
    load(tmp_path / "plain", quantization_config=settings, device_map="cpu").save_pretrained(tmp_path / "packed")
    whole, part = open_parts(tmp_path / "plain"), open_parts(tmp_path / "packed")
    assert part.layout.family == "text_t5"
    exact, found = whole.load_arrays(tmp_path), part.load_arrays(tmp_path)
    assert found.keys() == exact.keys()
    for name, array in exact.items():
        error = np.abs(np.array(found[name].astype(mx.float32)) - np.array(array)).max()
        assert error <= (0.2 if bits == 4 else 0.01) * np.abs(np.array(array)).max(), name
