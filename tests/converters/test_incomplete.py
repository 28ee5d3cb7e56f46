"""What is cut off a checkpoint is missed by name, or was of no use: never another network without a word.

A whole tiny checkpoint of each family, with the config.json that its maker writes, loses one thing at a time.
"""

import dataclasses
import json
import re
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mlx.utils import tree_flatten

from converters.identify import identify, list_doubts, make_published
from converters.keys import text
from converters.keys.families import INFERRED, SIZES
from converters.keys.rules import Layout, list_numbers
from converters.parts import Part, check_complete, check_layers, recognise
from converters.prepare import Settings, check_part, check_width, prepare, read_params, read_sizes
from converters.source import Source, find_source
from mlx_model.errors import ConvertError, FluxLocalError
from mlx_model.nets import tiny_autoencoder
from mlx_model.specs import SPECS, ModelSpec
from mlx_model.store.weights import build, fit
from tests.converters import made_selfflow
from tests.converters.tiny import TINY, Tiny, companions, published, save
from tests.golden import recipe_weights

pytestmark = pytest.mark.sweep

WORDS = {  # what the makers' config.json calls the sizes
    "flux1": {"_class_name": "FluxTransformer2DModel", "num_layers": "depth",
              "num_single_layers": "depth_single_blocks", "guidance_embeds": "guidance_embed"},
    "flux2": {"_class_name": "Flux2Transformer2DModel", "num_layers": "depth",
              "num_single_layers": "depth_single_blocks", "guidance_embeds": "guidance_embed"},
    "flux3": {"_class_name": "Flux3Transformer2DModel", "num_layers": "depth",
              "num_single_layers": "depth_single_blocks", "flow_map": "flow_map"},
    "text_t5": {"model_type": "t5", "num_layers": "num_layers"},
    "text_clip": {"architectures": ["CLIPTextModel"], "num_hidden_layers": "num_hidden_layers"},
    "image_siglip": {"model_type": "siglip_vision_model", "num_hidden_layers": "num_hidden_layers"},
    "text_qwen3": {"model_type": "qwen3"}, "text_mistral3": {"model_type": "mistral3"},
    "autoencoder": {"norm_num_groups": "groups", "use_quant_conv": "quant_convs", "layers_per_block": "num_res_blocks"},
    "redux": {"_class_name": "ReduxImageEncoder"},
}  # fmt: skip


def config(tiny: Tiny, role: str) -> dict:
    params, family, _ = tiny.parts[role]
    told = {name: getattr(params, field) if isinstance(field, str) and hasattr(params, field) else field
            for name, field in WORDS[family].items()}  # fmt: skip
    if family in ("text_qwen3", "text_mistral3"):
        layers = params.out_layers[-1] // len(params.out_layers) * (len(params.out_layers) + 1)
        section = {"num_hidden_layers": layers, "head_dim": params.head_dim}
        told |= section if family == "text_qwen3" else {"text_config": section}
    if family == "autoencoder":
        told["_class_name"] = "AutoencoderKLFlux2" if params.packed_norm else "AutoencoderKL"
        told["block_out_channels"] = [params.ch * times for times in params.ch_mult]
    return told | ({"eos_token_id": 2} if family == "text_clip" else {}) | (
        {"image_size": 28} if family == "image_siglip" else {}
    )  # fmt: skip


def write_whole(model: str, root: Path) -> Path:
    """As diffusers lays it out."""
    tiny = TINY[model]
    companions(tiny, root)
    save(root / "transformer" / "model.safetensors", published(tiny, "transformer"))
    for role, (_, _, place) in tiny.parts.items():
        (root / place / "config.json").write_text(json.dumps(config(tiny, role)))
    return root


def look(found: Source, model: str | None, scratch: Path) -> tuple[str, dict, list[str]]:
    """The refusal, or which networks would be written and what would be told."""
    try:
        made = prepare(found, model, Settings("32bit", (), scratch))
    except FluxLocalError as error:
        return f"{error.message} {error.hint}", {}, []
    return "", {part.role: (part.params, set(part.arrays)) for part in made.ready}, [made.spec.name, *made.notes]


def cut(part: Part, is_of_it: Callable[[str], bool]) -> Part | None:
    """Without some of its tensors; None where nothing known is left."""
    entries = {name: entry for name, entry in part.entries.items() if not is_of_it(name)}
    try:
        layout = recognise(entries, part.files[0])
    except ConvertError:
        return None
    return dataclasses.replace(part, layout=layout, entries=entries, names={name: name for name in entries})


def list_blocks(names: list[str]) -> list[str]:
    """Prefixes of numbered things: "single_blocks.1."."""
    parts = [name.split(".") for name in names]
    return sorted({".".join(p[: n + 1]) + "." for p in parts for n, part in enumerate(p) if part.isdigit()})


def list_cuts(names: list[str]) -> dict[str, Callable[[str], bool]]:
    """What to lose, and whether a tensor is of it: single ones, each block, each thing at the root, each kind.

    Of what is alike but for its numbers the first and the last.
    """
    heads, kinds = {name.split(".")[0] + "." for name in names}, {".".join(name.split(".")[-2:]) for name in names}
    cuts = {name: name.__eq__ for name in pick_ends(names)}
    starts = [*pick_ends(list_blocks(names)), *sorted(heads)]
    cuts |= {prefix: lambda name, p=prefix: name.startswith(p) for prefix in starts}
    return cuts | {f"*.{kind}": lambda name, k=kind: name.endswith(f".{k}") for kind in sorted(kinds)}


def pick_ends(names: list[str]) -> list[str]:
    alike: dict[str, list[str]] = {}
    for name in names:
        alike.setdefault(re.sub(r"\d+", "#", name), []).append(name)
    return sorted({name for group in alike.values() for name in (group[0], group[-1])})


def check_cuts(found: Source, model: str | None, role: str, scratch: Path) -> int:
    """Loses each thing alone: it is refused by name, or nothing changes, or it is said. How many it was."""
    said, whole, _ = look(found, model, scratch)
    assert said == ""
    cuts = list_cuts(list(found.parts[role][0].entries))
    for name, is_of_it in cuts.items():
        part = cut(found.parts[role][0], is_of_it)
        if part is None or part.layout.role != role:
            continue
        parts = {**found.parts, role: [part]}
        said, made, notes = look(dataclasses.replace(found, parts=parts), model, scratch)
        assert said or made == whole, f"{name}: became another network, and {notes} was said"
        assert not re.search("'[a-z_.]+'", said), said
    return len(cuts)


OWN = {"flux1-dev": None, "flux1-redux-dev": ("image_encoder", "image_embedder"), "flux2-klein-4b": None,
       "flux3-image-klein": ("transformer", "text_encoder"), "flux1-schnell": ("transformer",),
       "flux1-fill-dev": ("transformer",), "flux1-canny-dev": ("transformer",),
       "flux2-dev": ("transformer", "text_encoder"), "flux2-klein-base-9b": ("transformer",),
       "flux2-klein-9b-kv": ("transformer", "text_encoder"), "flux3-image-klein-base": ("transformer",)}  # fmt: skip
PARTS = [(model, role) for model, roles in OWN.items() for role in roles or TINY[model].parts]


@pytest.mark.parametrize(("model", "role"), PARTS)
def test_each_thing_that_a_part_can_lose(tmp_path, model, role):
    found = find_source(write_whole(model, tmp_path / "source"))
    assert not [note for note in look(found, model, tmp_path)[2] if "Nothing says" in note]
    assert check_cuts(found, model, role, tmp_path) > (2 if role == "image_embedder" else 20)


def test_the_row_has_statistics_where_no_config_says_so(tmp_path):
    """FLUX.2's autoencoder alone in a file, as BFL and ComfyUI have it."""
    source = write_whole("flux2-klein-4b", tmp_path / "source")
    (source / "vae" / "config.json").write_text(json.dumps({"norm_num_groups": 4}))
    found = find_source(source)
    part = cut(found.parts["autoencoder"][0], lambda name: name.startswith("bn."))
    said, _, _ = look(dataclasses.replace(found, parts={**found.parts, "autoencoder": [part]}), None, tmp_path)
    assert "bn.*" in said
    assert "FLUX.2 klein" in said


def part_of(model: str, role: str, config: dict | None = None) -> tuple[Part, Any, dict]:
    """A part of a row in its published size, under our names."""
    row = SPECS[model]
    parts = {"transformer": (row.family, row.transformer), "text_encoder": (row.text_family, row.text)}
    family, sizes = {**parts, "autoencoder": ("autoencoder", row.autoencoder), **row.extras}[role]
    params = import_module(f"mlx_model.nets.{family}").Params(**sizes)
    shapes = {name: tuple(x.shape) for name, x in tree_flatten(build(role, family, params).parameters())}
    part = Part(Layout(role, family, "", "", lambda _: []), (Path("model.safetensors"),), {}, config or {})
    return part, params, shapes


def say_lack(part: Part, shapes: dict, row: ModelSpec) -> str:
    params = type(make_published(row))(**SIZES[part.layout.family](shapes, part.told))
    rows = {other.title: make_published(other) for other in SPECS.values() if other.family == row.family}
    try:
        return "" if check_complete(part, params, shapes, rows) else "unsure"
    except ConvertError as error:
        return error.message


@pytest.mark.parametrize("model", ["flux1-schnell", "flux1-fill-dev", "flux2-dev", "flux2-klein-4b", "flux2-klein-9b",
                                   "flux3-image-klein-base", "selfflow-imagenet"])  # fmt: skip
def test_a_published_transformer_that_was_cut_in_a_file_alone(model):
    """No config.json: all else agrees with the published sizes, so that the missing blocks are named."""
    row = SPECS[model]
    part, params, shapes = part_of(model, "transformer")
    assert say_lack(part, shapes, row) == ""
    kind, depth = ("blocks.", "depth") if row.family == "selfflow" else ("single_blocks.", "depth_single_blocks")
    count = getattr(params, depth)
    for number in (count - 1, count // 2):
        lost = {name: shape for name, shape in shapes.items() if not name.startswith(f"{kind}{number}.")}
        assert f"number {number} is missing" in say_lack(part, lost, row).replace(" of single_blocks.*", "")
    few = {name: x for name, x in shapes.items() if not name.startswith(tuple(f"{kind}{n}." for n in range(3, 99)))}
    assert f"{kind}* has 3 of the {count}" in say_lack(part, few, row)
    told = {"depth": 3} if row.family == "selfflow" else {"num_layers": params.depth, "num_single_layers": 3}
    assert say_lack(dataclasses.replace(part, config=told), few, row) == ""  # made smaller on purpose
    other = dataclasses.replace(part, config={**told, "model_type": "t5"})  # of a file that lies there too
    assert f"{kind}* has 3" in say_lack(other, few, row)


@pytest.mark.parametrize("model", ["flux2-dev", "flux2-klein-4b", "flux2-klein-9b", "flux3-image-klein"])
@pytest.mark.parametrize("config", [{}, {"num_hidden_layers": 36}])
def test_a_published_text_encoder_with_some_of_its_layers(model, config):
    """The layers that are used stay those of the published model, whatever is there; longer ones are no fault."""
    row = SPECS[model]
    part, params, shapes = part_of(model, "text_encoder", config)
    width, usual = params.width, tuple(row.text["out_layers"])
    for count in (max(usual), 20, 9):
        there = {
            name: x for name, x in shapes.items() if not name.startswith("layers.") or int(name.split(".")[1]) < count
        }
        sizes = text.read_sizes(there, part.told, usual, width, row.text["hidden_size"])
        assert sizes["out_layers"] == usual
        if count < max(usual):
            with pytest.raises(
                ConvertError, match=f"{max(usual)} of its layers are used, and numbers {count}, {count + 1}"
            ):
                check_layers(part, type(params)(**sizes), there)


@pytest.mark.parametrize("cut_off", [False, True])
def test_a_name_that_says_which_model_it_is(tmp_path, cut_off):
    """FLUX.1 dev in a file alone, which without guidance would be schnell."""
    tiny = TINY["flux1-dev"]
    companions(tiny, tmp_path)
    arrays = published(tiny, "transformer")
    kept = {name: x for name, x in arrays.items() if not (cut_off and name.startswith("guidance_in."))}
    file = save(tmp_path / "flux1-dev-fp16.safetensors", kept)
    said, _, _ = look(find_source(file), None, tmp_path)
    assert ("guidance_in.*" in said) == cut_off
    assert look(find_source(file), "flux1-schnell" if cut_off else None, tmp_path)[0] == ""
    nameless = file.rename(tmp_path / "model.safetensors")
    said, _, notes = look(find_source(nameless), None, tmp_path)
    assert said == ""
    assert any("guidance_in.*" in note for note in notes) == cut_off


@pytest.mark.parametrize("lost", ["file", "in the index", "entry"])
def test_shards(tmp_path, lost):
    """A shard that is missing, one that the index forgot, and an entry that it forgot."""
    source = write_whole("flux2-klein-4b", tmp_path / "source")
    whole = look(find_source(source), "flux2-klein-4b", tmp_path)
    place = source / "transformer"
    (place / "model.safetensors").unlink()
    arrays, weights = published(TINY["flux2-klein-4b"], "transformer"), {}
    groups = [list(arrays)[:20], [n for n in list(arrays)[20:] if "single_blocks.1" not in n]]
    groups += [[name for name in arrays if name not in {*groups[0], *groups[1]}]]
    for number, names in enumerate(groups, 1):
        file = save(place / f"model-0000{number}-of-00003.safetensors", {name: arrays[name] for name in names})
        weights |= dict.fromkeys(names, file.name)
    last = groups[2][0]
    if lost == "file":
        (place / weights[last]).unlink()
    gone = set(groups[2]) if lost == "in the index" else {last}
    index = weights if lost == "file" else {name: file for name, file in weights.items() if name not in gone}
    (place / "model.safetensors.index.json").write_text(json.dumps({"weight_map": index}))
    (place / "config.json").unlink()
    if lost == "entry":
        assert look(find_source(source), "flux2-klein-4b", tmp_path)[1] == whole[1]
        return
    with pytest.raises(ConvertError, match="model-00003-of-00003"):
        find_source(source)


def write_shards(place: Path, arrays: dict, count: int = 3) -> list[Path]:
    """An index and its shards."""
    names, weights, files = list(arrays), {}, []
    for number in range(count):
        some = names[number::count]
        file = place / f"model-{number + 1:05}-of-{count:05}.safetensors"
        files.append(save(file, {name: arrays[name] for name in some}))
        weights |= dict.fromkeys(some, file.name)
    (place / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weights}))
    return files


@pytest.mark.parametrize("role", ["transformer", "text_encoder"])
@pytest.mark.parametrize(("harm", "said"), [
    ("cut off", "not a sound safetensors file"), ("of another model", "does not hold"), ("of another size", "shape"),
    ("emptied", "does not hold"), ("no file", "missing"), ("twice", "in two files"),
])  # fmt: skip
def test_a_shard_that_is_not_what_it_should_be(tmp_path, role, harm, said):
    source = write_whole("flux2-dev", tmp_path / "source")
    place = source / TINY["flux2-dev"].parts[role][2]
    arrays = published(TINY["flux2-dev"], role)
    (place / "model.safetensors").unlink()
    _, second, _ = write_shards(place, arrays)
    assert look(find_source(source), "flux2-dev", tmp_path)[0] == ""
    names = list(arrays)[1::3]
    if harm == "cut off":
        second.write_bytes(second.read_bytes()[:-7])
    elif harm == "no file":
        second.unlink()
    else:
        other = {"of another model": published(TINY["flux1-dev"], "text_encoder"), "emptied": {},
                 "of another size": {name: np.repeat(arrays[name], 2, 0) for name in names},
                 "twice": {name: arrays[name] for name in (*names, next(iter(arrays)))}}  # fmt: skip
        save(second, other[harm])
    try:
        found, _, _ = look(find_source(source), "flux2-dev", tmp_path)
    except FluxLocalError as error:
        found = f"{error.message} {error.hint}"
    assert re.search(said, found), found


def test_one_of_several_files_alone(tmp_path):
    source = write_whole("flux2-klein-4b", tmp_path / "source")
    file = source / "transformer" / "model.safetensors"
    with pytest.raises(ConvertError, match="is one of 2 files"):
        find_source(file.rename(file.with_name("model-00001-of-00002.safetensors")))


@pytest.mark.parametrize("role", ["transformer", "autoencoder"])
def test_each_thing_that_self_flow_can_lose(tmp_path, role):
    made_selfflow.checkpoint(tmp_path)
    (tmp_path / "selfflow_imagenet256.pt").unlink()
    params = made_selfflow.SMALL
    told = {"_class_name": "SiT", "depth": params.depth, "num_heads": params.num_heads}
    file = save(tmp_path / "selfflow.safetensors", made_selfflow.weights(params))
    (tmp_path / "config.json").write_text(json.dumps(told))
    vae = {"_class_name": "AutoencoderKL", "norm_num_groups": 4, "layers_per_block": 1}
    (tmp_path / "vae" / "config.json").write_text(json.dumps({**vae, "block_out_channels": [8, 8, 8, 8]}))
    assert check_cuts(find_source(file), None, role, tmp_path) > 20


def list_published() -> dict[str, tuple[str, str]]:
    """Each component of a published model once, in its published size: (row, role)."""
    found: dict[str, tuple[str, str]] = {}
    for row in (row for row in SPECS.values() if row.repo):
        parts = {"transformer": (row.family, row.transformer), "text_encoder": (row.text_family, row.text)}
        parts |= {"autoencoder": ("autoencoder", row.autoencoder), **row.extras}
        for role, (family, sizes) in parts.items():
            if family:
                found.setdefault(f"{family} {sorted(sizes.items())}", (row.name, role))
    return {" ".join(pair): pair for pair in found.values()}


PUBLISHED = list_published()


def say_of(part: Part, role: str, shapes: dict, row: ModelSpec) -> tuple[str, Any]:
    """What is refused or told of a component in a file alone, and its Params."""
    transformer = make_published(row)
    rows = {other.title: make_published(other) for other in SPECS.values() if other.family == row.family}
    try:
        if role == "transformer":
            params = read_params(part, lambda: SIZES[row.family](shapes, part.told))
            sure = check_complete(part, params, shapes, rows)
            spec, _ = identify(Path("model.safetensors"), row.family, params, {}, None, set(row.extras))
            doubts = list_doubts(Path("model.safetensors"), spec, params, {})
        else:
            params = read_params(part, lambda: read_sizes(part, shapes, row, transformer))
            check_width(role, params, transformer)
            sure, doubts = check_part(role, part, params, shapes, row), []
        fit(build(role, part.layout.family, params), shapes)
    except FluxLocalError as error:
        return f"{error.message} {error.hint}", None
    return " ".join(doubts) or ("" if sure else "unsure"), params


@pytest.mark.parametrize("case", PUBLISHED)
def test_each_thing_that_a_published_component_can_lose_in_a_file_alone(case):
    """Nothing but tensors tells: the blocks at the end and in the middle, and everything that stands at the root."""
    model, role = PUBLISHED[case]
    part, params, shapes = part_of(model, role)
    said, found = say_of(part, role, shapes, SPECS[model])
    assert found == params or "one of" in said, said
    numbered = {one.prefix for one in INFERRED.get(part.layout.family, ()) if one.numbered}
    numbered |= {"layers."} if role == "text_encoder" and "layers.0.input_layernorm.weight" in shapes else set()
    lost = {name.split(".")[0] + "." for name in shapes}
    for prefix in numbered:
        there = list_numbers(shapes, prefix)
        lost |= {f"{prefix}{there[-1]}.", f"{prefix}{there[len(there) // 2]}.", f"{prefix}0."}
    for prefix in lost - numbered:
        rest = {name: shape for name, shape in shapes.items() if not f"{name}.".startswith(prefix)}
        told, found = say_of(part, role, rest, SPECS[model])
        assert told, f"without {prefix}* it is {found}"
        assert told == said or re.search(r"missing|incomplete|no place|unsure|is not there|lacks|has no", told), told
    assert len(lost) > 1


def test_self_flow_without_its_last_block(tmp_path):
    """Nothing says how deep a small one is, so that is told."""
    file = made_selfflow.checkpoint(tmp_path / "source")
    said, _, notes = look(find_source(file), None, tmp_path)
    assert said == ""
    assert any("transformer" in note and "Nothing says" in note for note in notes)


def test_an_incomplete_part_that_could_be_left_out_is_told(tmp_path):
    source = write_whole("flux1-dev", tmp_path / "source")
    small = tiny_autoencoder.Params(z_channels=4, pool=False)
    shapes = {n: tuple(x.shape) for n, x in tree_flatten(tiny_autoencoder.AutoEncoder(small).parameters())}
    arrays = {n: x.transpose(0, 3, 1, 2) if x.ndim == 4 else x for n, x in recipe_weights(shapes).items()}
    arrays.pop("decoder.1.bias")
    save(source / "taef1" / "model.safetensors", arrays)
    said, made, notes = look(find_source(source), "flux1-dev", tmp_path)
    assert said == ""
    assert "tiny_autoencoder" not in made
    assert any("tiny autoencoder is left out" in note and "decoder.1.bias" in note for note in notes)
