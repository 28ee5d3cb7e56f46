"""Byte-level BPE without tokenizer.json: Qwen's vocab.json and merges.txt, and Mistral's tekken.json.

Qwen's marks stand beside, in tokenizer_config.json or added_tokens.json. Tekken lists byte strings by rank, from which
the merges follow, behind its control tokens. Source: transformers Qwen2Tokenizer and its MistralConverter;
mistral-common tokens/tokenizers/tekken.py.
"""

import base64
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers

from mlx_model.errors import ConvertError, say_reason
from mlx_model.foreign import LARGEST, MOST_TOKENS, contain_panics, parse_json

MARK = "<|im_start|>"  # of Qwen
QWEN_WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
TEKKEN_WORDS = (
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"
    r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*"
    r"|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
# Of the first versions of tekken.json, which do not list them.
CONTROLS = (
    *("<unk>", "<s>", "</s>", "[INST]", "[/INST]", "[AVAILABLE_TOOLS]", "[/AVAILABLE_TOOLS]", "[TOOL_RESULTS]"),
    *("[/TOOL_RESULTS]", "[TOOL_CALLS]", "[IMG]", "<pad>", "[IMG_BREAK]", "[IMG_END]", "[PREFIX]", "[MIDDLE]"),
    *("[SUFFIX]", "[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]", "[TOOL_CONTENT]"),
)
USUAL_CONTROLS = 1000  # with those that have no name
LONGEST, MOST_BYTES = 512, 2**23  # of a byte string, and of all of them
FLAGS = ("special", "lstrip", "rstrip", "single_word")
Added = dict[str, tuple[int, dict[str, bool]]]  # number and flags by token


def name_bytes() -> dict[int, str]:
    """The printable letter that stands for each byte."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = (byte for byte in range(256) if byte not in plain)
    return {byte: chr(byte) for byte in plain} | {byte: chr(256 + place) for place, byte in enumerate(others)}


def read_added(directory: Path) -> Added:
    """The tokens that stand beside a vocabulary. Raises ConvertError where they can't be read."""
    file = directory / "tokenizer_config.json"
    try:
        config = parse_json(file.read_text("utf-8")) if file.is_file() else {}
        found: Added = {
            str(told["content"]): (int(number), {flag: bool(told.get(flag)) for flag in FLAGS})
            for number, told in (config.get("added_tokens_decoder") or {}).items()
        }
        file = directory / "added_tokens.json"
        more = parse_json(file.read_text("utf-8")) if file.is_file() else {}
        return {**{str(token): (int(number), {}) for token, number in more.items()}, **found}
    except (ValueError, TypeError, AttributeError, KeyError) as error:
        raise ConvertError(f"{file} is damaged: {say_reason(error)}.", "Download it again.") from error


def read_merges(vocab: Path, merges: Path) -> tuple[dict[str, int], list[tuple[str, str]]]:
    """What the two files hold. Raises ValueError."""
    if max(vocab.stat().st_size, merges.stat().st_size) > LARGEST:
        raise ValueError("they are too large")
    lines = merges.read_text("utf-8").splitlines()
    halves = (line.split() for line in lines if line and not line.startswith("#version"))
    return parse_json(vocab.read_text("utf-8")), [(first, second) for first, second in halves]


def make_qwen_tokenizer(vocab: Path, merges: Path, added: Added) -> Tokenizer:
    """The tokenizer of Qwen's two files with the tokens beside them. Raises ConvertError where they are damaged."""
    try:
        numbers, pairs = read_merges(vocab, merges)
        taken = set(numbers.values())
        if any(numbers.get(token, number) != number for token, (number, _) in added.items()):
            raise ValueError("what stands beside it has other numbers")
        if any(token not in numbers and number in taken for token, (number, _) in added.items()):
            raise ValueError("two tokens have one number")
        made = _make({**numbers, **{token: number for token, (number, _) in added.items()}}, pairs, QWEN_WORDS)
        made.normalizer = normalizers.NFC()
        made.add_tokens([AddedToken(token, normalized=False, **flags) for token, (_, flags) in added.items()])
        return made
    except Exception as error:  # the library raises bare Exception for merges that don't fit the vocabulary
        why = say_reason(error)[:200]
        raise ConvertError(f"{vocab} and {merges.name} are no tokenizer: {why}.", "Download them again.") from error


def make_tekken_tokenizer(file: Path) -> Tokenizer:
    """The tokenizer of a tekken.json; it puts no start in front. Raises ConvertError where it is damaged."""
    try:
        if file.stat().st_size > LARGEST:
            raise ValueError("it is too large")
        values = parse_json(file.read_text("utf-8"))
        config, controls = values["config"], _list_controls(values)
        count = int(config["default_vocab_size"]) - len(controls)
        pieces = {
            entry["rank"]: base64.b64decode(entry["token_bytes"], validate=True)
            for entry in values["vocab"][: max(0, count)]
        }
        if sorted(pieces) != list(range(len(pieces))):
            raise ValueError("its ranks are no row of numbers")
        numbers, pairs = _join_pieces([pieces[rank] for rank in range(len(pieces))], len(controls))
        numbers |= {token: number for number, token in enumerate(controls)}
        made = _make(numbers, pairs, config.get("pattern") or TEKKEN_WORDS, whole=True)
        made.add_special_tokens([AddedToken(token, normalized=False, special=True) for token in controls])
        return made
    except Exception as error:  # as above
        why = say_reason(error)[:200] if type(error) in (ValueError, Exception) else "it is damaged"
        raise ConvertError(f"{file} is no tokenizer: {why}.", "Download it again.") from error


def _list_controls(values: dict[str, Any]) -> list[str]:
    """The control tokens by number; those that have no name are called by it."""
    told = values.get("special_tokens")
    listed = {int(entry["rank"]): str(entry["token_str"]) for entry in told or ()} or dict(enumerate(CONTROLS))
    usual = len(listed) if told else USUAL_CONTROLS
    count = max(len(listed), int(values["config"].get("default_num_special_tokens") or usual))
    if count > MOST_TOKENS or not 0 <= min(listed) <= max(listed) < count:
        raise ValueError("its control tokens have numbers beyond their count")
    return [listed.get(number, f"<SPECIAL_{number}>") for number in range(count)]


def _join_pieces(pieces: list[bytes], first: int) -> tuple[dict[str, int], list[tuple[str, str]]]:
    """Vocabulary from the number `first` on, and the merges: the two pieces that each longer one can be joined of."""
    if max(map(len, pieces), default=0) > LONGEST or sum(map(len, pieces)) > MOST_BYTES:
        raise ValueError("its vocabulary has no end")
    letters, ranks = name_bytes(), {piece: rank for rank, piece in enumerate(pieces)}
    names = ["".join(letters[byte] for byte in piece) for piece in pieces]
    merges: list[tuple[str, str]] = []
    for piece in pieces:
        cuts = ((ranks.get(piece[:cut]), ranks.get(piece[cut:])) for cut in range(1, len(piece)))
        pairs = sorted((left, right) for left, right in cuts if left is not None and right is not None)
        merges += [(names[left], names[right]) for left, right in pairs]
    return {name: first + rank for rank, name in enumerate(names)}, merges


def _make(numbers: dict[str, int], merges: list[tuple[str, str]], words: str, whole: bool = False) -> Tokenizer:
    """`whole`: a word that is a piece is taken as it is, whatever the merges say."""
    if len(numbers) > MOST_TOKENS:
        raise ValueError("its vocabulary has no end")
    with contain_panics():
        tokenizer = Tokenizer(models.BPE(numbers, merges, ignore_merges=whole))
        split = pre_tokenizers.Split(Regex(words), "isolated")
        bytewise = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence([split, bytewise])
        tokenizer.decoder = decoders.ByteLevel()
    return tokenizer
