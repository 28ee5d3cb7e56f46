"""One run by two processes on MLX's ring: the same losses and weights as by one, and what happens when one ends."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import mlx.core as mx
import pytest
from PIL import Image

from tests.launched import lose_one

ROOT = Path(__file__).parents[3]
pytestmark = pytest.mark.sweep


@pytest.fixture
def start(tmp_path):
    """Starts `flux-local train` as one process, as two, or (0) as two by mlx.launch; the test's end is theirs."""
    data = tmp_path / "set"
    data.mkdir()
    for place, name in enumerate(("a", "b", "c", "d")):
        Image.effect_noise((64, 64), 20 * place + 10).convert("RGB").save(data / f"{name}.png")
        (data / f"{name}.txt").write_text(f"a fox {name}")
    begun = []

    def begin(out: str, ranks: int, *options: str) -> list[subprocess.Popen]:
        hosts = tmp_path / f"{out}.json"
        hosts.write_text(json.dumps([[f"127.0.0.1:{port}"] for port in free_ports(ranks)]))
        command = [sys.executable, "-m", "app", "train", str(data), "-m", "mini", "-o", str(tmp_path / out), "--lora",
                   "--rank", "4", "--size", "64", "--sample-every", "0", *options]  # fmt: skip
        launch = [str(Path(sys.executable).with_name("mlx.launch")), "-n", "2", "--backend", "ring", "--"]
        own = {"FLUX_LOCAL_HOME": str(tmp_path / "home"), "PYTHONPATH": str(ROOT), "MLX_HOSTFILE": str(hosts)}
        for rank in range(max(1, ranks)):
            variables = {**os.environ, **own, "MLX_RANK": str(rank)}
            if ranks < 2:
                del variables["MLX_HOSTFILE"], variables["MLX_RANK"]
            words = command if ranks else [*launch, *command]
            begun.append(
                subprocess.Popen(words, env=variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            )
        return begun[-max(1, ranks) :]

    yield begin
    for process in begun:
        process.kill()
        process.communicate()


def free_ports(count):
    with_them = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in with_them]
    for one in with_them:
        one.close()
    return ports


def lines(tmp_path, out):
    return [json.loads(line) for line in (tmp_path / out / "log.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("batch", ["2", "3"])
def test_two_processes_learn_what_one_learns(start, tmp_path, batch):
    for out, ranks in (("one", 1), ("two", 2)):
        for process in start(out, ranks, "--steps", "4", "--batch", batch):
            said, _ = process.communicate(timeout=200)
            assert process.returncode == 0, said
    one, two = lines(tmp_path, "one"), lines(tmp_path, "two")
    for figure in ("loss", "norm"):  # sums in another order: float32
        assert [line[figure] for line in two] == pytest.approx([line[figure] for line in one], rel=1e-4)
    weights = [mx.load(str(tmp_path / out / f"{out}.safetensors")) for out in ("one", "two")]
    assert all(mx.allclose(value, weights[1][name], rtol=1e-3, atol=1e-5).item() for name, value in weights[0].items())


def test_a_process_that_ends_ends_the_others_with_its_reason(start, tmp_path):
    """By mlx.launch, which looks after them: without it MLX's ring may wait for the lost one forever."""
    (launcher,) = start("two", 0, "--steps", "2000", "--batch", "2")
    log = tmp_path / "two" / "log.jsonl"
    lose_one(launcher, lambda: log.exists() and len(log.read_text().splitlines()) >= 3)


def test_a_step_too_small_to_share_is_refused(start):
    for process in start("two", 2, "--steps", "4", "--batch", "1"):
        said, _ = process.communicate(timeout=100)
        assert process.returncode == 2, said
        assert "can't be shared by 2 processes" in said
