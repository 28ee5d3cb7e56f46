"""Matrices in the forms that ComfyUI stores, and the numbers that they then stand for; made in numpy."""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from converters.formats import fp8

KINDS = {"float32": "F32", "float16": "F16", "int8": "I8", "uint8": "U8"}
Stored = tuple[dict[str, np.ndarray], dict[str, str], np.ndarray]  # by what follows the stem; kinds; values


def write(file: Path, tensors: Mapping[str, np.ndarray], kinds: Mapping[str, str] | None = None, **metadata: str):
    """A safetensors file; `kinds`: what safetensors calls numbers that numpy does not have."""
    entries, data = {"__metadata__": metadata} if metadata else {}, b""
    for name, array in tensors.items():
        kind = (kinds or {}).get(name, KINDS[array.dtype.name])
        span = [len(data), len(data) + array.nbytes]
        entries[name] = {"dtype": kind, "shape": list(array.shape), "data_offsets": span}
        data += array.tobytes()
    text = json.dumps(entries).encode()
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(len(text).to_bytes(8, "little") + text + data)
    return file


def pick_codes(values: np.ndarray, table: np.ndarray) -> np.ndarray:
    """The codes of the nearest numbers."""
    numbers = np.nan_to_num(table, nan=np.inf)
    return np.abs(values.reshape(-1, 1) - numbers).argmin(1).astype(np.uint8).reshape(values.shape)


def say_json(told: dict) -> np.ndarray:
    return np.frombuffer(json.dumps(told).encode(), np.uint8)


def say(form: str, **more) -> np.ndarray:
    return say_json({"format": form, **more})


def tile(scales: np.ndarray) -> np.ndarray:
    """(rows, blocks) -> the order in which a GPU wants them, by the formula of cuBLAS' documentation."""
    rows, blocks = scales.shape
    tall, wide = -(-rows // 128), -(-blocks // 4)
    made = np.zeros(tall * wide * 512, scales.dtype)
    for row in range(rows):
        for block in range(blocks):
            place = ((row // 128) * wide + block // 4) * 512 + (row % 32) * 16 + (row % 128) // 32 * 4 + block % 4
            made[place] = scales[row, block]
    return made.reshape(tall * 128, wide * 4)


def store_floats(values: np.ndarray, kind: str, mark: bool, name: str = "weight_scale") -> Stored:
    table = fp8.make_table(kind)
    scale = np.float32(np.abs(values).max() / np.nanmax(table))
    codes = pick_codes(values / scale, table)
    parts = {"weight": codes, name: scale.reshape(()), "input_scale": np.ones((), np.float32)}
    parts |= {"comfy_quant": say("float8_e4m3fn" if kind == fp8.E4M3 else "float8_e5m2")} if mark else {}
    return parts, {"weight": kind}, table[codes] * scale


def mix(values: np.ndarray, group: int) -> np.ndarray:
    """Channels of each group times the regular Hadamard matrix of ConvRot; group 0 mixes nothing."""
    four = np.array([[1, 1, 1, -1], [1, 1, -1, 1], [1, -1, 1, 1], [-1, 1, 1, 1]], np.float64)
    matrix = np.eye(1)
    while len(matrix) < group:
        matrix = np.kron(matrix, four)
    size = len(matrix)
    return (values.reshape(len(values), -1, size) @ (matrix / np.sqrt(size))).reshape(values.shape)


def store_integers(values: np.ndarray, group: int) -> Stored:
    """One scale a row."""
    mixed = mix(values, group)
    scale = np.float32(np.abs(mixed).max(1, keepdims=True) / 127)
    codes = np.round(mixed / scale).astype(np.int8)
    more = {"params": {"convrot": True, "convrot_groupsize": group}} if group else {}
    parts = {"weight": codes, "weight_scale": scale, "comfy_quant": say("int8_tensorwise", **more)}
    return parts, {}, mix(codes * scale.astype(np.float64), group)


def store_halves(values: np.ndarray, group: int) -> Stored:
    """ConvRot in 4 bits, one scale a row."""
    mixed = mix(values, group)
    scale = np.float32(np.abs(mixed).max(1) / 7)
    codes = np.round(mixed / scale[:, None]).astype(np.int8)
    packed = ((codes[:, ::2] & 15) | (codes[:, 1::2] << 4)).astype(np.int8)
    parts = {"weight": packed, "weight_scale": scale, "comfy_quant": say("convrot_w4a4", convrot_groupsize=group)}
    return parts, {}, mix(codes * scale[:, None].astype(np.float64), group)


def store_nvfp4(values: np.ndarray) -> Stored:
    numbers = np.concatenate([[0, 0.5, 1, 1.5, 2, 3, 4, 6], [-0.0, -0.5, -1, -1.5, -2, -3, -4, -6]])
    blocks, table = values.reshape(len(values), -1, 16), fp8.make_table()
    whole = np.float32(np.abs(values).max() / (448 * 6))
    scales = pick_codes(np.abs(blocks).max(-1) / 6 / whole, table)
    spread = (table[scales] * whole)[..., None]
    codes = pick_codes(blocks / np.where(spread == 0, 1, spread), numbers).reshape(values.shape)
    parts = {
        "weight": codes[:, ::2] << 4 | codes[:, 1::2],
        "weight_scale": tile(scales),
        "weight_scale_2": whole.reshape(()),
    }
    made = (numbers[codes].reshape(blocks.shape) * spread).reshape(values.shape)
    return {**parts, "comfy_quant": say("nvfp4")}, {"weight_scale": "F8_E4M3"}, made


def store_mxfp8(values: np.ndarray) -> Stored:
    blocks, table = values.reshape(len(values), -1, 32), fp8.make_table()
    powers = np.ceil(np.log2(np.abs(blocks).max(-1) / 448)).astype(int)
    codes = pick_codes(blocks / 2.0 ** powers[..., None], table)
    made = (table[codes] * 2.0 ** powers[..., None]).reshape(values.shape)
    parts = {"weight": codes.reshape(values.shape), "weight_scale": tile((powers + 127).astype(np.uint8))}
    return {**parts, "comfy_quant": say("mxfp8")}, {"weight": "F8_E4M3"}, made


NF4 = (-1, -0.6961928, -0.52507305, -0.3949175, -0.28444138, -0.18477343, -0.091050036, 0,
       0.0795803, 0.1609302, 0.2461123, 0.33791524, 0.44070983, 0.562617, 0.72295684, 1)  # fmt: skip


def store_nf4(values: np.ndarray, nested: bool) -> Stored:
    """As bitsandbytes: blocks of 64 along the whole matrix, whose scales are in 8 bits too where they are `nested`."""
    table, flat = np.float32(NF4), np.float32(values).reshape(-1)
    padded = np.pad(flat, (0, -len(flat) % 64)).reshape(-1, 64)
    scales = np.abs(padded).max(1).astype(np.float32)
    told = {"quant_type": "nf4", "blocksize": 64, "dtype": "bfloat16", "shape": list(values.shape)}
    parts = {"weight.quant_map": table, "weight.absmax": scales}
    if nested:
        offset, code = scales.mean(), np.linspace(-1, 1, 256).astype(np.float32)
        rest = np.pad(scales - offset, (0, -len(scales) % 256)).reshape(-1, 256)
        second = np.abs(rest).max(1).astype(np.float32)
        second[second == 0] = 1
        packed = pick_codes(rest / second[:, None], code)
        scales = (code[packed] * second[:, None]).reshape(-1)[: len(scales)] + np.float32(offset)
        parts |= {"weight.absmax": packed.reshape(-1)[: len(scales)], "weight.nested_quant_map": code}
        parts |= {"weight.nested_absmax": second}
        told |= {"nested_blocksize": 256, "nested_dtype": "float32", "nested_offset": float(offset)}
    codes = pick_codes(padded / np.where(scales == 0, 1, scales)[:, None], table)
    made = (table[codes] * scales[:, None]).reshape(-1)[: len(flat)].reshape(values.shape)
    flat_codes = codes.reshape(-1)[: len(flat)]
    parts["weight"] = (flat_codes[::2] << 4 | flat_codes[1::2]).reshape(-1, 1)
    return {**parts, "weight.quant_state.bitsandbytes__nf4": say_json(told)}, {}, made


def store_rows(values: np.ndarray) -> Stored:
    """LLM.int8 of bitsandbytes."""
    largest = np.float32(np.abs(values).max(1))
    largest[largest == 0] = 1
    codes = np.round(values / largest[:, None] * 127).astype(np.int8)
    parts = {"weight": codes, "SCB": largest, "weight_format": np.zeros((), np.uint8)}
    return parts, {}, codes * (largest[:, None] / np.float32(127))
