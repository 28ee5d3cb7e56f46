"""The tokenizers of a checkpoint: as tokenizer.json, or made from other files: those of byte_level.py, and the older
ones that FLUX.1's repositories have.

CLIP's, which its repositories hold only as vocab.json and merges.txt. Source: openai/CLIP clip/simple_tokenizer.py:
lower case, runs of white space become one, byte-level BPE inside words, `</w>` at their ends.

T5's, from the spiece.model of older folders: a protocol buffer (sentencepiece_model.proto) of pieces with their scores
and a table that normalises text. Source: google/sentencepiece; transformers' converter for T5, which says what T5 adds:
a mark of the end, a hundred sentinels, a space in front.
"""

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers

from mlx_model.errors import ConvertError, say_reason
from mlx_model.foreign import LARGEST, MOST_TOKENS, check_charsmap, contain_panics, parse_json

from .byte_level import MARK, make_qwen_tokenizer, make_tekken_tokenizer, read_added, read_merges

FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "chat_template.jinja",
)
WHOLE, CONFIG, PAIR = "tokenizer.json", "tokenizer_config.json", ("vocab.json", "merges.txt")
TEKKEN, T5 = "tekken.json", "spiece.model"
FORMS = ((WHOLE,), PAIR, (TEKKEN,), (T5,))
PADDING = ("<|endoftext|>", "<pad>")  # of CLIP and Qwen; of T5 and Mistral
START, END = "<|startoftext|>", "<|endoftext|>"
WORDS = r"'s|'t|'re|'ve|'m|'ll|'d|\p{L}+|\p{N}|[^\s\p{L}\p{N}]+"


@dataclass(frozen=True)
class Tokenizers:
    """Folders that hold the text encoder's tokenizer and the pooled encoder's; the first may serve either."""

    text: Path | None = None
    pooled: Path | None = None


def find_tokenizers(places: list[Path]) -> Tokenizers:
    """From the first place that has one. CLIP's are the pooled encoder's, whatever their folder is called."""
    text = pooled = None
    for place in (place for place in places if place.is_dir()):
        names = ("tokenizer_2", "tokenizer", "text_encoder", "pooled_tokenizer", ".")
        found = [place / name for name in names if is_complete(place / name)]
        clips = [folder for folder in found if is_clip(folder)]
        text = text or next((folder for folder in found if folder not in clips), None)
        pooled = pooled or next(iter(clips), None)
    return Tokenizers(text, pooled)


def is_clip(directory: Path) -> bool:
    """Whether its vocabulary has CLIP's mark, which no other tokenizer of these models has."""
    files = [directory / name for name in (WHOLE, PAIR[0]) if (directory / name).is_file()]
    return any(START.encode() in file.read_bytes() for file in files[:1] if file.stat().st_size <= LARGEST)


def is_complete(directory: Path) -> bool:
    return any(all((directory / name).is_file() for name in names) for names in FORMS)


def collect_tokenizer_files(directory: Path, scratch: Path) -> list[Path]:
    """The files to keep, in one folder: `scratch` where some have to be made. Raises ConvertError."""
    files = [directory / name for name in FILES if (directory / name).is_file()]
    if {directory / WHOLE, directory / CONFIG} <= set(files):
        return files
    scratch.mkdir(parents=True, exist_ok=True)
    for file in (file for file in files if file.name not in PAIR):
        shutil.copyfile(file, scratch / file.name)
    if directory / WHOLE not in files:
        _make_whole(directory).save(str(scratch / WHOLE))
    if directory / CONFIG not in files:
        (scratch / CONFIG).write_text(json.dumps({"pad_token": _find_padding(scratch / WHOLE)}))
    return sorted(scratch.iterdir())


def _make_whole(directory: Path) -> Tokenizer:
    """Of the files that are there, the surest first."""
    if (directory / TEKKEN).is_file():
        return make_tekken_tokenizer(directory / TEKKEN)
    if (directory / T5).is_file():
        return make_t5_tokenizer(directory / T5)
    vocab, merges = (directory / name for name in PAIR)
    added = read_added(directory)
    return make_qwen_tokenizer(vocab, merges, added) if MARK in added else make_clip_tokenizer(vocab, merges)


def _find_padding(whole: Path) -> str:
    """The token that fills up, where nothing beside the vocabulary says it. Raises ConvertError."""
    try:
        if whole.stat().st_size > LARGEST:
            raise ValueError("it is too large")
        added = {token["content"] for token in parse_json(whole.read_text("utf-8"))["added_tokens"]}
    except (ValueError, TypeError, KeyError) as error:
        raise ConvertError(f"{whole} is damaged: {say_reason(error)}.", "Download it again.") from error
    return next((token for token in PADDING if token in added), "")


def make_clip_tokenizer(vocab: Path, merges: Path) -> Tokenizer:
    """The tokenizer of the two files; it adds no start, end or padding. Raises ConvertError where they are damaged."""
    try:
        numbers, pairs = read_merges(vocab, merges)
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


SENTINELS = 100
PIECES, NORMALIZER = 1, 3  # fields of the model
PIECE, SCORE, KIND, CHARSMAP = 1, 2, 3, 2  # of a piece; of the normalizer
UNKNOWN, CONTROL = 2, 3  # kinds of pieces
SPACE = "\u2581"


def make_t5_tokenizer(file: Path) -> Tokenizer:
    """The tokenizer of a spiece.model; it adds no end and no padding. Raises ConvertError where it is damaged."""
    try:
        if file.stat().st_size > LARGEST:
            raise ValueError("it is too large")
        model = list(read_fields(file.read_bytes()))
        pieces = [_read_piece(_expect_bytes(value)) for number, value in model if number == PIECES]
        rules = [_expect_bytes(value) for number, value in model if number == NORMALIZER]
        table = next((value for number, value in read_fields(rules[0]) if number == CHARSMAP), b"") if rules else b""
        unknown = next(place for place, (_, _, kind) in enumerate(pieces) if kind == UNKNOWN)
        if len(pieces) > MOST_TOKENS:
            raise ValueError("its vocabulary has no end")
        with contain_panics():
            return _make_tokenizer(pieces, unknown, _expect_bytes(table))
    except Exception as error:  # the library raises bare Exception for a table that it can't use
        why = str(error)[:200] if type(error) in (ValueError, Exception) else "it is damaged"
        raise ConvertError(f"{file} is no tokenizer: {why}.", "Download it again.") from error


def _make_tokenizer(pieces: list[tuple[str, float, int]], unknown: int, table: bytes) -> Tokenizer:
    sentinels = [f"<extra_id_{number}>" for number in reversed(range(SENTINELS))]
    scores = [(piece, score) for piece, score, _ in pieces] + [(name, 0.0) for name in sentinels]
    tokenizer = Tokenizer(models.Unigram(scores, unk_id=unknown, byte_fallback=False))
    if table:
        check_charsmap(table)
        tokenizer.normalizer = normalizers.Precompiled(table)
    # Splitting at white space first drops it at the ends, and where it is repeated.
    marked = pre_tokenizers.Metaspace(replacement=SPACE, prepend_scheme="always")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), marked])
    tokenizer.decoder = decoders.Metaspace(replacement=SPACE, prepend_scheme="always")
    special = [piece for piece, _, kind in pieces if kind in (UNKNOWN, CONTROL)] + sentinels
    tokenizer.add_special_tokens([AddedToken(name, normalized=False, special=True) for name in special])
    return tokenizer


def _read_piece(message: bytes) -> tuple[str, float, int]:
    values = dict(read_fields(message))
    score = float(np.frombuffer(_expect_bytes(values[SCORE]), "<f4")[0]) if SCORE in values else 0.0
    return _expect_bytes(values[PIECE]).decode("utf-8"), score, int(values.get(KIND, 1))


def _expect_bytes(value: int | bytes) -> bytes:
    if isinstance(value, int):
        raise ValueError("a number stands where text belongs")
    return value


def read_fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """(number, value) of each field of a protocol buffer: whole numbers, or bytes. Raises ValueError."""
    place = 0
    value: int | bytes
    while place < len(message):
        key, place = _read_varint(message, place)
        kind = key & 7
        if kind == 0:
            value, place = _read_varint(message, place)
        else:
            size, place = _read_varint(message, place) if kind == 2 else ({1: 8, 5: 4}[kind], place)
            value, place = message[place : place + size], place + size
        if place > len(message):
            raise ValueError("it ends inside a field")
        yield key >> 3, value


def _read_varint(message: bytes, place: int) -> tuple[int, int]:
    """The number that begins at `place`, seven bits a byte, and where it ends. Raises IndexError at the end."""
    value = shift = 0
    while True:
        byte = message[place]
        if shift > 63:  # each further byte would take longer than the one before
            raise ValueError("it has a number of too many digits")
        value |= (byte & 127) << shift
        place, shift = place + 1, shift + 7
        if byte < 128:
            return value, place
