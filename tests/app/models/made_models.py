"""Models that are installed for a test, without weights or with the built-in model's."""

import json
import os
import shutil
from pathlib import Path

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
