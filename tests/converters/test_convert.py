"""A checkpoint becomes a whole folder or nothing at all."""

import dataclasses
import shutil
from collections import namedtuple
from pathlib import Path

import mlx.core as mx
import numpy as np
import pytest
from mlx.utils import tree_flatten

from converters import identify
from converters.convert import convert
from mlx_model.errors import ConvertError, DiskFull, LayoutError, RequestError
from mlx_model.events import Done, Note, Stage, Step
from mlx_model.specs import SPECS
from mlx_model.store.folder import open_folder, sha256_of
from mlx_model.store.weights import open_component
from tests.converters.checkpoints import PARAMS, arrays, converted, save, single_file, source_arrays
from tests.measuring import peak_of_mlx


@pytest.fixture
def source(tmp_path):
    return single_file(tmp_path / "source")


def test_values_arrive(source, tmp_path):
    """By our own reading of BFL's names: the transformer as it is, convolutions turned, unused layers gone."""
    list(convert(source, tmp_path / "out", bits=32))
    folder = open_folder(tmp_path / "out")
    for role, params in PARAMS.items():
        module = open_component(folder, role, mx.float32)
        assert module.params == params
        original = {name: np.array(array) for name, array in arrays(role).items()}
        for name, array in tree_flatten(module.parameters()):
            assert np.array_equal(np.array(array), original[name]), name


def test_manifest(source, tmp_path):
    list(convert(source, tmp_path / "out"))
    folder = open_folder(tmp_path / "out")
    assert folder.spec.name == "flux2-klein-4b"
    assert (folder.plan, folder.dtype, folder.licence) == ("16bit", "bfloat16", "unknown")
    assert folder.source["name"] == source.name
    assert folder.source["files"][f"source/{source.name}"] == sha256_of(source)
    assert len(folder.source["files"]) == 3
    assert sorted(folder.tokenizer) == ["tokenizer/tokenizer.json", "tokenizer/tokenizer_config.json"]
    assert str(tmp_path) not in (tmp_path / "out" / "model.json").read_text()


def test_events(source, tmp_path):
    events = list(convert(source, tmp_path / "out"))
    stages = [event for event in events if isinstance(event, Stage)]
    assert [(stage.name, stage.detail) for stage in stages[1:-1]] == [("write", role) for role in PARAMS]
    assert (stages[0].name, stages[-1].name) == ("read", "check")
    assert sum(isinstance(event, Step) for event in events) == sum(stage.total or 0 for stage in stages)
    assert any(isinstance(event, Note) for event in events)
    assert isinstance(events[-1], Done)
    assert events[-1].path == str(tmp_path / "out")
    assert all(event.to_json() for event in events)


def test_companions(source, tmp_path):
    """A lone file takes the rest from a diffusers folder, or from a converted one."""
    lone = shutil.copy(source, tmp_path / "flux-2-klein-4b.safetensors")
    with pytest.raises(ConvertError, match="without text_encoder and autoencoder and tokenizer") as error:
        list(convert(lone, tmp_path / "out"))
    assert "ae.safetensors" in error.value.hint.values["places"]
    list(convert(lone, tmp_path / "one", companions=source.parent, bits=32))
    list(convert(lone, tmp_path / "two", companions=tmp_path / "one", bits=32))
    hashes = [{name: f["sha256"] for name, f in open_folder(tmp_path / x).list_files().items()} for x in ("one", "two")]
    assert hashes[0] == hashes[1]


@pytest.mark.sweep
def test_packed_companions_stay_packed(source, tmp_path):
    list(convert(source, tmp_path / "small", bits=4))
    lone = shutil.copy(source, tmp_path / "flux-2-klein-4b.safetensors")
    list(convert(lone, tmp_path / "out", companions=tmp_path / "small", bits=16))
    small, out = open_folder(tmp_path / "small"), open_folder(tmp_path / "out")
    assert small.components["text_encoder"].files == out.components["text_encoder"].files
    assert small.components["transformer"].bytes < out.components["transformer"].bytes


def test_autoencoder_in_one_file(source, tmp_path):
    """BFL's ae.safetensors has no config; 32 groups are then taken for granted, which 8 channels can't have."""
    shutil.rmtree(source.parent / "vae")
    tensors = source_arrays("autoencoder")
    save(source.parent / "AE.SAFETENSORS", tensors)
    with pytest.raises((ConvertError, LayoutError)):
        list(convert(source, tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_wrong_companion(source, tmp_path):
    tensors = source_arrays("text_encoder")
    tensors["model.embed_tokens.weight"] = mx.zeros((96, 48))
    save(source.parent / "text_encoder" / "model.safetensors", tensors)
    with pytest.raises((ConvertError, LayoutError)):
        list(convert(source, tmp_path / "out"))


def test_existing_out(source, tmp_path):
    out = tmp_path / "out"
    list(convert(source, out))
    before = open_folder(out).list_files()
    with pytest.raises(RequestError, match="exists"):
        list(convert(source, out))
    list(convert(source, out, bits=8, force=True))
    assert open_folder(out).list_files() != before
    assert sorted(child.name for child in tmp_path.iterdir()) == ["out", "source"]


def test_force_replaces_only_models(source, tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.jpg").write_bytes(b"x")
    with pytest.raises(RequestError, match="is not replaced"):
        list(convert(source, tmp_path / "photos", force=True))
    assert (tmp_path / "photos" / "a.jpg").exists()


@pytest.mark.parametrize("steps", [1, 3, 40, 120, 200])
def test_interrupted(source, tmp_path, steps):
    """Closing the generator at any point leaves nothing."""
    events = convert(source, tmp_path / "out")
    for _ in range(steps):
        next(events)
    events.close()
    assert [child.name for child in tmp_path.iterdir()] == ["source"]


def test_interrupted_replacement_keeps_the_old(source, tmp_path):
    out = converted(tmp_path / "models" / "out")
    before = open_folder(out).list_files()
    events = convert(source, out, force=True)
    for _ in range(50):
        next(events)
    events.close()
    assert open_folder(out).list_files() == before


def test_a_link_to_another_place(source, tmp_path):
    """The model lands where it leads, and is replaced there."""
    (tmp_path / "disk").mkdir()
    (tmp_path / "out").symlink_to("disk")
    list(convert(source, tmp_path / "out"))
    list(convert(source, tmp_path / "out", bits=8, force=True))
    assert (tmp_path / "out").is_symlink()
    assert open_folder(tmp_path / "disk").plan == "q8"


@pytest.mark.parametrize("place", ["nowhere", "itself", "a file", "no disk"])
def test_places_that_can_not_be(source, tmp_path, place):
    """Said before an hour of work, and nothing is left."""
    (tmp_path / "nowhere").symlink_to("gone")
    (tmp_path / "itself").symlink_to("itself")
    (tmp_path / "a file").write_bytes(b"x")
    out = Path("/proc/x") if place == "no disk" else tmp_path / place / ("x" if place == "a file" else "")
    before = sorted(tmp_path.iterdir())
    events = convert(source, out)
    with pytest.raises(RequestError) as error:
        [event for event in events if isinstance(event, Step) and pytest.fail("it had begun")]
    assert error.value.hint
    assert sorted(tmp_path.iterdir()) == before


def test_too_little_space(source, tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10**9, 10**9, 1000))
    with pytest.raises(DiskFull, match=r"needs 1\.4 MB .* 1\.0 kB free") as error:
        list(convert(source, tmp_path / "out"))
    assert error.value.exit_code == 4
    assert [child.name for child in tmp_path.iterdir()] == ["source"]


def test_a_tie(source, tmp_path, monkeypatch):
    """With published sizes and a name that says nothing, the caller must choose."""
    sizes = vars(PARAMS["transformer"])
    rows = {
        name: _resized(row, sizes) for name, row in SPECS.items() if name.startswith("flux2-klein") and "4b" in name
    }
    monkeypatch.setattr(identify, "SPECS", rows)
    unnamed = source.rename(source.with_name("model.safetensors"))
    with pytest.raises(RequestError, match="flux2-klein-4b, flux2-klein-base-4b"):
        list(convert(unnamed, tmp_path / "out"))
    list(convert(unnamed, tmp_path / "out", "flux2-klein-base-4b"))
    assert open_folder(tmp_path / "out").spec.guidance_kind == "cfg"
    named = unnamed.rename(unnamed.with_name("FLUX.2 Klein Base 4B (copy).safetensors"))
    list(convert(named, tmp_path / "two"))
    assert open_folder(tmp_path / "two").spec.name == "flux2-klein-base-4b"
    assert open_folder(tmp_path / "two").licence == "Apache-2.0"


def _resized(row, sizes):
    return dataclasses.replace(row, transformer=sizes)


def test_unknown_names(source, tmp_path):
    with pytest.raises(RequestError, match="no model 'x'"):
        list(convert(source, tmp_path / "out", "x"))
    with pytest.raises(RequestError, match="does not exist"):
        list(convert(tmp_path / "none", tmp_path / "out"))
    with pytest.raises(RequestError, match="bits"):
        list(convert(source, tmp_path / "out", bits=7))
    list(convert(source, tmp_path / "out"))
    with pytest.raises(RequestError, match="converted model already"):
        list(convert(tmp_path / "out", tmp_path / "out2"))


def test_one_tensor_at_a_time(source, tmp_path):
    """Memory stays near the largest tensor (0.15 MB), far below the whole model (4 MB)."""
    peak = peak_of_mlx(lambda: list(convert(source, tmp_path / "out", bits=32)))
    assert peak < open_folder(tmp_path / "out").bytes / 5


def test_a_conversion_that_finished_meanwhile_is_not_replaced(tmp_path):
    source, out = single_file(tmp_path / "source"), tmp_path / "out"
    slow = convert(source, out, model="flux2-klein-4b", bits=16)
    next(event for event in slow if isinstance(event, Step))
    list(convert(source, tmp_path / "other", model="flux2-klein-4b", bits=32))
    (tmp_path / "other").rename(out)
    with pytest.raises(RequestError, match="exists already"):
        list(slow)
    assert open_folder(out).plan == "32bit"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "source"]
