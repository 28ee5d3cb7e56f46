"""Matrices that bitsandbytes has packed: nf4 and fp4 in blocks, LLM.int8 with a scale for each row.

Source: bitsandbytes functional.py (QuantState.as_dict, dequantize_blockwise) and nn/modules.py (Linear8bitLt).
tests/parity/test_bitsandbytes.py lets it write such tensors.
"""

import math
import re
from collections.abc import Mapping
from typing import Any

import mlx.core as mx
import numpy as np

from mlx_model.errors import ConvertError, say_reason
from mlx_model.foreign import parse_json
from mlx_model.store.headers import Entry

STATE = re.compile(r"(.*weight)\.quant_state\.bitsandbytes__(?:nf4|fp4)")
ROWS, FORMAT = "SCB", "weight_format"  # of LLM.int8: 127 times the scale of each row
WORD_LIMIT = 4096  # bytes
HINT = "Get the model in bfloat16, float16, float32, fp8 or GGUF."
AGAIN = "The file is incomplete: download it again."

Arrays = dict[str, mx.array]


def list_packed(names: Mapping[str, Any]) -> list[str]:
    """The matrices in 4 bits."""
    return [found[1] for name in names if (found := STATE.fullmatch(name))]


def take_packed(arrays: Arrays, entries: Mapping[str, Entry]) -> Arrays:
    """Take what is packed out of `arrays`; its matrices, lazily, as float32. Raises ConvertError."""
    made = {name: _decode_blocks(name, arrays) for name in list_packed(arrays)}
    for stem in [name.removesuffix(ROWS) for name in arrays if name.endswith(f".{ROWS}")]:
        made[f"{stem}weight"] = _decode_rows(stem, arrays, entries)
    return made


def _take(name: str, arrays: Arrays) -> mx.array:
    if name not in arrays:
        raise ConvertError(f"{name} is missing.", AGAIN)
    return arrays.pop(name)


def _decode_blocks(name: str, arrays: Arrays) -> mx.array:
    """Two codes a byte, the first in the upper half, of a table; a scale for each block of them."""
    state = next(key for key in arrays if (found := STATE.fullmatch(key)) and found[1] == name)
    told = _read_state(state, arrays.pop(state))
    codes, table = _take(name, arrays), _take(f"{name}.quant_map", arrays)
    if codes.dtype != mx.uint8 or 2 * codes.size != math.prod(told["shape"]) or table.size != 16:
        raise ConvertError(f"{name} is packed in a way that can't be read.", HINT)
    codes = codes.reshape(-1)
    values = table.astype(mx.float32).reshape(-1)[mx.stack([codes >> 4, codes & 15], -1).reshape(-1)]
    return _scale(name, values, _read_scales(name, told, arrays), told["blocksize"]).reshape(told["shape"])


def _read_state(name: str, word: mx.array) -> dict[str, Any]:
    """Its shape and the lengths of blocks, checked."""
    try:
        if word.dtype != mx.uint8 or word.size > WORD_LIMIT:
            raise ValueError("it is no short text")
        told = dict(parse_json(np.array(word).tobytes()))
        numbers = [*told["shape"], told["blocksize"], told.get("nested_blocksize", 1)]
        if any(type(number) is not int or not 0 < number < 2**31 for number in numbers):
            raise ValueError("it has lengths that are none")
        return {**told, "nested_offset": float(told.get("nested_offset", 0))}
    except (ValueError, TypeError, AttributeError, KeyError, RecursionError) as error:
        raise ConvertError(f"{name} can't be read: {say_reason(error)}.", HINT) from error


def _read_scales(name: str, told: dict[str, Any], arrays: Arrays) -> mx.array:
    """Of the blocks; where they are packed too, codes of a table with a scale for each block of them."""
    scales = _take(f"{name}.absmax", arrays).reshape(-1)
    if "nested_blocksize" not in told:
        return scales.astype(mx.float32)
    table = _take(f"{name}.nested_quant_map", arrays).astype(mx.float32).reshape(-1)
    second = _take(f"{name}.nested_absmax", arrays).astype(mx.float32).reshape(-1)
    if scales.dtype != mx.uint8 or table.size != 256:
        raise ConvertError(f"The scales of {name} are packed in a way that can't be read.", HINT)
    offset: float = told["nested_offset"]
    return _scale(name, table[scales], second, told["nested_blocksize"]) + offset


def _scale(name: str, values: mx.array, scales: mx.array, block: int) -> mx.array:
    """Each block times its scale; the last may be shorter."""
    if scales.size != -(-values.size // block):
        raise ConvertError(f"{name} has {scales.size} scales for {values.size} numbers in blocks of {block}.", AGAIN)
    padded = mx.pad(values, (0, scales.size * block - values.size)).reshape(-1, block)
    return (padded * scales[:, None]).reshape(-1)[: values.size]


def _decode_rows(stem: str, arrays: Arrays, entries: Mapping[str, Entry]) -> mx.array:
    scales, codes = arrays.pop(stem + ROWS), _take(f"{stem}weight", arrays)
    form = arrays.pop(stem + FORMAT, None)
    if form is not None and (form.size != 1 or bool(np.array(form).any())):
        raise ConvertError(f"{stem}weight lies in an order of a GPU's own, which can't be read.", HINT)
    if entries[f"{stem}weight"][0] != "I8" or codes.ndim != 2 or scales.size != codes.shape[0]:
        raise ConvertError(f"{stem}weight is packed in a way that can't be read.", HINT)
    return codes.astype(mx.float32) * (scales.astype(mx.float32).reshape(-1, 1) / 127)
