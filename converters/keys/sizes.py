"""What the families read in the same way: numbers that shapes show, and what config.json adds."""

import math
from typing import Any

from .rules import Shapes

HEAD = "single_blocks.0.norm.query_norm.scale"  # as wide as a head


def count_numbered(names: Shapes, prefix: str) -> int:
    """How many numbered things follow `prefix` ("double_blocks.")."""
    return len({name.removeprefix(prefix).split(".")[0] for name in names if name.startswith(prefix)})


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
