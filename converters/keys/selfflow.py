"""Self-Flow's SiT: its names are ours. And the autoencoder of Stable Diffusion that it works on.

Source: black-forest-labs/Self-Flow model.py; stabilityai/sd-vae-ft-ema, whose file has the names of diffusers 0.4.
"""

import math
from typing import Any

from . import autoencoder
from .rules import Inferred, Layout, Rule, Shapes, count_numbered, find_ratio, rename, say_count

HEAD = 72  # no tensor shows it: 1152 / 16
OLD = {"query": "q", "key": "k", "value": "v", "proj_attn": "proj_out"}


def list_old_rules(shapes: Shapes) -> list[Rule]:
    """The diffusers table with the former names of the attention's layers."""
    theirs, ours = "{}.mid_block.attentions.0.{}.{}", "{}.mid.attn_1.{}.{}"
    former = [
        rename(theirs.format(side, their, kind), ours.format(side, our, kind), change)
        for side in ("encoder", "decoder")
        for their, our in OLD.items()
        for kind, change in (("weight", "pointwise"), ("bias", "same"))
    ]
    return [*former, *autoencoder.list_diffusers_rules(shapes)]


LAYOUTS = (
    Layout("transformer", "selfflow", "native", "y_embedder.embedding_table.weight", lambda _: [rename("*", "*")]),
    # Must be asked before autoencoder.py's: that one's signature is in these files too.
    Layout(
        "autoencoder", "autoencoder", "diffusers-0.4", "decoder.mid_block.attentions.0.query.weight", list_old_rules
    ),
)

INFERRED = (Inferred("depth", "blocks.", say_count("depth")),)


def read_sizes(shapes: Shapes, config: dict[str, Any]) -> dict[str, Any]:
    """The arguments of selfflow.Params from target names and shapes.

    Raises KeyError where a layer is missing, ValueError where the number of heads can't be known.
    """
    hidden, numbers = shapes["x_embedder.proj.weight"]
    if hidden % HEAD and not config.get("num_heads"):
        raise ValueError(f"a config.json must say num_heads for a width of {hidden}")
    outputs, patch = shapes["final_layer.linear.weight"][0], int(config.get("patch_size") or 2)
    return {
        "input_size": math.isqrt(shapes["pos_embed"][1]) * patch,
        "patch_size": patch,
        "latent_channels": numbers // patch**2,
        "hidden_size": hidden,
        "depth": count_numbered(shapes, "blocks."),
        "num_heads": int(config.get("num_heads") or hidden // HEAD),
        "mlp_ratio": find_ratio(shapes["blocks.0.mlp.fc1.weight"][0], hidden),
        "num_classes": shapes["y_embedder.embedding_table.weight"][0],
        "learn_sigma": outputs == 2 * numbers,
    }
