"""A stand-in for the pipeline that plays the script of a run, and a short way to call the command line."""

import json
import os
from pathlib import Path
from types import SimpleNamespace
from typing import ClassVar

import numpy as np
from click.testing import CliRunner

from app.base import paths
from app.cli.group import cli
from mlx_model.errors import NotFinite
from mlx_model.events import Done, Loaded, Preview, Stage, Step, from_json
from mlx_model.request import check
from mlx_model.specs import SPECS
from mlx_model.store.folder import write_manifest

ROOT = Path(__file__).resolve().parents[2]
EDITOR = "flux2-klein-4b"
BASE = "flux2-klein-base-4b"


class FakePipeline:
    """Runs the script of events that a real run has; `interrupt` and `fail` say after which step something happens."""

    interrupt = fail = None
    opened: ClassVar[list] = []
    requests: ClassVar[list] = []
    ahead: ClassVar[list] = []  # of each run, the prompts of those that come later
    cached: ClassVar[list] = []  # of each run, the folder where things are kept, or None
    cache = None
    dtype, streamed = "float32", frozenset()
    closed = 0

    def __init__(self, path, dtype):
        self.spec, self.folder = library_spec(path), SimpleNamespace(packages={})
        type(self).opened.append((path, dtype))

    @classmethod
    def open(cls, path, dtype=None):
        return cls(path, dtype)

    def run(self, request, previews=False, ahead=tuple):
        request = check(request, self.spec)
        type(self).requests.append(request)
        type(self).cached.append(self.cache and self.cache.folder)
        type(self).ahead.append([later.prompt for later in ahead()])
        try:
            yield from self._events(request, previews)
        finally:
            type(self).closed += 1

    def _events(self, request, previews):
        pixels = np.full((request.height, request.width, 3), request.seed % 251, np.uint8)
        yield Stage("text")
        yield Loaded(self.spec.name, 0.1)
        yield Stage("denoise", total=request.steps)
        for step in range(1, request.steps + 1):
            if step == self.interrupt:
                raise KeyboardInterrupt
            if step == self.fail:
                raise NotFinite("The latents are not finite.", "Try float32.")
            yield Step(step, request.steps, 0.1 * step, 0.1 * (request.steps - step))
            if previews and step < request.steps:
                yield Preview(step, pixels=pixels)
        yield Done(1.0, seed=request.seed, pixels=pixels, latents=np.zeros((4, 128), np.float32))


def library_spec(path):
    return SPECS[json.loads((Path(path) / "model.json").read_text())["model"]]


def install(name, when):
    spec, folder = SPECS[name], paths.models() / name
    folder.mkdir(parents=True)
    families = {"transformer": spec.family, "text_encoder": spec.text_family, "autoencoder": "autoencoder"}
    sizes = {"transformer": spec.transformer, "text_encoder": spec.text, "autoencoder": spec.autoencoder}
    families |= {role: kind for role, (kind, _) in spec.extras.items()}
    sizes |= {role: params for role, (_, params) in spec.extras.items()}
    parts = {
        role: {"family": kind, "params": sizes[role], "files": {}, "parameters": 0} for role, kind in families.items()
    }
    write_manifest(folder, name, parts, {}, source={}, licence="", plan="q8", dtype="bfloat16")
    os.utime(folder / "model.json", (when, when))


def run(*words, code=0, **options):
    result = CliRunner().invoke(cli, list(words), **options)
    assert result.exit_code == code, result.output + repr(result.exception)
    return result


def events(result):
    return [from_json(line) for line in result.stdout.splitlines()]
