"""Tokenizers made from vocab.json or spiece.model, against the libraries whose files these are."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

sentencepiece = pytest.importorskip("sentencepiece")
transformers = pytest.importorskip("transformers")

from converters.tokenizers.files import make_clip_tokenizer, make_t5_tokenizer  # noqa: E402
from tests.converters.tokenizers.test_tokenizer_clip import write_vocabulary  # noqa: E402

pytestmark = pytest.mark.parity
LINES = ["a red cat sat on a mat", "two cats and a dog by the sea", "the sea, the light (at dawn); the mat"] * 40


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    """CLIP's tokenizer as transformers makes it of the files, and as the converter does."""
    files = write_vocabulary(tmp_path_factory.mktemp("clip"))
    return transformers.CLIPTokenizer(*map(str, files)), make_clip_tokenizer(*files)


@settings(max_examples=200, deadline=None)
@given(text=st.text(max_size=40))
def test_clip_as_transformers(clips, text):
    theirs, ours = clips
    assert ours.encode(text).ids == theirs(text, add_special_tokens=False)["input_ids"]


@pytest.fixture(scope="module")
def t5s(tmp_path_factory):
    """A model that sentencepiece has trained, with the table of normalisations that T5's has."""
    place = tmp_path_factory.mktemp("t5")
    (place / "lines.txt").write_text("\n".join(LINES))
    sentencepiece.SentencePieceTrainer.train(
        input=str(place / "lines.txt"),
        model_prefix=str(place / "spiece"),
        vocab_size=33,
        minloglevel=3,
        pad_id=0,
        eos_id=1,
        unk_id=2,
        bos_id=-1,
        normalization_rule_name="nmt_nfkc",
    )
    file = place / "spiece.model"
    return sentencepiece.SentencePieceProcessor(model_file=str(file)), make_t5_tokenizer(file)


@pytest.mark.parametrize("text", [
    "a red cat", "two cats and a dog", "The Sea; at dawn, (the) light!", "unknown \u00e9\u4e16 words", "x",
    "\uff21 wide", " a  cat\n\n", "  ", "",
])  # fmt: skip
def test_t5_as_sentencepiece(t5s, text):
    theirs, ours = t5s
    assert ours.encode(text).ids == theirs.encode(text)
