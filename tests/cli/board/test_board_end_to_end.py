"""A board from nothing to a PDF with the built-in model, each command in a process of its own."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from app.fluxboard.file import BoardFile
from app.pictures.images import open_picture
from mlx_model.request import from_json

ROOT = Path(__file__).resolve().parents[3]
DOG = ROOT / "assets" / "examples" / "dog.png"


@pytest.fixture
def flux(tmp_path):
    """Runs the command in an empty folder with an empty home, as a new user's."""
    variables = {**os.environ, "PYTHONPATH": str(ROOT), "FLUX_LOCAL_HOME": str(tmp_path / "new home")}
    work = tmp_path / "new user"
    work.mkdir()

    def start(*words: object) -> subprocess.Popen:
        command = [sys.executable, "-m", "app", *map(str, words)]
        return subprocess.Popen(
            command, cwd=work, env=variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def run(*words: object, code: int = 0) -> str:
        process = start(*words)
        out, errors = process.communicate(timeout=280)
        assert process.returncode == code, errors
        return out

    run.start, run.work = start, work
    return run


def test_new_cast_add_render_check_export_reopen(flux):
    flux("board", "new", "film", "--title", "A dog's day", "--aspect", "1:1")
    flux("board", "cast", "film", "dog", DOG)
    assert flux("board", "add", "film", "@dog on a beach", "@dog in a city").split() == ["1A", "1B"]
    assert flux("board", "add", "film", "make it night", "--from", "1A", "--dialogue", "Good night.").split() == ["1C"]
    said = [json.loads(line) for line in flux("board", "render", "film", "--seed", "3", "--json").splitlines()]
    assert [one["detail"] for one in said if one.get("name") == "panel"] == [
        "1A (1 of 3)",
        "1B (2 of 3)",
        "1C (3 of 3)",
    ]
    assert flux("board", "check", "film") == "Nothing is wrong.\n"
    for out in ("film.pdf", "film.csv", "film.otio", "film.zip"):
        assert Path(flux("board", "export", "film", "-o", out).strip()).stat().st_size > 200
    flux("board", "export", "film", "-o", "frames", "-f", "png", "--panels", "1A-1B")
    assert len(list((flux.work / "frames").rglob("*.png"))) == 2
    flux("board", "import", "film.zip", "-o", "again")
    flux("board", "import", "film.otio", "-o", "timeline")
    for name in ("film", "again", "timeline"):
        with BoardFile.open(flux.work / f"{name}.fluxboard") as file:
            assert [len(panel.takes) for panel in file.board.panels()] == [1, 1, 1]
            pictures = [open_picture(file.picture_path(panel.take.picture.sha256)) for panel in file.board.panels()]
            assert all(picture.std() > 5 for picture in pictures)
            if name != "timeline":
                check_takes(file, pictures)


def check_takes(file: BoardFile, pictures: list[np.ndarray]) -> None:
    beach, city, night = file.board.panels()
    assert from_json(beach.take.request).prompt == "image 1 on a beach"
    assert from_json(night.take.request).references[0].sha256 == beach.take.picture.sha256
    assert (night.dialogue, city.take.seed, city.take.model) == ("Good night.", 3, "mini")
    # What the built-in model can do: the beach at night is darker, and still the beach.
    assert pictures[2].mean() < pictures[0].mean()


@pytest.mark.sweep
def test_ctrl_c_ends_a_render_within_a_step_with_what_is_done(flux):
    flux("board", "new", "film")
    flux("board", "add", "film", *(f"a beach {number}" for number in range(9)))
    process = flux.start("board", "render", "film", "--json")
    done = next(line for line in process.stdout if '"done"' in line)
    process.send_signal(signal.SIGINT)
    rest, _ = process.communicate(timeout=120)
    assert process.returncode == 130
    finished = 1 + rest.count('"done"')
    assert finished < 9
    with BoardFile.open(flux.work / "film.fluxboard") as file:
        assert [len(panel.takes) for panel in file.board.panels()] == [1] * finished + [0] * (9 - finished)
        assert file.recovered == ""
        assert Path(json.loads(done)["path"]).is_file()
        assert not list(file.path.rglob("*.partial"))
