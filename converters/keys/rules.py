"""Rules that carry a checkpoint's tensors to the names of this repository: every source key used once, none left over.

A pattern is a name in which `#` stands for one number and a final `*` for the rest. The first rule whose first source
matches decides. That every target is filled is checked against the network itself (mlx_model.weights.fit).
"""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import mlx.core as mx

from mlx_model.errors import LayoutError

SHOWN = 5
Shapes = dict[str, tuple[int, ...]]


@dataclass(frozen=True)
class Rule:
    """`sources` become `target` by the change of that name; a target of "" drops them."""

    target: str
    sources: tuple[str, ...]
    change: str = "same"


@dataclass(frozen=True)
class Layout:
    """One way in which one component is stored; recognised by a key that only it has, its `signature`."""

    role: str
    family: str
    name: str
    signature: str
    rules: Callable[[Shapes], list[Rule]]  # from the source's names and shapes


@dataclass(frozen=True)
class Inferred:
    """A field of a network's Params that is read from which tensors are there: what is cut off makes it less.

    `prefix`: of those tensors, by our names; `read`: what config.json says of it, None where it says nothing;
    `numbered`: the field counts them (its value or its length), else it says whether there are any.
    """

    field: str
    prefix: str
    read: Callable[[dict[str, Any]], Any]
    numbered: bool = True


def rename(source: str, target: str, change: str = "same") -> Rule:
    return Rule(target, (source,), change)


def drop(source: str) -> Rule:
    return Rule("", (source,))


def swap_halves(x: mx.array) -> mx.array:
    first, second = mx.split(x, 2, axis=0)
    return mx.concatenate([second, first], axis=0)


def join_rows(*parts: mx.array) -> mx.array:
    return mx.concatenate(list(parts), axis=0)


CHANGES: dict[str, Callable[..., mx.array]] = {
    "same": lambda x: x,
    "join": join_rows,  # q, k, v
    "swap_halves": swap_halves,  # rows: scale, shift -> shift, scale
    "conv": lambda x: x.transpose(0, 2, 3, 1) if x.ndim == 4 else x,  # OIHW -> OHWI; biases and norms as they are
    "pointwise": lambda x: x[:, None, None, :],  # (out, in) -> (out, 1, 1, in)
}


@lru_cache(maxsize=4096)
def compile_pattern(pattern: str) -> re.Pattern[str]:
    """An expression with a group for each `#` and `*`."""
    return re.compile(re.escape(pattern).replace(r"\#", r"(\d+)").replace(r"\*", r"(.+)"))


def fill_pattern(pattern: str, parts: tuple[str, ...]) -> str:
    """`pattern` with its `#` and `*` replaced by `parts`, in order."""
    waiting = iter(parts)
    return re.sub(r"[#*]", lambda match: next(waiting, match[0]), pattern)


def apply(rules: list[Rule], arrays: Mapping[str, mx.array]) -> dict[str, mx.array]:
    """The targets, lazily, in the order of their first sources. Raises LayoutError naming keys.

    Works on unread arrays, so it also checks the shapes of a model that doesn't fit into memory.
    """
    targets: dict[str, mx.array] = {}
    used: set[str] = set()
    for name in arrays:
        found = _find_rule(rules, name)
        if found is None:
            continue
        rule, sources, target = found
        _claim(sources, arrays, used)
        if target in targets:
            raise LayoutError(f"Two tensors want to become {target}: {name} is one of them.")
        if target:
            targets[target] = _change(rule, [arrays[source] for source in sources], name)
    unknown = [name for name in arrays if name not in used]
    if unknown:
        raise LayoutError(f"{len(unknown)} tensors belong nowhere: {_name_some(unknown)}.")
    return targets


def _find_rule(rules: list[Rule], name: str) -> tuple[Rule, list[str], str] | None:
    for rule in rules:
        match = compile_pattern(rule.sources[0]).fullmatch(name)
        if match:
            return (
                rule,
                [fill_pattern(source, match.groups()) for source in rule.sources],
                fill_pattern(rule.target, match.groups()),
            )
    return None


def _claim(sources: list[str], arrays: Mapping[str, Any], used: set[str]) -> None:
    missing = [source for source in sources if source not in arrays]
    if missing:
        raise LayoutError(f"{sources[0]} needs {_name_some(missing)}, missing in the source.")
    used.update(sources)


def _change(rule: Rule, sources: list[mx.array], name: str) -> mx.array:
    try:
        return CHANGES[rule.change](*sources)
    except ValueError as error:
        shapes = ", ".join(str(tuple(source.shape)) for source in sources)
        raise LayoutError(f"{name} has a shape that can't be used: {shapes}.") from error


def _name_some(names: list[str]) -> str:
    return ", ".join(names[:SHOWN]) + (" ..." if len(names) > SHOWN else "")


HEAD = "single_blocks.0.norm.query_norm.scale"  # as wide as a head
DIGITS = 10  # of a number in a name; no network has as many things


def count_numbered(names: Shapes, prefix: str) -> int:
    """How many numbered things follow `prefix` ("double_blocks."), those that are missing in between included."""
    return max(list_numbers(names, prefix), default=-1) + 1


def list_numbers(names: Shapes, prefix: str) -> list[int]:
    """The numbers that follow `prefix`, in order."""
    after = {name.removeprefix(prefix).split(".")[0] for name in names if name.startswith(prefix)}
    return sorted(int(number) for number in after if number.isdecimal() and len(number) < DIGITS)


def say_count(name: str, section: str = "") -> Callable[[dict[str, Any]], int | None]:
    """What config.json, or a part of it, says under `name`: a whole number or a switch. Raises ValueError."""

    def read(config: dict[str, Any]) -> int | None:
        value = (read_section(config, section) if section else config).get(name)
        return value if isinstance(value, int) else None

    return read


def infer_stream(doubles: str, *more: Inferred) -> tuple[Inferred, ...]:
    """What is inferred of a transformer with BFL's two kinds of blocks, and `more`."""
    return (
        Inferred("depth", doubles, say_count("num_layers")),
        Inferred("depth_single_blocks", "single_blocks.", say_count("num_single_layers")),
        *more,
    )


GUIDANCE = Inferred("guidance_embed", "guidance_in.", say_count("guidance_embeds"), numbered=False)


def find_ratio(width: int, hidden: int) -> float:
    """The ratio r with int(hidden * r) == width; the plain quotient may round to just below."""
    ratio = width / hidden
    return ratio if int(hidden * ratio) == width else math.nextafter(ratio, math.inf)


def read_section(config: dict[str, Any], name: str) -> dict[str, Any]:
    """The object `name` inside a config.json, or the whole where there is none. Raises ValueError."""
    inner = config.get(name) or config
    if not isinstance(inner, dict):
        raise ValueError(f"{name} in config.json is {str(inner)[:40]!r}")
    return inner


def read_stream(shapes: Shapes, entry: str) -> dict[str, Any]:
    """What every FLUX transformer shows; `entry` embeds the latents. Raises KeyError where such a layer is missing."""
    hidden, channels = shapes[f"{entry}.weight"]
    return {
        "hidden_size": hidden,
        "num_heads": hidden // shapes[HEAD][0],
        "depth_single_blocks": count_numbered(shapes, "single_blocks."),
        "context_in_dim": shapes["txt_in.weight"][1],
        "in_channels": channels,
    }


def read_rope(shapes: Shapes, config: dict[str, Any], theta: float) -> dict[str, Any]:
    """RoPE of four equal axes, as FLUX.2 and FLUX.3 have it, from config.json where there is one."""
    head = shapes[HEAD][0]
    return {
        "axes_dim": tuple(config.get("axes_dims_rope") or (head // 4,) * 4),
        "theta": float(config.get("rope_theta") or theta),
    }


DOUBLE, THEIR_DOUBLE = "double_blocks.#.", "transformer_blocks.#."  # ours (BFL's), diffusers'
SINGLE, THEIR_SINGLE = "single_blocks.#.", "single_transformer_blocks.#."


def join_qkv(target: str, source: str, *more: str) -> Rule:
    """`target` gets the rows of q, k and v, whose letter `{}` in `source` stands for, and of what comes after them."""
    return Rule(target, (*(source.format(part) for part in "qkv"), *more), "join")


def rename_norms(theirs: str, ours: str, form: str = "norm_{}") -> list[Rule]:
    """The norms of queries and keys."""
    pairs = ("q", "query"), ("k", "key")
    return [rename(f"{theirs}.{form.format(their)}.weight", f"{ours}.{our}_norm.scale") for their, our in pairs]


def rename_attention(kind: str) -> list[Rule]:
    """Of a double block; `kind` of q, k, v: `weight` where they have no bias, else `*`."""
    theirs = THEIR_DOUBLE + "attn"
    return [
        join_qkv(f"{DOUBLE}img_attn.qkv.{kind}", f"{theirs}.to_{{}}.{kind}"),
        join_qkv(f"{DOUBLE}txt_attn.qkv.{kind}", f"{theirs}.add_{{}}_proj.{kind}"),
        *rename_norms(theirs, DOUBLE + "img_attn.norm"),
        *rename_norms(theirs, DOUBLE + "txt_attn.norm", "norm_added_{}"),
        rename(theirs + ".to_out.0.*", DOUBLE + "img_attn.proj.*"),
        rename(theirs + ".to_add_out.*", DOUBLE + "txt_attn.proj.*"),
    ]


def rename_mlps(first: str, last: str) -> list[Rule]:
    """The two feed-forward layers of both streams of a double block."""
    return [
        rename(f"{THEIR_DOUBLE}{theirs}.{layer}.*", f"{DOUBLE}{ours}.{number}.*")
        for theirs, ours in (("ff", "img_mlp"), ("ff_context", "txt_mlp"))
        for layer, number in ((first, 0), (last, 2))
    ]


def rename_embedder(theirs: str, ours: str) -> list[Rule]:
    return [rename(f"{theirs}.linear_{n}.*", f"{ours}.{layer}_layer.*") for n, layer in ((1, "in"), (2, "out"))]


# ComfyUI stores the norms' scales as weights; BFL's own files have no weight of that name.
BFL = [rename("*_norm.weight", "*_norm.scale"), rename("*", "*")]
