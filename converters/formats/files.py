"""What a file of a checkpoint is: safetensors with or without an index, a pickle, JSON; the rest is refused by name."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import mlx.core as mx

from mlx_model.errors import ConvertError, LayoutError, UnsafeFile, say_reason
from mlx_model.foreign import find_page, parse_json, read_small
from mlx_model.store.headers import Entry, header, metadata
from mlx_model.store.shards import load_lazily

from . import fp8, gguf_file, streamed

SAFETENSORS = (".safetensors", ".sft")

PICKLES = (".pt", ".pth", ".ckpt", ".bin", ".pkl", ".pickle")
SHARD = re.compile(r"-(\d{1,6})-of-(\d{1,6})\.")  # in the name of a file
MOST_SHARDS = 1000
DATABASE = b"SQLite format 3\0"  # in which Draw Things keeps its models, called .ckpt
NO_PICKLE = "Get the .safetensors form of the model."


def check_kind(file: Path) -> None:
    """Refuse by extension and first bytes what is no checkpoint. Raises UnsafeFile, ConvertError."""
    if page := find_page(file):
        raise ConvertError(*page)
    with file.open("rb") as stream:
        start = stream.read(64)
    if start.startswith(DATABASE):
        raise ConvertError(f"{file} is a model of Draw Things, whose form can't be read.", NO_PICKLE)
    if is_pickle(file):
        return
    whole = start[8:9] == b"{"  # of a safetensors file; its length in front may begin as a pickle does: 640 is 80 02
    if not whole and start.startswith((b"PK\x03\x04", b"\x80\x02", b"\x80\x04", b"\x80\x05")):
        raise UnsafeFile(f"{file} is a PyTorch pickle by another name, which can run code.", NO_PICKLE)
    if file.suffix.lower() not in (*SAFETENSORS, ".gguf"):
        raise ConvertError(f"{file} is no checkpoint, by its name.", "Give a .safetensors, .gguf, .pt or .pth file.")


def read_json(file: Path) -> dict[str, Any]:
    """A JSON object, or {} where there is no such file. Raises ConvertError."""
    if not file.is_file():
        return {}
    try:
        values = parse_json(read_small(file))
    except (ValueError, RecursionError) as error:
        raise ConvertError(f"{file} is damaged: {say_reason(error)}.", "Download it again.") from error
    if not isinstance(values, dict):
        raise ConvertError(f"{file} is damaged: it holds no object.", "Download it again.")
    return values


def read_config(file: Path) -> dict[str, Any]:
    """The config.json beside a file, and before it what a GGUF file says itself. Raises UnsafeFile, ConvertError."""
    told = gguf_file.read_config(gguf_file.read_table(file)) if gguf_file.is_gguf(file) else {}
    return {**read_json(file.parent / "config.json"), **told}


def list_weight_files(directory: Path) -> list[Path]:
    """The safetensors and GGUF files of a folder, whatever the case of their extension."""
    endings = (*SAFETENSORS, ".gguf")
    return sorted(file for file in directory.iterdir() if file.suffix.lower() in endings and file.is_file())


def is_pickle(file: Path) -> bool:
    """By the extension, whatever its case."""
    return file.suffix.lower() in PICKLES and file.is_file()


def list_shards(directory: Path, index: Path) -> list[Path]:
    """The shards that an index names, checked against what they hold."""
    weight_map = read_json(index).get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise ConvertError(f"{index} lists no weights.", "Download it again.")
    for name in weight_map.values():
        if not isinstance(name, str) or re.fullmatch(r"[\w.\-]+", name) is None or name.startswith("."):
            raise UnsafeFile(f"{index} points outside its folder: {name!r}.")
        if not (directory / name).is_file():
            raise ConvertError(f"{directory / name} is missing.", "Is the download complete?")
    files = [directory / name for name in sorted(set(weight_map.values()))]
    _check_shard_numbers(directory, files)
    missing = sorted(set(weight_map) - set(read_entries(files)))
    if missing:
        raise ConvertError(f"{index.name} lists {missing[0]}, which its file does not hold.", "Download it again.")
    return files


def _check_shard_numbers(directory: Path, files: list[Path]) -> None:
    """That an index names all of model-00001-of-00003. Raises ConvertError."""
    match = SHARD.search(files[0].name)
    names = {file.name for file in files}
    for number in range(1, min(int(match[2]), MOST_SHARDS) + 1) if match else ():
        assert match
        name = SHARD.sub(f"-{number:0{len(match[1])}d}-of-{match[2]}.", files[0].name)
        if name not in names:
            raise ConvertError(f"{directory / name} is missing in the index.", "Is the download complete?")


def check_alone(file: Path) -> None:
    """Refuses one file of several. Raises ConvertError."""
    match = SHARD.search(file.name)
    if match and int(match[2]) > 1:
        what = f"{file} is one of {int(match[2])} files of a model."
        raise ConvertError(what, "Give the folder that holds them all.")


def read_entries(files: Iterable[Path]) -> dict[str, Entry]:
    """Names, dtypes and shapes of all files together. Raises UnsafeFile (damaged), ConvertError (a name twice)."""
    entries: dict[str, Entry] = {}
    for file in files:
        found = _read_header(file)
        twice = sorted(name for name in found if name in entries)
        if twice:
            raise ConvertError(f"{twice[0]} is in two files: {file.name} is one of them.")
        entries |= found
    return entries


def _read_header(file: Path) -> dict[str, Entry]:
    if gguf_file.is_gguf(file):
        return gguf_file.read_table(file).entries
    try:
        return header(file)
    except LayoutError as error:
        raise UnsafeFile(error.message, "It is damaged or not what its name says: download it again.") from error


def read_metadata(file: Path) -> dict[str, str]:
    """The words in the header of a safetensors file; a GGUF file has none. Raises LayoutError."""
    if gguf_file.is_gguf(file):
        return {}
    return metadata(file)


def load_file(file: Path) -> dict[str, mx.array]:
    """The tensors of a file, unread; of safetensors 8-bit floating-point numbers as their codes.

    Raises LayoutError, ConvertError.
    """
    if gguf_file.is_gguf(file):
        return gguf_file.load_table(gguf_file.read_table(file))
    kinds = {kind for kind, _ in header(file).values()}
    return streamed.load(streamed.Renamed(file, fp8.E5M2)) if fp8.E5M2 in kinds else load_lazily(file)
