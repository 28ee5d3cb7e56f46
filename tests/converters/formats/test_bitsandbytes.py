"""What bitsandbytes packs: damaged or of an order that can't be read (values: tests/converters/test_variants.py)."""

import numpy as np
import pytest

from converters.convert import convert
from converters.parts import open_components
from converters.survey import survey
from mlx_model.errors import ConvertError
from tests.converters.checkpoints import single_file
from tests.converters.stored import say_json, store_nf4, store_rows, write
from tests.converters.test_variants import stored

VALUES = np.linspace(-1, 1, 64 * 48, dtype=np.float32).reshape(48, 64)
LAYER = "double_blocks.0.img_mod.lin."  # which tells FLUX.1's network
STATE = "weight.quant_state.bitsandbytes__nf4"


def read(tmp_path, parts):
    file = write(tmp_path / "x.safetensors", {LAYER + name: np.asarray(array) for name, array in parts.items()})
    return open_components(file)[0].load_arrays(tmp_path)


@pytest.mark.parametrize("lost", ["weight.absmax", "weight.quant_map", "weight.nested_absmax",
                                  "weight.nested_quant_map"])  # fmt: skip
def test_a_part_that_is_missing_is_named(tmp_path, lost):
    parts = store_nf4(VALUES, True)[0]
    parts.pop(lost)
    with pytest.raises(ConvertError, match=f"{LAYER}{lost} is missing"):
        read(tmp_path, parts)


@pytest.mark.parametrize(("change", "said"), [
    ({STATE: say_json({"shape": [48, 64]})}, "can't be read"),
    ({STATE: say_json({"shape": [-48, -64], "blocksize": 64})}, "can't be read"),
    ({STATE: say_json({"shape": [48, 65], "blocksize": 64})}, "packed in a way"),
    ({STATE: say_json({"shape": [48, 64], "blocksize": 2**40})}, "can't be read"),
    ({STATE: say_json({"shape": [48, 64], "blocksize": 32})}, "scales for"),
    ({STATE: np.zeros(9, np.float32)}, "can't be read"), ({STATE: np.frombuffer(b"{", np.uint8)}, "can't be read"),
    ({"weight.absmax": np.ones(3, np.float32)}, "3 scales"),
    ({"weight.quant_map": np.ones(3, np.float32)}, "packed in a way"),
    ({"weight": np.zeros((48, 64), np.float32)}, "packed in a way"),
])  # fmt: skip
def test_what_lies_is_refused(tmp_path, change, said):
    with pytest.raises(ConvertError, match=said):
        read(tmp_path, {**store_nf4(VALUES, False)[0], **change})


@pytest.mark.parametrize(("change", "said"), [
    ({"weight_format": np.uint8(2).reshape(())}, "order of a GPU"), ({"SCB": np.ones(3, np.float32)}, "packed in"),
    ({"weight": np.ones((48, 64), np.float32)}, "packed in"),
])  # fmt: skip
def test_rows(tmp_path, change, said):
    with pytest.raises(ConvertError, match=said):
        read(tmp_path, {**store_rows(VALUES)[0], **change})


def test_rows_without_their_scales_are_not_taken_for_numbers(tmp_path):
    parts = store_rows(VALUES)[0]
    parts.pop("SCB")
    with pytest.raises(ConvertError, match="nothing says the form"):
        read(tmp_path, parts)


def test_a_whole_model_converts_and_is_called_what_it_is(tmp_path):
    made, _, _ = stored("flux2-klein", "nf4, nested")
    source = single_file(tmp_path / "source")
    write(source, {"model.diffusion_model." + name: array for name, array in made.items()})
    (found,) = [one for one in survey(tmp_path).parts if one.part.layout.role == "transformer"]
    assert found.form == "4 bits of bitsandbytes"
    assert found.bits < 16
    with pytest.raises(ConvertError, match="text_encoder belongs to another model"):  # a companion of another size
        list(convert(source, tmp_path / "out"))
