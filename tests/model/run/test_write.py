"""The writer on a tiny Qwen3 with random weights, opened by mlx-lm's own loader."""

import json
import shutil
from contextlib import closing
from types import SimpleNamespace

import pytest

from mlx_model.errors import LayoutError, RequestError, WillNotFit
from mlx_model.events import Stage, Step
from mlx_model.run import write
from mlx_model.run.write import Writer
from mlx_model.store.writer_folder import check_writer
from mlx_model.writing import MAKERS, MAKERS_TOKENS, MOST_TOKENS, compose_messages
from tests.tiny_language import CHAT, CONFIG, save_language

mlx_lm = pytest.importorskip("mlx_lm")
PLENTY = 2**40


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """As a published model lies on the disk."""
    return save_language(tmp_path_factory.mktemp("writer"))


@pytest.fixture(scope="module")
def writer(folder):
    return Writer.open(folder, PLENTY)


def test_it_writes_and_what_makes_no_sense_is_not_used(writer):
    """Random weights say anything but what was asked, and mostly without an end."""
    events, saying = [], writer.write("@fox in the snow")
    with pytest.raises(RequestError, match="not used"):
        events.extend(_list_each(saying, events))
    assert isinstance(events[0], Stage)
    begin = next(number for number, event in enumerate(events) if event == Stage("write", total=MOST_TOKENS))
    steps = [event.step for event in events[begin:] if isinstance(event, Step)]
    assert steps[0] == 1
    assert len(steps) <= MOST_TOKENS


def _list_each(saying, events):
    for event in saying:
        events.append(event)
    return []


def test_it_says_how_far_its_weights_are_read_and_stops_there(folder, monkeypatch):
    """Of a large one that takes a minute, and longer from a slow disk."""
    monkeypatch.setattr(write, "PIECE", 1)
    fresh = Writer.open(folder, PLENTY)
    with closing(fresh.write("a fox")) as events:
        assert next(events).name == "load"
        assert 0 < next(events).step < 50
    told = list(fresh.load())  # what was stopped goes on from the start
    assert [one.step for one in told[1:]] == sorted(one.step for one in told[1:])
    assert told[-1].step == told[-1].total
    assert list(fresh.load()) == []


def test_it_stops_within_a_token_and_within_a_piece_of_a_long_prompt(writer):
    list(writer.load())
    with closing(writer.write("a fox")) as events:
        next(events)
        assert next(events).step == 1

    def stop():
        raise KeyboardInterrupt

    writer.between = stop
    try:
        with closing(writer.write("a fox " * 300)) as events, pytest.raises(KeyboardInterrupt):
            list(events)
    finally:
        writer.between = lambda: None


def find_end(events):
    """What a generator returns."""
    try:
        while True:
            next(events)
    except StopIteration as end:
        return end.value


def test_the_text_is_what_the_model_said(writer, monkeypatch):
    def speak(model, tokenizer, prompt, max_tokens, sampler, **_):
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
        check_writer(tmp_path, PLENTY)
    (tmp_path / "config.json").write_text("[]")
    with pytest.raises(LayoutError, match="sound config"):
        check_writer(tmp_path, PLENTY)
    (tmp_path / "config.json").write_text(json.dumps({**CONFIG, "model_file": "own.py"}))
    with pytest.raises(LayoutError, match="code of its own"):
        check_writer(tmp_path, PLENTY)
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    with pytest.raises(LayoutError, match="no weights"):
        check_writer(tmp_path, PLENTY)
    with pytest.raises(WillNotFit):
        check_writer(folder, 1000)
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


def test_what_its_makers_tell_it_is_told_and_it_may_say_more(folder, tmp_path, monkeypatch):
    own = shutil.copytree(folder, tmp_path / "own")
    (own / MAKERS).write_text(json.dumps({"t2i": "You are the upsampler.", "i2i": "You see pictures."}))
    asked = []

    def speak(model, tokenizer, prompt, max_tokens, sampler, **_):
        asked.append((tokenizer.decode(prompt), max_tokens))
        yield SimpleNamespace(text="A red @fox in deep snow.", finish_reason="stop")

    monkeypatch.setattr(mlx_lm, "stream_generate", speak)
    for changes in (False, True):
        assert find_end(Writer.open(own, PLENTY).write("@fox in the snow", (), changes))
    (made, most), (changed, fewer) = asked
    assert "You are the upsampler." in made
    assert "keep each exactly as it is" in made
    assert most == MAKERS_TOKENS
    assert "You see pictures." not in changed  # it sees none here
    assert "instructions for a model that edits" in changed
    assert fewer == MOST_TOKENS


@pytest.mark.parametrize("told", [b"\xff", b"[1]", b'{"t2i": 5}', b"{", json.dumps({"t2i": "x" * 30000}).encode()])
def test_makers_words_that_are_none_are_passed_over(folder, tmp_path, told):
    own = shutil.copytree(folder, tmp_path / "own")
    (own / MAKERS).write_bytes(told)
    writer = Writer.open(own, PLENTY)
    list(writer.load())
    assert next(writer.write("a fox")).total == MOST_TOKENS


def test_weights_that_overlap_are_not_opened(folder, tmp_path):
    """mx.load takes them."""
    bad = shutil.copytree(folder, tmp_path / "bad")
    header = json.dumps({"a": {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]},
                         "b": {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]}}).encode()  # fmt: skip
    (bad / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + bytes(16))
    with pytest.raises(LayoutError, match=r"model\.safetensors"):
        Writer.open(bad, PLENTY)


def test_a_scene_s_lines_are_written_each_by_itself_and_a_bad_one_stops_none(writer, monkeypatch):
    asked = []

    def speak(model, tokenizer, prompt, max_tokens, sampler, **_):
        asked.append(tokenizer.decode(prompt))
        text = "A red @fox." if "@fox comes in" in asked[-1] else "Nobody."
        yield SimpleNamespace(text=text, finish_reason="stop")

    monkeypatch.setattr(mlx_lm, "stream_generate", speak)
    made = find_end(writer.write_scene(["@fox comes in", "@fox sits", "it rains"], "Place: a bar."))
    assert [text for text, _ in made] == ["A red @fox.", "", "Nobody."]
    assert "lost @fox" in made[1][1]
    assert all("Place: a bar." in one for one in asked)
