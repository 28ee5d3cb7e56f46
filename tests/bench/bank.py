"""The reference bank of klein 9B KV's proportions in small: what it holds beside what is counted, the most while it is
made, and its bits against layers that are evaluated all at once: python -m tests.bench.bank

Bars: held / counted 1.05; bit-equal at 16 bits.
"""

import gc
from collections.abc import Callable
from typing import Any

import mlx.core as mx
import numpy as np
from mlx.utils import tree_flatten

from mlx_model.nets import flux2
from mlx_model.run.latents import reference_ids
from mlx_model.run.references import Kept
from tests.bench.table import print_row

WIDTH, HEADS, DOUBLE, SINGLE = 256, 2, 2, 6  # 4096, 32, 8, 24 in the model
GRIDS = [(8, 8)] * 4


def made_network(params: Any, dtype: mx.Dtype, make: Callable[[Any], Any] = flux2.Transformer) -> Any:
    """With weights that are drawn, the same each time."""
    network, rng = make(params), np.random.default_rng(3)
    shapes = tree_flatten(network.parameters())
    draw = lambda shape: mx.array(rng.normal(0, shape[-1] ** -0.5, shape).astype(np.float32)).astype(dtype)  # noqa: E731
    network.load_weights([(name, draw(array.shape)) for name, array in shapes], strict=True)
    mx.eval(network.parameters())
    return network


def main() -> None:
    network = made_network(flux2.Params(WIDTH, HEADS, DOUBLE, SINGLE, 64, in_channels=16), mx.bfloat16)
    tokens = sum(rows * columns for rows, columns in GRIDS)
    latents = mx.random.normal((1, tokens, 16), key=mx.random.key(1))
    rope = network.rope(reference_ids(GRIDS))
    mx.eval(latents, rope)
    gc.collect()
    before = mx.get_active_memory()
    mx.reset_peak_memory()
    kept = Kept()
    bank = kept.get("set", lambda: network.reference_bank(latents, rope))
    gc.collect()
    held, peak = mx.get_active_memory() - before, mx.get_peak_memory() - before
    print_row("bank: MB held beside those counted", held / 1e6, kept.nbytes / 1e6, 1.05)
    print(f"the most while it is made {peak / 1e6:.1f} MB: {peak / kept.nbytes:.3f}")
    at_once = network.reference_bank(latents, rope)
    mx.eval(at_once)
    same = all(
        np.array_equal(*(np.array(one.view(mx.uint16)) for one in pair))
        for made, whole in zip(bank, at_once, strict=True)
        for pair in zip(made, whole, strict=True)
    )
    print_row("bank: whether made all at once it differs", not same, bar=0)


if __name__ == "__main__":
    main()
