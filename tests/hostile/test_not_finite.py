"""NaN and infinity in a source stop the conversion, whatever form they come in and go out, and leave nothing."""

import mlx.core as mx
import numpy as np
import pytest

from converters.formats import fp8
from converters.quantize import PLANS, encode
from mlx_model.errors import LayoutError
from mlx_model.store.shards import write_shards


def written(folder, arrays):
    return list(write_shards(folder, "transformer", arrays))


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("plan", ["32bit", "16bit", "q8", "q6", "q5", "q4", "q3", "q4r"])
def test_one_bad_weight(tmp_path, plan, bad):
    values = np.random.default_rng(0).standard_normal((8, 128)).astype(np.float32)
    values[5, 77] = bad
    with pytest.raises(LayoutError, match=r"double_blocks\.0\..* not finite"):
        written(tmp_path, encode("double_blocks.0.img_attn.qkv.weight", mx.array(values), PLANS[plan]))


@pytest.mark.parametrize("code", [0x7F, 0xFF])
@pytest.mark.parametrize("plan", ["16bit", "q4"])
def test_a_code_of_fp8_that_is_no_number(tmp_path, plan, code):
    codes = np.full((8, 128), 0x38, np.uint8)  # 1.0
    name = "single_blocks.0.linear1.weight"
    written(tmp_path, encode(name, fp8.decode(mx.array(codes), fp8.E4M3), PLANS[plan]))
    codes[0, 3] = code
    with pytest.raises(LayoutError, match="not finite"):
        written(tmp_path, encode(name, fp8.decode(mx.array(codes), fp8.E4M3), PLANS[plan]))


def test_whole_numbers_and_packed_weights_are_left_alone(tmp_path):
    files = written(tmp_path, {"x.weight": mx.full((4, 8), 0xFFFFFFFF, mx.uint32)})
    assert files == ["x.weight"]
