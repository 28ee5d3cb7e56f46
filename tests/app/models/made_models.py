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
    import mlx.core as mx
    from mlx.utils import tree_flatten

    from mlx_model.nets.depth_anything import DepthAnything, Params
    from mlx_model.run import depth

    tiny = Params(
        hidden_size=32, num_hidden_layers=4, num_attention_heads=2, image_size=70, out_indices=(1, 2, 3, 4),
        neck_hidden_sizes=(8, 12, 16, 24), fusion_hidden_size=16, head_hidden_size=8,
    )  # fmt: skip
    monkeypatch.setattr(depth, "Params", lambda: tiny)
    mx.random.seed(3)
    tensors = {}
    for name, value in tree_flatten(DepthAnything(tiny).parameters()):
        one = mx.random.normal(value.shape) * 0.15 + float("norm" in name and "weight" in name)
        up = "reassemble_stage.layers.0.resize" in name or "reassemble_stage.layers.1.resize" in name
        tensors[name] = one.transpose((3, 0, 1, 2) if up else (0, 3, 1, 2)) if one.ndim == 4 else one
    tensors["head.conv3.bias"] = mx.ones(1)
    folder.mkdir(parents=True, exist_ok=True)
    mx.save_safetensors(str(folder / "model.safetensors"), {name: mx.contiguous(one) for name, one in tensors.items()})
    return folder
