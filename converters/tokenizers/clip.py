"""CLIP's tokenizer as one tokenizer.json: FLUX.1 repositories hold it only as vocab.json and merges.txt.

Source: openai/CLIP clip/simple_tokenizer.py: lower case, runs of white space become one, byte-level BPE inside words,
`</w>` at their ends.
"""

from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers

from mlx_model.errors import ConvertError, say_reason
from mlx_model.foreign import LARGEST, contain_panics, parse_json

START, END = "<|startoftext|>", "<|endoftext|>"
WORDS = r"'s|'t|'re|'ve|'m|'ll|'d|\p{L}+|\p{N}|[^\s\p{L}\p{N}]+"


def make_clip_tokenizer(vocab: Path, merges: Path) -> Tokenizer:
    """The tokenizer of the two files; it adds no start, end or padding. Raises ConvertError where they are damaged."""
    try:
        if max(vocab.stat().st_size, merges.stat().st_size) > LARGEST:
            raise ValueError("they are too large")
        numbers = parse_json(vocab.read_text("utf-8"))
        lines = merges.read_text("utf-8").splitlines()
        halves = (line.split() for line in lines if line and not line.startswith("#version"))
        pairs = [(first, second) for first, second in halves]
        with contain_panics():
            bpe = models.BPE(numbers, pairs, unk_token=END, continuing_subword_prefix="", end_of_word_suffix="</w>")
        missing = [token for token in (START, END) if token not in numbers]
    except Exception as error:  # the library raises bare Exception for merges that don't fit the vocabulary
        why = say_reason(error)[:200]
        raise ConvertError(f"{vocab} and {merges.name} are no tokenizer: {why}.", "Download them again.") from error
    if missing:
        raise ConvertError(f"{vocab} has no {missing[0]}.", "Download it again.")
    tokenizer = Tokenizer(bpe)
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()]
    )
    words = pre_tokenizers.Split(Regex(WORDS), behavior="removed", invert=True)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([words, pre_tokenizers.ByteLevel(add_prefix_space=False)])
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(token, normalized=False, special=True) for token in (START, END)])
    return tokenizer
