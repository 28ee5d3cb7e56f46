"""T5's tokenizer from spiece.model: on a model written here by hand (tests/parity: against sentencepiece)."""

import struct

import pytest

from converters.tokenizers.files import make_t5_tokenizer, read_fields
from mlx_model.errors import ConvertError

PIECES = [
    ("<pad>", 0.0, 3),
    ("</s>", 0.0, 3),
    ("<unk>", 0.0, 2),
    ("\u2581", -2.0, 1),
    ("\u2581cat", -3.0, 1),
    ("c", -6.0, 1),
    ("a", -6.0, 1),
    ("t", -6.0, 1),
    ("s", -6.0, 1),
]


def field(number: int, kind: int, value: bytes) -> bytes:
    size = bytes([len(value)]) if kind == 2 else b""
    return bytes([number << 3 | kind]) + size + value


def model(pieces=PIECES) -> bytes:
    made = b""
    for piece, score, kind in pieces:
        inside = field(1, 2, piece.encode()) + field(2, 5, struct.pack("<f", score)) + field(3, 0, bytes([kind]))
        made += field(1, 2, inside)
    return made + field(2, 2, b"\x08\x01") + field(3, 2, field(1, 2, b"identity"))


@pytest.fixture
def file(tmp_path):
    (tmp_path / "spiece.model").write_bytes(model())
    return tmp_path / "spiece.model"


def test_fields():
    assert list(read_fields(b"\x08\x96\x01\x12\x02ab")) == [(1, 150), (2, b"ab")]


def test_words_and_marks(file):
    tokenizer = make_t5_tokenizer(file)
    assert tokenizer.encode("cats  cat").tokens == ["\u2581cat", "s", "\u2581cat"]
    assert tokenizer.encode("\n cats \t").tokens == ["\u2581cat", "s"]
    assert tokenizer.encode(" ").tokens == []
    assert tokenizer.encode("cat</s>", add_special_tokens=False).ids == [4, 1]
    assert [tokenizer.token_to_id(name) for name in ("<pad>", "</s>", "<unk>")] == [0, 1, 2]
    assert tokenizer.encode("cat x").ids[-1] == 2
    assert tokenizer.get_vocab_size() == len(PIECES) + 100  # sentinels, the last of which comes first
    assert tokenizer.token_to_id("<extra_id_99>") == len(PIECES)


@pytest.mark.parametrize("content", [
    b"", b"\xff" * 40, model()[:-3], model(PIECES[:2]), model([("x", 0.0, 2)])[5:], b"{}",
    model() + field(3, 2, field(2, 2, b"no table")),
])  # fmt: skip
def test_damaged(tmp_path, content):
    (tmp_path / "spiece.model").write_bytes(content)
    if content.endswith(b"no table"):
        content = field(3, 2, field(2, 2, b"no table")) + model()
        (tmp_path / "spiece.model").write_bytes(content)
    with pytest.raises(ConvertError, match=r"spiece\.model is no tokenizer"):
        make_t5_tokenizer(tmp_path / "spiece.model")
