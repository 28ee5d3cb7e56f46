"""Weights that are cut short or deleted while they are read, and files by the name of weights that are none.

Most tests are whole commands in a process of their own: a file that ends where it was mapped would end that process.
"""

import json
import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import mlx.core as mx
import numpy as np
import pytest

import converters.convert as converting
from app.base.paths import mini
from mlx_model.errors import LayoutError, UnsafeFile
from mlx_model.request import Lora
from mlx_model.store import lora, lora_files
from tests.converters.checkpoints import single_file
from tests.converters.made_selfflow import checkpoint as selfflow
from tests.hostile.test_pickle_free import SIX, program, state, tensor, write
from tests.model.store.made_loras import low_rank, peft, save
from tests.model.store.test_lora import QKV, net

ROOT = Path(__file__).resolve().parents[2]
# The real command; what opened a file of weights lazily finds it harmed before it reads the first tensor.
COMMAND = """
import os, sys
harm, part = sys.argv.pop(1), sys.argv.pop(1)
from {module} import {name} as real
import {module} as module
def harmed(file, *rest, **more):
    found = real(file, *rest, **more)
    if part in str(file):
        os.truncate(file, 4096) if harm == "cut" else os.unlink(file)
    return found
{places}
from app.__main__ import main
main()
"""
SAFETENSORS = COMMAND.format(
    module="mlx_model.store.shards",
    name="load_lazily",
    places="from mlx_model.store import weights; weights.load_lazily = harmed\n"
    "if 'convert' in sys.argv:\n    from converters.formats import files; files.load_lazily = harmed",
)
PICKLES = COMMAND.format(
    module="converters.formats.pickle_free",
    name="read_tensors",
    places="from converters import parts; parts.read_tensors = harmed",
)


def run(code: str, *words: object, home: Path) -> subprocess.CompletedProcess:
    environment = {**os.environ, "FLUX_LOCAL_HOME": str(home), "PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, "-c", code, *map(str, words)]
    return subprocess.run(command, env=environment, cwd=home.parent, capture_output=True, text=True, timeout=120)


@pytest.fixture
def home(tmp_path):
    """With a copy of the built-in model."""
    shutil.copytree(mini(), tmp_path / "home" / "models" / "copy")
    return tmp_path / "home"


@pytest.mark.first_case
@pytest.mark.parametrize("role", ["text_encoder", "transformer", "autoencoder"])
def test_a_run_whose_weights_are_cut_short_says_so(home, role):
    options = ["generate", "a red ball", "--model", "copy", "--size", "128x128", "--steps", 1, "-o", "x.png"]
    done = run(SAFETENSORS, "cut", f"models/copy/{role}", *options, home=home)
    assert done.returncode == 3, done.stderr
    assert "00001.safetensors could not be read to its end" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (home.parent / "x.png").exists()


@pytest.mark.sweep
def test_a_run_whose_weights_are_deleted_goes_on_with_what_it_has_open(home):
    options = ["generate", "a red ball", "--model", "copy", "--size", "128x128", "--steps", 1, "-o", "x.png"]
    done = run(SAFETENSORS, "delete", "models/copy/transformer", *options, home=home)
    assert done.returncode == 0, done.stderr
    assert (home.parent / "x.png").exists()
    again = run(SAFETENSORS, "delete", "nothing", *options, home=home)
    assert again.returncode == 3
    assert "transformer/00001.safetensors is missing" in again.stderr


def convert_in_process(code: str, harm: str, source: Path, tmp_path: Path) -> subprocess.CompletedProcess:
    (tmp_path / "home").mkdir()
    before = sorted(path.name for path in tmp_path.iterdir())
    done = run(code, harm, "source", "convert", source, "-o", tmp_path / "out", home=tmp_path / "home")
    if done.returncode:
        assert sorted(path.name for path in tmp_path.iterdir()) == before
    return done


def test_a_source_that_is_cut_short_while_it_is_converted(tmp_path):
    done = convert_in_process(SAFETENSORS, "cut", single_file(tmp_path / "source"), tmp_path)
    assert done.returncode == 3, done.stderr
    assert "flux-2-klein-4b.safetensors is not a sound safetensors file" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_source_that_is_cut_short_while_it_is_written(tmp_path, monkeypatch):
    """After everything about it was looked at."""
    source, real = single_file(tmp_path / "source"), converting._check_space

    def harmed(*given):
        real(*given)
        os.truncate(source, source.stat().st_size // 2)

    monkeypatch.setattr(converting, "_check_space", harmed)
    with pytest.raises(LayoutError, match="could not be read to its end"):
        list(converting.convert(source, tmp_path / "out"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["source"]


@pytest.mark.first_case
@pytest.mark.parametrize("harm", ["cut", "delete"])
def test_a_pt_file_that_is_cut_short_or_deleted_while_it_is_converted(tmp_path, harm):
    """Mapped, as it was, the process would end by SIGBUS."""
    source = selfflow(tmp_path / "source")
    done = convert_in_process(PICKLES, harm, source, tmp_path)
    assert done.returncode in (2, 3), done.stderr
    assert source.name in done.stderr
    assert "Traceback" not in done.stderr


def test_a_block_that_is_cut_short_after_its_check(tmp_path):
    file = write(tmp_path / "weights.pth", program(state(w=tensor())))
    found = pickle_tensors(file)
    assert found["w"].raw().tolist() == SIX.reshape(2, 3).tolist()
    os.truncate(file, 90)
    with pytest.raises(UnsafeFile, match="cut short"):
        found["w"].raw()


def pickle_tensors(file):
    from converters.formats.pickle_free import read_tensors

    return read_tensors(file)


def test_a_lora_that_is_cut_short_while_it_is_read(tmp_path, monkeypatch):
    file = tmp_path / "x.safetensors"
    save(file, peft(QKV, *low_rank(0, 192, 64)))
    real = lora_files.metadata  # the last that is asked of the file before its numbers

    def harmed(path):
        words = real(path)
        os.truncate(path, path.stat().st_size // 2)
        return words

    monkeypatch.setattr(lora_files, "metadata", harmed)
    with pytest.raises(LayoutError, match=r"x\.safetensors could not be read to its end"):
        lora.apply(net(), "flux2", [Lora(str(file))])


# what is no file of weights, whatever it is called


class Trap:
    def __reduce__(self):
        return os.mkdir, ("sprung",)


def doubles(file: Path) -> None:
    """Numbers of 64 bits, which no network of ours holds and MLX has no type for on a GPU."""
    header = {"img_in.weight": {"dtype": "F64", "shape": [64, 64], "data_offsets": [0, 8 * 64 * 64]}}
    text = json.dumps(header).encode()
    file.write_bytes(len(text).to_bytes(8, "little") + text + bytes(8 * 64 * 64))


def array_file(file: Path) -> None:
    with open(file, "wb") as handle:
        np.save(handle, np.zeros((64, 64), np.float32))


def arrays_file(file: Path) -> None:
    """Of double precision, and by the name that noise has."""
    with open(file, "wb") as handle:
        np.savez(handle, noise=np.zeros((64, 64)))


def object_array(file: Path) -> None:
    """A pickle inside of .npy."""
    with open(file, "wb") as handle:
        np.save(handle, np.array([Trap()], object), allow_pickle=True)


KINDS = {
    "F64": doubles,
    "npy": array_file,
    "npy of objects": object_array,
    "npz": arrays_file,
    "pickle": lambda file: file.write_bytes(pickle.dumps(Trap())),
    "old pickle": lambda file: file.write_bytes(pickle.dumps(Trap(), 0)),
}
ENDINGS = [".safetensors", ".npy", ".pkl", ".pt", ".npz"]


def use(place: str, file: Path) -> list[object]:
    """A command that is given the file as a checkpoint, a LoRA, noise, or a picture."""
    made = ["--size", "128x128", "--steps", 1, "-o", "x.png"]
    return {
        "checkpoint": ["convert", file, "-o", "out"],
        "lora": ["generate", "a ball", "--lora", file, *made],
        "noise": ["generate", "a ball", "--noise", file, *made],
        "picture": ["edit", file, "-p", "red", *made],
    }[place]


@pytest.mark.first_case
@pytest.mark.parametrize("place", ["checkpoint", "lora", "noise", "picture"])
def test_what_is_no_file_of_weights_is_refused_by_any_name(tmp_path, place, monkeypatch, capsys):
    from app.cli.group import cli

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FLUX_LOCAL_HOME", str(tmp_path / "home"))
    for kind, make in KINDS.items():
        for ending in ENDINGS:
            file = tmp_path / f"{kind.replace(' ', '-')}{ending}"
            make(file)
            with pytest.raises(SystemExit) as end:
                cli([str(word) for word in use(place, file)], prog_name="flux-local")
            said = capsys.readouterr().err
            assert end.value.code in (2, 3), (kind, ending, said)
            assert file.name in said, (kind, ending, said)
            assert "Traceback" not in said
            assert not (tmp_path / "sprung").exists()
            assert not (tmp_path / "x.png").exists()
            assert not (tmp_path / "out").exists()
            file.unlink()


def test_mlx_reads_what_is_gone_as_an_error_of_its_own(tmp_path):
    """Whose words are looked for: if this fails, MLX says it in another way."""
    file = tmp_path / "x.safetensors"
    mx.save_safetensors(str(file), {"x": mx.zeros((1024, 1024))})
    lazy = mx.load(str(file))
    os.truncate(file, 4096)
    with pytest.raises(RuntimeError, match=r"\[read\]"):
        mx.eval(lazy["x"])
