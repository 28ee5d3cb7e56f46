"""Folders of other programs: what is found in them, what is chosen for which model, and that it converts."""

import json
import os
import shutil

import numpy as np
import pytest

from converters.convert import convert
from converters.gather import describe_model, gather
from converters.survey import survey
from mlx_model.errors import ConvertError, RequestError
from mlx_model.specs import SPECS
from mlx_model.store.folder import open_folder
from tests.converters.formats.test_gguf import FORM
from tests.converters.formats.test_gguf import write as write_gguf
from tests.converters.formats.test_mflux import folder as mflux_folder
from tests.converters.formats.test_scaled import checkpoint as stored_checkpoint
from tests.converters.stored import write
from tests.converters.test_comfy_files import as_comfy, draw, everything, made, same
from tests.converters.tiny import CONFIGS, TINY, checkpoint, companions, published, save, tokenizer
from tests.model.store.made_loras import low_rank, peft
from tests.model.store.made_loras import save as save_lora

PLACES = {"transformer": "diffusion_models", "text_encoder": "text_encoders", "pooled_encoder": "clip",
          "autoencoder": "vae", "image_encoder": "clip_vision", "image_embedder": "style_models"}  # fmt: skip


def comfy(root, tiny, name=None, **places):
    """ComfyUI with a model: one file a component in the folders that it has for them, and its program beside."""
    models = root / "models"
    for role in tiny.parts:
        folder = models / {**PLACES, **places}[role]
        file = (name or tiny.model) if role == "transformer" else f"some_{role}"
        arrays = as_comfy(published(tiny, role))
        write(folder / f"{file}.safetensors", {key: np.float32(array) for key, array in arrays.items()})
    (models / "vae" / "config.json").write_text(json.dumps(CONFIGS["autoencoder"]))  # which no published one needs
    if "image_encoder" in tiny.parts:
        (models / "clip_vision" / "config.json").write_text(json.dumps(CONFIGS["image_siglip"]))
    program = root / "comfy" / "text_encoders"
    tokenizer(root / "comfy" / "sd1_tokenizer", clip=True)
    tokenizer(program / "t5_tokenizer", clip=False)
    return root


def names(gathered):
    return {role: one.place.name for role, one in gathered.chosen.items()}


def add(place, model, out):
    gathered = gather(SPECS[model], survey(place))
    assert gathered.missing == {}
    list(convert(gathered.make_source(place), out, model=model, bits=32))
    return open_folder(out)


@pytest.mark.first_case
@pytest.mark.parametrize("given", ["", "models"])
@pytest.mark.parametrize("model", ["flux1-dev", "flux1-redux-dev", "flux2-klein-4b", "flux3-image-klein"])
def test_comfyui(tmp_path, model, given):
    """Its root and its folder of models; the same weights as from the published files."""
    tiny = TINY[model]
    root = comfy(tmp_path / "ComfyUI", tiny, "flux1-dev" if "redux" in model else None)
    same(add(root / given, model, tmp_path / "out"), tiny)


@pytest.mark.sweep
def test_the_same_latents_as_from_a_diffusers_folder(tmp_path):
    tiny = TINY["flux2-klein-4b"]
    plain = draw(made(checkpoint(tiny, tmp_path / "plain"), tmp_path / "one")[0])
    assert np.array_equal(draw(add(comfy(tmp_path / "ComfyUI", tiny), tiny.model, tmp_path / "two")), plain)


def test_folders_by_other_cases_and_names(tmp_path):
    """What a folder is called says nothing; endings in capitals are endings."""
    tiny = TINY["flux1-dev"]
    root = comfy(tmp_path / "ComfyUI", tiny, transformer="UNET", text_encoder="Clip", pooled_encoder="LLM")
    (root / "models").rename(root / "Models")
    file = root / "Models" / "UNET" / "flux1-dev.safetensors"
    file.rename(file.with_suffix(".SAFETENSORS"))
    assert gather(SPECS[tiny.model], survey(root)).missing == {}


@pytest.mark.parametrize("name", ["extra_model_paths.yaml", "extra_models_config.yaml"])
def test_further_folders_of_comfyui(tmp_path, monkeypatch, name):
    tiny = TINY["flux1-dev"]
    root, disk = comfy(tmp_path / "ComfyUI", tiny), tmp_path / "disk"
    shutil.move(root / "models" / "vae", disk / "vae")
    shutil.move(root / "models" / "clip", disk / "more" / "clip")
    monkeypatch.setenv("DISK", str(disk))
    (root / name).write_text("""
a111:
    base_path: $DISK
    vae: vae
    checkpoints: not-there
comfyui:
    base_path: ../disk/more
    text_encoders: |
        clip
        not-there
""")
    assert gather(SPECS[tiny.model], survey(root / "models")).missing == {}
    (root / name).write_text("a: 1\nb: [x\nc: 2")
    with pytest.raises(ConvertError, match="can't be read: line 3 ") as refused:
        survey(root / "models")
    assert "rename it" in refused.value.hint
    (root / name).rename(root / "aside.yaml")
    assert "autoencoder" in gather(SPECS[tiny.model], survey(root / "models")).missing


def test_links_are_followed_and_circles_end(tmp_path):
    tiny = TINY["flux1-dev"]
    root = comfy(tmp_path / "ComfyUI", tiny)
    shutil.move(root / "models" / "vae", tmp_path / "elsewhere")
    (root / "models" / "vae").symlink_to(tmp_path / "elsewhere")
    (root / "models" / "clip" / "up").symlink_to(root / "models")
    found = survey(root)
    assert gather(SPECS[tiny.model], found).missing == {}
    assert len(found.parts) == 4


NAMED = [
    ("flux1-dev-kontext_fp8_scaled", "flux1-kontext-dev"), ("flux1KreaDev", "flux1-krea-dev"),
    ("flux_dev", "flux1-dev"), ("fluxKontext", "flux1-kontext-dev"), ("flux1-dev-Q4_K_S", "flux1-dev"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "model"), NAMED)
def test_names_break_ties(tmp_path, name, model):
    """dev, Krea and Kontext have the same tensors."""
    found = survey(comfy(tmp_path / "ComfyUI", TINY["flux1-dev"], name))
    for other in ("flux1-dev", "flux1-krea-dev", "flux1-kontext-dev"):
        gathered = gather(SPECS[other], found)
        assert ("transformer" in gathered.chosen) == (other == model)
        assert gathered.certain
    refused = gather(SPECS["flux1-krea-dev" if model == "flux1-dev" else "flux1-dev"], found).missing["transformer"]
    assert SPECS[model].title in refused


def test_a_name_that_says_nothing(tmp_path):
    """It may be any of the three: whoever asks for one gets it, and that it is a guess is told."""
    found = survey(comfy(tmp_path / "ComfyUI", TINY["flux1-dev"], "my finetune"))
    for model in ("flux1-dev", "flux1-krea-dev", "flux1-kontext-dev"):
        gathered = gather(SPECS[model], found)
        assert gathered.missing == {}
        assert not gathered.certain
    assert "transformer" in gather(SPECS["flux1-schnell"], found).missing


def test_the_most_bits_are_taken(tmp_path):
    """GGUF, half and single precision beside each other: single is no better than half, and larger."""
    tiny = TINY["flux1-dev"]
    root = comfy(tmp_path / "ComfyUI", tiny)
    place, arrays = root / "models" / "diffusion_models", published(tiny, "transformer")
    write_gguf(place / "flux1-dev-Q8_0.gguf", "flux", arrays, FORM.Q8_0)
    write(place / "flux1-dev-fp16.safetensors", {name: np.float16(array) for name, array in arrays.items()})
    gathered = gather(SPECS[tiny.model], survey(root))
    assert names(gathered)["transformer"] == "flux1-dev-fp16.safetensors"
    reason = gathered.reasons["transformer"]
    assert reason.startswith("it is as good and smaller; not taken: flux1-dev.safetensors (32 bits)")
    assert "flux1-dev-Q8_0.gguf (GGUF Q8_0)" in reason


def test_an_autoencoder_of_the_same_shape(tmp_path):
    tiny = TINY["flux1-dev"]
    root = comfy(tmp_path / "ComfyUI", tiny)
    vae = root / "models" / "vae"
    shutil.copy(vae / "some_autoencoder.safetensors", vae / "a_sd3_vae.safetensors")
    gathered = gather(SPECS[tiny.model], survey(root))
    assert names(gathered)["autoencoder"] == "some_autoencoder.safetensors"
    assert "another program's" in gathered.reasons["autoencoder"]


def test_everything_in_one_file_before_what_lies_beside(tmp_path):
    tiny = TINY["flux1-dev"]
    root = comfy(tmp_path / "ComfyUI", tiny)
    shutil.rmtree(root / "models" / "diffusion_models")
    file = write(root / "models" / "checkpoints" / "flux1-dev-all.safetensors", everything(tiny))
    (file.parent / "config.json").write_text('{"norm_num_groups": 4}')
    gathered = gather(SPECS[tiny.model], survey(root))
    assert set(names(gathered).values()) == {file.name}
    assert "lies with the transformer" in gathered.reasons["text_encoder"]
    assert gathered.missing == {}


def test_an_encoder_of_the_other_series(tmp_path):
    """Qwen3 and the language model of Qwen3-VL have the same tensors and other angles."""
    klein, flux3 = TINY["flux2-klein-4b"], TINY["flux3-image-klein"]
    root = comfy(tmp_path / "ComfyUI", klein)
    for tiny in (klein, flux3):
        shutil.rmtree(root / "models" / "text_encoders")
        arrays = {name: np.float32(array) for name, array in published(tiny, "text_encoder").items()}
        write(root / "models" / "text_encoders" / "qwen.safetensors", arrays)
        gathered = gather(SPECS[klein.model], survey(root))
        assert ("text_encoder" in gathered.missing) == (tiny is flux3)
    assert "Qwen3-VL" in gathered.missing["text_encoder"]


def test_an_encoder_beside_its_transformer_is_believed(tmp_path):
    """mflux leaves FLUX.3's vision tower and config.json out."""
    tiny = TINY["flux3-image-klein"]
    root = companions(tiny, tmp_path / "saved")
    save(root / "transformer" / "0.safetensors", published(tiny, "transformer"))
    text = {name: x for name, x in published(tiny, "text_encoder").items() if "visual" not in name}
    save(root / "text_encoder" / "model.safetensors", text)
    assert gather(SPECS[tiny.model], survey(tmp_path)).missing == {}
    (root / "transformer").rename(tmp_path / "elsewhere")
    assert "text_encoder" in gather(SPECS[tiny.model], survey(tmp_path)).missing


def test_what_is_missing_and_where_it_is(tmp_path):
    tiny = TINY["flux1-dev"]
    root = comfy(tmp_path / "ComfyUI", tiny)
    shutil.rmtree(root / "models" / "vae")
    shutil.rmtree(root / "comfy" / "sd1_tokenizer")
    gathered = gather(SPECS[tiny.model], survey(root))
    assert set(gathered.missing) == {"autoencoder", "pooled tokenizer"}
    told = describe_model(gathered)["missing"]
    assert told["autoencoder"] == "published in black-forest-labs/FLUX.1-dev (vae)"
    assert told["pooled tokenizer"].endswith("black-forest-labs/FLUX.1-dev (tokenizer)")
    assert [part.files for part in gathered.list_downloads()] == [("vae/*",), ("tokenizer/*",)]


def test_damaged_incomplete_and_foreign_files(tmp_path):
    """Those of a model that can't be used are named, others counted, adapters kept apart."""
    tiny = TINY["flux1-dev"]
    root = comfy(tmp_path / "ComfyUI", tiny)
    models = root / "models"
    whole = (models / "diffusion_models" / "flux1-dev.safetensors").read_bytes()
    (models / "diffusion_models" / "cut.safetensors").write_bytes(whole[:-5])
    write(models / "diffusion_models" / "a-00001-of-00002.safetensors", {"img_in.weight": np.ones((4, 4), np.float32)})
    write(models / "checkpoints" / "sdxl.safetensors", {"model.diffusion_model.x": np.ones((4, 4), np.float32)})
    write(models / "loras" / "sdxl.safetensors", {"lora_unet_down.lora_down.weight": np.ones((4, 4), np.float32)})
    style = peft("double_blocks.1.img_attn.qkv", *low_rank(0, 3 * 3072, 3072))
    save_lora(models / "loras" / "style.safetensors", style)
    (models / "embeddings").mkdir()
    (models / "embeddings" / "old.pt").write_bytes(b"\x80\x02nothing")
    found = survey(root)
    ((file, fits),) = found.adapters.items()
    assert file.name == "style.safetensors"
    assert {"flux1-dev", "flux2-klein-4b"} <= set(fits)  # as wide, and no deeper
    assert "flux2-dev" not in fits
    assert found.others == 3
    assert sorted(text.split(" ")[0].rpartition("/")[2].rstrip(":") for text in found.problems) == [
        "a-00001-of-00002.safetensors",
        "cut.safetensors",
    ]


def hub(root, tiny, repo):
    """The Hugging Face cache with a snapshot: links to blobs."""
    folder = root / f"models--{repo.replace('/', '--')}"
    whole = folder / "whole"
    companions(tiny, whole)
    save(whole / "transformer" / "diffusion_pytorch_model.safetensors", published(tiny, "transformer"))
    (whole / "model_index.json").write_text(json.dumps({"_class_name": SPECS[tiny.model].pipelines[0]}))
    (folder / "blobs").mkdir()
    for number, file in enumerate(sorted(path for path in whole.rglob("*") if path.is_file())):
        link = folder / "snapshots" / "0123abcd" / file.relative_to(whole)
        link.parent.mkdir(parents=True, exist_ok=True)
        file.rename(folder / "blobs" / str(number))
        link.symlink_to(os.path.relpath(folder / "blobs" / str(number), link.parent))
    shutil.rmtree(whole)
    return folder


@pytest.mark.first_case
@pytest.mark.parametrize("given", ["", "hub", "hub/models--black-forest-labs--FLUX.1-Kontext-dev"])
def test_the_hugging_face_cache(tmp_path, given):
    """Its home, its hub, or one repository; blobs have no names."""
    tiny = TINY["flux1-kontext-dev"]
    hub(tmp_path / "home" / "hub", tiny, "black-forest-labs/FLUX.1-Kontext-dev")
    same(add(tmp_path / "home" / given, tiny.model, tmp_path / "out"), tiny)


def test_two_models_in_the_cache_keep_to_their_own_parts(tmp_path):
    for model, repo in (("flux1-dev", "x/FLUX.1-dev"), ("flux1-krea-dev", "x/FLUX.1-Krea-dev")):
        hub(tmp_path / "hub", TINY[model], repo)
    found = survey(tmp_path)
    for model, repo in (("flux1-dev", "FLUX.1-dev"), ("flux1-krea-dev", "FLUX.1-Krea-dev")):
        gathered = gather(SPECS[model], found)
        assert {one.place.parents[3].name for one in gathered.chosen.values()} == {f"models--x--{repo}"}


def test_the_newest_snapshot_first(tmp_path):
    """And of an older one what the newest lacks."""
    tiny = TINY["flux1-kontext-dev"]
    folder = hub(tmp_path / "hub", tiny, "x/FLUX.1-Kontext-dev")
    shutil.copytree(folder / "snapshots" / "0123abcd", folder / "snapshots" / "ffff")  # copies, no links
    shutil.rmtree(folder / "snapshots" / "ffff" / "vae")
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text("ffff")
    gathered = gather(SPECS[tiny.model], survey(tmp_path))
    assert gathered.missing == {}
    assert gathered.chosen["transformer"].place.parents[1].name == "ffff"
    assert gathered.chosen["autoencoder"].place.parents[1].name == "0123abcd"
    assert gathered.reasons["transformer"].startswith("it comes first")


FORMS_SAID = {"e4m3": "fp8", "e5m2": "fp8 (e5m2)", "int8": "int8", "nvfp4": "nvfp4", "mxfp8": "mxfp8"}


@pytest.mark.first_case
@pytest.mark.parametrize("form", FORMS_SAID)
def test_forms_by_their_names(tmp_path, form):
    tensors, kinds, _ = stored_checkpoint(form, "model.diffusion_model.")
    write(tmp_path / "flux-2-klein-4b.safetensors", tensors, kinds)
    (one,) = survey(tmp_path).parts
    assert one.form == FORMS_SAID[form]
    assert one.bits < 16


@pytest.mark.parametrize("bits", [None, 4])
def test_a_folder_that_mflux_saved(tmp_path, bits):
    source = mflux_folder(tmp_path / "saved", bits)
    gathered = gather(SPECS["flux2-klein-4b"], survey(source))
    assert gathered.missing == {}
    assert gathered.chosen["transformer"].form == f"{bits or 16} bits of mflux"


def test_what_mflux_writes_down_tells_the_model(tmp_path):
    """mflux_model.json, which `mflux-save` puts there last; names of folders say nothing."""
    source = mflux_folder(tmp_path / "saved", 4)
    assert not gather(SPECS["flux2-klein-4b"], survey(source)).certain
    said = {"model_name": "flux2-klein-base-4b", "upstream": {"repo_id": "black-forest-labs/FLUX.2-klein-base-4B"}}
    (source / "mflux_model.json").write_text(json.dumps(said))
    assert "transformer" in gather(SPECS["flux2-klein-4b"], survey(source)).missing
    assert gather(SPECS["flux2-klein-base-4b"], survey(source)).certain
    list(convert(source, tmp_path / "out", bits=4))
    assert open_folder(tmp_path / "out").spec.name == "flux2-klein-base-4b"


def test_half_a_snapshot(tmp_path):
    """A link that leads nowhere, as an interrupted download leaves it."""
    tiny = TINY["flux1-kontext-dev"]
    folder = hub(tmp_path / "hub", tiny, "x/FLUX.1-Kontext-dev")
    next(folder.glob("snapshots/*/vae/*.safetensors")).resolve().unlink()
    assert set(gather(SPECS[tiny.model], survey(tmp_path)).missing) == {"autoencoder"}


def test_what_is_installed_stands_in_for_what_lacks(tmp_path):
    """Redux' own repository and an installed FLUX.1 dev, packed, whose parts stay together."""
    base, tiny = TINY["flux1-dev"], TINY["flux1-redux-dev"]
    list(convert(checkpoint(base, tmp_path / "base"), tmp_path / "flux1-dev", model="flux1-dev", bits=4))
    for role in ("image_encoder", "image_embedder"):
        save(tmp_path / "redux" / role / "model.safetensors", published(tiny, role))
        (tmp_path / "redux" / role / "config.json").write_text(json.dumps(CONFIGS["image_siglip"]))
    save(tmp_path / "redux" / "t5.safetensors", published(tiny, "text_encoder"))
    found = survey(tmp_path / "redux", tmp_path / "flux1-dev")
    gathered = gather(SPECS[tiny.model], found)
    assert gathered.missing == {}
    assert gathered.chosen["transformer"].form == "of an installed model"
    assert gathered.chosen["text_encoder"].place.parents[1].name == "flux1-dev"
    assert gathered.chosen["transformer"].bits < 16
    list(convert(gathered.make_source(tmp_path / "redux"), tmp_path / "out", model=tiny.model, bits=4))
    assert set(open_folder(tmp_path / "out").components) == set(tiny.parts)


def test_no_such_place(tmp_path):
    with pytest.raises(RequestError, match="does not exist"):
        survey(tmp_path / "nowhere")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(RequestError, match="pipe"):
        survey(tmp_path / "pipe")


def test_incomplete_parts_are_not_chosen(tmp_path):
    """A transformer that lacks a block by its config, an autoencoder without what its row has."""
    tiny = TINY["flux2-klein-4b"]
    root = comfy(tmp_path / "ComfyUI", tiny)
    arrays = published(tiny, "transformer")
    folder = root / "models" / "diffusion_models"
    save(
        folder / f"{tiny.model}.safetensors", {name: x for name, x in arrays.items() if "single_blocks.1." not in name}
    )
    (folder / "config.json").write_text('{"_class_name": "Flux2Transformer2DModel", "num_single_layers": 2}')
    found = survey(root)
    assert "incomplete" in found.problems[0]
    assert "transformer" in gather(SPECS[tiny.model], found).missing
    vae = {name: x for name, x in published(tiny, "autoencoder").items() if not name.startswith("bn.")}
    save(root / "models" / "vae" / "some_autoencoder.safetensors", vae)
    assert "autoencoder" in gather(SPECS[tiny.model], survey(root)).missing


def bring(root, tiny, *program):
    """A program that keeps its models elsewhere, with tokenizers in its own folders."""
    made = comfy(root, tiny)
    place = root.joinpath(*program)
    place.parent.mkdir(parents=True, exist_ok=True)
    shutil.move(made / "comfy", place)
    return made


@pytest.mark.first_case
@pytest.mark.parametrize("given", ["", "models"])
@pytest.mark.parametrize("program", ["backend/huggingface", "dlbackend/comfy/ComfyUI/comfy", "dlbackend/ComfyUI/comfy",
                                     "Packages/ComfyUI/comfy"])  # fmt: skip
def test_forge_swarmui_and_stability_matrix(tmp_path, program, given):
    """Their tokenizers lie beside the folder of models, among much else that is not looked into."""
    tiny = TINY["flux1-dev"]
    root = bring(tmp_path / "webui", tiny, *program.split("/"))
    (root / "extensions").mkdir()
    write(root / "extensions" / "flux1-dev.safetensors", {"img_in.weight": np.ones((2, 2), np.float32)})
    found = survey(root / given)
    assert gather(SPECS[tiny.model], found).missing == {}
    assert found.others == 0
    assert found.problems == []


def test_invokeai(tmp_path):
    """Folders called by numbers, T5 and CLIP as folders with their tokenizers."""
    tiny = TINY["flux1-dev"]
    source = checkpoint(tiny, tmp_path / "made").parent
    models = tmp_path / "invokeai" / "models"
    places = {"transformer": "0c3a", "text_encoder_2": "77f1/text_encoder_2", "tokenizer_2": "77f1/tokenizer_2",
              "text_encoder": "a1b2", "vae": "e9d0"}  # fmt: skip
    for name, place in places.items():
        (models / place).parent.mkdir(parents=True, exist_ok=True)
        if name == "transformer":
            (models / place).mkdir()
            shutil.copy(source / "flux1-dev.safetensors", models / place)
        else:
            shutil.copytree(source / name, models / place)
    for file in (source / "tokenizer").iterdir():
        shutil.copy(file, models / "a1b2")
    same(add(tmp_path / "invokeai", tiny.model, tmp_path / "out"), tiny)


def test_draw_things_is_told(tmp_path):
    """Its models are databases called .ckpt, which no other kind of pickle may hide."""
    place = tmp_path / "Documents" / "Models"
    place.mkdir(parents=True)
    for name in ("flux_1_dev_q8p.ckpt", "t5_xxl_encoder_q6p.ckpt"):
        (place / name).write_bytes(b"SQLite format 3\0" + bytes(90))
    found = survey(tmp_path)
    assert len(found.problems) == 2
    assert all("Draw Things" in said for said in found.problems)
    with pytest.raises(ConvertError, match="Draw Things"):
        list(convert(place / "flux_1_dev_q8p.ckpt", tmp_path / "out"))


@pytest.mark.parametrize(("end", "program"), [("qweight", "SVDQuant"), ("weight._data", "quanto"), ("W_q", "HQQ")])
@pytest.mark.parametrize("layer", ["transformer_blocks.0.attn.to_q", "model.diffusion_model.single_blocks.3.linear1"])
def test_packed_by_other_programs(tmp_path, end, program, layer):
    """Named where it is a model of ours; a language model is just another file."""
    file = tmp_path / "x.safetensors"
    write(file, {f"{layer}.{end}": np.ones((4, 4), np.int8), "img_in.weight": np.ones((4, 4), np.float32)})
    (said,) = survey(tmp_path).problems
    assert program in said
    write(file, {f"blocks.0.q_proj.{end}": np.ones((4, 4), np.int8)})
    assert survey(tmp_path).problems == []
