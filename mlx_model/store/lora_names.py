"""The names under which LoRA files speak of a layer: BFL's (ours), diffusers', and both with underscores for dots; and
which models a LoRA is for, from the names and shapes in its header alone (no MLX is loaded: the window asks too).

The tables repeat what converters/keys says about whole checkpoints (tests/converters/keys/test_keys_lora.py compares
them); here a name may also stand for a run of a fused layer's rows. `#` stands for a number.
"""

import errno
import math
import os
import re
import stat
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from safetensors import SafetensorError, safe_open

from ..errors import LayoutError, say_reason
from ..foreign import find_excess, find_page
from ..specs import SPECS, ModelSpec

# What torch's wrappers leave, before a name or inside it where a block was compiled or wrapped alone.
WRAPPERS = re.compile(r"(?<![a-z0-9])_(?:orig_mod|fsdp_wrapped_module|checkpoint_wrapped_module)[._]")
# What publishers put before a name, one after another: PEFT, ComfyUI, diffusers; with underscores kohya, OneTrainer,
# LyCORIS.
DOTTED = ("base_model.model.", "model.diffusion_model.", "diffusion_model.", "transformer.", "module.", "unet.", "net.")
PREFIXES = (*DOTTED, "lora_unet_", "lora_transformer_", "lycoris_", "lora_")
TEXT_ENCODERS = ("lora_te", "lycoris_te", "text_encoder", "te_", "te1", "te2", "lora_prior_te", "clip_l.", "t5xxl.")
ENCODERS = (
    *(f"{tool}_te{number}_" for tool in ("lora", "lycoris") for number in ("1", "2", "3", "")),
    *(
        "text_encoders.",
        "text_encoder_2.",
        "text_encoder_3.",
        "text_encoder_1.",
        "text_encoder.",
        "te1.",
        "te2.",
        "te.",
    ),
    *("clip_l.", "t5xxl.", "qwen3_4b.", "qwen3_8b.", "mistral3_24b.", "transformer.", "base_model.model."),
)
# What transformers' classes put before a layer of ours: CLIP; Qwen3 and Mistral, as causal LMs and with a vision tower.
ENCODER_ROOTS = ("", "text_model.", "model.", "language_model.model.", "model.language_model.")
# What ends the name of a tensor, and which part of its layer's adapter that is.
ENDINGS = {
    **{f".lora_{letter}{end}": part for letter, part in (("A", "down"), ("B", "up")) for end in (".weight", "")},
    **{f".lora_{letter}": part for letter, part in (("a", "turned_down"), ("b", "turned_up"))},  # mlx-examples
    **{f".{form}{part}{end}": part for form in ("lora_", "lora.", "lora_linear_layer.", "") for part in
       ("down", "up", "mid") for end in (".weight",)},
    ".lora_A.bias": "down_bias", ".lora_B.bias": "up_bias", ".lora_up.bias": "up_bias",
    **{f".lokr_{part}": f"lokr_{part}" for part in ("w1", "w1_a", "w1_b", "w2", "w2_a", "w2_b", "t2")},
    **{f".hada_{part}": f"hada_{part}" for part in ("w1_a", "w1_b", "w2_a", "w2_b", "t1", "t2")},
    **{f".{part}.weight": part for part in ("a1", "a2", "b1", "b2")},
    ".alpha": "alpha", ".dora_scale": "magnitude",
    ".lora_magnitude_vector": "magnitude", ".lora_magnitude_vector.weight": "magnitude",
    ".diff": "diff", ".w_norm": "diff", ".diff_b": "diff_b", ".set_weight": "replacement",
    ".on_input": "on_input",
}  # fmt: skip
_BY_LENGTH = sorted(ENDINGS, key=len, reverse=True)
# What PEFT calls an adapter, between its part and the end: .lora_A.default.weight
_ADAPTER = re.compile(r"(\.lora_(?:A|B|magnitude_vector))\.(?!(?:weight|bias)$)[^.]+(?=\.|$)")
# Kinds that are known by a mark of their names, and can't be read.
REFUSED = {
    r"\.b?oft_|\.oft_blocks|\.boft": "OFT, which turns a layer's weights",
    r"\.vera_lambda": "VeRA, whose matrices come from a seed",
    r"\.lora_embedding_": "LoRA of a token table",
    r"\.bm\.weight$": "GLoRA of convolutions",
    r"\.ia3_l": "IA3 as PEFT writes it",
}


def split_name(name: str) -> tuple[str, str]:
    """(layer, part) of a tensor's name; ("", "") for one that is no part of an adapter."""
    name = _ADAPTER.sub(r"\1", WRAPPERS.sub("", name))
    ending = next((ending for ending in _BY_LENGTH if name.endswith(ending)), None)
    return (name.removesuffix(ending), ENDINGS[ending]) if ending else ("", "")


class Place(NamedTuple):
    """Where the output rows of an adapter belong: `layer`, from `start` to `stop` in widths of the layer's input.

    stop None: to the end. swapped: the file has the two halves of the rows the other way round.
    """

    layer: str
    start: int = 0
    stop: int | None = None
    swapped: bool = False


class Family(NamedTuple):
    title: str
    aliases: dict[str, Place]  # diffusers' name -> ours


def _one_to_one(theirs: str, ours: str, pairs: dict[str, str]) -> dict[str, Place]:
    return {theirs + their: Place(ours + our) for their, our in pairs.items()}


def _run(names: Iterable[str], layer: str) -> dict[str, Place]:
    """Names of consecutive runs of rows, each as many as the layer has inputs."""
    return {name: Place(layer, number, number + 1) for number, name in enumerate(names)}


_DOUBLE, _THEIRS, _SINGLE = "double_blocks.#.", "transformer_blocks.#.", "single_transformer_blocks.#."
_ATTENTION = {
    **_run([f"{_THEIRS}attn.to_{part}" for part in "qkv"], _DOUBLE + "img_attn.qkv"),
    **_run([f"{_THEIRS}attn.add_{part}_proj" for part in "qkv"], _DOUBLE + "txt_attn.qkv"),
    _THEIRS + "attn.to_out.0": Place(_DOUBLE + "img_attn.proj"),
    _THEIRS + "attn.to_add_out": Place(_DOUBLE + "txt_attn.proj"),
    _THEIRS + "attn.to_qkv": Place(_DOUBLE + "img_attn.qkv"),  # where diffusers has fused them
    _THEIRS + "attn.to_added_qkv": Place(_DOUBLE + "txt_attn.qkv"),
    **{
        f"{_THEIRS}attn.norm_{added}{letter}": Place(f"{_DOUBLE}{stream}_attn.norm.{word}_norm")
        for added, stream in (("", "img"), ("added_", "txt"))
        for letter, word in (("q", "query"), ("k", "key"))
    },
    **_one_to_one(_SINGLE, "single_blocks.#.", {"attn.norm_q": "norm.query_norm", "attn.norm_k": "norm.key_norm"}),
    "single_blocks.#.linear1_qkv": Place("single_blocks.#.linear1", 0, 3),  # as some trainers split it
    "single_blocks.#.linear1_mlp": Place("single_blocks.#.linear1", 3),
}
_XLABS = {
    **_one_to_one(_DOUBLE + "processor.", _DOUBLE, {
        "qkv_lora1": "img_attn.qkv", "qkv_lora2": "txt_attn.qkv",
        "proj_lora1": "img_attn.proj", "proj_lora2": "txt_attn.proj",
    }),
    "single_blocks.#.processor.qkv_lora": Place("single_blocks.#.linear1", 0, 3),
    "single_blocks.#.processor.proj_lora": Place("single_blocks.#.linear2"),
}  # fmt: skip
_ENTRY = {"x_embedder": "img_in", "context_embedder": "txt_in"}


def _mlps(first: str, last: str) -> dict[str, Place]:
    pairs = {"ff.": "img_mlp.", "ff_context.": "txt_mlp."}
    return {
        _THEIRS + their + name: Place(_DOUBLE + our + number)
        for their, our in pairs.items()
        for name, number in ((first, "0"), (last, "2"))
    }


def _embedder(theirs: str, ours: str) -> dict[str, Place]:
    return {f"{theirs}.linear_{n}": Place(f"{ours}.{layer}_layer") for n, layer in ((1, "in"), (2, "out"))}


_FLUX1 = {
    **_ATTENTION,
    **_XLABS,
    **_mlps("net.0.proj", "net.2"),
    **_one_to_one(_THEIRS, _DOUBLE, {"norm1.linear": "img_mod.lin", "norm1_context.linear": "txt_mod.lin"}),
    **_run([f"{_SINGLE}attn.to_{part}" for part in "qkv"], "single_blocks.#.linear1"),
    _SINGLE + "proj_mlp": Place("single_blocks.#.linear1", 3),
    **_one_to_one(_SINGLE, "single_blocks.#.", {"norm.linear": "modulation.lin", "proj_out": "linear2"}),
    **_one_to_one("", "", {**_ENTRY, "proj_out": "final_layer.linear"}),
    **_embedder("time_text_embed.timestep_embedder", "time_in"),
    **_embedder("time_text_embed.guidance_embedder", "guidance_in"),
    **_embedder("time_text_embed.text_embedder", "vector_in"),
    "norm_out.linear": Place("final_layer.adaLN_modulation.1", swapped=True),
}
_MODULATIONS = ("double_stream_modulation_img", "double_stream_modulation_txt", "single_stream_modulation")
_FLUX2 = {
    **_ATTENTION,
    **_mlps("linear_in", "linear_out"),
    _SINGLE + "attn.to_qkv_mlp_proj": Place("single_blocks.#.linear1"),
    _SINGLE + "attn.to_out": Place("single_blocks.#.linear2"),
    **{f"{name}.linear": Place(f"{name}.lin") for name in _MODULATIONS},
    **_one_to_one("", "", {**_ENTRY, "proj_out": "final_layer.linear"}),
    **_embedder("time_guidance_embed.timestep_embedder", "time_in"),
    **_embedder("time_guidance_embed.guidance_embedder", "guidance_in"),
    "norm_out.linear": Place("final_layer.adaLN_modulation.1", swapped=True),
}
_BLOCK = {
    **{f"attn.to_{part}": f"{part}_proj" for part in "qkv"},
    "attn.to_out.0": "attn_out",
    "ff.linear_in": "mlp_in",
    "ff.linear_out": "mlp_out",
    "attn.norm_q": "norm.query_norm",
    "attn.norm_k": "norm.key_norm",
}
_FLUX3 = {
    **_one_to_one(_SINGLE, "single_blocks.#.", _BLOCK),
    **_one_to_one("txt_mode_blocks.#.", "txt_mode_blocks.#.", _BLOCK),
    **_one_to_one("mode_blocks.image.#.", "content_mode_blocks.image.#.", _BLOCK),
    **_one_to_one("mode_blocks.image_cond.#.", "content_mode_blocks.image_cond.#.", _BLOCK),
    **{
        f"{stream}_stream_modulations.{mode}.linear": Place(f"{stream}_stream_modulations.{mode}.lin")
        for stream in ("early", "single")
        for mode in ("image", "image_cond", "txt")
    },
    **{f"x_embedders.{mode}": Place(f"emb_in.{mode}") for mode in ("image", "image_cond")},
    **_one_to_one("", "", {"context_embedder": "txt_in", "proj_out": "final_layer.image.linear"}),
    **_embedder("timestep_embedder", "time_in"),
    **_embedder("target_timestep_embedder", "ref_time_in"),
    "norm_out.linear": Place("final_layer.image.adaLN_modulation.1", swapped=True),
}
FAMILIES = {"flux1": Family("FLUX.1", _FLUX1), "flux2": Family("FLUX.2", _FLUX2), "flux3": Family("FLUX.3", _FLUX3)}


def places(family: str, layers: Iterable[str]) -> dict[str, Place]:
    """Every name a file may use for one of `layers`, and where it belongs."""
    theirs: dict[str, list[tuple[str, Place]]] = {}
    for name, place in FAMILIES[family].aliases.items() if family in FAMILIES else ():
        theirs.setdefault(place.layer, []).append((name, place))
    found = {}
    for layer in layers:
        found[layer] = Place(layer)
        # A layer's own numbers ("adaLN_modulation.1") are no block numbers, and belong to it as it is.
        for pattern, number in ((layer, ""), (re.sub(r"\.\d+\.", ".#.", layer, count=1), _number(layer))):
            for name, place in theirs.get(pattern, ()):
                found[name.replace("#", number)] = place._replace(layer=layer)
    return found | {name.replace(".", "_"): place for name, place in found.items()}


def _number(layer: str) -> str:
    found = re.search(r"\.(\d+)\.", layer)
    return found[1] if found else ""


def resolve(name: str, known: dict[str, Place]) -> Place | None:
    """The place of a layer as a file names it, with or without a publisher's prefix."""
    return next((known[bare] for bare in _bare(name) if bare in known), None)


def families_of(name: str) -> list[str]:
    """Titles of the families that have a layer of this name, whatever its number."""
    shapes = {_shape(bare) for bare in _bare(name)}
    return [family.title for family in FAMILIES.values() if shapes & _shapes(family)]


def _bare(name: str, prefixes: tuple[str, ...] = PREFIXES) -> list[str]:
    """The name, and what is left of it as one prefix after another is taken off."""
    found = [name]
    while cut := next((prefix for prefix in prefixes if found[-1].startswith(prefix)), None):
        found.append(found[-1].removeprefix(cut))
    return found


def bare(name: str) -> str:
    """The name of a layer as the trained network called it, without what publishers put before it."""
    return _bare(_bare(name)[-1], ENCODERS)[-1] if name.startswith(TEXT_ENCODERS) else _bare(name)[-1]


def encoder_places(layers: Iterable[str]) -> dict[str, Place]:
    """Every name a file may use for one of the layers of a text encoder, without what `resolve_encoder` takes off."""
    found = {root + layer: Place(layer) for layer in layers for root in ENCODER_ROOTS}
    return found | {name.replace(".", "_"): place for name, place in found.items()}


def resolve_encoder(name: str, known: dict[str, Place]) -> Place | None:
    """The place of a text encoder's layer as a file names it."""
    return next((known[bare] for bare in _bare(name, ENCODERS) if bare in known), None)


def _shapes(family: Family) -> set[str]:
    return {_shape(name) for name in (*family.aliases, *(place.layer for place in family.aliases.values()))}


def shape_of(name: str) -> str:
    """A layer's name with # for numbers and _ for dots, by which families are compared."""
    return _shape(_bare(name)[-1])


def _shape(name: str) -> str:
    return re.sub(r"\d+|#", "#", name.replace(".", "_"))


Shapes = Mapping[str, tuple[int, ...]]  # by tensor

# Layers that take the hidden state, by their names with _ for dots and # for numbers.
_INNER = re.compile(
    r"double_blocks_#_(img|txt)_(attn_(qkv|proj)|mod_lin)"
    r"|transformer_blocks_#_(attn_.*|norm#(_context)?_linear|ff(_context)?_(linear_in|net_#_proj))"
    r"|single_blocks_#_(modulation_lin|[qkv]_proj|mlp_in|linear#_(qkv|mlp))"
    r"|single_transformer_blocks_#_(attn_to_([qkv]|qkv_mlp_proj)|proj_mlp|norm_linear)"
    r"|double_blocks_#_processor_.*_lora#"
    r"|(txt|content)?_?mode_blocks_.*([qkv]_proj|attn_to_[qkv]|mlp_in)"
)
_FIRST_OF_SINGLE = ("single_blocks_#_linear#", "single_transformer_blocks_#_attn_to_qkv_mlp_proj")
_JOINT = {"flux1": 7, "flux2": 9}  # rows of a single block's first layer, in hidden widths: q, k, v and the MLP


class _Facts(NamedTuple):
    """What the names and shapes tell: families, the widths of what takes the hidden state, the deepest blocks."""

    titles: set[str]
    widths: set[int]
    joint: set[int]  # rows of single blocks' first layers
    double: int
    single: int


class Header(NamedTuple):
    """The first lines of a file: the shapes of its tensors, and the words that its program wrote beside."""

    shapes: dict[str, tuple[int, ...]]
    metadata: dict[str, str]


def read_header(path: Path) -> Header:
    """Remembered as long as the file stays as it is. Raises LayoutError, OSError."""
    try:
        state = path.stat()
    except ValueError as error:  # a zero byte in the name
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path)) from error
    if not stat.S_ISREG(state.st_mode):  # opening a pipe waits for ever
        raise LayoutError(f"{path.name} is no file.")
    return _read_header(path, (state.st_size, state.st_mtime_ns, state.st_ino))


@lru_cache(maxsize=64)
def _read_header(path: Path, stamp: tuple[int, ...]) -> Header:
    if page := find_page(path):
        raise LayoutError(*page)
    try:
        with safe_open(str(path), "np") as opened:
            shapes = {name: tuple(opened.get_slice(name).get_shape()) for name in list(opened.keys())}
            header = Header(shapes, dict(opened.metadata() or {}))
    except SafetensorError as error:
        message = f"{path.name} is not a sound safetensors file: {say_reason(error)}."
        raise LayoutError(message, "Download it again.") from error
    if excess := find_excess(shapes):
        raise LayoutError(f"{path.name} can't be a LoRA: {excess}.", "Download it again.")
    return header


def count_bytes(path: Path, number_bytes: int, largest: int) -> int:
    """What a file takes in memory at numbers of that size; `largest`: numbers of the model's largest matrix.

    Kinds that are multiplied out at each use need room for such a matrix three times, in float32. Raises LayoutError.
    """
    shapes = read_header(path).shapes
    parts = {split_name(name)[1] for name in shapes}
    numbers = sum(math.prod(shape) for shape in shapes.values())
    multiplied = any(part in parts for part in ("magnitude", "hada_w1_a", "a1", "on_input"))
    return numbers * number_bytes + (3 * 4 * largest if multiplied else 0)


def list_fitting(shapes: Shapes) -> list[ModelSpec]:
    """The rows of SPECS that every layer of the file fits, as far as names and shapes tell; [] where none does."""
    facts = _read_facts(shapes)
    return [row for row in SPECS.values() if _fits(facts, row)] if facts.titles else []


def say_fitting(shapes: Shapes) -> str:
    """Such as "FLUX.2 klein 4B and FLUX.2 klein base 4B", or the family alone where nothing fits; "" if unknown."""
    facts = _read_facts(shapes)
    rows = list_fitting(shapes) if facts.widths or facts.joint else []  # else the names alone would tell
    titles = [row.title for row in rows if row.repo] or [row.called for row in rows] or sorted(facts.titles)
    return " and ".join([", ".join(titles[:-1]), titles[-1]] if len(titles) > 1 else titles)


def adapts_encoder(shapes: Shapes) -> bool:
    """Whether it has parts for a text encoder."""
    return any(name.startswith(TEXT_ENCODERS) for name in shapes)


def is_lora(shapes: Shapes) -> bool:
    """Whether anything in it is part of an adapter."""
    return any(split_name(name)[1] for name in shapes)


def _read_facts(shapes: Shapes) -> _Facts:
    titles, widths, joint, double, single = None, set(), set(), -1, -1
    for name, size in shapes.items():
        stem, part = split_name(name)
        found = set(families_of(stem)) if stem else set()
        if not found:
            continue
        titles = found if titles is None else (titles & found or titles)
        shape = shape_of(stem)
        double, single = _deepen(stem, double, single)
        if part == "down" and len(size) >= 2 and _INNER.fullmatch(shape):
            widths.add(size[1])
        if part == "up" and shape in _FIRST_OF_SINGLE and not stem.endswith("linear2"):
            joint.add(size[0])
    return _Facts(titles or set(), widths, joint, double, single)


def _deepen(stem: str, double: int, single: int) -> tuple[int, int]:
    """The deepest blocks so far."""
    name = bare(stem)
    found = re.search(r"blocks\D*(\d+)", name)
    if not found:
        return double, single
    number = int(found[1])
    return (double, max(single, number)) if name.startswith("single") else (max(double, number), single)


def _fits(facts: _Facts, row: ModelSpec) -> bool:
    if row.family not in FAMILIES or FAMILIES[row.family].title not in facts.titles:
        return False
    sizes: dict[str, Any] = row.transformer
    width = sizes.get("hidden_size", 0)
    deep = facts.double < sizes.get("depth", 0) and facts.single < sizes.get("depth_single_blocks", 0)
    joint = {_JOINT[row.family] * width} if row.family in _JOINT else facts.joint
    return deep and facts.widths <= {width} and facts.joint <= joint
