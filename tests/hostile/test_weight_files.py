"""Weight files that lie, are damaged or would run code: refused by name, nothing left behind."""

import errno
import json
import os
import pickle
import zipfile
from pathlib import Path

import mlx.core as mx
import pytest
from tokenizers import Tokenizer, models

from app.base import faults
from converters.convert import convert
from converters.source import find_source
from mlx_model.errors import ConvertError, DiskFull, FluxLocalError, LayoutError, UnsafeFile
from mlx_model.store import headers, shards, weights
from tests.converters.checkpoints import PARAMS, arrays, save, single_file, source_arrays


@pytest.fixture
def source(tmp_path):
    return single_file(tmp_path / "source")


def refused(source, tmp_path, kind=FluxLocalError, match=None):
    """Conversion fails with that error, says something, and leaves nothing."""
    before = sorted(child.name for child in tmp_path.iterdir())
    with pytest.raises(kind, match=match) as error:
        list(convert(source, tmp_path / "out"))
    assert error.value.message
    assert sorted(child.name for child in tmp_path.iterdir()) == before


def raw(header: dict, data: bytes) -> bytes:
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


OVERLAP = raw(
    {
        "img_in.weight": {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]},
        "txt_in.weight": {"dtype": "F32", "shape": [4], "data_offsets": [8, 24]},
    },
    bytes(24),
)
HOLE = raw({"img_in.weight": {"dtype": "F32", "shape": [4], "data_offsets": [8, 24]}}, bytes(24))
SHORT = raw({"img_in.weight": {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]}}, bytes(8))
WRONG_SIZE = raw({"img_in.weight": {"dtype": "F32", "shape": [5], "data_offsets": [0, 16]}}, bytes(16))
HUGE_HEADER = (2**60).to_bytes(8, "little") + b"{}"
DAMAGED = {
    "overlap": OVERLAP,
    "hole": HOLE,
    "short": SHORT,
    "wrong size": WRONG_SIZE,
    "huge header": HUGE_HEADER,
    "empty": b"",
    "text": b"These are not the weights you are looking for.\n" * 9,
    "negative": raw({"img_in.weight": {"dtype": "F32", "shape": [-4], "data_offsets": [0, 16]}}, bytes(16)),
    "vast": raw({"img_in.weight": {"dtype": "F32", "shape": [2**62, 4], "data_offsets": [0, 16]}}, bytes(16)),
}


@pytest.mark.parametrize("content", DAMAGED.values(), ids=DAMAGED)
def test_damaged_files(tmp_path, content):
    file = tmp_path / "flux-2-klein-4b.safetensors"
    file.write_bytes(content)
    refused(file, tmp_path, UnsafeFile, "flux-2-klein-4b")
    with pytest.raises(LayoutError, match="flux-2-klein-4b"):
        weights.load(weights.build("transformer", "flux2", PARAMS["transformer"]), [file], mx.float32)


def test_mlx_alone_would_accept_overlaps(tmp_path):
    """Why headers are checked by the safetensors library first; if this fails, MLX has learnt to check."""
    file = tmp_path / "x.safetensors"
    file.write_bytes(OVERLAP)
    assert set(mx.load(str(file))) == {"img_in.weight", "txt_in.weight"}


@pytest.mark.parametrize("part", [0.1, 0.5, 0.999])
def test_truncated(source, tmp_path, part):
    content = source.read_bytes()
    source.write_bytes(content[: int(len(content) * part)])
    refused(source, tmp_path, UnsafeFile)


@pytest.mark.parametrize("file", ["text_encoder/model.safetensors", "vae/diffusion_pytorch_model.safetensors"])
def test_truncated_companion(source, tmp_path, file):
    path = source.parent / file
    path.write_bytes(path.read_bytes()[:-1])
    refused(source, tmp_path, UnsafeFile, path.name)


@pytest.mark.parametrize("length", [0x02, 0x04, 0x05])
def test_a_header_as_long_as_a_pickle_looks(source, length):
    """640, 1152 or 1408 bytes of header: the file begins with the bytes of a pickle and is none."""
    text = source.read_bytes()
    header = json.loads(text[8 : 8 + int.from_bytes(text[:8], "little")])
    data = text[8 + int.from_bytes(text[:8], "little") :]
    padded = json.dumps(header).encode()
    size = (len(padded) // 65536 + 1) * 65536 + length * 256 + 128
    source.write_bytes(size.to_bytes(8, "little") + padded.ljust(size) + data)
    assert source.read_bytes()[:2] == bytes([0x80, length])
    assert list(convert(source, source.parent / "out"))[-1].path


def change(source, role, edit):
    tensors = source_arrays(role)
    edit(tensors)
    place = {"transformer": source, "text_encoder": source.parent / "text_encoder" / "model.safetensors"}
    save(place.get(role, source.parent / "vae" / "diffusion_pytorch_model.safetensors"), tensors)


@pytest.mark.parametrize(("role", "name"), [
    ("transformer", "double_blocks.1.txt_mlp.2.weight"),
    ("transformer", "img_in.weight"),
    ("transformer", "single_blocks.0.norm.query_norm.scale"),
    ("text_encoder", "model.layers.5.mlp.up_proj.weight"),
    ("text_encoder", "model.embed_tokens.weight"),
    ("autoencoder", "decoder.mid.attn_1.q.bias"),
    ("autoencoder", "bn.running_var"),
])  # fmt: skip
def test_missing_tensor(source, tmp_path, role, name):
    change(source, role, lambda tensors: tensors.pop(name))
    refused(source, tmp_path, (LayoutError, ConvertError), name.removeprefix("model.").replace(".", r"\."))


@pytest.mark.parametrize("role", PARAMS)
def test_extra_tensor(source, tmp_path, role):
    change(source, role, lambda tensors: tensors.update({"trojan.weight": mx.zeros(3)}))
    refused(source, tmp_path, LayoutError, r"trojan\.weight")


@pytest.mark.parametrize(("role", "name"), [
    ("transformer", "double_blocks.1.txt_mlp.2.weight"),
    ("text_encoder", "model.layers.5.mlp.up_proj.weight"),
    ("autoencoder", "decoder.mid.attn_1.q.bias"),
])  # fmt: skip
def test_wrong_shape(source, tmp_path, role, name):
    change(source, role, lambda tensors: tensors.update({name: mx.zeros((3, 3))}))
    refused(source, tmp_path, LayoutError, name.removeprefix("model.").replace(".", r"\."))


def diffusers_folder(source):
    """The text encoder of a source, in shards with an index."""
    directory = source.parent / "text_encoder"
    names = dict.fromkeys(source_arrays("text_encoder"), "model.safetensors")
    index = directory / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": names}))
    return index, names


@pytest.mark.parametrize(
    "name", ["../secret.safetensors", "/etc/passwd", "..", "a/../../b", "a\\b", "", "x\0", 5, None]
)
def test_index_points_outside(source, tmp_path, name):
    (source.parent / "secret.safetensors").write_bytes(source.read_bytes())
    index, names = diffusers_folder(source)
    index.write_text(json.dumps({"weight_map": {**names, "model.norm.weight": name}}))
    refused(source, tmp_path, UnsafeFile, "outside")


@pytest.mark.parametrize(
    "text", ["", "[]", "{", '{"weight_map": []}', "{}", '{"weight_map": {"a": "gone.safetensors"}}']
)
def test_damaged_index(source, tmp_path, text):
    index, _ = diffusers_folder(source)
    index.write_text(text)
    refused(source, tmp_path, ConvertError)


def test_index_promises_more(source, tmp_path):
    index, names = diffusers_folder(source)
    index.write_text(json.dumps({"weight_map": {**names, "model.layers.99.x": "model.safetensors"}}))
    refused(source, tmp_path, ConvertError, r"model\.layers\.99\.x")


def test_sound_index(source, tmp_path):
    diffusers_folder(source)
    list(convert(source, tmp_path / "out"))


class Bomb:
    def __reduce__(self):
        return pytest.fail, ("the pickle was run",)


@pytest.mark.parametrize("name", ["model.pt", "model.ckpt", "model.PTH", "model.bin", "flux.safetensors"])
@pytest.mark.parametrize("form", ["pickle", "zip"])
def test_pickles(tmp_path, name, form):
    file = tmp_path / name
    if form == "pickle":
        file.write_bytes(pickle.dumps(Bomb()))
    else:
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr("archive/data.pkl", pickle.dumps(Bomb()))
    refused(file, tmp_path, UnsafeFile, "pickle")


def test_pickles_in_a_folder(tmp_path):
    (tmp_path / "source" / "transformer").mkdir(parents=True)
    (tmp_path / "source" / "transformer" / "diffusion_pytorch_model.bin").write_bytes(pickle.dumps(Bomb()))
    refused(tmp_path / "source", tmp_path, UnsafeFile, "pickle")


def test_other_formats(tmp_path):
    (tmp_path / "flux.onnx").write_bytes(b"ONNX" + bytes(99))
    refused(tmp_path / "flux.onnx", tmp_path, ConvertError, "is no checkpoint, by its name")


def test_lfs_pointer(tmp_path):
    file = tmp_path / "flux-2-klein-4b.safetensors"
    file.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 7\n")
    refused(file, tmp_path, ConvertError, "Git LFS")


def test_another_model(tmp_path):
    file = save(tmp_path / "x.safetensors", {"down_blocks.0.resnets.0.conv1.weight": mx.zeros((4, 4))})
    refused(file, tmp_path, ConvertError, "known here")


def test_empty_folder(tmp_path):
    (tmp_path / "source").mkdir()
    refused(tmp_path / "source", tmp_path, ConvertError, "no FLUX transformer")


def test_upper_case_extension(source, tmp_path):
    list(convert(source.rename(source.with_suffix(".SAFETENSORS")), tmp_path / "out"))


@pytest.mark.parametrize("after", [0, 20, 200])
def test_disk_fills_up(source, tmp_path, monkeypatch, after):
    """No space left in the middle of a shard: DiskFull, and the partial folder is gone."""
    real, count = shards._pieces, [0]

    def pieces(name, array):
        count[0] += 1
        if count[0] > after:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(name, array)

    monkeypatch.setattr(shards, "_pieces", pieces)
    refused(source, tmp_path, DiskFull)


def test_disk_fills_up_while_saving(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DiskFull, match="full"):
        weights.save_component(tmp_path, "transformer", "flux2", PARAMS["transformer"], arrays("transformer"))


def test_a_network_disk_that_refuses_to_sync_takes_a_model(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.EINVAL, "Invalid argument")

    source = single_file(tmp_path / "source")
    monkeypatch.setattr(os, "fsync", refuse)
    list(convert(source, tmp_path / "out"))
    assert (tmp_path / "out" / "model.json").is_file()


@pytest.mark.parametrize("text", ["[]", "{", '"x"'])
def test_damaged_config(source, tmp_path, text):
    (source.parent / "vae" / "config.json").write_text(text)
    refused(source, tmp_path, ConvertError, r"config\.json is damaged")


@pytest.mark.parametrize("config", [{"norm_num_groups": 3}, {"norm_num_groups": "4"}, {"norm_num_groups": -1}])
def test_senseless_config(source, tmp_path, config):
    (source.parent / "vae" / "config.json").write_text(json.dumps(config))
    refused(source, tmp_path)


@pytest.mark.parametrize("kind", ["folder", "link to nothing"])
def test_no_file_by_the_name_of_one(source, tmp_path, kind):
    file = source.parent / "text_encoder" / "model.safetensors"
    file.unlink()
    file.mkdir() if kind == "folder" else file.symlink_to("gone")
    refused(source, tmp_path, ConvertError, "holds no .safetensors file")


def test_a_file_that_may_not_be_read(source, tmp_path, monkeypatch):
    """Is not called damaged or missing: a download of gigabytes would be thrown away."""
    opened = Path.open

    def refusing(file, *words, **options):
        if file.name == "model.safetensors":
            raise PermissionError(errno.EACCES, "Permission denied", str(file))
        return opened(file, *words, **options)

    monkeypatch.setattr(Path, "open", refusing)
    with pytest.raises(PermissionError) as error:
        list(convert(source, tmp_path / "out"))
    told = faults.tell(error.value)
    assert told.exit_code == 2
    assert str(source.parent / "text_encoder" / "model.safetensors") in told.message
    with pytest.raises(PermissionError):
        headers.header(source.parent / "text_encoder" / "model.safetensors")


TOKENIZERS = {  # what lies in the folder of the text encoder's tokenizer, and what is said
    "no json": ({"tokenizer.json": "{"}, "can't be read"),
    "no tokenizer": ({"tokenizer.json": "{}"}, "can't be read"),
    "a list": ({"tokenizer_config.json": "[]"}, "damaged"),
    "no text": ({"tokenizer_config.json": '{"pad_token": 7}'}, "damaged|padding"),
    "no padding": ({"tokenizer_config.json": "{}"}, "padding"),
    "nested": ({"tokenizer_config.json": '{"a": ' * 9000}, "damaged"),
    "unknown padding": ({"tokenizer_config.json": '{"pad_token": "<nothing>"}'}, "padding"),
    "another model's": ({"tokenizer.json": Tokenizer(models.WordLevel({"a": 0, "<|endoftext|>": 1}, "a")).to_str()},
                        "lacks one of"),
    "too large": ({"tokenizer.json": Tokenizer(models.WordLevel(
        {"a": 0, "<|endoftext|>": 1, "<|im_start|>": 2, "<|im_end|>": 96, "<think>": 3, "</think>": 4}, "a")).to_str()},
                  "different models"),
    "Qwen2's": ({"tokenizer.json": Tokenizer(models.WordLevel(
        {"a": 0, "<|endoftext|>": 1, "<|im_start|>": 2, "<|im_end|>": 3}, "a")).to_str()}, "lacks one of .*<think>"),
}  # fmt: skip


@pytest.mark.parametrize(("files", "said"), TOKENIZERS.values(), ids=TOKENIZERS)
def test_tokenizers(source, tmp_path, files, said):
    """Before anything is written: a number that the encoder lacks would be read from beyond its table."""
    for name, text in files.items():
        (source.parent / "tokenizer" / name).write_text(text)
    refused(source, tmp_path, ConvertError, said)


def test_a_file_without_tensors_is_told_as_that(tmp_path):
    file = tmp_path / "empty.safetensors"
    file.write_bytes((2).to_bytes(8, "little") + b"{}")
    with pytest.raises(ConvertError, match="holds no tensors"):
        find_source(file)
