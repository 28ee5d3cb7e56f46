"""The writer on a tiny Qwen3 with random weights, opened by mlx-lm's own loader."""

import json
import shutil
from contextlib import closing
from types import SimpleNamespace

import mlx.core as mx
import pytest
from mlx.utils import tree_flatten
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from mlx_model.errors import LayoutError, RequestError, WillNotFit
from mlx_model.events import Stage, Step
from mlx_model.run.write import Writer
from mlx_model.writing import MOST_TOKENS, check_folder, compose_messages

mlx_lm = pytest.importorskip("mlx_lm")
CHAT = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
CONFIG = {
    "model_type": "qwen3", "hidden_size": 32, "num_hidden_layers": 2, "intermediate_size": 64, "num_attention_heads": 4,
    "num_key_value_heads": 2, "head_dim": 8, "rms_norm_eps": 1e-6, "vocab_size": 320, "rope_theta": 10000.0,
    "max_position_embeddings": 4096, "tie_word_embeddings": True, "eos_token_id": 0,
}  # fmt: skip
PLENTY = 2**40


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """As a published model lies on the disk."""
    from mlx_lm.models.qwen3 import Model, ModelArgs

    path = tmp_path_factory.mktemp("writer")
    model = Model(ModelArgs.from_dict(CONFIG))
    mx.save_safetensors(str(path / "model.safetensors"), dict(tree_flatten(model.parameters())), {"format": "mlx"})
    (path / "config.json").write_text(json.dumps(CONFIG))
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer, tokenizer.decoder = pre_tokenizers.ByteLevel(), decoders.ByteLevel()
    special = ["<|im_end|>", "<|im_start|>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=300, special_tokens=special, initial_alphabet=alphabet)
    tokenizer.train_from_iterator(["a fox in the snow"], trainer)
    tokenizer.save(str(path / "tokenizer.json"))
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "<|im_end|>", "chat_template": CHAT}
    (path / "tokenizer_config.json").write_text(json.dumps(settings))
    return path


@pytest.fixture(scope="module")
def writer(folder):
    return Writer.open(folder, PLENTY)


def test_it_writes_and_what_makes_no_sense_is_not_used(writer):
    """Random weights say anything but what was asked, and mostly without an end."""
    events, saying = [], writer.write("@fox in the snow")
    with pytest.raises(RequestError, match="not used"):
        events.extend(_list_each(saying, events))
    assert isinstance(events[0], Stage)
    steps = [event.step for event in events if isinstance(event, Step)]
    assert steps[0] == 1
    assert len(steps) <= MOST_TOKENS


def _list_each(saying, events):
    for event in saying:
        events.append(event)
    return []


def test_it_stops_within_a_token(writer):
    with closing(writer.write("a fox")) as events:
        next(events)
        assert next(events).step == 1


def find_end(events):
    """What a generator returns."""
    try:
        while True:
            next(events)
    except StopIteration as end:
        return end.value


def test_the_text_is_what_the_model_said(writer, monkeypatch):
    def speak(model, tokenizer, prompt, max_tokens, sampler):
        assert "@fox in the snow" in tokenizer.decode(prompt)
        assert tokenizer.decode(prompt).rstrip().endswith("assistant")
        for word in ("A red ", "@fox", " in deep snow."):
            yield SimpleNamespace(text=word, finish_reason=None)
        yield SimpleNamespace(text="", finish_reason="stop")

    monkeypatch.setattr(mlx_lm, "stream_generate", speak)
    events = writer.write("@fox in the snow")
    assert find_end(events) == "A red @fox in deep snow."


def test_no_code_of_a_tokenizer_runs_and_nobody_is_asked(folder, tmp_path, monkeypatch):
    """Of a kind that transformers has no tokenizer for, it would ask."""
    config = {**CONFIG, "model_type": "bailing_moe"}
    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"auto_map": {"AutoTokenizer": ["own.T", "own.T"]}}))
    (tmp_path / "own.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\nclass T: pass\n")
    asked = []
    monkeypatch.setattr("builtins.input", lambda *words: asked.append(words) or "y")
    monkeypatch.setattr("mlx_lm.utils.load_model", lambda *_, **__: (None, config))
    with pytest.raises(LayoutError):
        Writer.open(tmp_path, PLENTY)
    assert asked == []
    assert not (tmp_path / "ran").exists()


def test_folders_that_are_no_writer_are_told(folder, tmp_path):
    with pytest.raises(LayoutError, match="sound config"):
        check_folder(tmp_path, PLENTY)
    (tmp_path / "config.json").write_text("[]")
    with pytest.raises(LayoutError, match="sound config"):
        check_folder(tmp_path, PLENTY)
    (tmp_path / "config.json").write_text(json.dumps({**CONFIG, "model_file": "own.py"}))
    with pytest.raises(LayoutError, match="code of its own"):
        check_folder(tmp_path, PLENTY)
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    with pytest.raises(LayoutError, match="no weights"):
        check_folder(tmp_path, PLENTY)
    with pytest.raises(WillNotFit):
        check_folder(folder, 1000)
    (tmp_path / "model.safetensors").write_bytes(b"no weights at all")
    with pytest.raises(LayoutError):
        Writer.open(tmp_path, PLENTY)


REFUSES = "{% if messages[0].role == 'system' %}{{ raise_exception('no system') }}{% endif %}" + CHAT


def change(folder, out, **settings):
    """The same model with other settings of its tokenizer; None takes one out."""
    shutil.copytree(folder, out)
    path = out / "tokenizer_config.json"
    kept = {key: value for key, value in (json.loads(path.read_text()) | settings).items() if value}
    path.write_text(json.dumps(kept))
    return out


def test_a_template_without_a_system_role_is_asked_by_the_user_alone(folder, tmp_path):
    gemma = Writer.open(change(folder, tmp_path / "gemma", chat_template=REFUSES), PLENTY)
    said = gemma.tokenizer.decode(gemma._make_prompt(compose_messages("a fox")))
    assert "a fox" in said
    assert "You write" in said


@pytest.mark.parametrize("template", [None, "{% if %}", "{{ a.b.c }}", "{{ 1 / 0 }}", "{{ raise_exception('no') }}"])
def test_a_model_that_can_not_be_asked_is_told(folder, tmp_path, template):
    broken = Writer.open(change(folder, tmp_path / "broken", chat_template=template), PLENTY)
    with pytest.raises(LayoutError, match="chat template"):
        list(broken.write("a fox"))


@pytest.mark.parametrize("key", ["chat_template_type", "tool_parser_type"])
def test_a_kind_that_mlx_lm_does_not_know_is_told(folder, tmp_path, key):
    with pytest.raises(LayoutError, match="mlx-lm opens"):
        Writer.open(change(folder, tmp_path / "other", **{key: "nope"}), PLENTY)
