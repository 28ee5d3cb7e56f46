"""The built-in model, as the mirror trains it: rates, and the order in which things are learned."""

from mlx_model.nets import autoencoder, flux2, text_qwen3
from mlx_model.specs import SPECS

SPEC = SPECS["mini"]
SIDE, GRID = SPEC.size.width, (8, 8)  # pixels of a picture; tokens of 32 x 32 pixels
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
