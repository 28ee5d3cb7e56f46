"""Matrices stored by ComfyUI's own package decode to the numbers that it decodes itself."""

import json

import mlx.core as mx
import numpy as np
import pytest

torch = pytest.importorskip("torch")
kitchen = pytest.importorskip("comfy_kitchen.tensor")

from safetensors.torch import save_file  # noqa: E402

from converters.formats import files, scaled  # noqa: E402

pytestmark = pytest.mark.parity
GROUP = {"convrot_groupsize": 256}
FORMS = {
    "int8_tensorwise": ("TensorWiseINT8Layout", {}, {"per_channel": True}),
    "int8_tensorwise, one scale": ("TensorWiseINT8Layout", {}, {}),
    "int8_tensorwise, rotated": (
        "TensorWiseINT8Layout", {"convrot": True, **GROUP}, {"per_channel": True, "convrot": True}
    ),
    "convrot_w4a4": ("TensorCoreConvRotW4A4Layout", GROUP, {}),
    "nvfp4": ("TensorCoreNVFP4Layout", {}, {}),
    "mxfp8": ("TensorCoreMXFP8Layout", {}, {}),
    "float8_e4m3fn": ("TensorCoreFP8Layout", {}, {"scale": "recalculate"}),
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_what_comfyui_stores(tmp_path, form):
    name, told, settings = FORMS[form]
    layout = getattr(kitchen, name)
    matrix = torch.randn(256, 512, generator=torch.Generator().manual_seed(0))
    codes, params = layout.quantize(matrix, **settings)
    parts = {
        f"x.weight{key}": part.contiguous().clone() for key, part in layout.state_dict_tensors(codes, params).items()
    }
    mark = json.dumps({"format": form.partition(",")[0], **told}).encode()
    save_file({**parts, "x.comfy_quant": torch.tensor(list(mark), dtype=torch.uint8)}, tmp_path / "x.safetensors")
    entries = files.read_entries([tmp_path / "x.safetensors"])
    found = scaled.decode(files.load_file(tmp_path / "x.safetensors"), entries, {})
    exact = layout.dequantize(codes, params).float().numpy()
    assert set(found) == {"x.weight"}
    assert np.abs(np.array(found["x.weight"].astype(mx.float32)) - exact).max() < 1e-5
