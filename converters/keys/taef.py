"""The tiny autoencoders: native files (an encoder and a decoder, numbered layers) and TAEF1's diffusers form.

Source: madebyollin/taesd taesd.py; diffusers models/autoencoders/autoencoder_tiny.py.
"""

from typing import Any

from .rules import Inferred, Layout, Rule, Shapes, rename

DECODER_LAYERS = 20  # the native decoder's first is the clamp, which diffusers does not count
ENCODER = [rename("*", "encoder.*", "conv")]
DECODER = [rename("*", "decoder.*", "conv")]
JOINED = [rename("*", "*", "conv")]  # both native files in one, behind `encoder.` and `decoder.`


def list_diffusers_rules(_: Shapes) -> list[Rule]:
    moved = [
        rename(f"decoder.layers.{number}.*", f"decoder.{number + 1}.*", "conv") for number in range(DECODER_LAYERS - 1)
    ]
    return [rename("encoder.layers.#.*", "encoder.#.*", "conv"), *moved]


ROLE, FAMILY = "tiny_autoencoder", "tiny_autoencoder"
LAYOUTS = (
    Layout(ROLE, FAMILY, "diffusers", "decoder.layers.0.weight", list_diffusers_rules),
    Layout(ROLE, FAMILY, "native", "decoder.1.weight", lambda _: JOINED),
    Layout(ROLE, FAMILY, "native encoder", "0.weight", lambda _: ENCODER),
    Layout(ROLE, FAMILY, "native decoder", "1.weight", lambda _: DECODER),
)

INFERRED = (Inferred("pool", "decoder.3.pool.", lambda _: None, numbered=False),)


def read_sizes(shapes: Shapes, config: dict[str, Any]) -> dict[str, Any]:
    """The arguments of tiny_autoencoder.Params from target names and shapes (convolutions already turned)."""
    return {"z_channels": shapes["decoder.1.weight"][3], "pool": "decoder.3.pool.0.weight" in shapes}
