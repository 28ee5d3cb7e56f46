"""Vocabularies inside weight files, written out as the files that they were made from.

ComfyUI puts them into tensors of bytes, llama.cpp into GGUF's metadata. Source: ComfyUI comfy/text_encoders/flux.py and
spiece_tokenizer.py; llama.cpp conversion/base.py; sentencepiece_model.proto.
"""

import base64
import json
import struct
from pathlib import Path
from typing import Any

import numpy as np

from mlx_model.errors import ConvertError
from mlx_model.foreign import LARGEST

from .formats.files import SAFETENSORS, load_file, read_entries
from .formats.gguf_file import is_gguf, read_table
from .formats.names import list_told
from .tokenizers.byte_level import name_bytes

FILES = {"tekken_model": "tekken.json", "spiece_model": "spiece.model", "tokenizer_json": "tokenizer.json"}
KIND, SPLIT = "tokenizer.ggml.model", "tokenizer.ggml.pre"
TOKENS, TYPES, MERGES = "tokenizer.ggml.tokens", "tokenizer.ggml.token_type", "tokenizer.ggml.merges"
SCORES, CHARSMAP = "tokenizer.ggml.scores", "tokenizer.ggml.precompiled_charsmap"
NORMAL, CONTROL, ADDED, UNUSED = 1, 3, 4, 5  # types of tokens
SENTINEL = "<extra_id_"  # T5's, which follow its pieces


def find_vocabulary(file: Path) -> str:
    """What of a weight file is its vocabulary, "" where it has none."""
    if is_gguf(file):
        return TOKENS if TOKENS in read_table(file).fields else ""
    return next(iter(list_told(read_entries([file]))), "") if file.suffix.lower() in SAFETENSORS else ""


def lay_out(place: Path, scratch: Path) -> Path:
    """A folder with the files of a tokenizer: `place`, or `scratch` with what the weight file `place` has inside.

    Raises ConvertError.
    """
    if place.is_dir():
        return place
    scratch.mkdir(parents=True, exist_ok=True)
    if is_gguf(place):
        _write_metadata(place, scratch)
        return scratch
    name = find_vocabulary(place)
    kind, shape = read_entries([place]).get(name, ("", ()))
    if kind not in ("U8", "I8") or len(shape) != 1 or shape[0] > LARGEST:
        raise ConvertError(f"{name} in {place} is no vocabulary.", "Get the tokenizer's folder.")
    (scratch / FILES[name.rpartition(".")[2]]).write_bytes(np.array(load_file(place)[name]).tobytes())
    return scratch


def _write_metadata(file: Path, scratch: Path) -> None:
    fields = read_table(file, (TOKENS, TYPES, MERGES, SCORES, CHARSMAP)).fields
    try:
        writer = {"gpt2": _write_pair, "t5": _write_pieces}.get(fields[KIND])
        if writer is None or len(fields[TOKENS]) != len(fields[TYPES]):
            raise ValueError(f"of the kind {str(fields[KIND])[:40]}")
        (_write_tekken if fields.get(SPLIT) == "tekken" else writer)(fields, scratch)
    except (KeyError, ValueError, TypeError, AttributeError, struct.error) as error:
        raise ConvertError(f"The vocabulary in {file} can't be read.", "Get the tokenizer's folder.") from error


def _write_pair(fields: dict[str, Any], scratch: Path) -> None:
    """vocab.json and merges.txt, and the tokens that stand beside them in tokenizer_config.json."""
    listed = list(enumerate(zip(fields[TOKENS], fields[TYPES], strict=True)))
    added = {
        str(number): {"content": token, "special": kind == CONTROL}
        for number, (token, kind) in listed
        if kind in (CONTROL, ADDED)
    }
    numbers = {token: number for number, (token, kind) in listed if kind == NORMAL}
    (scratch / "vocab.json").write_text(json.dumps(numbers))
    (scratch / "merges.txt").write_text("#version: 0.2\n" + "\n".join(fields[MERGES]) + "\n", "utf-8")
    config = {"added_tokens_decoder": added, "pad_token": "<|endoftext|>"}
    (scratch / "tokenizer_config.json").write_text(json.dumps(config))


def _write_tekken(fields: dict[str, Any], scratch: Path) -> None:
    """tekken.json: the control tokens come first."""
    tokens, types = fields[TOKENS], fields[TYPES]
    first = next((number for number, kind in enumerate(types) if kind != CONTROL), len(types))
    bytes_of = {letter: byte for byte, letter in name_bytes().items()}
    pieces = [bytes(bytes_of[letter] for letter in token) for token in tokens[first:]]
    made = {
        "config": {"default_vocab_size": len(tokens), "default_num_special_tokens": first},
        "special_tokens": [{"rank": number, "token_str": token} for number, token in enumerate(tokens[:first])],
        "vocab": [{"rank": rank, "token_bytes": base64.b64encode(piece).decode()} for rank, piece in enumerate(pieces)],
    }
    (scratch / "tekken.json").write_text(json.dumps(made))


def _write_pieces(fields: dict[str, Any], scratch: Path) -> None:
    """spiece.model, a protocol buffer: pieces with their scores, and the table that normalises text."""
    made = b""
    for token, score, kind in zip(fields[TOKENS], fields[SCORES], fields[TYPES], strict=True):
        if kind == UNUSED or token.startswith(SENTINEL):
            break
        made += _frame(1, _frame(1, token.encode()) + b"\x15" + struct.pack("<f", score) + bytes([0x18, kind]))
    if table := fields.get(CHARSMAP):
        made += _frame(3, _frame(2, bytes(value & 255 for value in table)))
    (scratch / "spiece.model").write_bytes(made)


def _frame(number: int, content: bytes) -> bytes:
    """A field of bytes."""
    size, length = b"", len(content)
    while length > 127:
        size, length = size + bytes([length & 127 | 128]), length >> 7
    return bytes([number << 3 | 2]) + size + bytes([length]) + content
