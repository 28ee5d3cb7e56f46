"""FLUX.3 image transformers: the BFL names are ours; the diffusers layout takes a table. And its text encoder's tower.

Source: diffusers 0.42 loaders/single_file_utils.py (inverted) and models/transformers/transformer_flux3.py.
"""

from typing import Any

from .flux2 import _ratio, count
from .rules import Layout, Rule, Shapes, drop, rename
from .text import DECODER

TRAINING = drop("repa_projectors.*")  # heads of the training, of no use in a run


def _block(theirs: str, ours: str) -> list[Rule]:
    return [
        *(rename(f"{theirs}.attn.to_{part}.*", f"{ours}.{part}_proj.*") for part in "qkv"),
        rename(f"{theirs}.attn.to_out.0.*", f"{ours}.attn_out.*"),
        rename(f"{theirs}.attn.norm_q.weight", f"{ours}.norm.query_norm.scale"),
        rename(f"{theirs}.attn.norm_k.weight", f"{ours}.norm.key_norm.scale"),
        rename(f"{theirs}.ff.linear_in.*", f"{ours}.mlp_in.*"),
        rename(f"{theirs}.ff.linear_out.*", f"{ours}.mlp_out.*"),
    ]


def _stream(mode: str) -> list[Rule]:
    return [
        rename(f"{stream}_stream_modulations.{mode}.linear.*", f"{stream}_stream_modulations.{mode}.lin.*")
        for stream in ("early", "single")
    ]


def _mode(mode: str) -> list[Rule]:
    return [
        rename(f"x_embedders.{mode}.*", f"emb_in.{mode}.*"),
        *_block(f"mode_blocks.{mode}.#", f"content_mode_blocks.{mode}.#"),
        *_stream(mode),
    ]


DIFFUSERS = [
    *_mode("image"),
    *_mode("image_cond"),
    *_stream("txt"),
    *_block("txt_mode_blocks.#", "txt_mode_blocks.#"),
    *_block("single_transformer_blocks.#", "single_blocks.#"),
    rename("context_embedder.*", "txt_in.*"),
    *(
        rename(f"{theirs}.linear_{number}.*", f"{ours}.{layer}_layer.*")
        for theirs, ours in (("timestep_embedder", "time_in"), ("target_timestep_embedder", "ref_time_in"))
        for number, layer in ((1, "in"), (2, "out"))
    ),
    rename("proj_out.*", "final_layer.image.linear.*"),
    rename("norm_out.linear.weight", "final_layer.image.adaLN_modulation.1.weight", "swap_halves"),
    TRAINING,
]
_BFL = [TRAINING, rename("*", "*")]
_COMFY_PREFIX = "model.diffusion_model."
_COMFY = [drop(_COMFY_PREFIX + "repa_projectors.*"), rename(_COMFY_PREFIX + "*", "*")]
# The published encoder is a vision model; its language tower is a Qwen3.
_TOWER = [drop("model.visual.*"), *DECODER]

LAYOUTS = (
    Layout("transformer", "flux3", "diffusers", "x_embedders.image.weight", lambda _: DIFFUSERS),
    Layout("transformer", "flux3", "bfl", "emb_in.image.weight", lambda _: _BFL),
    Layout("transformer", "flux3", "comfy", _COMFY_PREFIX + "emb_in.image.weight", lambda _: _COMFY),
    Layout("text_encoder", "text_qwen3", "qwen3-vl", "model.visual.patch_embed.proj.weight", lambda _: _TOWER),
)


def sizes(shapes: Shapes, config: dict[str, Any]) -> dict[str, Any]:
    """The arguments of flux3.Params from target names and shapes; RoPE from config.json where there is one.

    Raises KeyError where a layer that shows a size is missing.
    """
    hidden, channels = shapes["emb_in.image.weight"]
    head = shapes["single_blocks.0.norm.query_norm.scale"][0]
    return {
        "hidden_size": hidden,
        "num_heads": hidden // head,
        "depth": count(shapes, "txt_mode_blocks."),
        "depth_single_blocks": count(shapes, "single_blocks."),
        "context_in_dim": shapes["txt_in.weight"][1],
        "in_channels": channels,
        "axes_dim": tuple(config.get("axes_dims_rope") or (head // 4,) * 4),
        "theta": float(config.get("rope_theta") or 10000.0),
        "mlp_ratio": _ratio(shapes["single_blocks.0.mlp_out.weight"][1], hidden),
        "flow_map": "ref_time_in.in_layer.weight" in shapes,
    }
