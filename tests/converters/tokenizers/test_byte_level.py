"""Byte-level BPE of Qwen's two files and of tekken.json, on vocabularies made here (tests/parity: the real ones)."""

import base64
import json

import pytest

from converters.tokenizers.byte_level import CONTROLS, name_bytes
from converters.tokenizers.files import collect_tokenizer_files, find_tokenizers, is_complete
from mlx_model.errors import ConvertError
from mlx_model.run.tokenize import PromptTokenizer

LETTERS = name_bytes()
PIECES = [*(bytes([byte]) for byte in range(256)), b"ca", b"cat", b" c", b" cat", "é".encode()]
MARKS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<think>", "</think>")


def write_qwen(place, pieces=PIECES, **config):
    """vocab.json, merges.txt and tokenizer_config.json; numbers follow the pieces'."""
    place.mkdir(exist_ok=True)
    names = ["".join(LETTERS[byte] for byte in piece) for piece in pieces]
    (place / "vocab.json").write_text(json.dumps({name: number for number, name in enumerate(names)}))
    space = LETTERS[32]
    merges = ["c a", "ca t", f"{space} c", f"{space} cat", f"{LETTERS[0xC3]} {LETTERS[0xA9]}"]
    there = [pair for pair in merges if pair.replace(" ", "") in names]
    (place / "merges.txt").write_text("\n".join(["#version: 0.2", *there, ""]))
    told = {len(pieces) + number: {"content": mark, "special": True} for number, mark in enumerate(MARKS)}
    (place / "tokenizer_config.json").write_text(json.dumps({"added_tokens_decoder": told, **config}))
    return place


def write_tekken(place, count=2000, **more):
    place.mkdir(exist_ok=True)
    listed = [{"rank": rank, "token_bytes": base64.b64encode(piece).decode()} for rank, piece in enumerate(PIECES)]
    values = {"config": {"default_vocab_size": count, "default_num_special_tokens": 1000}, "vocab": listed, **more}
    (place / "tekken.json").write_text(json.dumps(values))
    return place


def open_made(place, scratch, template="klein"):
    return PromptTokenizer(collect_tokenizer_files(place, scratch)[0].parent, template, 64)


def test_qwen(tmp_path):
    place = write_qwen(tmp_path / "made", pad_token="<|endoftext|>")
    made = open_made(place, tmp_path / "scratch")
    made.check(300)
    assert made.pad_id == len(PIECES)
    assert made.tokenizer.encode("cat cat<think>e\u0301").ids == [257, 259, 264, 260]
    assert made.tokenizer.encode("a\n\n  b").ids == [97, 10, 10, 32, 32, 98]
    words = [made.tokenizer.id_to_token(number) for number in made.ids("a")]
    assert words[0] == "<|im_start|>"
    assert words.count("<think>") == 1


def test_qwen_s_tokens_in_a_file_of_their_own(tmp_path):
    place = write_qwen(tmp_path / "made", pad_token="<|endoftext|>")
    told = {mark: len(PIECES) + number for number, mark in enumerate(MARKS)}
    (place / "added_tokens.json").write_text(json.dumps(told))
    (place / "tokenizer_config.json").write_text('{"pad_token": "<|im_end|>"}')
    assert open_made(place, tmp_path / "scratch").pad_id == told["<|im_end|>"]


@pytest.mark.parametrize(("file", "text"), [
    ("vocab.json", "{"), ("vocab.json", '{"a": 0}'), ("merges.txt", "a b c\n"), ("merges.txt", "zz yy\n"),
    ("tokenizer_config.json", '{"added_tokens_decoder": {"5": {"content": "<|im_start|>"}}}'),
    ("tokenizer_config.json", '{"added_tokens_decoder": {"x": {"content": "<|im_start|>"}}}'),
    ("tokenizer_config.json", '{"added_tokens_decoder": [1]}'), ("added_tokens.json", '{"<|im_start|>": 7}'),
    ("added_tokens.json", "[]"),
])  # fmt: skip
def test_damaged_qwen(tmp_path, file, text):
    place = write_qwen(tmp_path / "made")
    if file == "added_tokens.json":
        (place / "tokenizer_config.json").unlink()
    (place / file).write_text(text)
    with pytest.raises(ConvertError, match=r"(json|txt) .*(damaged|no tokenizer|has no)"):
        collect_tokenizer_files(place, tmp_path / "scratch")


def test_tekken(tmp_path):
    """The control tokens come first, named or not, then the byte strings by rank."""
    made = open_made(write_tekken(tmp_path / "made"), tmp_path / "scratch", "flux2-dev")
    made.check(2000)
    assert made.pad_id == CONTROLS.index("<pad>") == 11
    assert made.tokenizer.encode("cat cat[INST]é").ids == [1257, 1259, 3, 1260]
    assert made.tokenizer.token_to_id("<SPECIAL_999>") == 999
    assert made.tokenizer.token_to_id("a") == 1000 + ord("a")
    assert [made.tokenizer.token_to_id(name) for name in ("<s>", "[SYSTEM_PROMPT]")] == [1, 17]


def test_tekken_that_lists_its_control_tokens(tmp_path):
    listed = [{"rank": n, "token_str": name, "is_control": True} for n, name in enumerate([*CONTROLS, "[THINK]"])]
    made = open_made(write_tekken(tmp_path / "made", special_tokens=listed), tmp_path / "scratch", "flux2-dev")
    assert made.tokenizer.encode("[THINK]<SPECIAL_21>a").ids == [20, 21, 1000 + ord("a")]


def test_tekken_holds_more_than_the_encoder_knows(tmp_path):
    made = open_made(write_tekken(tmp_path / "made", count=1257), tmp_path / "scratch", "flux2-dev")
    made.check(1257)
    assert made.tokenizer.encode("cat").ids == [1256, 1000 + ord("t")]


@pytest.mark.parametrize("change", [
    {"config": {}}, {"config": {"default_vocab_size": "x"}}, {"vocab": {}}, {"vocab": [{"rank": 0}]},
    {"vocab": [{"rank": 1, "token_bytes": "YQ=="}]}, {"vocab": [{"rank": 0, "token_bytes": "YQ==" * 400}]},
    {"special_tokens": [{"rank": 10**7, "token_str": "x"}]}, {"special_tokens": [{"rank": -1, "token_str": "x"}]},
    {"config": {"default_vocab_size": 10**9, "default_num_special_tokens": 10**8}},
    {"config": {"default_vocab_size": 2000, "pattern": "("}}, {"config": {"default_vocab_size": 2000, "pattern": 5}},
])  # fmt: skip
def test_damaged_tekken(tmp_path, change):
    place = write_tekken(tmp_path / "made", **change)
    with pytest.raises(ConvertError, match=r"tekken\.json is no tokenizer"):
        collect_tokenizer_files(place, tmp_path / "scratch")


def test_a_pattern_that_never_ends_is_refused(tmp_path):
    config = {"default_vocab_size": 2000, "default_num_special_tokens": 1000, "pattern": "(a+)+$"}
    with pytest.raises(Exception, match="never end"):
        open_made(write_tekken(tmp_path / "made", config=config), tmp_path / "scratch", "flux2-dev")


def test_which_folder_is_whose(tmp_path):
    """Both of Qwen's files are needed; another program's two files without Qwen's marks are CLIP's or refused."""
    place = write_qwen(tmp_path / "tokenizer")
    assert find_tokenizers([tmp_path]).text == place
    (place / "merges.txt").rename(tmp_path / "elsewhere")
    assert not is_complete(place)
    (tmp_path / "elsewhere").rename(place / "merges.txt")
    (place / "tokenizer_config.json").unlink()
    with pytest.raises(ConvertError, match=r"has no <\|startoftext\|>"):
        collect_tokenizer_files(place, tmp_path / "scratch")
