"""generate and edit: what they print where, and that nothing is overwritten."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load_file

from app.pictures.images import open_picture, read_request
from mlx_model.events import Stage, Step
from mlx_model.request import Request
from tests.cli.scripted_pipeline import BASE, EDITOR, FakePipeline, events, install, run


def test_generate_prints_the_path_on_stdout_only():
    result = run("generate", "a lighthouse", "-o", "out.png", "--seed", "7")
    assert result.stdout == f"{Path('out.png').absolute()}\n"
    assert "seed 7" in result.stderr
    assert "4/4" not in result.stderr  # no moving line where there is no terminal
    assert open_picture("out.png")[0, 0].tolist() == [7, 7, 7]
    recorded = read_request("out.png")
    assert (recorded.model, recorded.prompt, recorded.seed, recorded.steps) == (EDITOR, "a lighthouse", 7, 4)
    assert (recorded.width, recorded.height) == (1024, 1024)


def test_a_random_seed_is_said_and_recorded():
    seeds = {read_request(run("generate", "x", "--size", "64x64").stdout.strip()).seed for _ in range(3)}
    assert len(seeds) == 3
    assert all(0 <= seed < 2**32 for seed in seeds)
    result = run("generate", "x", "--size", "64x64")
    assert f"seed {read_request(result.stdout.strip()).seed}" in result.stderr


def test_count_gives_numbered_pictures_of_neighbouring_seeds():
    result = run("generate", "x", "-o", "a.png", "--size", "64x64", "--seed", "18446744073709551615", "--count", "3")
    files = [Path(line) for line in result.stdout.split()]
    assert [file.name for file in files] == ["a.png", "a-2.png", "a-3.png"]
    assert [read_request(file).seed for file in files] == [2**64 - 1, 0, 1]
    forced = run("generate", "y", "-o", "a.png", "--size", "64x64", "--count", "3", "--force", "--seed", "1")
    assert [Path(line).name for line in forced.stdout.split()] == ["a.png", "a-2.png", "a-3.png"]
    assert len(FakePipeline.opened) == 2


def test_nothing_is_overwritten_without_force(machine):
    Path("out.png").write_bytes(b"mine")
    run("generate", "x", "-o", "out.png", "--size", "64x64")
    assert Path("out.png").read_bytes() == b"mine"
    assert Path("out-2.png").is_file()
    run("generate", "x", "-o", "out.png", "--size", "64x64", "--force")
    assert open_picture("out.png").shape == (64, 64, 3)


def test_an_original_is_never_overwritten_even_with_force():
    before = Path("room.png").read_bytes()
    result = run("edit", "room.png", "-p", "x", "-o", "room.png", "--force", code=2)
    assert "never overwrites an original" in result.stderr
    run("edit", "room.png", "-p", "x", "-o", "room.png")
    assert Path("room.png").read_bytes() == before
    assert Path("room-2.png").is_file()


@pytest.mark.parametrize(
    ("size", "wanted"),
    [
        ("640x320", (640, 320)),
        ("16:9", (1360, 768)),
        ("1:1", (1024, 1024)),
        ("9:16", (768, 1360)),
        ("2.39:1", (1568, 656)),
    ],
)
def test_sizes(size, wanted):
    run("generate", "x", "--size", size, "-o", "s.png")
    request = FakePipeline.requests[0]
    assert (request.width, request.height) == wanted
    assert request.width * request.height <= 1024 * 1024


@pytest.mark.parametrize("size", ["big", "100x100", "0x0", "16:0", "99:1", "8192x8192", "-1:2", "64x64x64"])
def test_bad_sizes(size):
    result = run("generate", "x", f"--size={size}", code=2)
    assert "Error:" in result.stderr
    assert FakePipeline.opened == []


def test_edit_hands_over_pictures_in_order_with_mentions_compiled():
    run("edit", "room.png", "chair.png", "-p", "put the chair of @2 into @room", "-o", "out.webp")
    request = FakePipeline.requests[0]
    assert request.prompt == "put the chair of image 2 into image 1"
    assert [reference.name for reference in request.references] == ["room", "chair"]
    assert [reference.pixels.shape for reference in request.references] == [(96, 128, 3), (96, 96, 3)]
    assert (request.width, request.height) == (128, 96)
    recorded = read_request("out.webp")
    assert [Path(r.path).name for r in recorded.references] == ["room.png", "chair.png"]
    assert all(Path(r.path).is_absolute() and len(r.sha256) == 64 for r in recorded.references)


def test_mask_and_strength():
    run("edit", "room.png", "-p", "x", "--mask", "mask.png", "--strength", "0.5")
    request = FakePipeline.requests[0]
    assert request.mask.pixels.shape == (96, 128)
    assert request.strength == 0.5
    assert Path("room-edit.png").is_file()


def test_preview_latents_noise_and_dtype(machine):
    Path("n.safetensors").write_bytes(b"x")
    words = ("--preview", "steps", "--save-latents", "l.safetensors", "--noise", "n.safetensors", "--dtype", "float32")
    run("generate", "x", "-o", "out.png", "--size", "64x64", "--seed", "5", *words)
    assert sorted(p.name for p in Path("steps").iterdir()) == [f"out-5-step-0{i}.png" for i in (1, 2, 3)]
    assert load_file("l.safetensors")["latents"].shape == (4, 128)
    assert FakePipeline.opened[0][1] == "float32"
    assert FakePipeline.requests[0].noise == str(machine / "n.safetensors")


def test_without_metadata():
    run("generate", "secret words", "-o", "out.png", "--size", "64x64", "--no-metadata")
    assert b"secret words" not in Path("out.png").read_bytes()
    assert b"trainedAlgorithmicMedia" in Path("out.png").read_bytes()
    run("generate", "--again", "out.png", code=2)


def test_again_redoes_and_options_change_it():
    run("edit", "room.png", "chair.png", "-p", r"@2 and \@home", "-o", "one.png", "--seed", "9", "--mask", "mask.png")
    run("edit", "--again", "one.png", "-o", "two.png")
    run("edit", "--again", "one.png", "-o", "three.png", "--seed", "10", "--steps", "2")
    first, second, third = FakePipeline.requests
    assert first == second
    assert np.array_equal(first.references[0].pixels, second.references[0].pixels)
    assert np.array_equal(first.mask.pixels, second.mask.pixels)
    assert first.prompt == "image 2 and @home"
    assert (third.seed, third.steps, third.prompt) == (10, 2, first.prompt)


def test_again_with_another_model_uses_its_own_steps():
    run("generate", "x", "-o", "one.png", "--size", "64x64")
    run("generate", "--again", "one.png", "-m", BASE)
    assert (FakePipeline.requests[1].steps, FakePipeline.requests[1].guidance) == (50, 4.0)


@pytest.mark.parametrize(("model", "seen"), [(EDITOR, 2**22), ("flux1-canny-dev", None)])
def test_again_of_a_picture_of_before_sees_references_as_they_were_seen(monkeypatch, model, seen):
    install("flux1-canny-dev", 2000)
    run("edit", "room.png", "-p", "x", "-m", model, "-o", "one.png")
    plain = Request.to_json
    cut = lambda request: plain(request).replace('"reference_size": null, ', "")  # noqa: E731
    monkeypatch.setattr(Request, "to_json", cut)
    run("edit", "room.png", "-p", "x", "-m", model, "-o", "older.png")
    run("edit", "--again", "one.png", "-o", "two.png")
    run("edit", "--again", "older.png", "-o", "three.png")
    assert [request.reference_size for request in FakePipeline.requests] == [None, None, None, seen]


def test_again_notices_changed_and_missing_pictures():
    run("edit", "room.png", "-p", "x", "-o", "one.png")
    Image.new("RGB", (128, 96)).save("room.png")
    assert "has changed" in run("edit", "--again", "one.png", code=2).stderr
    Path("room.png").unlink()
    assert "no longer there" in run("edit", "--again", "one.png", code=2).stderr


def test_json_is_events_and_nothing_else():
    result = run("edit", "room.png", "-p", "x", "-o", "out.png", "--json", "--seed", "3")
    kinds = [type(event).__name__ for event in events(result)]
    assert kinds == ["Note", "Stage", "Loaded", "Stage", "Step", "Step", "Step", "Step", "Done"]
    done = events(result)[-1]
    assert (done.path, done.seed) == (str(Path("out.png").absolute()), 3)


def test_a_terminal_shows_a_bar_with_time_left(capsys):
    from app.cli.say import Reporter

    report = Reporter(False, terminal=True)
    report(Stage("denoise"))
    report(Step(1, 4, 2.0, 66.0))
    report.clear()
    shown = capsys.readouterr().err
    assert "1/4" in shown
    assert "1 min 6 s left" in shown
