"""Folders that mflux has saved: diffusers' names with few exceptions, convolutions already turned, layers packed.

Source: mflux 0.24, models/common/weights/saving and the weights/ of flux, flux2 and flux3. Every linear layer and table
is packed by mx.nn.quantize (affine, groups of 64); nothing says so but `scales` and `biases` beside the weight, and the
version in the metadata of each file. tests/parity/test_mflux.py lets mflux write such folders.
"""

import re
from collections.abc import Container
from dataclasses import dataclass
from pathlib import Path

import mlx.core as mx

from mlx_model.errors import ConvertError
from mlx_model.store.headers import Entry
from mlx_model.store.weights import PACKED_BITS

from ..quantize import PARTS
from .files import read_metadata

GROUP_SIZE = 64
# What follows from something else: angles, and T5's one table of distances, which mflux stores in every block.
UNUSED = re.compile(
    r"rotary_emb\.inv_freq|t5_blocks\.(?!0\.)\d+\.attention\.SelfAttention\.relative_attention_bias\..*"
)
FULL_NAMES = {  # as diffusers writes them
    r"time_guidance_embed\.(linear_\d\..*)": r"time_guidance_embed.timestep_embedder.\1",
    r"((?:.*\.attentions\.0|transformer_blocks\.\d+\.attn)\.to_out)\.([a-z]+)": r"\1.0.\2",
    # FLUX.1
    r"(transformer_blocks\.\d+\.ff(?:_context)?)\.linear1\.(.*)": r"\1.net.0.proj.\2",
    r"(transformer_blocks\.\d+\.ff(?:_context)?)\.linear2\.(.*)": r"\1.net.2.\2",
    r"(.*)\.conv2d\.([a-z]+)": r"\1.\2",
    r"(.*conv_norm_out)\.norm\.([a-z]+)": r"\1.\2",
    r"t5_blocks\.(\d+)\.attention\.(.*)": r"encoder.block.\1.layer.0.\2",
    r"t5_blocks\.(\d+)\.ff\.(.*)": r"encoder.block.\1.layer.1.\2",
    r"(final_layer_norm\.weight)": r"encoder.\1",
}
# FLUX.3's single blocks have the list too, which FLUX.2's, of the same name, have not.
FLUX3, FLUX3_NAMES = "x_embedders.image.weight", {r"(.*\.attn\.to_out)\.([a-z]+)": r"\1.0.\2"}
HINT = "Give the checkpoint that mflux made it from."


@dataclass(frozen=True)
class Packed:
    """A matrix as mflux stores it."""

    parts: dict[str, mx.array]
    bits: int


def read_version(file: Path) -> str:
    """The version of mflux that wrote a file, "" if none did."""
    return read_metadata(file).get("mflux_version", "")


def expand_name(name: str, entries: Container[str]) -> str:
    """As diffusers writes it; `entries`: the names of the whole component."""
    for short, full in (FLUX3_NAMES if FLUX3 in entries else FULL_NAMES).items():
        name = re.sub(rf"^{short}$", full, name)
    return name


def list_layers(entries: dict[str, Entry]) -> dict[str, int]:
    """Stem of every packed layer and its bits. Raises ConvertError where one is packed in another way."""
    stems = [name.removesuffix("scales") for name in entries if name.endswith(".scales")]
    return {stem: _read_bits(stem, entries) for stem in stems}


def _read_bits(stem: str, entries: dict[str, Entry]) -> int:
    shapes = [entries[stem + part][1] if stem + part in entries else () for part in PARTS]
    kind, sound = entries.get(stem + "weight", ("", ()))[0], all(len(shape) == 2 for shape in shapes)
    bits, rest = divmod(32 * shapes[0][1], GROUP_SIZE * max(1, shapes[1][1])) if sound else (0, 0)
    if kind != "U32" or rest or bits not in PACKED_BITS or shapes[1] != shapes[2]:
        raise ConvertError(f"{stem}weight is packed in a way that can't be read.", HINT)
    return bits


def unpack_entries(entries: dict[str, Entry]) -> dict[str, Entry]:
    """Names, kinds and shapes of the unpacked tensors, as diffusers would have them."""
    packed, plain = list_layers(entries), {}
    for name, (kind, shape) in entries.items():
        stem, _, part = name.rpartition(".")
        if UNUSED.fullmatch(name):
            continue
        if f"{stem}." not in packed or part not in PARTS:
            plain[expand_name(name, entries)] = (kind, _turn(shape))
        elif part == "weight":
            kind, groups = entries[f"{stem}.scales"]
            plain[expand_name(name, entries)] = (kind, (shape[0], groups[1] * GROUP_SIZE))
    return plain


def _turn(shape: tuple[int, ...]) -> tuple[int, ...]:
    return (shape[0], shape[3], shape[1], shape[2]) if len(shape) == 4 else shape


def unpack_arrays(arrays: dict[str, mx.array], entries: dict[str, Entry]) -> dict[str, mx.array]:
    """The unpacked tensors, lazily."""
    plain = {name: _unpack(matrix) for name, matrix in list_packed(arrays, entries).items()}
    done = {f"{stem}{part}" for stem in list_layers(entries) for part in PARTS}
    for name, array in arrays.items():
        if name not in done and not UNUSED.fullmatch(name):
            plain[expand_name(name, entries)] = array.transpose(0, 3, 1, 2) if array.ndim == 4 else array
    return plain


def _unpack(matrix: Packed) -> mx.array:
    weight, scales, biases = (matrix.parts[part] for part in PARTS)
    scales, biases = scales.astype(mx.float32), biases.astype(mx.float32)  # in 16 bits it would round twice
    return mx.dequantize(weight, scales, biases, group_size=GROUP_SIZE, bits=matrix.bits)


def list_packed(arrays: dict[str, mx.array], entries: dict[str, Entry]) -> dict[str, Packed]:
    """The packed matrices by diffusers' names of their weights, as they are."""
    return {
        expand_name(f"{stem}weight", entries): Packed({part: arrays[stem + part] for part in PARTS}, bits)
        for stem, bits in list_layers(entries).items()
        if not UNUSED.fullmatch(f"{stem}weight")
    }
