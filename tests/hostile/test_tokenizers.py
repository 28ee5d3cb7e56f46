"""tokenizer.json, spiece.model and merges of strangers: refused before the library panics, aborts or never ends."""

import base64
import json
import time

import pytest

from converters.tokenizers.files import make_t5_tokenizer
from mlx_model import foreign
from mlx_model.errors import ConvertError, LayoutError
from mlx_model.foreign import contain_panics
from mlx_model.run.tokenize import open_tokenizer

GOOD = {
    "version": "1.0",
    "truncation": None,
    "padding": None,
    "added_tokens": [],
    "normalizer": None,
    "pre_tokenizer": None,
    "post_processor": None,
    "decoder": None,
    "model": {"type": "BPE", "vocab": {"a": 0, "b": 1}, "merges": []},
}


def split(regex):
    return {"pre_tokenizer": {"type": "Split", "pattern": {"Regex": regex}, "behavior": "Isolated", "invert": False}}


def normalize(*parts):
    return {"normalizer": {"type": "Sequence", "normalizers": list(parts)}}


def nest(levels):
    inner = {"type": "NFC"}
    for _ in range(levels):
        inner = {"type": "Sequence", "normalizers": [inner]}
    return {"normalizer": inner}


def replace(word, content):
    return {"type": "Replace", "pattern": {"String": word}, "content": content}


def charsmap(table):
    return {"normalizer": {"type": "Precompiled", "precompiled_charsmap": base64.b64encode(table).decode()}}


HOSTILE = {
    "a repeated group": split("(a+)+$"),
    "alternatives that are alike": split("(a|aa)+$"),
    "a reference back": split(r"(.*)\1\1"),
    "five repeats": split("a*a*a*a*a*b"),
    "a group that is counted": split("((a?){30}a){30}"),
    "a look back": split("(?<=a+)b"),
    "a growing normaliser": normalize(*[replace("a", "a" * 10)] * 3),
    "a long text in place of a letter": normalize(replace("a", "a" * 10_000)),
    "many normalisers": normalize(*[{"type": "NFC"}] * 1_000),
    "nested without end": nest(5_000),
    "nested deeply": nest(60),
    "a table that says to be larger": charsmap(b"\xff\xff\xff\xff" + bytes(9)),  # aborts the process
    "a table of nothing": charsmap(bytes(12)),  # panics
    "pieces of no length": {"pre_tokenizer": {"type": "FixedLength", "length": 0}},  # panics
    "a number beyond all": {"model": {"type": "BPE", "vocab": {"a": 2**40}, "merges": []}},
    "another model": {"model": {"type": "X"}},
    "no vocabulary": {"model": {"type": "BPE"}},
    "merges of nothing": {"model": {"type": "BPE", "vocab": {"a": 0}, "merges": ["x y"]}},
    "added tokens that are none": {"added_tokens": [{"id": 1, "content": "x" * 100_000}]},
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_tokenizer_is_refused(tmp_path, name):
    file = tmp_path / "tokenizer.json"
    file.write_text(dump(GOOD | HOSTILE[name]))
    start = time.process_time()
    with pytest.raises(LayoutError, match=r"tokenizer\.json can't be read"):
        open_tokenizer(file)
    assert time.process_time() - start < 2


def dump(values):
    """json.dumps is recursive."""
    levels, inner = 0, values.get("normalizer")
    while isinstance(inner, dict) and inner.get("type") == "Sequence" and len(inner["normalizers"]) == 1:
        levels, inner = levels + 1, inner["normalizers"][0]
    if levels < 100:
        return json.dumps(values)
    text = '{"type":"Sequence","normalizers":[' * levels + json.dumps(inner) + "]}" * levels
    return json.dumps(values | {"normalizer": "HERE"}).replace('"HERE"', text)


KNOWN = [  # of Qwen, Mistral, CLIP and T5
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{M}]*[\p{Ll}\p{M}]+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)",
    r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+",
    r"[^\r\n\p{L}\p{N}]?+\p{L}+| ?[^\s\p{L}\p{N}]++[\r\n]*|\s+",
    " {2,}",
]


@pytest.mark.parametrize("regex", KNOWN)
def test_expressions_of_real_tokenizers_pass(tmp_path, regex):
    (tmp_path / "tokenizer.json").write_text(json.dumps(GOOD | split(regex)))
    assert open_tokenizer(tmp_path / "tokenizer.json").encode("ab").ids == [0, 1]


def test_of_two_fields_of_one_name_the_one_that_was_checked_counts(tmp_path):
    text = json.dumps(GOOD).replace(
        '"pre_tokenizer": null', f'{json.dumps(split("(a+)+$"))[1:-1]}, "pre_tokenizer": null'
    )
    (tmp_path / "tokenizer.json").write_text(text)
    assert open_tokenizer(tmp_path / "tokenizer.json").pre_tokenizer is None


def test_a_panic_is_an_error():
    from tokenizers import pre_tokenizers

    with pytest.raises(ValueError, match="broke off"), contain_panics():
        pre_tokenizers.FixedLength(length=0).pre_tokenize_str("abc")


@pytest.mark.parametrize(
    "content",
    [
        b"\x08" + b"\xff" * 300_000,  # a number without end: each further byte took longer
        b"\x1a\x0b\x12\x09\xff\xff\xff\xff" + bytes(5) + b"\x0a\x05\x0a\x01?\x18\x02",  # a table larger than the file
        b"\x0a\x02\x0a\x00",
    ],
)
def test_a_hostile_spiece_model_is_refused(tmp_path, content):
    (tmp_path / "spiece.model").write_bytes(content)
    start = time.process_time()
    with pytest.raises(ConvertError, match="no tokenizer"):
        make_t5_tokenizer(tmp_path / "spiece.model")
    assert time.process_time() - start < 2


def test_what_transformers_writes_for_no_limit_is_read():
    """model_max_length of most published tokenizer_config.json: int(1e30), 31 digits."""
    assert foreign.parse_json('{"model_max_length": 1000000000000000019884624838656}')["model_max_length"] == int(1e30)
