"""What the plans do to the built-in model's velocity at equal bytes: python -m tests.bench.plan_snr

Its matrices (themselves unpacked from 8 bits) are packed by each plan, once by mx.quantize and once fitted; `uniform`
packs every matrix alike, as mlx.nn.quantize does by default. dB against the unpacked model, at three times.
"""

if __name__ == "__main__":
    from app.base import blas

    blas.preload()

import mlx.core as mx
import numpy as np
from mlx.utils import tree_flatten

from converters import quantize
from converters.quantize import PLANS, Form, find_form
from mlx_model.nets.ops import timestep_features
from mlx_model.run.latents import grid_ids, text_ids
from mlx_model.store import lora, weights
from mlx_model.store.folder import Folder, open_folder
from tests.bench.codec_snr import ROOT, snr, unpacked

GRID, TEXT, TIMES = (8, 8), 48, (0.9, 0.5, 0.2)

Weights = dict[str, mx.array]


def dense(folder: Folder) -> Weights:
    """All tensors of the transformer, unpacked."""
    net = weights.open_component(folder, "transformer", mx.float32)
    named = dict(tree_flatten(net.parameters()))
    for name in lora.layer_sizes(net):
        parent, key = weights.locate(net, name)
        if isinstance(parent[key], weights.PackedLinear):
            named[f"{name}.weight"] = parent[key](mx.eye(lora.size(parent[key])[1])).T
    return {name: array for name, array in named.items() if name.rpartition(".")[2] not in ("scales", "biases")}


def velocity(folder: Folder, named: Weights) -> mx.array:
    net = weights.build("transformer", folder.spec.family, folder.components["transformer"].params)
    net.load_weights(list(named.items()))
    random = np.random.RandomState(0)
    latents = mx.array(random.standard_normal((1, GRID[0] * GRID[1], net.params.in_channels)).astype(np.float32))
    text = mx.array(random.standard_normal((1, TEXT, net.params.context_in_dim)).astype(np.float32))
    condition = net.condition(text, net.rope(np.concatenate([text_ids(TEXT), grid_ids(GRID)])))
    return mx.concatenate([net(latents, timestep_features([t]), condition) for t in TIMES])


def packed(named: Weights, form, fitted: bool) -> tuple[Weights, float]:
    """The weights after packing and unpacking, and the bytes they took. `form`: from a name to its Form."""
    made, size = {}, 0.0
    for name, array in named.items():
        bits, rotated = form(name)
        if bits >= 16 or array.ndim != 2 or array.shape[1] % quantize.ROTATION:
            made[name], size = array.astype(mx.bfloat16).astype(mx.float32), size + 2 * array.size
            continue
        if fitted:
            parts = quantize.pack(array, bits, 64, rotated, mx.bfloat16)
        else:
            parts = mx.quantize(array.astype(mx.bfloat16), 64, bits)
        made[name] = unpacked(parts, bits, 64, rotated and fitted)
        size += sum(part.nbytes for part in parts)
    return made, size


def main() -> None:
    folder = open_folder(ROOT / "assets" / "mini")
    named = dense(folder)
    exact = velocity(folder, named)
    for bits in (3, 4, 5, 6, 8):
        cases = {"uniform, mx.quantize": (lambda _, bits=bits: Form(bits), False)}
        for plan in (f"q{bits}", f"q{bits}r"):
            if plan in PLANS:
                chosen = lambda name, plan=plan: find_form(name, PLANS[plan])  # noqa: E731
                cases |= {f"{plan}, mx.quantize": (chosen, False), f"{plan}, fitted": (chosen, True)}
        for what, (form, fitted) in cases.items():
            if not (what.startswith(f"q{bits}r") and not fitted):
                made, size = packed(named, form, fitted)
                print(f"{bits} bits  {what:22} {size / 1e6:.3f} MB  {snr(exact, velocity(folder, made)):6.2f} dB")


if __name__ == "__main__":
    main()
