"""Sizes in a model.json or config.json that no network has: refused before one is built or memory is counted."""

import dataclasses
import json
import os
import subprocess
import sys

import pytest

from converters.convert import convert
from mlx_model.errors import ConvertError, LayoutError
from mlx_model.foreign import check_sizes
from mlx_model.run.pipeline import Pipeline
from mlx_model.specs import SPECS
from mlx_model.store.folder import open_folder
from mlx_model.store.weights import build
from tests.converters import checkpoints, made_selfflow, tiny

BAD = [
    ("transformer", "depth", 10**9),
    ("transformer", "depth_single_blocks", 10**12),
    ("transformer", "depth", -1),
    ("transformer", "context_in_dim", 2**62),
    ("transformer", "hidden_size", "64"),
    ("transformer", "mlp_ratio", float("inf")),
    ("transformer", "mlp_ratio", 1e300),
    ("transformer", "theta", float("nan")),
    ("transformer", "theta", 0),
    ("transformer", "axes_dim", [40, -8, 0, 0]),
    ("transformer", "axes_dim", [0] * 10**5),
    ("text_encoder", "vocab_size", 2**50),
    ("text_encoder", "out_layers", [2, 4, 10**9]),
    ("text_encoder", "out_layers", [-1, 4, 6]),
    ("autoencoder", "ch", 2**40),
    ("autoencoder", "num_res_blocks", 10**9),
    ("text_encoder", "rms_norm_eps", -1.0),
    ("text_encoder", "rope_theta", [3, 3]),
    ("text_encoder", "out_layers", [2, 4.5, 6]),
    ("transformer", "depth", [1]),
    ("transformer", "mlp_ratio", []),
    ("autoencoder", "ch_mult", 2.5),
    ("autoencoder", "decoder_ch", [1]),
    ("autoencoder", "groups", 2.5),
    ("text_encoder", "num_key_value_heads", 0),
]
UNFIT = [  # possible one by one, impossible together
    ("transformer", {"axes_dim": [7, 9, 8, 8]}, "do not fill a head"),
    ("transformer", {"num_heads": 3}, "can't share"),
    ("text_encoder", {"num_key_value_heads": 3}, "heads can't be"),
    ("text_encoder", {"head_dim": 16.0}, "head_dim can't be"),
    ("autoencoder", {"groups": 3}, "in 3 groups"),
    ("autoencoder", {"groups": 4.0}, "groups can't be"),
    ("autoencoder", {"scale": 0.0}, "can't be 0"),
]
T5, CLIP, SIGLIP = "text_encoder_2", "text_encoder", "image_encoder"
CONFIGS = [  # what a config.json may say that a network of these tensors can't be
    (CLIP, {"text_config": "x"}),
    (CLIP, {"eos_token_id": float("inf")}),
    (CLIP, {"eos_token_id": 10**6}),
    (CLIP, {"num_attention_heads": 5}),
    (CLIP, {"num_attention_heads": -1}),
    (CLIP, {"layer_norm_eps": 2}),
    (T5, {"relative_attention_max_distance": 3}),
    (T5, {"layer_norm_epsilon": float("nan")}),
    (SIGLIP, {"vision_config": [1]}),
    (SIGLIP, {"num_attention_heads": 24}),
    ("vae", {"norm_num_groups": 3}),
    ("vae", {"norm_num_groups": 2.5}),
    ("vae", {"scaling_factor": 1e300}),
]


@pytest.mark.first_case
@pytest.mark.parametrize(("role", "name", "value"), BAD)
def test_model_json(tmp_path, role, name, value):
    folder = checkpoints.converted(tmp_path / "m")
    checkpoints.manifest(folder, lambda values: values["components"][role]["params"].update({name: value}))
    with pytest.raises(LayoutError, match=f"{name} can't be") as error:
        open_folder(folder)
    assert error.value.exit_code == 3
    assert len(str(error.value)) < 400


@pytest.mark.parametrize(("role", "sizes", "said"), UNFIT)
def test_sizes_that_contradict_each_other(role, sizes, said):
    """Else the network is built, filled, and fails in the middle of a run."""
    params = dataclasses.asdict(checkpoints.PARAMS[role]) | sizes
    with pytest.raises(LayoutError, match=said):
        build(role, checkpoints.FAMILIES[role], {k: tuple(v) if isinstance(v, list) else v for k, v in params.items()})


@pytest.mark.first_case
@pytest.mark.parametrize(("role", "sizes"), [
    ("autoencoder", {"groups": 3}), ("autoencoder", {"z_channels": 3}), ("autoencoder", {"z_channels": True}),
    ("text_encoder", {"out_layers": [2, 4]}), ("transformer", {"context_in_dim": 64}), ("transformer", {"depth": "2"}),
])  # fmt: skip
def test_components_that_do_not_belong_together(tmp_path, role, sizes):
    """Refused when the model is opened, not in the middle of a run."""
    folder = checkpoints.converted(tmp_path / "m")
    checkpoints.manifest(folder, lambda values: values["components"][role]["params"].update(sizes))
    with pytest.raises(LayoutError) as error:
        Pipeline.open(folder)
    assert role in error.value.message or "can't be" in error.value.message


@pytest.mark.first_case
@pytest.mark.parametrize(("place", "said"), CONFIGS)
def test_config_json(tmp_path, place, said):
    source = tiny.checkpoint(tiny.TINY["flux1-redux-dev"], tmp_path / "source")
    file = source.parent / place / "config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **said}))
    refused(source, tmp_path)


@pytest.mark.parametrize("said", [{"rope_parameters": 7}, {"rms_norm_eps": -1}, {"head_dim": [1]}])
def test_config_json_of_flux2(tmp_path, said):
    source = checkpoints.single_file(tmp_path / "source")
    (source.parent / "text_encoder" / "config.json").write_text(json.dumps(said))
    refused(source, tmp_path)


@pytest.mark.parametrize("said", [{"num_heads": 5}, {"num_heads": 1e999}, {"patch_size": -2}, {"patch_size": 64}])
def test_config_json_of_self_flow(tmp_path, said):
    source = made_selfflow.checkpoint(tmp_path / "source")
    (source.parent / "config.json").write_text(json.dumps(said))
    refused(source, tmp_path)


def refused(source, tmp_path):
    with pytest.raises((ConvertError, LayoutError)) as error:
        list(convert(source, tmp_path / "out"))
    assert error.value.exit_code == 3
    assert [child.name for child in tmp_path.iterdir()] == ["source"]


def test_a_network_of_10_to_the_9_blocks_is_not_built():
    params = {"hidden_size": 64, "num_heads": 2, "depth": 10**9, "depth_single_blocks": 1, "context_in_dim": 8}
    with pytest.raises(LayoutError, match="depth can't be 1000000000"):
        build("transformer", "flux2", {**params, "axes_dim": (8, 8, 8, 8)})


def test_a_number_of_parameters_without_end(tmp_path):
    folder = checkpoints.converted(tmp_path / "m")
    checkpoints.manifest(folder, lambda values: values["components"]["transformer"].update(parameters=float("inf")))
    with pytest.raises(LayoutError, match="damaged"):
        open_folder(folder)


@pytest.mark.parametrize("spec", SPECS.values(), ids=lambda spec: spec.name)
def test_every_published_size_is_possible(spec):
    for sizes in (spec.transformer, spec.text, spec.autoencoder, *(sizes for _, sizes in spec.extras.values())):
        check_sizes(sizes)


# Files that are read whole


def make_endless(file):
    file.unlink(missing_ok=True)
    file.touch()
    os.truncate(file, 1 << 40)


def make_pipe(file):
    file.unlink(missing_ok=True)
    os.mkfifo(file)


@pytest.mark.first_case
@pytest.mark.parametrize("make", [make_endless, make_pipe])
@pytest.mark.parametrize(
    "name", ["tokenizer.json", "tokenizer_config.json", "run.json", "log.jsonl", "model.json", "lora"]
)
def test_what_has_no_end_or_never_comes_is_not_read_whole(tmp_path, name, make):
    """In a process of its own, which could be killed: a terabyte would take the machine along."""
    (tmp_path / "tokenizer.json").write_text(checkpoints.TOKENIZER["tokenizer.json"])
    make(tmp_path / ("adapter_config.json" if name == "lora" else name))
    done = subprocess.run([sys.executable, "-c", READ, str(tmp_path), name], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() in ("LayoutError", "RequestError", "NotInstalled", "no name", "no lines"), done.stderr


READ = """
import sys; from pathlib import Path
folder, name = Path(sys.argv[1]), sys.argv[2]
from mlx_model.errors import FluxLocalError
try:
    if name.startswith("tokenizer"):
        from mlx_model.run.tokenize import PromptTokenizer
        PromptTokenizer(folder, "klein", 0).pad_id
    elif name == "run.json":
        from app.training.session import _read_run
        _read_run(folder / name)
    elif name == "log.jsonl":
        from app.training.curve import read_log
        print("no lines" if read_log(folder / name) == [] else "lines")
    elif name == "model.json":
        from app.models.library import _read_name
        print("no name" if _read_name(folder) == folder.name else "a name")
    else:
        from mlx_model.store.lora_kinds import read_settings
        settings = read_settings(folder / "adapter_model.safetensors", {}, {"x": 4})
        print("no name" if not settings.note else settings)  # a pipe is no file of settings
except FluxLocalError as error:
    print(type(error).__name__)
"""
