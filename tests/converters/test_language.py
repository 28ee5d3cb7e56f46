"""A tiny Qwen3 becomes a writer that mlx-lm opens, at all bits, whole or not at all."""

import json
from contextlib import suppress
from itertools import takewhile

import pytest

from converters.language import make_writer
from mlx_model.errors import FluxLocalError, LayoutError, RequestError
from mlx_model.events import Done
from mlx_model.languages import LANGUAGES
from mlx_model.run.write import Writer
from mlx_model.store.writer_folder import RECORD
from mlx_model.writing import MAKERS
from tests.tiny_language import save_language

pytest.importorskip("mlx_lm")
ROW = LANGUAGES["qwen3-4b"]


@pytest.fixture
def source(tmp_path):
    return save_language(tmp_path / "text_encoder", tmp_path / "tokenizer")


def make(source, out, bits=16):
    return list(make_writer(ROW, source, source.parent / "tokenizer", out, bits))


@pytest.mark.parametrize("bits", [4, 8, 16])
def test_it_is_opened_and_writes(source, tmp_path, bits, capsys):
    (source / MAKERS).write_text('{"t2i": "Describe."}')
    out = tmp_path / "made" / "writer"
    out.parent.mkdir()
    assert isinstance(make(source, out, bits)[-1], Done)
    assert capsys.readouterr().out == ""
    record = json.loads((out / RECORD).read_text())
    assert record["bits"] == bits
    assert {"config.json", "model.safetensors", "tokenizer.json", MAKERS} <= set(record["files"])
    events = Writer.open(out, 2**40).write("a fox")
    *loading, last = takewhile(lambda event: getattr(event, "name", "") != "write", events)
    assert (loading[0].name, last.step, next(events).step) == ("load", 100, 1)
    assert [path.name for path in out.parent.iterdir()] == ["writer"]


def test_an_older_one_is_replaced_and_kept_where_the_new_one_fails(source, tmp_path):
    out = tmp_path / "made" / "writer"
    out.parent.mkdir()
    make(source, out, 4)
    make(source, out, 8)
    assert json.loads((out / RECORD).read_text())["bits"] == 8
    (source / "model.safetensors").write_bytes(b"no weights")
    with pytest.raises(FluxLocalError):
        make(source, out, 4)
    assert json.loads((out / RECORD).read_text())["bits"] == 8
    assert [path.name for path in out.parent.iterdir()] == ["writer"]


def test_what_is_no_language_model_is_told(source, tmp_path):
    (source / "config.json").unlink()
    with pytest.raises(LayoutError, match="sound config"):
        make(source, tmp_path / "writer")
    assert not (tmp_path / "writer").exists()


def test_without_mlx_lm_nothing_begins(source, tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "mlx_lm", None)
    with pytest.raises(RequestError, match="mlx-lm"):
        make(source, tmp_path / "writer")


def test_stopping_leaves_nothing(source, tmp_path):
    out = tmp_path / "made" / "writer"
    out.parent.mkdir()
    events = make_writer(ROW, source, source.parent / "tokenizer", out, 16)
    with suppress(StopIteration):
        next(events), next(events)
    events.close()
    assert list(out.parent.iterdir()) == []
