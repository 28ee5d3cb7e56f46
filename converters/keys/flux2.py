"""FLUX.2 transformers: the BFL names are ours; the diffusers layout takes a table.

Source: black-forest-labs/flux2 src/flux2/model.py and diffusers scripts/convert_flux2_to_diffusers.py (inverted).
"""

from typing import Any

from .rules import (
    BFL,
    GUIDANCE,
    SINGLE,
    THEIR_SINGLE,
    Layout,
    Shapes,
    count_numbered,
    find_ratio,
    infer_stream,
    read_rope,
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
    *rename_embedder("time_guidance_embed.timestep_embedder", "time_in"),
    *rename_embedder("time_guidance_embed.guidance_embedder", "guidance_in"),
    rename("double_stream_modulation_img.linear.*", "double_stream_modulation_img.lin.*"),
    rename("double_stream_modulation_txt.linear.*", "double_stream_modulation_txt.lin.*"),
    rename("single_stream_modulation.linear.*", "single_stream_modulation.lin.*"),
    *rename_attention("weight"),
    *rename_mlps("linear_in", "linear_out"),
    rename(THEIR_SINGLE + "attn.to_qkv_mlp_proj.*", SINGLE + "linear1.*"),
    rename(THEIR_SINGLE + "attn.to_out.*", SINGLE + "linear2.*"),
    *rename_norms(THEIR_SINGLE + "attn", SINGLE + "norm"),
    rename("proj_out.*", "final_layer.linear.*"),
    rename("norm_out.linear.weight", "final_layer.adaLN_modulation.1.weight", "swap_halves"),
]
# The q of each triple claims its k and v, which therefore need no rule of their own; a lone k is then "left over".

LAYOUTS = (
    Layout("transformer", "flux2", "diffusers", "double_stream_modulation_img.linear.weight", lambda _: DIFFUSERS),
    Layout("transformer", "flux2", "bfl", "double_stream_modulation_img.lin.weight", lambda _: BFL),
)

INFERRED = infer_stream("double_blocks.", GUIDANCE)


def read_sizes(shapes: Shapes, config: dict[str, Any]) -> dict[str, Any]:
    """The arguments of flux2.Params from target names and shapes; RoPE from config.json where there is one.

    Raises KeyError where a layer that shows a size is missing.
    """
    stream = read_stream(shapes, "img_in")
    hidden = stream["hidden_size"]
    return {
        **stream,
        **read_rope(shapes, config, 2000.0),
        "depth": count_numbered(shapes, "double_blocks."),
        "mlp_ratio": find_ratio(shapes["single_blocks.0.linear2.weight"][1] - hidden, hidden),
        "guidance_embed": "guidance_in.in_layer.weight" in shapes,
    }
