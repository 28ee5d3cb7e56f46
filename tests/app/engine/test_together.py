"""A model shared by two processes of mlx.launch: the picture of one, half of its blocks each, and a common end."""

import dataclasses
import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import mlx.core as mx
import pytest
from PIL import Image

from app.cli import run
from converters.convert import convert
from mlx_model.request import Lora, Mask, Reference, Request
from mlx_model.store.shared import share_out
from tests.converters.tiny import TINY, checkpoint
from tests.launched import lose_one
from tests.model.store.made_loras import low_rank, peft, save

ROOT = Path(__file__).parents[3]
ROBOT = str(ROOT / "assets" / "examples" / "robot.png")
EDIT = ["-m", "app", "edit"]
LOADED = """
import sys, mlx.core as mx
from pathlib import Path
from mlx_model.store.folder import open_folder
from mlx_model.store.shared import open_shared
group, folder = mx.distributed.init(), open_folder(Path(sys.argv[1]))
model = open_shared(folder, "transformer", mx.float32, group)
print("held", group.rank(), group.size(), mx.get_active_memory(), flush=True)
"""

AGREED = """
import mlx.core as mx
from app.engine import together
group = together.join()
print("agreed", together.agree(group, 2**63 + 5 - group.rank()) == 2**63 + 5, flush=True)
together.require_same(group, "alike")
together.require_same(group, f"of process {group.rank()}")
"""


@pytest.fixture
def start(tmp_path):
    """Starts Python with these words, alone or as two processes by mlx.launch."""
    begun = []

    def begin(words: list[str], count: int) -> subprocess.Popen:
        launch = [str(Path(sys.executable).with_name("mlx.launch")), "-n", str(count), "--backend", "ring"]
        launch += ["--starting-port", str(find_port()), "--cwd", str(tmp_path)]
        own = {"FLUX_LOCAL_HOME": str(tmp_path / "home"), "PYTHONPATH": str(ROOT)}
        for name, value in own.items():
            launch += ["--env", f"{name}={value}"]
        command = [*([*launch, "--"] if count > 1 else []), sys.executable, *words]
        begun.append(
            subprocess.Popen(
                command, env={**os.environ, **own}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
            )
        )
        return begun[-1]

    yield begin
    for process in begun:
        process.kill()
        process.communicate()


def find_port() -> int:
    """The first of two that are free next to each other."""
    while True:
        with socket.create_server(("127.0.0.1", 0)) as one:
            port = one.getsockname()[1]
            try:
                socket.create_server(("127.0.0.1", port + 1)).close()
            except OSError:
                continue
            return port


def finish(process: subprocess.Popen) -> str:
    said, _ = process.communicate(timeout=200)
    assert process.returncode == 0, said
    return said


def draw(start, model: str, out: Path, count: int, *options: str) -> mx.array:
    words = ["-m", "app", "generate", "a cat", "-m", model, "-o", f"{out}.png", "--save-latents", f"{out}.safetensors"]
    finish(start([*words, "--seed", "3", *options], count))
    return mx.load(f"{out}.safetensors")["latents"]


@pytest.mark.sweep
@pytest.mark.parametrize(("model", "bits"), [("flux1-dev", 4), ("flux2-klein-4b", 8), ("flux2-dev", 16)])
def test_two_processes_draw_what_one_draws(start, tmp_path, model, bits):
    """To the bit: every block works once, on the same numbers."""
    list(convert(checkpoint(TINY[model], tmp_path / "source"), tmp_path / "model", model, bits=bits))
    options = ("--size", "64x64", "--steps", "2")
    one, two = (draw(start, str(tmp_path / "model"), tmp_path / f"of{n}", n, *options) for n in (1, 2))
    assert mx.array_equal(one, two)


@pytest.mark.sweep
def test_guidance_a_picture_and_a_seed_that_nobody_named(start, tmp_path):
    """Two prompts side by side, a reference, and the first process's seed for both; it alone writes and speaks."""
    words = [*EDIT, ROBOT, "-p", "make it night", "-m", "mini", "--count", "2", "--json", "-o"]
    said = finish(start([*words, str(tmp_path / "two.png")], 2))
    done = [event for event in map(json.loads, said.splitlines()) if event["event"] == "done"]
    assert len(done) == 2
    again = [*EDIT, "--again", done[1]["path"], "--save-latents", str(tmp_path / "one.safetensors")]
    finish(start([*again, "-o", str(tmp_path / "one.png")], 1))
    assert (tmp_path / "one.png").read_bytes() == Path(done[1]["path"]).read_bytes()
    assert len(list(tmp_path.glob("*.png"))) == 3


@pytest.mark.sweep
def test_a_region_an_adapter_and_previews_made_again_by_two(start, tmp_path):
    """To the bit, pictures of the steps too; of which machine they come from, nothing tells."""
    mask = Image.new("L", (256, 256))
    mask.paste(255, (64, 64, 160, 128))
    mask.save(tmp_path / "mask.png")
    layers = ((0, "to_out", 256, 1024), (3, "to_out", 256, 1024), (3, "to_qkv_mlp_proj", 2304, 256))
    low = {}  # in a block of either process; 3 is the last of all
    for number, layer, outputs, inputs in layers:
        stem = f"transformer.single_transformer_blocks.{number}.attn.{layer}"
        low |= peft(stem, *low_rank(number, outputs, inputs))
    lora = save(tmp_path / "a.safetensors", low)
    words = ["-p", "make it night", "-m", "mini", "--mask", str(tmp_path / "mask.png"), "--region"]
    finish(start([*EDIT, ROBOT, *words, "--lora", f"{lora}:9", *places(tmp_path / "one")], 1))
    finish(start([*EDIT, "--again", str(tmp_path / "one.png"), *places(tmp_path / "two")], 2))
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()
    one, two = (sorted((tmp_path / name).iterdir()) for name in ("one", "two"))
    assert len(one) == 3
    assert [file.read_bytes() for file in one] == [file.read_bytes() for file in two]


def places(out: Path) -> list[str]:
    return ["-o", f"{out}.png", "--preview", str(out)]


@pytest.mark.parametrize(
    "other",
    [
        {"loras": (Lora("there/a.safetensors", 0.8, "ff"),)},
        {"loras": (Lora("there/a.safetensors", 0.9, "aa"),)},
        {"references": (Reference("there/room.png", "room", sha256="ff"),)},
        {"mask": Mask("there/mask.png", "ff")},
        {"noise": "there/other.safetensors"},
    ],
)
def test_files_are_the_same_by_what_they_hold(tmp_path, monkeypatch, other):
    """Another adapter or picture at the same place of another machine would draw a bit of both."""
    monkeypatch.chdir(tmp_path)
    for place in ("here", "there"):
        Path(place).mkdir()
        Path(place, "noise.safetensors").write_text("noise")
        Path(place, "other.safetensors").write_text(place)

    def tell(place: str, **other: Any) -> str:
        request = Request(
            "mini",
            references=(Reference(f"{place}/room.png", "room", sha256="aa"),),
            mask=Mask(f"{place}/mask.png", "aa"),
            loras=(Lora(f"{place}/a.safetensors", 0.8, "aa"),),
            noise=f"{place}/noise.safetensors",
        )
        return run.tell_apart(SimpleNamespace(components={}), dataclasses.replace(request, **other))

    assert tell("here") == tell("there")
    assert tell("here") != tell("there", **other)


@pytest.mark.sweep
def test_other_words_or_another_model_on_the_second_machine_are_refused(start):
    said, _ = start(["-c", AGREED], 2).communicate(timeout=100)
    assert said.count("agreed True") == 2
    assert said.count("another model or other words") == 1


@pytest.mark.sweep
def test_each_holds_about_half(start):
    mini = str(ROOT / "assets" / "mini")
    held = [line.split() for count in (1, 2) for line in finish(start(["-c", LOADED, mini], count)).splitlines()]
    whole, *halves = [int(words[3]) for words in sorted(held, key=lambda words: int(words[2]))]
    assert len(halves) == 2
    assert sum(halves) < 1.2 * whole  # what is outside of the blocks, and their norms, both have
    assert max(halves) < 0.65 * whole


@pytest.mark.sweep
def test_a_process_that_ends_ends_the_other_with_its_reason(start, tmp_path):
    words = ["-m", "app", "generate", "a fox", "-m", "mini", "--steps", "50", "--count", "100", "-o"]
    launcher = start([*words, str(tmp_path / "fox.png")], 2)
    lose_one(launcher, lambda: any(tmp_path.glob("*.png")))


@pytest.mark.sweep
@pytest.mark.parametrize(
    ("model", "words", "said"),
    [
        ("flux3-image-klein", (), "can't be shared by 2 processes"),
        ("mini", ("--write",), "don't take --write"),
        ("mini", ("--step-cache", "0.1", "--steps", "8"), "don't take --step-cache"),
    ],
)
def test_what_can_t_be_shared_is_refused(start, tmp_path, model, words, said):
    if model != "mini":
        list(convert(checkpoint(TINY[model], tmp_path / "source"), tmp_path / "model", model))
        model = str(tmp_path / "model")
    process = start(["-m", "app", "generate", "a cat", "-m", model, "-o", str(tmp_path / "a.png"), *words], 2)
    told, _ = process.communicate(timeout=200)
    assert said in told
    assert "Traceback" not in told
    assert not list(tmp_path.glob("*.png"))


class Made:
    """A network of blocks of so many bytes."""

    def __init__(self, *sizes: int):
        self.sizes = sizes

    def parameters(self):
        return {"single_blocks": [{"w": mx.zeros((1, size), mx.uint8)} for size in self.sizes]}


@pytest.mark.parametrize(
    ("sizes", "count", "wanted"),
    [((4, 4, 2, 2, 2, 2), 2, [0, 0, 1, 1, 1, 1]), ((9, 1), 2, [0, 1]), ((1, 9, 1), 3, [0, 1, 2]), ((5,), 1, [0])],
)
def test_blocks_are_shared_by_their_bytes_and_nobody_goes_without(sizes, count, wanted):
    names = [f"single_blocks.{number}" for number in range(len(sizes))]
    assert list(share_out(Made(*sizes), names, count).values()) == wanted
