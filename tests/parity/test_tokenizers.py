"""Exact token ids of every prompt template against what diffusers' own pipelines give to their text encoders."""

import json
import shutil
from importlib.metadata import distribution
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

torch = pytest.importorskip("torch")
diffusers = pytest.importorskip("diffusers")
pytest.importorskip("transformers")
from diffusers.modular_pipelines.flux3.encoders import Flux3TextEncoderStep  # noqa: E402
from gguf import GGUFWriter  # noqa: E402
from safetensors.numpy import save_file  # noqa: E402

from converters.tokenizers.files import collect_tokenizer_files  # noqa: E402
from converters.vocabularies import lay_out  # noqa: E402
from mlx_model.run.flux3 import pad_tokens  # noqa: E402
from mlx_model.run.tokenize import PromptTokenizer  # noqa: E402

from . import made_tokenizers as made  # noqa: E402

pytestmark = [pytest.mark.parity]
PROMPTS = {
    "ordinary": "A red cat sits on a mat, soft light; it's 35mm — “quoted”.",
    "empty": "",
    "a space": " ",
    "a letter": "a",
    "very long": "a red cat on the mat, " * 400,
    "one long word": "x" * 3000,
    "emoji": "👩‍🎨 paints 😀🇩🇪 and ❤️ in one 1️⃣",
    "right to left": "قطة حمراء على السجادة ‏— חתול אדום, mixed ‎(left) ١٢٣",
    "other scripts": "赤い猫 빨간 고양이 красный кот ลูกแมว",
    "control characters": "a\x00b\x07c\x1b[31m\x7f\u200b\u2028d\ufeff\xad\x85e",
    "spaces": "  two  spaces   three\t\ttabs  ",
    "lines": "\n\nfirst\nsecond\r\n\r\n third\n \n",
    "marks of Qwen": "<|im_end|>\n<|im_start|>system\nx<|endoftext|><think></think> <|image_pad|><tool_call>",
    "marks of Mistral": "[/INST]</s><s>[INST]x[IMG] [SYSTEM_PROMPT]y[/SYSTEM_PROMPT]<pad><unk>[IM[IMG]G]",
    "marks of CLIP": "cat<|endoftext|>dog <|startoftext|> x <|ENDOFTEXT|>",
    "marks of T5": "cat</s>dog <pad><extra_id_0> x <unk> <extra_id_99>y \u2581z",
    "almost marks": "<|im_end |> < /s> [ INST] <|im_start <extra_id_100> {prompt} {{ messages }} {% x %}",
    "composed": "cafe\u0301 caf\u00e9 \ufb01nal \uff21\uff22 \u212b \u1e9b\u0323 İstanbul ǅ ß",
    "numbers": "1234567890 3.14 1,000 ½ ²³",
    "contractions": "IT'S DON'T we'Ll I'd they’re",
}
MAX_TOKENS = {"klein": 512, "flux2-dev": 512, "flux3": 8192, "t5": 512, "clip": 77}


class Given(Exception):
    """What a text encoder was called with."""


class Encoder(torch.nn.Module):
    dtype, device = torch.float32, torch.device("cpu")

    def forward(self, input_ids, attention_mask, position_ids=None, **_):
        raise Given(input_ids, attention_mask, position_ids)


def klein(tokenizer, prompt):
    diffusers.Flux2KleinPipeline._get_qwen3_prompt_embeds(Encoder(), tokenizer, prompt)


def flux3(tokenizer, prompt):
    processor = SimpleNamespace(tokenizer=tokenizer, apply_chat_template=tokenizer.apply_chat_template)
    Flux3TextEncoderStep._get_qwen3_vl_prompt_embeds(Encoder(), processor, prompt)


def dev(tokenizer, prompt):
    system = diffusers.pipelines.flux2.pipeline_flux2.SYSTEM_MESSAGE
    diffusers.Flux2Pipeline._get_mistral_3_small_prompt_embeds(Encoder(), tokenizer, prompt, system_message=system)


def flux1(tokenizer, prompt):
    """As FluxPipeline: the T5 and the CLIP tokenizer are called alike."""
    length = 77 if tokenizer.model_max_length == 77 else 512
    found = tokenizer([prompt], padding="max_length", max_length=length, truncation=True, return_tensors="pt")
    raise Given(found["input_ids"], found["attention_mask"], None)


def as_pair(published):
    """vocab.json, merges.txt and tokenizer_config.json, as ComfyUI's program has Qwen's."""
    whole = json.loads((published / "tokenizer.json").read_text("utf-8"))
    (published / "tokenizer.json").unlink()
    (published / "vocab.json").write_text(json.dumps(whole["model"]["vocab"]), "utf-8")
    (published / "merges.txt").write_text("".join(f"{a} {b}\n" for a, b in whole["model"]["merges"]), "utf-8")
    told = {str(token.pop("id")): token for token in whole["added_tokens"]}
    config = {"added_tokens_decoder": told, "pad_token": "<|endoftext|>"}
    (published / "tokenizer_config.json").write_text(json.dumps(config))
    return published


def as_tensor(name, file):
    """Inside a weight file, as ComfyUI has it."""
    content = np.frombuffer(file.read_bytes(), np.uint8)
    save_file({name: content}, file.parent / "encoder.safetensors")
    return file.parent / "encoder.safetensors"


def as_gguf(published):
    """In the metadata of a GGUF file, as llama.cpp's converter writes it."""
    whole = json.loads((published / "tokenizer.json").read_text("utf-8"))
    kinds = {token["id"]: 3 if token["special"] else 4 for token in whole["added_tokens"]}
    numbers = whole["model"]["vocab"]
    numbers |= {token["content"]: token["id"] for token in whole["added_tokens"]}
    listed = sorted(numbers, key=numbers.get)
    writer = GGUFWriter(str(published / "encoder.gguf"), "x")
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("tekken" if "[INST]" in numbers else "qwen2")
    writer.add_token_list(listed)
    writer.add_token_types([kinds.get(number, 1) for number in range(len(listed))])
    writer.add_token_merges([f"{a} {b}" for a, b in whole["model"]["merges"]])
    writer.add_tensor("a", np.ones((2, 2), np.float32))
    for step in (writer.write_header_to_file, writer.write_kv_data_to_file, writer.write_tensors_to_file, writer.close):
        step()
    return published / "encoder.gguf"


def find_tekken(published):
    shutil.copy(distribution("mistral-common").locate_file(made.TEKKEN), published / "tekken.json")
    return published / "tekken.json"


FORMS = {
    "(vocab.json)": as_pair,
    "(tekken_model)": lambda published: as_tensor("tekken_model", find_tekken(published)),
    "(spiece_model)": lambda published: as_tensor("spiece_model", published / "spiece.model"),
    "(GGUF)": as_gguf,
}
REFERENCES = {
    "klein": (made.qwen, klein),
    "flux3": (made.qwen, flux3),
    "flux2-dev": (made.mistral, dev),
    "clip": (made.clip, flux1),
    "t5": (lambda place: made.t5(place, True), flux1),
    "t5 (spiece.model)": (lambda place: made.t5(place, False), flux1),
    "klein (vocab.json)": (made.qwen, klein),
    "klein (GGUF)": (made.qwen, klein),
    "flux2-dev (tekken_model)": (made.mistral, dev),
    "flux2-dev (GGUF)": (made.mistral, dev),
    "t5 (spiece_model)": (lambda place: made.t5(place, False), flux1),
}


@pytest.fixture(scope="module", params=REFERENCES)
def pair(request, tmp_path_factory):
    """(theirs: prompt -> ids, mask, positions; ours, on the files that the converter keeps)."""
    make, call = REFERENCES[request.param]
    place = tmp_path_factory.mktemp("tokenizer")
    tokenizer = make(place / "published")
    template, _, form = request.param.partition(" ")
    found = FORMS.get(form, Path)(place / "published")
    ours = PromptTokenizer(kept(found, place), template, MAX_TOKENS[template])
    return lambda prompt: given(call, tokenizer, prompt), ours


def kept(found, place):
    (place / "converted").mkdir()
    for file in collect_tokenizer_files(lay_out(found, place / "inside"), place / "scratch"):
        shutil.copy(file, place / "converted")
    return place / "converted"


def given(call, tokenizer, prompt):
    with pytest.raises(Given) as caught:
        call(tokenizer, prompt)
    return [None if value is None else value.numpy() for value in caught.value.args]


@pytest.mark.parametrize("prompt", PROMPTS.values(), ids=PROMPTS)
def test_ids(pair, prompt):
    theirs, ours = pair
    ids, mask, positions = theirs(prompt)
    if positions is None:
        made_ids, real = ours(prompt)
    else:
        made_ids, real, made_positions = pad_tokens(ours.ids(prompt), ours.pad_id, ours.length)
        assert np.array_equal(made_positions, positions[0])
    assert np.array_equal(made_ids, ids), differing(ours, made_ids, ids)
    assert np.array_equal(real, mask.astype(bool))


def differing(ours, made_ids, ids) -> str:
    if made_ids.shape != ids.shape:
        return f"{made_ids.shape} tokens, theirs {ids.shape}"
    place = int((made_ids != ids)[0].argmax())
    words = [[ours.tokenizer.id_to_token(int(i)) for i in row[0, place : place + 8]] for row in (made_ids, ids)]
    return f"at token {place}: ours {words[0]}, theirs {words[1]}"
