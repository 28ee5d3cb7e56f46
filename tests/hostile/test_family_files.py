"""The same bad files for every family: refused before memory is taken, with the reason; the command exits 2 or 3."""

import json
import os
import subprocess
import sys
from pathlib import Path

import mlx.core as mx
import numpy as np
import pytest

from converters.convert import convert
from mlx_model.errors import ConvertError, FluxLocalError, LayoutError, UnsafeFile
from mlx_model.store.folder import open_folder
from tests.converters.made_selfflow import SMALL, save_pt, weights
from tests.converters.made_selfflow import checkpoint as selfflow
from tests.converters.tiny import TINY, checkpoint, published, save
from tests.measuring import peak_of_python

ROOT = Path(__file__).resolve().parents[2]
MODELS = ["flux1-dev", "flux1-redux-dev", "flux3-image-klein"]
ROLES = [(model, role) for model in MODELS for role in TINY[model].parts]


@pytest.fixture
def source(request, tmp_path):
    return checkpoint(TINY[request.param], tmp_path / "source")


def refused(source, tmp_path, kind=(LayoutError, ConvertError), match=None):
    """Refused with a reason; nothing is left; the error's exit code is 2 (input) or 3 (model)."""
    before = sorted(child.name for child in tmp_path.iterdir())
    with pytest.raises(kind, match=match) as error:
        list(convert(source, tmp_path / "out"))
    assert error.value.message
    assert error.value.exit_code in (2, 3)
    assert sorted(child.name for child in tmp_path.iterdir()) == before


def place(source, model, role):
    return source if role == "transformer" else source.parent / TINY[model].parts[role][2] / "model.safetensors"


def change(source, model, role, edit):
    arrays = published(TINY[model], role)
    edit(arrays)
    save(place(source, model, role), arrays)


def victim(arrays):
    """A tensor that shows no size: the second matrix of the blocks, or a bias of the autoencoder."""
    bias = "decoder.mid.attn_1.q.bias"
    matrices = [name for name, x in arrays.items() if x.ndim == 2 and ("blocks" in name or "layer" in name)]
    return bias if bias in arrays else matrices[1]


@pytest.mark.first_case
@pytest.mark.parametrize(("source", "model", "role"), [(m, m, r) for m, r in ROLES], indirect=["source"])
def test_truncated(source, tmp_path, model, role):
    file = place(source, model, role)
    file.write_bytes(file.read_bytes()[:-3])
    refused(source, tmp_path, UnsafeFile, file.name)


@pytest.mark.first_case
@pytest.mark.parametrize(("source", "model", "role"), [(m, m, r) for m, r in ROLES], indirect=["source"])
def test_a_tensor_too_many(source, tmp_path, model, role):
    change(source, model, role, lambda arrays: arrays.update({"trojan.horse.weight": np.ones((2, 2))}))
    refused(source, tmp_path, match=r"trojan\.horse")


@pytest.mark.first_case
@pytest.mark.parametrize(("source", "model", "role"), [(m, m, r) for m, r in ROLES if r != "image_embedder"],
                         indirect=["source"])  # fmt: skip
def test_a_tensor_missing_or_of_another_shape(source, tmp_path, model, role):
    change(source, model, role, lambda arrays: arrays.pop(victim(arrays)))
    refused(source, tmp_path)
    change(source, model, role, lambda arrays: arrays.update({victim(arrays): np.ones((3, 7))}))
    refused(source, tmp_path, match="another shape|can't be used")


@pytest.mark.first_case
@pytest.mark.parametrize("source", MODELS, indirect=True)
@pytest.mark.parametrize("kind", [mx.int32, mx.uint8, mx.int64, mx.bool_])
def test_numbers_of_another_kind(source, tmp_path, request, kind):
    arrays = mx.load(str(source))
    mx.eval(arrays)
    name = victim(arrays)
    arrays[name] = mx.zeros(arrays[name].shape, kind)
    mx.save_safetensors(str(source), arrays)
    refused(source, tmp_path, ConvertError)


@pytest.mark.parametrize("source", MODELS, indirect=True)
def test_an_index_that_points_outside(source, tmp_path):
    """For the transformer as for every other component."""
    folder = source.parent / "transformer"
    folder.mkdir()
    source.rename(folder / "model.safetensors")
    (tmp_path / "secret.safetensors").write_bytes((folder / "model.safetensors").read_bytes())
    names = dict.fromkeys(mx.load(str(folder / "model.safetensors")), "../../secret.safetensors")
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": names}))
    refused(source.parent, tmp_path, UnsafeFile, "outside")


@pytest.mark.parametrize("source", MODELS, indirect=True)
def test_upper_case_extensions_are_read(source, tmp_path):
    list(convert(source.rename(source.with_suffix(".SafeTensors")), tmp_path / "out"))
    assert open_folder(tmp_path / "out")


def test_a_vast_claim_takes_no_memory(tmp_path):
    """A file of a few kilobytes that says it holds a full-size model."""
    header = {
        "double_blocks.0.img_mod.lin.weight": {"dtype": "F32", "shape": [2**20, 2**20], "data_offsets": [0, 2**42]}
    }
    text = json.dumps(header).encode()
    file = tmp_path / "flux1-dev.safetensors"
    file.write_bytes(len(text).to_bytes(8, "little") + text + bytes(99))
    assert peak_of_python(lambda: refused(file, tmp_path, UnsafeFile)) < 20e6


PT = {  # what is done to the released .pt, and what is said
    "a tensor less": (lambda w: w.pop("blocks.1.attn.qkv.weight"), r"blocks\.1\.attn\.qkv\.weight"),
    "a tensor more": (lambda w: w.update({"trojan.weight": np.ones((2, 2), np.float32)}), r"trojan\.weight"),
    "another shape": (lambda w: w.update({"blocks.1.attn.proj.weight": np.ones((3, 7), np.float32)}), r"attn\.proj"),
}


@pytest.mark.parametrize(("edit", "said"), PT.values(), ids=PT)
def test_self_flow(tmp_path, edit, said):
    file, arrays = selfflow(tmp_path / "source"), weights(SMALL)
    edit(arrays)
    save_pt(file, arrays)
    refused(file, tmp_path, match=said)


@pytest.mark.parametrize("part", [0.3, 0.9, 0.9999])
def test_self_flow_truncated(tmp_path, part):
    file = selfflow(tmp_path / "source")
    content = file.read_bytes()
    file.write_bytes(content[: int(part * len(content))])
    refused(file, tmp_path, UnsafeFile)


def test_self_flow_with_a_flipped_bit(tmp_path):
    """The block's checksum is compared while it is copied; what was written until then goes away."""
    file = selfflow(tmp_path / "source")
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    refused(file, tmp_path, UnsafeFile, "checksum")


def command(*words) -> subprocess.CompletedProcess:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1"}
    words = [sys.executable, "-m", "app", *map(str, words)]
    return subprocess.run(words, capture_output=True, text=True, env=environment, check=False)


@pytest.mark.first_case
@pytest.mark.parametrize("case", ["truncated", "not there", "pickle with code"])
def test_what_the_command_says(tmp_path, case):
    """One line of reason, no traceback, nothing left."""
    file = checkpoint(TINY["flux1-dev"], tmp_path / "source")
    mark = tmp_path / "source" / "ran"
    if case == "truncated":
        file.write_bytes(file.read_bytes()[:-3])
    elif case == "not there":
        file.unlink()
    else:
        file = tmp_path / "source" / "flux1-dev.pt"
        file.write_bytes(b"cos\nsystem\n(S'touch " + str(mark).encode() + b"'\ntR.")
    done = command("convert", file, "-o", tmp_path / "out")
    assert done.returncode in ((2,) if case == "not there" else (2, 3)), done.stderr
    assert "Traceback" not in done.stderr
    assert file.name in done.stderr
    assert not mark.exists()
    assert [path.name for path in tmp_path.iterdir()] == ["source"]


def test_errors_are_ours():
    assert {ConvertError("x").exit_code, LayoutError("x").exit_code, UnsafeFile("x").exit_code} <= {2, 3}
    assert issubclass(UnsafeFile, FluxLocalError)
