"""FLUX.1 transformers and the Redux embedder: the BFL names are ours; the diffusers layout takes a table.

Source: black-forest-labs/flux src/flux/model.py and diffusers loaders/single_file_utils.py (inverted).
"""

from typing import Any

from .rules import (
    BFL,
    DOUBLE,
    GUIDANCE,
    HEAD,
    SINGLE,
    THEIR_DOUBLE,
    THEIR_SINGLE,
    Layout,
    Shapes,
    count_numbered,
    infer_stream,
    join_qkv,
    read_stream,
    rename,
    rename_attention,
    rename_embedder,
    rename_mlps,
    rename_norms,
)

DIFFUSERS = [
    rename("x_embedder.*", "img_in.*"),
    rename("context_embedder.*", "txt_in.*"),
    *rename_embedder("time_text_embed.timestep_embedder", "time_in"),
    *rename_embedder("time_text_embed.text_embedder", "vector_in"),
    *rename_embedder("time_text_embed.guidance_embedder", "guidance_in"),
    rename(THEIR_DOUBLE + "norm1.linear.*", DOUBLE + "img_mod.lin.*"),
    rename(THEIR_DOUBLE + "norm1_context.linear.*", DOUBLE + "txt_mod.lin.*"),
    *rename_attention("*"),
    *rename_mlps("net.0.proj", "net.2"),
    rename(THEIR_SINGLE + "norm.linear.*", SINGLE + "modulation.lin.*"),
    join_qkv(SINGLE + "linear1.*", THEIR_SINGLE + "attn.to_{}.*", THEIR_SINGLE + "proj_mlp.*"),
    rename(THEIR_SINGLE + "proj_out.*", SINGLE + "linear2.*"),
    *rename_norms(THEIR_SINGLE + "attn", SINGLE + "norm"),
    rename("proj_out.*", "final_layer.linear.*"),
    rename("norm_out.linear.*", "final_layer.adaLN_modulation.1.*", "swap_halves"),
]

LAYOUTS = (
    Layout("transformer", "flux1", "diffusers", "single_transformer_blocks.0.norm.linear.weight", lambda _: DIFFUSERS),
    Layout("transformer", "flux1", "bfl", "double_blocks.0.img_mod.lin.weight", lambda _: BFL),
    Layout("image_embedder", "redux", "bfl", "redux_up.weight", lambda _: [rename("*", "*")]),  # diffusers' is the same
)

INFERRED = infer_stream("double_blocks.", GUIDANCE)


def read_sizes(shapes: Shapes, config: dict[str, Any]) -> dict[str, Any]:
    """The arguments of flux1.Params from target names and shapes; RoPE's axes from config.json where there is one.

    Raises KeyError where a layer that shows a size is missing.
    """
    stream, head = read_stream(shapes, "img_in"), shapes[HEAD][0]
    return {
        **stream,
        "depth": count_numbered(shapes, "double_blocks."),
        "vec_in_dim": shapes["vector_in.in_layer.weight"][1],
        "out_channels": shapes["final_layer.linear.weight"][0],
        "axes_dim": tuple(config.get("axes_dims_rope") or (head // 8, head * 7 // 16, head * 7 // 16)),
        "mlp_ratio": shapes["double_blocks.0.img_mlp.0.weight"][0] / stream["hidden_size"],
        "guidance_embed": "guidance_in.in_layer.weight" in shapes,
    }


def read_redux_sizes(shapes: Shapes, config: dict[str, Any]) -> dict[str, Any]:
    """The arguments of redux.Params. Raises KeyError where a layer is missing."""
    return {"redux_dim": shapes["redux_up.weight"][1], "txt_in_features": shapes["redux_down.weight"][0]}
