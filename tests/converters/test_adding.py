"""docs/ADDING.md is true: its row is taken from the page, and with it alone a checkpoint is a model."""

import re
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

from app.models.library import catalogue
from converters.convert import convert
from converters.identify import identify
from converters.keys import families
from mlx_model import memory
from mlx_model.errors import RequestError
from mlx_model.nets import flux2
from mlx_model.request import Reference, Request, check
from mlx_model.specs import SPECS
from mlx_model.store.folder import open_folder
from tests.converters.checkpoints import single_file

PAGE = Path(__file__).parents[2] / "docs" / "ADDING.md"


@pytest.fixture
def row(monkeypatch):
    code = re.search(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.S)[1]
    names = {}
    exec(compile(code, str(PAGE), "exec"), names)
    monkeypatch.setitem(SPECS, names["row"].name, names["row"])
    return names["row"]


def test_it_is_listed(row):
    entry = catalogue(memory.machine())[-1]
    assert (entry["name"], entry["steps"], entry["does"]["references"]) == (row.name, 8, 2)
    assert entry["memory_bytes"]["8"] > entry["memory_bytes"]["4"] > 0


def test_a_checkpoint_converts_and_opens_as_it(row, tmp_path):
    source = single_file(tmp_path / "source", "FLUX.2-klein-comics.safetensors")
    list(convert(source, tmp_path / "out", bits=8))
    folder = open_folder(tmp_path / "out")
    assert (folder.spec.name, folder.spec.steps) == (row.name, 8)
    assert folder.spec.transformer["hidden_size"] == 64
    params = flux2.Params(**row.transformer)
    path = Path("/downloads/FLUX.2-klein-comics/transformer.safetensors")
    assert identify(path, row.family, params, {}) == (row, True)


def test_what_it_can_do_is_read_from_the_row(row):
    picture = Reference("a.png", pixels=np.zeros((64, 64, 3), np.uint8))
    assert check(Request(row.name, "a", references=(picture,) * 2), row).steps == 8
    with pytest.raises(RequestError, match="takes up to 2"):
        check(Request(row.name, "a", references=(picture,) * 3), row)


@pytest.mark.parametrize("family", sorted({spec.family for spec in SPECS.values()}))
def test_a_family_is_the_files_and_names_that_the_page_lists(family):
    section = PAGE.read_text("utf-8").split("## A new family: four touches")[1]
    touches = re.findall(r"^\d\. (.*(?:\n   .*)*)", section, re.M)
    assert len(touches) == 4
    for touch in touches[:3]:
        path, *names = re.findall(r"`([\w/<>.]+)`", touch)
        module = import_module(path.replace("<family>", family).removesuffix(".py").replace("/", "."))
        assert all(hasattr(module, name) for name in names if "/" not in name and name != "solver"), names
    assert set(import_module(f"converters.keys.{family}").LAYOUTS) <= set(families.LAYOUTS)
    assert family in families.SIZES
