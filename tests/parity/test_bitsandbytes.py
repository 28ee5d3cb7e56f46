"""Matrices that bitsandbytes itself packs are read as it reads them."""

import pytest

torch = pytest.importorskip("torch")
packer = pytest.importorskip("bitsandbytes")

import mlx.core as mx  # noqa: E402
import numpy as np  # noqa: E402
from safetensors.torch import save_file  # noqa: E402

from converters.parts import open_components  # noqa: E402

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
