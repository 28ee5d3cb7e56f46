"""FLUX.1 transformers and the Redux embedder: the BFL names are ours; the diffusers layout takes a table.

Source: black-forest-labs/flux src/flux/model.py and diffusers loaders/single_file_utils.py (inverted).
"""

from typing import Any

from .flux2 import count
from .rules import Layout, Rule, Shapes, rename

_DOUBLE, _THEIRS = "double_blocks.#.", "transformer_blocks.#."
_SINGLE, _THEIR_SINGLE = "single_blocks.#.", "single_transformer_blocks.#."


def _embedder(theirs: str, ours: str) -> list[Rule]:
    prefix = f"time_text_embed.{theirs}."
    return [
        rename(prefix + "linear_1.*", f"{ours}.in_layer.*"),
        rename(prefix + "linear_2.*", f"{ours}.out_layer.*"),
    ]


DIFFUSERS = [
    rename("x_embedder.*", "img_in.*"),
    rename("context_embedder.*", "txt_in.*"),
    *_embedder("timestep_embedder", "time_in"),
    *_embedder("text_embedder", "vector_in"),
    *_embedder("guidance_embedder", "guidance_in"),
    rename(_THEIRS + "norm1.linear.*", _DOUBLE + "img_mod.lin.*"),
    rename(_THEIRS + "norm1_context.linear.*", _DOUBLE + "txt_mod.lin.*"),
    Rule(_DOUBLE + "img_attn.qkv.*", tuple(_THEIRS + f"attn.to_{part}.*" for part in "qkv"), "join"),
    Rule(_DOUBLE + "txt_attn.qkv.*", tuple(_THEIRS + f"attn.add_{part}_proj.*" for part in "qkv"), "join"),
    rename(_THEIRS + "attn.norm_q.weight", _DOUBLE + "img_attn.norm.query_norm.scale"),
    rename(_THEIRS + "attn.norm_k.weight", _DOUBLE + "img_attn.norm.key_norm.scale"),
    rename(_THEIRS + "attn.norm_added_q.weight", _DOUBLE + "txt_attn.norm.query_norm.scale"),
    rename(_THEIRS + "attn.norm_added_k.weight", _DOUBLE + "txt_attn.norm.key_norm.scale"),
    rename(_THEIRS + "attn.to_out.0.*", _DOUBLE + "img_attn.proj.*"),
    rename(_THEIRS + "attn.to_add_out.*", _DOUBLE + "txt_attn.proj.*"),
    rename(_THEIRS + "ff.net.0.proj.*", _DOUBLE + "img_mlp.0.*"),
    rename(_THEIRS + "ff.net.2.*", _DOUBLE + "img_mlp.2.*"),
    rename(_THEIRS + "ff_context.net.0.proj.*", _DOUBLE + "txt_mlp.0.*"),
    rename(_THEIRS + "ff_context.net.2.*", _DOUBLE + "txt_mlp.2.*"),
    rename(_THEIR_SINGLE + "norm.linear.*", _SINGLE + "modulation.lin.*"),
    Rule(
        _SINGLE + "linear1.*",
        tuple(_THEIR_SINGLE + part for part in ("attn.to_q.*", "attn.to_k.*", "attn.to_v.*", "proj_mlp.*")),
        "join",
    ),
    rename(_THEIR_SINGLE + "proj_out.*", _SINGLE + "linear2.*"),
    rename(_THEIR_SINGLE + "attn.norm_q.weight", _SINGLE + "norm.query_norm.scale"),
    rename(_THEIR_SINGLE + "attn.norm_k.weight", _SINGLE + "norm.key_norm.scale"),
    rename("proj_out.*", "final_layer.linear.*"),
    rename("norm_out.linear.*", "final_layer.adaLN_modulation.1.*", "swap_halves"),
]
_BFL = [rename("*", "*")]
_COMFY = [rename("model.diffusion_model.*", "*")]
_SIGNATURE = "double_blocks.0.img_mod.lin.weight"

LAYOUTS = (
    Layout("transformer", "flux1", "diffusers", "single_transformer_blocks.0.norm.linear.weight", lambda _: DIFFUSERS),
    Layout("transformer", "flux1", "bfl", _SIGNATURE, lambda _: _BFL),
    Layout("transformer", "flux1", "comfy", "model.diffusion_model." + _SIGNATURE, lambda _: _COMFY),
    Layout("image_embedder", "redux", "bfl", "redux_up.weight", lambda _: _BFL),  # diffusers' is the same
)


def sizes(shapes: Shapes, config: dict[str, Any]) -> dict[str, Any]:
    """The arguments of flux1.Params from target names and shapes; RoPE's axes from config.json where there is one.

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
        "vec_in_dim": shapes["vector_in.in_layer.weight"][1],
        "in_channels": channels,
        "out_channels": shapes["final_layer.linear.weight"][0],
        "axes_dim": tuple(config.get("axes_dims_rope") or (head // 8, head * 7 // 16, head * 7 // 16)),
        "mlp_ratio": shapes["double_blocks.0.img_mlp.0.weight"][0] / hidden,
        "guidance_embed": "guidance_in.in_layer.weight" in shapes,
    }


def redux_sizes(shapes: Shapes, config: dict[str, Any]) -> dict[str, Any]:
    """The arguments of redux.Params. Raises KeyError where a layer is missing."""
    return {"redux_dim": shapes["redux_up.weight"][1], "txt_in_features": shapes["redux_down.weight"][0]}
