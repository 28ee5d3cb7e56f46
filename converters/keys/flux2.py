"""FLUX.2 transformers: the BFL names are ours; the diffusers layout takes a table.

Source: black-forest-labs/flux2 src/flux2/model.py and diffusers scripts/convert_flux2_to_diffusers.py (inverted).
"""

import math
from typing import Any

from .rules import Layout, Rule, Shapes, rename

_DOUBLE, _THEIRS = "double_blocks.#.", "transformer_blocks.#."
_TIME = "time_guidance_embed."

DIFFUSERS = [
    rename("x_embedder.*", "img_in.*"),
    rename("context_embedder.*", "txt_in.*"),
    rename(_TIME + "timestep_embedder.linear_1.*", "time_in.in_layer.*"),
    rename(_TIME + "timestep_embedder.linear_2.*", "time_in.out_layer.*"),
    rename(_TIME + "guidance_embedder.linear_1.*", "guidance_in.in_layer.*"),
    rename(_TIME + "guidance_embedder.linear_2.*", "guidance_in.out_layer.*"),
    rename("double_stream_modulation_img.linear.*", "double_stream_modulation_img.lin.*"),
    rename("double_stream_modulation_txt.linear.*", "double_stream_modulation_txt.lin.*"),
    rename("single_stream_modulation.linear.*", "single_stream_modulation.lin.*"),
    Rule(
        _DOUBLE + "img_attn.qkv.weight",
        tuple(_THEIRS + f"attn.to_{part}.weight" for part in "qkv"),
        "join",
    ),
    Rule(
        _DOUBLE + "txt_attn.qkv.weight",
        tuple(_THEIRS + f"attn.add_{part}_proj.weight" for part in "qkv"),
        "join",
    ),
    rename(_THEIRS + "attn.norm_q.weight", _DOUBLE + "img_attn.norm.query_norm.scale"),
    rename(_THEIRS + "attn.norm_k.weight", _DOUBLE + "img_attn.norm.key_norm.scale"),
    rename(_THEIRS + "attn.norm_added_q.weight", _DOUBLE + "txt_attn.norm.query_norm.scale"),
    rename(_THEIRS + "attn.norm_added_k.weight", _DOUBLE + "txt_attn.norm.key_norm.scale"),
    rename(_THEIRS + "attn.to_out.0.*", _DOUBLE + "img_attn.proj.*"),
    rename(_THEIRS + "attn.to_add_out.*", _DOUBLE + "txt_attn.proj.*"),
    rename(_THEIRS + "ff.linear_in.*", _DOUBLE + "img_mlp.0.*"),
    rename(_THEIRS + "ff.linear_out.*", _DOUBLE + "img_mlp.2.*"),
    rename(_THEIRS + "ff_context.linear_in.*", _DOUBLE + "txt_mlp.0.*"),
    rename(_THEIRS + "ff_context.linear_out.*", _DOUBLE + "txt_mlp.2.*"),
    rename("single_transformer_blocks.#.attn.to_qkv_mlp_proj.*", "single_blocks.#.linear1.*"),
    rename("single_transformer_blocks.#.attn.to_out.*", "single_blocks.#.linear2.*"),
    rename("single_transformer_blocks.#.attn.norm_q.weight", "single_blocks.#.norm.query_norm.scale"),
    rename("single_transformer_blocks.#.attn.norm_k.weight", "single_blocks.#.norm.key_norm.scale"),
    rename("proj_out.*", "final_layer.linear.*"),
    rename("norm_out.linear.weight", "final_layer.adaLN_modulation.1.weight", "swap_halves"),
]
# The q of each triple claims its k and v, which therefore need no rule of their own; a lone k is then "left over".
_BFL = [rename("*", "*")]
_COMFY = [rename("model.diffusion_model.*", "*")]

LAYOUTS = (
    Layout("transformer", "flux2", "diffusers", "double_stream_modulation_img.linear.weight", lambda _: DIFFUSERS),
    Layout("transformer", "flux2", "bfl", "double_stream_modulation_img.lin.weight", lambda _: _BFL),
    Layout(
        "transformer",
        "flux2",
        "comfy",
        "model.diffusion_model.double_stream_modulation_img.lin.weight",
        lambda _: _COMFY,
    ),
)


def count(names: Shapes, prefix: str) -> int:
    """How many numbered things follow `prefix` ("double_blocks.")."""
    return len({name.removeprefix(prefix).split(".")[0] for name in names if name.startswith(prefix)})


def sizes(shapes: Shapes, config: dict[str, Any]) -> dict[str, Any]:
    """The arguments of flux2.Params from target names and shapes; RoPE from config.json where there is one.

    Raises KeyError where a layer that shows a size is missing.
    """
    hidden, channels = shapes["img_in.weight"]
    head = shapes["single_blocks.0.norm.query_norm.scale"][0]
    return {
        "hidden_size": hidden,
        "num_heads": hidden // head,
        "depth": count(shapes, "double_blocks."),
        "depth_single_blocks": count(shapes, "single_blocks."),
        "context_in_dim": shapes["txt_in.weight"][1],
        "in_channels": channels,
        "axes_dim": tuple(config.get("axes_dims_rope") or (head // 4,) * 4),
        "theta": float(config.get("rope_theta") or 2000.0),
        "mlp_ratio": _ratio(shapes["single_blocks.0.linear2.weight"][1] - hidden, hidden),
        "guidance_embed": "guidance_in.in_layer.weight" in shapes,
    }


def _ratio(width: int, hidden: int) -> float:
    """The ratio r with int(hidden * r) == width; the plain quotient may round to just below."""
    ratio = width / hidden
    return ratio if int(hidden * ratio) == width else math.nextafter(ratio, math.inf)
