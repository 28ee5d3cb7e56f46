"""What the families share: rules of their layouts (joined q, k, v; streams; embedders), sizes read from shapes."""

import math
from collections.abc import Callable
from typing import Any

from .rules import Inferred, Rule, Shapes, rename

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
