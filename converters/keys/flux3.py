"""FLUX.3 image transformers: the BFL names are ours; the diffusers layout takes a table. And its text encoder's tower.

Source: diffusers 0.42 loaders/single_file_utils.py (inverted) and models/transformers/transformer_flux3.py.
"""

from typing import Any

from .rules import (
    BFL,
    Inferred,
    Layout,
    Rule,
    Shapes,
    count_numbered,
    drop,
    find_ratio,
    infer_stream,
    read_rope,
    read_stream,
    rename,
    rename_embedder,
    rename_norms,
    say_count,
)
from .text import DECODER

TRAINING = drop("repa_projectors.*")  # heads of the training, of no use in a run


def _rename_block(theirs: str, ours: str) -> list[Rule]:
    return [
        *(rename(f"{theirs}.attn.to_{part}.*", f"{ours}.{part}_proj.*") for part in "qkv"),
        rename(f"{theirs}.attn.to_out.0.*", f"{ours}.attn_out.*"),
        *rename_norms(f"{theirs}.attn", f"{ours}.norm"),
        rename(f"{theirs}.ff.linear_in.*", f"{ours}.mlp_in.*"),
        rename(f"{theirs}.ff.linear_out.*", f"{ours}.mlp_out.*"),
    ]


def _rename_stream(mode: str) -> list[Rule]:
    return [
        rename(f"{stream}_stream_modulations.{mode}.linear.*", f"{stream}_stream_modulations.{mode}.lin.*")
        for stream in ("early", "single")
    ]


def _rename_mode(mode: str) -> list[Rule]:
    return [
        rename(f"x_embedders.{mode}.*", f"emb_in.{mode}.*"),
        *_rename_block(f"mode_blocks.{mode}.#", f"content_mode_blocks.{mode}.#"),
        *_rename_stream(mode),
    ]


DIFFUSERS = [
    *_rename_mode("image"),
    *_rename_mode("image_cond"),
    *_rename_stream("txt"),
    *_rename_block("txt_mode_blocks.#", "txt_mode_blocks.#"),
    *_rename_block("single_transformer_blocks.#", "single_blocks.#"),
    rename("context_embedder.*", "txt_in.*"),
    *rename_embedder("timestep_embedder", "time_in"),
    *rename_embedder("target_timestep_embedder", "ref_time_in"),
    rename("proj_out.*", "final_layer.image.linear.*"),
    rename("norm_out.linear.weight", "final_layer.image.adaLN_modulation.1.weight", "swap_halves"),
    TRAINING,
]
_BFL = [TRAINING, *BFL]
# The published encoder is a vision model; its language tower is a Qwen3.
_TOWER = [drop("model.visual.*"), *DECODER]

LAYOUTS = (
    Layout("transformer", "flux3", "diffusers", "x_embedders.image.weight", lambda _: DIFFUSERS),
    Layout("transformer", "flux3", "bfl", "emb_in.image.weight", lambda _: _BFL),
    Layout("text_encoder", "text_qwen3", "qwen3-vl", "model.visual.patch_embed.proj.weight", lambda _: _TOWER),
)

INFERRED = infer_stream("txt_mode_blocks.", Inferred("flow_map", "ref_time_in.", say_count("flow_map"), numbered=False))


def read_sizes(shapes: Shapes, config: dict[str, Any]) -> dict[str, Any]:
    """The arguments of flux3.Params from target names and shapes; RoPE from config.json where there is one.

    Raises KeyError where a layer that shows a size is missing.
    """
    stream = read_stream(shapes, "emb_in.image")
    return {
        **stream,
        **read_rope(shapes, config, 10000.0),
        "depth": count_numbered(shapes, "txt_mode_blocks."),
        "mlp_ratio": find_ratio(shapes["single_blocks.0.mlp_out.weight"][1], stream["hidden_size"]),
        "flow_map": "ref_time_in.in_layer.weight" in shapes,
    }
