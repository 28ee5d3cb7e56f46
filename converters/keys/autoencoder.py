"""The KL autoencoder of FLUX.1 and FLUX.2: BFL names are ours, convolutions turn to (out, kh, kw, in).

Source: black-forest-labs/flux2 src/flux2/autoencoder.py; diffusers models/autoencoders/autoencoder_kl_flux2.py.
"""

import math
from typing import Any

from .rules import Inferred, Layout, Rule, Shapes, count_numbered, drop, rename, say_count

BFL = [
    drop("bn.num_batches_tracked"),
    rename("quant_conv.*", "encoder.quant_conv.*", "conv"),  # where ComfyUI has them
    rename("post_quant_conv.*", "decoder.post_quant_conv.*", "conv"),
    rename("*", "*", "conv"),
]


def _rename_side(side: str) -> list[Rule]:
    middle, theirs = f"{side}.mid.", f"{side}.mid_block."
    names = {"to_q": "q", "to_k": "k", "to_v": "v", "to_out.0": "proj_out"}
    attention = [
        rule
        for their, ours in names.items()
        for rule in (
            rename(f"{theirs}attentions.0.{their}.weight", f"{middle}attn_1.{ours}.weight", "pointwise"),
            rename(f"{theirs}attentions.0.{their}.bias", f"{middle}attn_1.{ours}.bias"),
        )
    ]
    return [
        *attention,
        rename(f"{theirs}attentions.0.group_norm.*", f"{middle}attn_1.norm.*"),
        rename(f"{theirs}resnets.0.*", f"{middle}block_1.*", "conv"),
        rename(f"{theirs}resnets.1.*", f"{middle}block_2.*", "conv"),
        rename(f"{side}.conv_norm_out.*", f"{side}.norm_out.*"),
        rename(f"{side}.conv_in.*", f"{side}.conv_in.*", "conv"),
        rename(f"{side}.conv_out.*", f"{side}.conv_out.*", "conv"),
    ]


def _rename_level(theirs: str, ours: str, resample: str) -> list[Rule]:
    return [
        rename(f"{theirs}.resnets.#.conv_shortcut.*", f"{ours}.block.#.nin_shortcut.*", "conv"),
        rename(f"{theirs}.resnets.#.*", f"{ours}.block.#.*", "conv"),
        rename(f"{theirs}.{resample}rs.0.conv.*", f"{ours}.{resample}.conv.*", "conv"),
    ]


def list_diffusers_rules(shapes: Shapes) -> list[Rule]:
    """The table for as many levels as the source has: the decoder counts from the other end."""
    levels = count_numbered(shapes, "decoder.up_blocks.")
    ups = [_rename_level(f"decoder.up_blocks.{k}", f"decoder.up.{levels - 1 - k}", "upsample") for k in range(levels)]
    return [
        *_rename_side("encoder"),
        *_rename_side("decoder"),
        *_rename_level("encoder.down_blocks.#", "encoder.down.#", "downsample"),
        *(rule for up in ups for rule in up),
        rename("quant_conv.*", "encoder.quant_conv.*", "conv"),
        rename("post_quant_conv.*", "decoder.post_quant_conv.*", "conv"),
        drop("bn.num_batches_tracked"),
        rename("bn.*", "bn.*"),
    ]


ROLE, FAMILY = "autoencoder", "autoencoder"
LAYOUTS = (
    Layout(ROLE, FAMILY, "diffusers", "decoder.up_blocks.0.resnets.0.conv1.weight", list_diffusers_rules),
    Layout(ROLE, FAMILY, "bfl", "decoder.up.0.block.0.conv1.weight", lambda _: BFL),
)


def _say_statistics(config: dict[str, Any]) -> bool | None:
    """FLUX.2's class has them, diffusers' other ones have not."""
    name = config.get("_class_name")
    return "batch_norm_eps" in config or name == "AutoencoderKLFlux2" if name else None


def _say_levels(config: dict[str, Any]) -> list[Any] | None:
    levels = config.get("block_out_channels")
    return levels if isinstance(levels, list) else None


INFERRED = (
    Inferred("ch_mult", "encoder.down.", _say_levels),
    Inferred("num_res_blocks", "encoder.down.0.block.", say_count("layers_per_block")),
    Inferred("packed_norm", "bn.", _say_statistics, numbered=False),
    Inferred("quant_convs", "encoder.quant_conv.", say_count("use_quant_conv"), numbered=False),
)


def read_sizes(shapes: Shapes, config: dict[str, Any]) -> dict[str, Any]:
    """The arguments of autoencoder.Params from target names and shapes (convolutions already turned).

    Groups, scale and shift come from config.json where there is one. Raises KeyError where a layer is missing.
    """
    ch, _, _, colours = shapes["encoder.conv_in.weight"]
    levels = range(count_numbered(shapes, "encoder.down."))
    mult = tuple(shapes[f"encoder.down.{k}.block.0.conv1.weight"][0] // ch for k in levels)
    top, _, _, channels = shapes["decoder.conv_in.weight"]
    decoder_ch = top // mult[-1]
    packed, quant_convs = "bn.running_mean" in shapes, "encoder.quant_conv.weight" in shapes
    return {
        "ch": ch,
        "decoder_ch": None if decoder_ch == ch else decoder_ch,
        "ch_mult": mult,
        "num_res_blocks": count_numbered(shapes, "encoder.down.0.block."),
        "z_channels": channels,
        "groups": config.get("norm_num_groups") or 32,
        "packed_norm": packed,
        "quant_convs": quant_convs,
        **({} if colours == 3 else {"pixel_patch": math.isqrt(colours // 3)}),
        **({} if packed else _read_scaling(quant_convs, config)),
    }


def _read_scaling(quant_convs: bool, config: dict[str, Any]) -> dict[str, float]:
    """From config.json; where it says nothing FLUX.1's, or Stable Diffusion's, which has quant convs and no shift."""
    if config.get("scaling_factor"):
        return {"scale": float(config["scaling_factor"]), "shift": float(config.get("shift_factor") or 0)}
    return {"scale": 0.18215, "shift": 0.0} if quant_convs else {"scale": 0.3611, "shift": 0.1159}
