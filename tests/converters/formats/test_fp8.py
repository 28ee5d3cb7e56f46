"""8-bit floating-point checkpoints: BFL's, ComfyUI's, with and without scales; the rest is refused by name."""

import mlx.core as mx
import numpy as np
import pytest

from converters.convert import convert
from converters.formats import fp8, scaled
from mlx_model.errors import ConvertError, LayoutError
from mlx_model.store import weights
from mlx_model.store.folder import open_folder
from tests.converters import stored
from tests.converters.checkpoints import single_file, source_arrays
from tests.converters.stored import pick_codes


def encoded(array: np.ndarray) -> np.ndarray:
    return pick_codes(array, fp8.make_table())


def write(file, tensors: dict[str, np.ndarray], kinds: dict[str, str] | None = None):
    """A safetensors file; uint8 arrays are called F8_E4M3."""
    codes = {name: "F8_E4M3" for name, array in tensors.items() if array.dtype == np.uint8}
    return stored.write(file, tensors, {**codes, **(kinds or {})})


def checkpoint(scales: str, prefix: str = "", scale_shape=()) -> dict[str, np.ndarray]:
    """A tiny FLUX.2 transformer whose blocks are in 8 bits, each matrix at most 448 times its scale."""
    tensors = {}
    for name, array in source_arrays("transformer").items():
        values = np.array(array)
        if values.ndim == 2 and "blocks" in name:
            scale = float(np.abs(values).max() / 448) if scales else 1.0
            values = encoded(values / scale)
            if scales:
                tensors[f"{prefix}{name.removesuffix('weight')}{scales}"] = np.full(scale_shape, scale, np.float32)
        tensors[prefix + name] = values
    return tensors


def test_table():
    table = fp8.make_table()
    assert np.isnan(table[[0x7F, 0xFF]]).all()
    assert (table[0], table[1], table[0x38], table[0x7E], table[0xFE]) == (0, 2.0**-9, 1, 448, -448)
    assert np.all(np.diff(table[:127]) > 0)
    assert np.array_equal(table[128:255], -table[:127])


@pytest.mark.first_case
@pytest.mark.parametrize(("scales", "prefix", "shape"), [
    ("weight_scale", "", ()), ("weight_scale", "", (1,)), ("scale_weight", "model.diffusion_model.", ()), ("", "", ()),
])  # fmt: skip
def test_conversion(tmp_path, scales, prefix, shape):
    source = single_file(tmp_path / "source")
    tensors = checkpoint(scales, prefix, shape)
    tensors |= {f"{prefix}double_blocks.0.img_attn.qkv.input_scale": np.float32([0.5])}
    tensors |= {"scaled_fp8": np.zeros(0, np.uint8)} if prefix else {}
    write(source, tensors)
    list(convert(source, tmp_path / "out", bits=16))
    net = weights.open_component(open_folder(tmp_path / "out"), "transformer", mx.float32)
    exact = source_arrays("transformer")
    for name in ("double_blocks.0.img_attn.qkv", "single_blocks.1.linear2"):
        parent, key = weights.locate(net, name)
        difference = mx.abs(parent[key].weight - exact[f"{name}.weight"]).max()
        assert difference < 0.04 * mx.abs(exact[f"{name}.weight"]).max()
        assert difference > 0
    assert mx.array_equal(net.img_in.weight, exact["img_in.weight"].astype(mx.bfloat16))


def test_a_scale_for_each_row():
    codes = mx.array(encoded(np.float32([[1, 2], [3, 4]])))
    arrays = {"x.weight": codes, "x.weight_scale": mx.array([[2.0], [10.0]])}
    made = scaled.decode(arrays, {"x.weight": (fp8.E4M3, (2, 2)), "x.weight_scale": ("F32", (2, 1))}, {})
    assert {name: array.tolist() for name, array in made.items()} == {"x.weight": [[2, 4], [30, 40]]}


def refused(tmp_path, change, kind, message, kinds=None):
    source = single_file(tmp_path / "source")
    tensors = checkpoint("weight_scale")
    change(tensors)
    write(source, tensors, kinds)
    with pytest.raises(kind, match=message):
        list(convert(source, tmp_path / "out"))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("change", "kind", "message"), [
    (lambda t: t.update({"img_in.weight_scale": np.float32(1)}), LayoutError, r"img_in\.weight_scale"),
    (lambda t: t.update({"single_blocks.0.linear1.weight_scale": np.ones((64, 4), "f4")}), ConvertError, "blocks"),
    (lambda t: t.update({"single_blocks.0.linear1.weight_scale_2": np.float32(1)}), ConvertError, "nvfp4"),
    (lambda t: t.pop("img_in.weight"), (LayoutError, ConvertError), r"img_in\.weight"),
])  # fmt: skip
def test_what_does_not_belong(tmp_path, change, kind, message):
    refused(tmp_path, change, kind, message)


def test_the_other_8_bit_format():
    """2 bits of mantissa: ones, the largest number, the smallest, infinity."""
    table = fp8.make_table(fp8.E5M2)
    assert np.isnan(table[0x7C:0x80]).all()
    assert (table[0x3C], table[0x7B], table[1], table[0xFB]) == (1, 57344, 2.0**-16, -57344)
    assert np.all(np.diff(table[:0x7C]) > 0)
