"""Models that are installed for a test, without weights or with the built-in model's."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

from app.base import paths
from app.board.data import Board
from app.board.panel_job import Choice, choose_size
from app.models.library import Model
from mlx_model.specs import ModelSpec
from mlx_model.store.folder import Folder

LONG_AGO = 1_000_000


def choose(board: Board, panel_id: str, spec: ModelSpec) -> Choice:
    """What renders the panel where a model of these facts is installed."""
    return choose_size(board, board.panel(panel_id), Model(Folder(Path(spec.name), spec, {}), spec.name))


def fine_tune(name: str, **sizes: object) -> Path:
    """The built-in model's folder under another name in the models folder, its transformer of other sizes."""
    folder = Path(shutil.copytree(paths.mini(), paths.models() / name))
    manifest = json.loads((folder / "model.json").read_text("utf-8"))
    manifest["components"]["transformer"]["params"].update(sizes)
    (folder / "model.json").write_text(json.dumps(manifest), "utf-8")
    os.utime(folder / "model.json", (LONG_AGO, LONG_AGO))
    return folder


def make_depth(folder: Path, monkeypatch: Any) -> Path:
    """A tiny Depth Anything with random weights, in the published form, which the program takes for the small one."""
    from mlx_model.nets.depth_anything import DepthAnything, Params
    from mlx_model.run import depth

    tiny = Params(
        hidden_size=32, num_hidden_layers=4, num_attention_heads=2, image_size=70, out_indices=(1, 2, 3, 4),
        neck_hidden_sizes=(8, 12, 16, 24), fusion_hidden_size=16, head_hidden_size=8,
    )  # fmt: skip
    monkeypatch.setattr(depth, "Params", lambda: tiny)
    return save_published(DepthAnything(tiny), folder)


def make_enlarger(folder: Path, monkeypatch: Any, factor: int = 2) -> Path:
    """A tiny Swin2SR with random weights, in the published form, which the program takes for the published one."""
    from mlx_model.nets.swin2sr import Params, Swin2SR
    from mlx_model.run import upscale

    tiny = {"embed_dim": 12, "depths": (2, 2), "num_heads": 2}
    monkeypatch.setattr(upscale, "Params", lambda upscale: Params(upscale, **tiny))
    return save_published(Swin2SR(Params(factor, **tiny)), folder)


def save_published(net: Any, folder: Path) -> Path:
    """The network with random weights, as torch would have saved it."""
    import mlx.core as mx
    import mlx.nn as nn
    from mlx.utils import tree_flatten

    mx.random.seed(3)
    back = {f"{name}.weight" for name, one in net.named_modules() if isinstance(one, nn.ConvTranspose2d)}
    tensors = {}
    for name, value in tree_flatten(net.parameters()):
        one = mx.random.normal(value.shape) * 0.15 + float("norm" in name and "weight" in name)
        tensors[name] = one.transpose((3, 0, 1, 2) if name in back else (0, 3, 1, 2)) if one.ndim == 4 else one
    if "head.conv3.bias" in tensors:
        tensors["head.conv3.bias"] = mx.ones(1)
    folder.mkdir(parents=True, exist_ok=True)
    mx.save_safetensors(str(folder / "model.safetensors"), {name: mx.contiguous(one) for name, one in tensors.items()})
    return folder
