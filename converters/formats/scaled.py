"""Checkpoints whose matrices are stored in few bits with scales beside them: ComfyUI's forms, BFL's and plain casts.

What a layer is, its `comfy_quant` says (JSON in a U8 tensor), or `_quantization_metadata` in the file's header; 8-bit
floating-point numbers need no such word. Source: ComfyUI comfy/ops.py, comfy/quant_ops.py and comfy_kitchen/tensor.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import mlx.core as mx
import numpy as np

from mlx_model.errors import ConvertError, say_reason
from mlx_model.foreign import parse_json
from mlx_model.store.headers import Entry

from . import fp8

SCALES = ("weight_scale", "scale_weight")  # BFL and ComfyUI now, ComfyUI before
UNUSED = ("input_scale", "scale_input")  # only matter to products in 8 bits
WORD, SECOND, SMOOTH = "comfy_quant", "weight_scale_2", "pre_quant_scale"
HEADER = "_quantization_metadata"
FLOATS = (fp8.E4M3, fp8.E5M2)
CODES = (*FLOATS, "I8", "U8", "F8_E8M0")
WORD_LIMIT = 4096  # bytes
TILE, TILE_BLOCKS = 128, 4  # rows and blocks of the tiles in which scales of blocks lie
HINT = "Get the model in bfloat16, float16, float32, fp8 or GGUF."


class Layer(NamedTuple):
    """A stored matrix: its codes, how safetensors calls them, its scale (None: 1), and what was said of it."""

    name: str
    codes: mx.array
    kind: str
    scale: mx.array | None
    second: mx.array | None
    told: dict[str, Any]


def read_header(metadata: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """What a file's header says of its layers, by its own names. Raises ConvertError."""
    try:
        layers = parse_json(metadata.get(HEADER, "{}")).get("layers", {})
        return {name: dict(told) for name, told in layers.items()}
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise ConvertError(f"The header says of its layers what can't be read: {say_reason(error)}.", HINT) from error


def decode(
    arrays: dict[str, mx.array], entries: Mapping[str, Entry], told: Mapping[str, dict[str, Any]], marked: bool = False
) -> dict[str, mx.array]:
    """The same tensors, lazily, with stored matrices as float32 and without what lies beside them.

    `marked`: a mark in the file says that there are scales, so that all of them can't be missing.
    Raises ConvertError: a form that is not known, or a matrix without its scale.
    """
    arrays = {name: array for name, array in arrays.items() if name.rpartition(".")[2] not in UNUSED}
    words = {name.removesuffix(f".{WORD}"): _read_word(name, arrays.pop(name)) for name in _list_words(arrays)}
    names = [name for name in arrays if entries[name][0] in CODES and name.rpartition(".")[2] not in (*SCALES, SECOND)]
    layers = [_take_layer(name, arrays, entries, {**told, **words}) for name in names]
    _check_scales(layers, marked)
    return arrays | {layer.name: _find_decoder(layer)(layer) for layer in layers}


def _list_words(arrays: Mapping[str, mx.array]) -> list[str]:
    return [name for name in arrays if name.endswith(f".{WORD}")]


def _read_word(name: str, word: mx.array) -> dict[str, Any]:
    try:
        if word.dtype != mx.uint8 or word.size > WORD_LIMIT:
            raise ValueError("it is no short text")
        told = parse_json(np.array(word).tobytes())
        return {**dict(told.get("params") or {}), **told}
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise ConvertError(f"{name} can't be read: {say_reason(error)}.", HINT) from error


def _take_layer(
    name: str, arrays: dict[str, mx.array], entries: Mapping[str, Entry], told: Mapping[str, dict[str, Any]]
) -> Layer:
    """Takes a matrix and what lies beside it out of `arrays`."""
    stem, kind = name.removesuffix("weight"), entries[name][0]
    scales = [arrays.pop(stem + part) for part in SCALES if stem + part in arrays]
    if stem + SMOOTH in arrays:
        raise ConvertError(f"{stem}{SMOOTH} smooths the layer's input, which can't be converted.", HINT)
    second = arrays.pop(stem + SECOND, None)
    return Layer(name, arrays.pop(name), kind, scales[0] if scales else None, second, told.get(stem.rstrip("."), {}))


def _check_scales(layers: list[Layer], marked: bool) -> None:
    """A file either has a scale for every stored matrix or for none."""
    without = [layer.name for layer in layers if layer.scale is None and layer.codes.ndim == 2]
    if without and (marked or any(layer.scale is not None for layer in layers)):
        raise ConvertError(
            f"{len(without)} of {len(layers)} matrices have no scale, {without[0]} among them.",
            "The file is incomplete: download it again.",
        )


def _find_decoder(layer: Layer) -> Callable[[Layer], mx.array]:
    form = layer.told.get("format") or ("float8" if layer.kind in FLOATS and layer.second is None else "")
    if form not in FORMS:
        what = f"is stored as {form}" if form else f"is stored as {layer.kind} numbers of which nothing says the form"
        what += " (nvfp4 without ComfyUI's mark)" if not form and layer.second is not None else ""
        raise ConvertError(f"{layer.name} {what}, which can't be converted.", HINT)
    kinds, decoder = FORMS[form]
    if layer.kind not in kinds or (layer.codes.ndim != 2 and form not in ("float8", *FLOAT_FORMS)):
        raise ConvertError(f"{layer.name} holds {layer.kind} numbers, which {form} does not have.", HINT)
    return decoder


def _decode_floats(layer: Layer) -> mx.array:
    values = fp8.decode(layer.codes, layer.kind)
    return values if layer.scale is None else values * _spread_scale(layer)


def _spread_scale(layer: Layer) -> mx.array:
    """The scale of the whole matrix, or of each row, so that it can be multiplied. Raises ConvertError."""
    scale, shape = layer.scale, layer.codes.shape
    if scale is None:
        raise ConvertError(f"{layer.name} has no scale.", "The file is incomplete: download it again.")
    if scale.size == 1:
        return scale.astype(mx.float32).reshape(())
    if scale.size == shape[0] and scale.shape in ((shape[0],), (shape[0], 1)):
        return scale.astype(mx.float32).reshape(-1, *[1] * (len(shape) - 1))
    shown = tuple(scale.shape)
    raise ConvertError(f"The scale of {layer.name} has the shape {shown}: scales of blocks need ComfyUI's mark.", HINT)


def _decode_integers(layer: Layer) -> mx.array:
    values = layer.codes.astype(mx.float32) * _spread_scale(layer)
    return _turn_back(layer, values) if layer.told.get("convrot") else values


def _decode_halves(layer: Layer) -> mx.array:
    """Signed numbers of 4 bits, the first of two in the lower half of a byte."""
    codes = layer.codes.astype(mx.int32)
    halves = mx.stack([codes & 15, (codes >> 4) & 15], -1).reshape(codes.shape[0], -1)
    return _turn_back(layer, mx.where(halves > 7, halves - 16, halves).astype(mx.float32) * _spread_scale(layer))


def _turn_back(layer: Layer, values: mx.array) -> mx.array:
    """ConvRot: channels of each group are mixed by a regular Hadamard matrix, which is its own inverse."""
    size = layer.told.get("convrot_groupsize", 256)
    if type(size) is not int or size < 4 or 4 ** round(math.log(size, 4)) != size or values.shape[1] % size:
        raise ConvertError(f"{layer.name} is rotated in groups of {str(size)[:20]}, which can't be.", HINT)
    matrix = mx.array(make_rotation(size))
    return (values.reshape(values.shape[0], -1, size) @ matrix).reshape(values.shape)


def make_rotation(size: int) -> np.ndarray:
    """The (size, size) symmetric orthogonal matrix; `size` is a power of 4."""
    four = np.array([[1, 1, 1, -1], [1, 1, -1, 1], [1, -1, 1, 1], [-1, 1, 1, 1]], np.float32) / 2
    made = np.ones((1, 1), np.float32)
    while len(made) < size:
        made = np.kron(made, four)
    return made


def _decode_nvfp4(layer: Layer) -> mx.array:
    """Blocks of 16, each with a scale in E4M3, and a scale of the whole."""
    if layer.second is None or layer.second.size != 1:
        raise ConvertError(f"{layer.name} has no {SECOND}.", "The file is incomplete: download it again.")
    values = fp8.decode_pairs(layer.codes)
    scales = fp8.decode(_untile(layer, values.shape, 16), fp8.E4M3) * layer.second.astype(mx.float32).reshape(())
    return (values.reshape(*scales.shape, 16) * scales[..., None]).reshape(values.shape)


def _decode_mxfp8(layer: Layer) -> mx.array:
    """Blocks of 32, each with a power of two."""
    codes = _untile(layer, layer.codes.shape, 32)
    scales = mx.array(np.array([0, *np.ldexp(1.0, np.arange(1, 255) - 127), np.nan], np.float32))[codes]
    values = fp8.decode(layer.codes, layer.kind)
    return (values.reshape(*scales.shape, 32) * scales[..., None]).reshape(values.shape)


def _untile(layer: Layer, shape: tuple[int, ...], block: int) -> mx.array:
    """(rows, blocks) scales from the tiles of 128 rows and 4 blocks in which a GPU wants them. Raises ConvertError."""
    rows, blocks = shape[0], shape[1] // block
    tall, wide = -(-rows // TILE), -(-blocks // TILE_BLOCKS)
    found = layer.scale
    if shape[1] % block or found is None or found.dtype != mx.uint8 or found.size != tall * TILE * wide * TILE_BLOCKS:
        raise ConvertError(f"The scales of {layer.name} don't fit its shape {shape}.", HINT)
    tiles = found.reshape(tall, wide, 32, 4, TILE_BLOCKS).transpose(0, 3, 2, 1, 4)
    return tiles.reshape(tall * TILE, wide * TILE_BLOCKS)[:rows, :blocks]


FLOAT_FORMS = ("float8_e4m3fn", "float8_e5m2")
FORMS: dict[str, tuple[tuple[str, ...], Callable[[Layer], mx.array]]] = {
    "float8": (FLOATS, _decode_floats),
    "float8_e4m3fn": ((fp8.E4M3,), _decode_floats),
    "float8_e5m2": ((fp8.E5M2,), _decode_floats),
    "int8_tensorwise": (("I8",), _decode_integers),
    "convrot_w4a4": (("I8",), _decode_halves),
    "nvfp4": (("U8",), _decode_nvfp4),
    "mxfp8": ((fp8.E4M3,), _decode_mxfp8),
}
