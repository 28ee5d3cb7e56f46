"""CLIP's tokenizer from vocab.json and merges.txt, on a vocabulary made here; against transformers where it is here."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import pre_tokenizers

from converters.tokenizer_clip import END, START, clip_tokenizer
from mlx_model.errors import ConvertError

MERGES = [("c", "a"), ("ca", "t</w>"), ("r", "e"), ("re", "d</w>"), ("'", "s</w>")]


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    place = tmp_path_factory.mktemp("clip")
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    names = [*letters, *(letter + "</w>" for letter in letters), *("".join(pair) for pair in MERGES), START, END]
    (place / "vocab.json").write_text(json.dumps({name: number for number, name in enumerate(names)}))
    (place / "merges.txt").write_text("#version: 0.2\n" + "\n".join(" ".join(pair) for pair in MERGES) + "\n")
    return place / "vocab.json", place / "merges.txt"


def test_words(files):
    tokenizer = clip_tokenizer(*files)
    made = tokenizer.encode("The RED\n  cat's 12")
    assert made.tokens == ["t", "h", "e</w>", "red</w>", "cat</w>", "'s</w>", "1</w>", "2</w>"]
    assert tokenizer.encode(f"{START}cat{END}").tokens == [START, "cat</w>", END]


@pytest.mark.parity
@settings(max_examples=200, deadline=None)
@given(text=st.text(max_size=40))
def test_same_as_transformers(files, text):
    transformers = pytest.importorskip("transformers")
    theirs = transformers.CLIPTokenizer(*map(str, files))
    assert clip_tokenizer(*files).encode(text).ids == theirs(text, add_special_tokens=False)["input_ids"]


@pytest.mark.parametrize(("vocab", "merges"), [("{", ""), ('{"a": 0}', ""), ('{"a": 0}', "a b\n"), ('["a"]', "")])
def test_damaged(vocab, merges, tmp_path):
    (tmp_path / "vocab.json").write_text(vocab)
    (tmp_path / "merges.txt").write_text(merges)
    with pytest.raises(ConvertError):
        clip_tokenizer(tmp_path / "vocab.json", tmp_path / "merges.txt")
