"""The built-in model at 256 px, as it is being trained: sizes, rates, and the order in which things are learned."""

import dataclasses

from mlx_model.nets import autoencoder, flux2, text_qwen3
from mlx_model.specs import SPECS

SIDE, GRID = 256, (8, 8)  # pixels of a picture; tokens of 32 x 32 pixels
SPEC = dataclasses.replace(
    SPECS["mini"],
    transformer={
        "hidden_size": 256, "num_heads": 4, "depth": 2, "depth_single_blocks": 4, "context_in_dim": 384,
        "in_channels": 64, "axes_dim": (8, 24, 24, 8), "theta": 50.0,
    },
    autoencoder={
        "ch": 16, "decoder_ch": 32, "ch_mult": (1, 1, 2, 4), "num_res_blocks": 1, "z_channels": 16, "groups": 4,
        "pixel_patch": 2,
    },
    max_tokens=40,  # the prompts of six references
    max_references=6,
    steps=4,
    size=(SIDE, SIDE),
    size_multiple=SIDE // GRID[0],
    max_pixels=4 * SIDE * SIDE,
    output_pixels=SIDE * SIDE,
    reference_pixels=(SIDE * SIDE, SIDE * SIDE),
)  # fmt: skip
AUTOENCODER, TRANSFORMER = autoencoder.Params(**SPEC.autoencoder), flux2.Params(**SPEC.transformer)
TEXT = text_qwen3.Params(**SPEC.text)

PHASES = (("copy", 2_600), ("edits", 12_000))  # until so many samples; then "all" that the world can ask
MUON_RATE, ADAM_RATE = 0.012, 1.5e-3
WARMUP = 30  # steps
TIME_SHIFT = 0.7  # more noise than at 32 channels a token
AVERAGE = 0.998  # of the moving average, a step; shorter where the rate falls
AVERAGE_FALLING = 0.985
CLIP = 1.0  # of the gradient's norm


def phase(samples: int) -> str:
    """What is learned after so many samples: copying its reference is what teaches the model to look at references."""
    return next((name for name, end in PHASES if samples < end), "all")
