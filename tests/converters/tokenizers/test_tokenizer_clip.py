"""CLIP's tokenizer from vocab.json and merges.txt, on a vocabulary made here (tests/parity: against transformers)."""

import json

import pytest
from tokenizers import pre_tokenizers

from converters.tokenizers.files import END, START, make_clip_tokenizer
from mlx_model.errors import ConvertError

MERGES = [("c", "a"), ("ca", "t</w>"), ("r", "e"), ("re", "d</w>"), ("'", "s</w>")]


def write_vocabulary(place):
    """vocab.json and merges.txt, written in the folder `place`; their paths."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    names = [*letters, *(letter + "</w>" for letter in letters), *("".join(pair) for pair in MERGES), START, END]
    (place / "vocab.json").write_text(json.dumps({name: number for number, name in enumerate(names)}))
    (place / "merges.txt").write_text("#version: 0.2\n" + "\n".join(" ".join(pair) for pair in MERGES) + "\n")
    return place / "vocab.json", place / "merges.txt"


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return write_vocabulary(tmp_path_factory.mktemp("clip"))


def test_words(files):
    tokenizer = make_clip_tokenizer(*files)
    made = tokenizer.encode("The RED\n  cat's 12")
    assert made.tokens == ["t", "h", "e</w>", "red</w>", "cat</w>", "'s</w>", "1</w>", "2</w>"]
    assert tokenizer.encode(f"{START}cat{END}").tokens == [START, "cat</w>", END]


@pytest.mark.parametrize(("vocab", "merges"), [("{", ""), ('{"a": 0}', ""), ('{"a": 0}', "a b\n"), ('["a"]', "")])
def test_damaged(vocab, merges, tmp_path):
    (tmp_path / "vocab.json").write_text(vocab)
    (tmp_path / "merges.txt").write_text(merges)
    with pytest.raises(ConvertError):
        make_clip_tokenizer(tmp_path / "vocab.json", tmp_path / "merges.txt")
