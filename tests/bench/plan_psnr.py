"""What each plan does to the built-in model's pictures: python -m tests.bench.plan_psnr

Its transformer and text encoder (themselves unpacked from 8 bits, which favours q8) are packed by each plan, saved as a
folder, and run by the real pipeline on the same requests and seeds; PSNR of the pictures against unpacked weights.
"""

if __name__ == "__main__":
    from app.base import blas

    blas.preload()

import tempfile
from importlib import import_module
from pathlib import Path

import mlx.core as mx
import numpy as np
from mlx.utils import tree_flatten
from PIL import Image

from converters.quantize import PLANS, encode
from mlx_model.request import Reference, Request
from mlx_model.run.pipeline import Pipeline
from mlx_model.specs import PACKED_ROLES
from mlx_model.store.folder import Folder, open_folder, save_tokenizer, write_manifest
from mlx_model.store.shards import load_lazily
from mlx_model.store.weights import PackedEmbedding, PackedLinear, open_component, save_component
from tests.bench.codec_snr import ROOT

MINI, EXAMPLES = ROOT / "assets" / "mini", ROOT / "assets" / "examples"
SEEDS = (1,)
WORDS = ("a dog on the beach at sunset", "a robot in the forest by day", "a fox in the snow at night")
EDITS = (("dog.png", "make it night"), ("fox_robot.png", "make it sunset"), ("unicorn.png", "move it to the desert"))


def dense(folder: Folder, role: str) -> dict[str, mx.array]:
    """All tensors of a component, unpacked."""
    net = open_component(folder, role, mx.float32)
    named = dict(tree_flatten(net.parameters()))
    for name, layer in net.named_modules():
        if isinstance(layer, PackedLinear):
            named[f"{name}.weight"] = layer.rotate_back(_matrix(layer))
        elif isinstance(layer, PackedEmbedding):
            named[f"{name}.weight"] = _matrix(layer)
    return {name: x for name, x in named.items() if name.rpartition(".")[2] not in ("scales", "biases", "rotation")}


def _matrix(layer) -> mx.array:
    form = {"group_size": layer.group_size, "bits": layer.bits}
    return mx.dequantize(layer.weight, layer.scales, layer.biases, **form)


def repacked(folder: Folder, plan: str, out: Path) -> Folder:
    """The same model with its large components stored by another plan."""
    out.mkdir()
    components = {}
    for role, part in folder.components.items():
        if role in PACKED_ROLES:
            parts = [encode(name, array, PLANS[plan]) for name, array in dense(folder, role).items()]
            arrays = {name: array for group in parts for name, array in group.items()}
        else:
            arrays = {name: array for file in folder.files(role) for name, array in load_lazily(file).items()}
        params = import_module(f"mlx_model.nets.{part.family}").Params(**part.params)
        components[role] = save_component(out, role, part.family, params, arrays)
    tokenizer = save_tokenizer(out, sorted(folder.tokenizer_path.iterdir()))
    facts = {"source": {}, "licence": folder.licence, "plan": plan, "dtype": "float32"}
    write_manifest(out, folder.spec.name, components, tokenizer, **facts)
    return open_folder(out)


def requests() -> list[Request]:
    made = [Request("mini", words, seed=seed) for words in WORDS for seed in SEEDS]
    for name, words in EDITS:
        pixels = np.array(Image.open(EXAMPLES / name).convert("RGB"))
        made += [Request("mini", words, seed=seed, references=(Reference(pixels=pixels),)) for seed in SEEDS]
    return made


def pictures(folder: Folder) -> list[np.ndarray]:
    pipeline = Pipeline(folder, "float32")
    return [[*pipeline.run(request)][-1].pixels.astype(np.float64) for request in requests()]


def psnr(exact: np.ndarray, made: np.ndarray) -> float:
    """dB of 8-bit pictures."""
    return float(10 * np.log10(255**2 / max(1e-9, np.square(exact - made).mean())))


def main() -> None:
    folder = open_folder(MINI)
    with tempfile.TemporaryDirectory() as place:
        exact = pictures(repacked(folder, "32bit", Path(place) / "32bit"))
        for plan in PLANS:
            if plan == "32bit":
                continue
            made = repacked(folder, plan, Path(place) / plan)
            size = sum(made.components[role].bytes for role in PACKED_ROLES)
            each = [psnr(*pair) for pair in zip(exact, pictures(made), strict=True)]
            print(f"{plan:6} {size / 1e6:5.2f} MB  PSNR mean {np.mean(each):5.1f} dB, worst {min(each):5.1f} dB")


if __name__ == "__main__":
    main()
