"""What is kept on the disk comes back to the bit, within its bounds, and only where it can be trusted."""

import dataclasses
import os
from pathlib import Path

import mlx.core as mx
import numpy as np
import pytest

from mlx_model.store.cache import Cache, name_entry
from mlx_model.store.folder import open_folder

MINI = Path(__file__).parents[3] / "assets" / "mini"
VALUE = [
    (mx.arange(6, dtype=mx.float32).reshape(2, 3) / 7, mx.ones((1, 0, 4), mx.float16)),
    (mx.array(0.1, mx.bfloat16),),
]


@pytest.fixture
def cache(tmp_path):
    return Cache(tmp_path / "cache")


def only_file(cache):
    (file,) = cache.folder.iterdir()
    return file


def test_the_same_bits_come_back(cache):
    assert cache.get("a") is None
    cache.put("a", VALUE)
    cache.put("one", VALUE[0][0])
    (first, empty), (last,) = cache.get("a")
    assert (first.dtype, empty.shape, last.dtype) == (mx.float32, (1, 0, 4), mx.bfloat16)
    assert np.array(first).tobytes() == np.array(VALUE[0][0]).tobytes()
    assert last.view(mx.uint16).item() == VALUE[1][0].view(mx.uint16).item()
    assert mx.array_equal(cache.get("one"), VALUE[0][0])
    assert cache.measure().entries == 2


def test_nobody_else_reads_it(cache):
    cache.put("a", VALUE)
    assert cache.folder.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("place", [0, 9, 40, -40, -1])
def test_a_damaged_entry_is_refused_and_goes(cache, place):
    cache.put("a", VALUE)
    data = bytearray(only_file(cache).read_bytes())
    data[place] ^= 1
    only_file(cache).write_bytes(data)
    assert cache.get("a") is None
    assert list(cache.folder.iterdir()) == []


@pytest.mark.parametrize("cut", [0, 7, 30, -33, -1])
def test_an_entry_cut_short_is_refused(cache, cut):
    cache.put("a", VALUE)
    only_file(cache).write_bytes(only_file(cache).read_bytes()[:cut])
    assert cache.get("a") is None


@pytest.mark.parametrize("what", ["folder", "link", "second name"])
def test_what_others_could_have_written_is_not_trusted(cache, tmp_path, what):
    cache.put("a", VALUE)
    file, other = only_file(cache), tmp_path / "other"
    if what == "link":
        file.rename(other)
        file.symlink_to(other)
    elif what == "second name":
        os.link(file, other)
    else:
        cache.folder.chmod(0o777)
    assert cache.get("a") is None
    before = sorted(cache.folder.iterdir())
    if what == "folder":
        cache.put("b", VALUE)
        assert sorted(cache.folder.iterdir()) == before


def test_a_folder_of_another_user_is_left_alone(cache, monkeypatch):
    cache.put("a", VALUE)
    monkeypatch.setattr(os, "getuid", lambda: 12345)
    assert cache.get("a") is None
    cache.put("b", VALUE)
    assert cache.measure().entries == 1


def test_the_longest_unused_goes_first(cache):
    value = mx.zeros((1000,))
    cache.limit = 13_000
    for number, key in enumerate("abc"):
        cache.put(key, value)
        os.utime(cache.folder / f"{key}.kept", (number, number))
    assert cache.get("a") is not None  # used now
    cache.put("d", value)
    assert sorted(file.stem for file in cache.folder.iterdir()) == ["a", "c", "d"]
    cache.put("large", mx.zeros((5000,)))  # more than the bound: nothing goes for it
    assert cache.measure().entries == 3


def test_a_full_disk_and_a_file_in_the_way_are_no_errors(cache, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda path: type("", (), {"free": 1000})())
    cache.put("a", mx.zeros((1000,)))
    assert cache.measure().entries == 0
    cache.folder.rmdir()
    cache.folder.write_text("mine")
    cache.put("a", VALUE)
    assert cache.get("a") is None
    assert cache.clear().entries == 0
    assert cache.folder.read_text() == "mine"


def test_clearing_leaves_what_is_not_ours(cache):
    cache.put("a", VALUE)
    (cache.folder / "notes.txt").write_text("mine")
    assert cache.clear().entries == 1
    assert [file.name for file in cache.folder.iterdir()] == ["notes.txt"]


def test_an_entry_is_called_by_all_that_it_depends_on():
    folder = open_folder(MINI)
    weights = folder.components["autoencoder"]
    changed = {name: {**facts, "sha256": "0" * 64} for name, facts in weights.files.items()}
    other = dataclasses.replace(
        folder, components={**folder.components, "autoencoder": dataclasses.replace(weights, files=changed)}
    )
    encoder = ("autoencoder",)
    names = {
        name_entry(folder, encoder, "float32", "a"),
        name_entry(folder, encoder, "float32", "b"),
        name_entry(folder, encoder, "bfloat16", "a"),
        name_entry(folder, ("text_encoder",), "float32", "a"),
        name_entry(other, encoder, "float32", "a"),
    }
    assert len(names) == 5
    assert name_entry(other, ("text_encoder",), "float32", "a") in names


def test_what_another_chip_made_is_another_entry(monkeypatch):
    """One version of MLX, on one system, computes on the processor or on a card."""
    name = name_entry(open_folder(MINI), ("autoencoder",), "float32", "a")
    monkeypatch.setattr(mx, "default_device", lambda: mx.Device(mx.gpu))
    assert name_entry(open_folder(MINI), ("autoencoder",), "float32", "a") != name
