"""Tokenizers that come inside weight files: ComfyUI's tensors of bytes, and GGUF's metadata."""

import shutil

import numpy as np
import pytest

from converters.convert import convert
from converters.gather import gather, say_missing
from converters.source import find_source
from converters.survey import survey
from converters.tokenizers.byte_level import CONTROLS, name_bytes
from converters.tokenizers.files import collect_tokenizer_files
from converters.vocabularies import find_vocabulary, lay_out
from mlx_model.errors import ConvertError, FluxLocalError
from mlx_model.events import Note
from mlx_model.run.tokenize import PromptTokenizer
from mlx_model.specs import SPECS
from mlx_model.store.folder import open_folder
from tests.converters.formats.test_gguf import name_layers
from tests.converters.formats.test_gguf import write as write_gguf
from tests.converters.stored import write
from tests.converters.test_folders import comfy
from tests.converters.tiny import TINY, checkpoint, published, tokenizer, weights
from tests.converters.tokenizers.test_byte_level import MARKS, PIECES, write_qwen, write_tekken
from tests.converters.tokenizers.test_tokenizer_t5 import PIECES as T5_PIECES
from tests.converters.tokenizers.test_tokenizer_t5 import model as spiece_model

LETTERS = name_bytes()
TOLD = {"flux1-dev": "spiece_model", "flux2-dev": "tekken_model"}
ENDS = {"flux1-dev": [4, 1], "flux2-dev": [24 + ord("A"), 24 + ord("C"), 4]}
CONFIG = '{"text_config": {"head_dim": 8}, "norm_num_groups": 4, "eos_token_id": 2}'


def say_bytes(model, place):
    """The vocabulary of a tiny model's encoder, which knows 64 or 96 tokens."""
    if model == "flux1-dev":
        return np.frombuffer(spiece_model(), np.uint8)
    config = {"default_vocab_size": 96, "default_num_special_tokens": 24}
    return np.frombuffer((write_tekken(place, config=config) / "tekken.json").read_bytes(), np.uint8)


def encoder(model, place):
    """As ComfyUI's files have it."""
    arrays = {name: np.float32(array) for name, array in published(TINY[model], "text_encoder").items()}
    return {**arrays, TOLD[model]: say_bytes(model, place / "made")}


@pytest.fixture(params=TOLD)
def source(request, tmp_path, monkeypatch):
    """A transformer's file with an encoder's beside it, and no tokenizer for that."""
    monkeypatch.setattr("converters.tokenizers.files.SENTINELS", 8)  # a tiny T5 has no room for a hundred
    tiny = TINY[request.param]
    file = checkpoint(tiny, tmp_path / "source")
    shutil.rmtree(file.parent / tiny.parts["text_encoder"][2])
    shutil.rmtree(file.parent / tiny.tokenizers[-1])
    write(file.parent / "encoder.safetensors", encoder(tiny.model, tmp_path))
    (file.parent / "config.json").write_text(CONFIG)
    return file


def test_beside_a_single_file(source, tmp_path):
    model, out = source.stem, tmp_path / "out"
    notes = [event.text for event in convert(source, out, model=model, bits=32) if isinstance(event, Note)]
    assert f"The tokenizer is made of {TOLD[model]} in encoder.safetensors." in notes
    assert not [note for note in notes if "left out" in note]
    made = PromptTokenizer(open_folder(out).tokenizer_path, SPECS[model].template, 64)
    assert made.ids("cat" if model == "flux1-dev" else "AC")[-3:] == ENDS[model]
    made.check(TINY[model].parts["text_encoder"][0].vocab_size)


@pytest.mark.first_case
def test_in_a_folder_of_another_program(source, tmp_path):
    gathered = gather(SPECS[source.stem], survey(source.parent))
    assert gathered.missing == {}
    assert gathered.tokenizers.text == source.parent / "encoder.safetensors"
    list(convert(gathered.make_source(source.parent), tmp_path / "out", model=source.stem, bits=32))
    assert (open_folder(tmp_path / "out").tokenizer_path / "tokenizer.json").is_file()


def test_one_that_lies_beside_comes_first(source, tmp_path):
    """It is as its maker publishes it."""
    tokenizer(source.parent / TINY[source.stem].tokenizers[-1], clip=False)
    notes = [event.text for event in convert(source, tmp_path / "out", model=source.stem) if isinstance(event, Note)]
    assert f"{TOLD[source.stem]} is left out: the tokenizer that lies beside the model is used." in notes
    assert gather(SPECS[source.stem], survey(source.parent)).tokenizers.text.is_dir()


def test_without_any_the_missing_one_is_named(source):
    """And how to get it."""
    file = source.parent / "encoder.safetensors"
    write(file, {k: v for k, v in encoder(source.stem, source.parent.parent).items() if not k.endswith("_model")})
    with pytest.raises(ConvertError, match="comes without tokenizer"):
        list(convert(source, source.parent.parent / "out", model=source.stem))
    gathered = gather(SPECS[source.stem], survey(source.parent))
    assert set(gathered.missing) == {"tokenizer"}
    assert say_missing(gathered, "tokenizer").startswith("published in black-forest-labs/FLUX.")


def test_comfyui_s_own_program_has_qwen_s(tmp_path):
    """comfy/text_encoders/qwen25_tokenizer: two files, and the marks in tokenizer_config.json."""
    tiny = TINY["flux2-klein-4b"]
    root = comfy(tmp_path / "ComfyUI", tiny)
    shutil.rmtree(root / "comfy" / "text_encoders" / "t5_tokenizer")
    assert set(gather(SPECS[tiny.model], survey(root)).missing) == {"tokenizer"}
    place = write_qwen(root / "comfy" / "text_encoders" / "qwen25_tokenizer", pieces=PIECES[:80], pad_token=MARKS[0])
    gathered = gather(SPECS[tiny.model], survey(root))
    assert gathered.missing == {}
    assert gathered.tokenizers.text == place
    list(convert(gathered.make_source(root), tmp_path / "out", model=tiny.model))
    made = PromptTokenizer(open_folder(tmp_path / "out").tokenizer_path, "klein", 64)
    assert made.tokenizer.encode("A\n").ids == [65, 10]


def add_vocabulary(kind):
    """What llama.cpp's converter writes of a tokenizer."""

    def change(writer):
        if kind == "t5":
            tokens, scores, types = zip(*T5_PIECES, strict=True)
            tokens += (*(f"<extra_id_{n}>" for n in reversed(range(8))), "[PAD17]")
            writer.add_token_scores([*scores, *[-1000.0] * 9])
            types += (4,) * 8 + (5,)
        elif kind == "tekken":
            tokens = (*CONTROLS, *("".join(LETTERS[byte] for byte in piece) for piece in PIECES))
            types = (3,) * len(CONTROLS) + (1,) * len(PIECES)
            writer.add_tokenizer_pre("tekken")
        else:
            tokens = (*("".join(LETTERS[byte] for byte in piece) for piece in PIECES), *MARKS, "[PAD]")
            types = (1,) * len(PIECES) + (3, 3, 3, 4, 4) + (5,)
            writer.add_tokenizer_pre("qwen2")
        writer.add_tokenizer_model("t5" if kind == "t5" else "gpt2")
        writer.add_token_list(list(tokens))
        writer.add_token_types(list(types))
        if kind != "t5":
            space = LETTERS[32]
            writer.add_token_merges(["c a", "ca t", f"{space} c", f"{space} cat"])

    return change


SPOKEN = {"qwen": ("cat cat<think>", [257, 259, 264]), "tekken": ("cat cat[INST]", [277, 279, 3]),
          "t5": ("cats</s>", [4, 8, 1])}  # fmt: skip


@pytest.mark.parametrize("kind", SPOKEN)
def test_gguf(tmp_path, monkeypatch, kind):
    monkeypatch.setattr("converters.tokenizers.files.SENTINELS", 8)
    text, ids = SPOKEN[kind]
    write_gguf(tmp_path / "x.gguf", "x", {"a": np.ones((2, 2))}, change=add_vocabulary(kind))
    assert find_vocabulary(tmp_path / "x.gguf")
    place = lay_out(tmp_path / "x.gguf", tmp_path / "inside")
    made = PromptTokenizer(collect_tokenizer_files(place, tmp_path / "made")[0].parent, "t5", 64)
    assert made.tokenizer.encode(text, add_special_tokens=False).ids == ids
    assert made.pad_id == {"qwen": 261, "tekken": 11, "t5": 0}[kind]
    assert made.tokenizer.get_vocab_size() == {"qwen": 266, "tekken": 281, "t5": 17}[kind]


def test_an_encoder_in_gguf_brings_its_tokenizer(tmp_path):
    tiny = TINY["flux2-klein-4b"]
    file = checkpoint(tiny, tmp_path / "source")
    for place in ("text_encoder", "tokenizer"):
        shutil.rmtree(file.parent / place)
    own = weights(tiny, "text_encoder")
    names = name_layers(own)
    arrays = {names[name]: array for name, array in own.items()}
    write_gguf(file.parent / "qwen3.gguf", "qwen3", arrays, change=add_vocabulary("qwen"))
    assert find_source(file).tokenizers.text == file.parent / "qwen3.gguf"


@pytest.mark.parametrize("kind", ["odd", "types", "letters"])
def test_gguf_that_lies(tmp_path, kind):
    def change(writer):
        writer.add_tokenizer_model("bert" if kind == "odd" else "gpt2")
        writer.add_tokenizer_pre("tekken")
        writer.add_token_list(["[X]", "\u4e16" if kind == "letters" else "a"])
        writer.add_token_types([3, 1, 1] if kind == "types" else [3, 1])
        writer.add_token_merges(["a b"])

    write_gguf(tmp_path / "x.gguf", "x", {"a": np.ones((2, 2))}, change=change)
    with pytest.raises(ConvertError, match=r"vocabulary in .* can't be read"):
        lay_out(tmp_path / "x.gguf", tmp_path / "inside")


@pytest.mark.parametrize("tensor", [np.ones((2, 2), np.uint8), np.ones(3, np.float32)])
def test_a_tensor_that_is_no_vocabulary(tmp_path, tensor):
    write(tmp_path / "x.safetensors", {"a.spiece_model": tensor})
    with pytest.raises(ConvertError, match="is no vocabulary"):
        lay_out(tmp_path / "x.safetensors", tmp_path / "inside")


def test_damaged_bytes_are_told(source, tmp_path):
    arrays = {**encoder(source.stem, tmp_path), TOLD[source.stem]: np.frombuffer(b"{}", np.uint8)}
    write(source.parent / "encoder.safetensors", arrays)
    with pytest.raises(FluxLocalError, match="no tokenizer"):
        list(convert(source, tmp_path / "out", model=source.stem))
    assert set(gather(SPECS[source.stem], survey(source.parent)).missing) == {"tokenizer"}
