"""Prompt templates byte for byte, padding on the right side, truncation, damaged tokenizer files."""

import json

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

from mlx_model.errors import LayoutError
from mlx_model.run.tokenize import TEMPLATES, PromptTokenizer

SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<think>", "</think>", "<s>", "[INST]", "[/INST]"]
SPECIAL += ["</s>", "<|startoftext|>"]


@pytest.fixture
def folder(tmp_path):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    tokenizer.train_from_iterator([], trainers.BpeTrainer(special_tokens=SPECIAL, initial_alphabet=alphabet))
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"pad_token": {"content": "<|endoftext|>"}}))
    return tmp_path


def decoded(tokens, ids, real):
    pieces = [tokens.tokenizer.id_to_token(i) for i, kept in zip(ids[0], real[0], strict=True) if kept]
    return "".join(pieces).replace("Ġ", " ").replace("Ċ", "\n")


def test_klein(folder):
    tokens = PromptTokenizer(folder, "klein", 128)
    ids, real = tokens("a red cat")
    wanted = "<|im_start|>user\na red cat<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n"
    assert decoded(tokens, ids, real) == wanted
    assert real[0].argmin() == real.sum()  # padding comes last
    assert set(ids[0][~real[0]]) == {tokens.pad_id}


def test_dev(folder):
    tokens = PromptTokenizer(folder, "flux2-dev", 400)
    ids, real = tokens("a [IMG]cat")
    text = decoded(tokens, ids, real)
    assert text.startswith("<s>[SYSTEM_PROMPT]You are an AI that reasons about image descriptions.")
    assert "object relationships, object\nattribution and actions without speculation.[/SYSTEM_PROMPT]" in text
    assert text.endswith("[INST]a cat[/INST]")
    assert not real[0, 0]  # padding comes first
    assert min(real.strides) >= 0  # mlx takes no reversed views
    assert real[0, -1]


@pytest.mark.parametrize("template", TEMPLATES)
@pytest.mark.parametrize("prompt", ["", "x" * 5000, "😀 مرحبا", "\x00\x07", "{prompt}"])
def test_any_prompt_has_the_same_length(folder, template, prompt):
    ids, real = PromptTokenizer(folder, template, 64)(prompt)
    assert ids.shape == real.shape == (1, 64)


def test_a_long_prompt_is_cut_on_the_right(folder):
    tokens = PromptTokenizer(folder, "klein", 20)
    ids, real = tokens("abcdefghijklmnopqrstuvwxyz")
    assert real.all()
    assert decoded(tokens, ids, real).startswith("<|im_start|>user\nabc")


@pytest.mark.parametrize(
    ("template", "start", "end"), [("t5", [], ["</s>"]), ("clip", ["<|startoftext|>"], ["<|endoftext|>"])]
)
def test_the_ends_of_a_long_prompt_stay(folder, template, start, end):
    tokens = PromptTokenizer(folder, template, 8)
    for prompt in ("ab", "abcdefghijklmnop"):
        text = [*start, *prompt[: 8 - len(start) - len(end)], *end]
        assert [tokens.tokenizer.id_to_token(number) for number in tokens.ids(prompt)] == text
        assert tokens.left_out(prompt) == max(0, len(prompt) + len(start) + len(end) - 8)


def test_a_tokenizer_without_the_ends_is_refused(folder):
    tokens = PromptTokenizer(folder, "t5", 8)
    tokens.tokenizer = Tokenizer(models.WordLevel({"a": 0}, "a"))
    with pytest.raises(LayoutError, match="</s>"):
        tokens.ids("a")


def test_missing_and_damaged_files(folder):
    with pytest.raises(LayoutError, match=r"tokenizer\.json"):
        PromptTokenizer(folder / "nowhere", "klein", 8)
    (folder / "tokenizer_config.json").write_text("{}")
    with pytest.raises(LayoutError, match="padding token"):
        PromptTokenizer(folder, "klein", 8)("a")
    (folder / "tokenizer.json").write_text("{")
    with pytest.raises(LayoutError, match="can't be read"):
        PromptTokenizer(folder, "klein", 8)
