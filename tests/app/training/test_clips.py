"""Pictures, clips and sounds with captions: what is read of them, every fault at once, and a run whole."""

import json
import os
import wave
from dataclasses import replace
from pathlib import Path

import mlx.core as mx
import numpy as np
import pytest
import soundfile
from PIL import Image

from app.training import clips, joint_run, session
from app.training.curve import KINDS, draw_curve
from app.training.session import Plan
from mlx_model.errors import DiskFull, RequestError
from mlx_model.events import Learned
from mlx_model.training import joint
from mlx_model.training.needs import Settings
from mlx_model.training.patches import Bands, Pixels, Sound
from tests.bench.selfflow_clips import world


def save_film(file: Path, shades: list[int], milliseconds: int, height: int = 8) -> Path:
    pages = [Image.new("RGB", (12, height), (shade, shade, shade)) for shade in shades]
    pages[0].save(file, save_all=True, append_images=pages[1:], duration=milliseconds)
    return file


def save_sound(file: Path, samples: np.ndarray, rate: int) -> Path:
    with wave.open(str(file), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(rate)
        out.writeframes((samples * 32767).astype("<i2").tobytes())
    return file


def test_of_a_film_what_is_seen_at_each_eighth_of_a_second(tmp_path):
    file = save_film(tmp_path / "a.gif", [10 * number for number in range(24)], 50)  # 20 a second
    film = clips.open_clip(file, "video", Pixels(8, 8, (2, 4)))
    assert film.shape == (8, 8, 8, 3)
    seen = film[:, 4, 4, 0] / 10
    assert np.abs(seen - 20 * np.arange(8) / 8).max() <= 1.3  # that of the frame which is nearest, or the next


def test_a_tone_stays_the_tone_at_another_rate(tmp_path):
    """And what is too high for the rate that is learned is gone, rather than heard as another tone."""
    seconds = np.arange(54000) / 44100
    file = save_sound(
        tmp_path / "a.wav", 0.3 * (np.sin(2 * np.pi * 500 * seconds) + np.sin(2 * np.pi * 9000 * seconds)), 44100
    )
    heard = clips.open_clip(file, "audio", Sound(Bands(100, 80, (1, 50))))
    loud = np.abs(np.fft.rfft(heard)) / 4000
    assert loud[500] == pytest.approx(0.3, rel=0.01)
    assert np.delete(loud, range(490, 511)).max() < 0.01


def test_every_fault_of_a_folder_is_told_at_once(tmp_path):
    """None of them keeps the others from being seen."""
    tone = 0.3 * np.sin(np.arange(20000) / 3)
    save_film(tmp_path / "short.gif", [0, 50, 100], 50)
    save_film(tmp_path / "slow.gif", [0, 50, 100, 150, 200, 250, 0, 50, 100, 150], 500)
    save_sound(tmp_path / "brief.wav", tone[:3000], 8000)
    save_sound(tmp_path / "dull.wav", tone, 4000)
    save_sound(tmp_path / "quiet.wav", 0 * tone, 8000)
    for name in ("broken.mp4", "broken.mp3", "broken.png"):
        (tmp_path / name).write_bytes(b"these are only words")
    for name, number in (("nan", np.nan), ("endless", np.inf), ("huge", 1e30)):
        samples = np.stack([tone, np.where(np.arange(20000) == 50, number, tone)], 1)
        soundfile.write(tmp_path / f"{name}.wav", samples, 8000, subtype="FLOAT")
    Image.new("RGB", (8, 7)).save(tmp_path / "tiny.png")
    save_film(tmp_path / "tiny.gif", [10 * number for number in range(24)], 50, height=6)
    (tmp_path / "lost.wav").symlink_to(tmp_path / "nowhere.wav")
    os.mkfifo(tmp_path / "pipe.mp4")
    for file in list(tmp_path.iterdir()):
        file.with_suffix(".txt").write_text("a thing")
    save_sound(tmp_path / "untold.wav", tone, 8000)
    with pytest.raises(RequestError) as told:
        list(clips.open_clips(tmp_path, joint.choose_sizes(64, 8), joint_run.open_words()))
    for fault in (
        "short.gif: it is shorter than 1 second",
        "slow.gif: it has 2 frames a second, 8 are needed",
        "brief.wav: it is shorter than 1.024 seconds",
        "dull.wav: it has 4000 samples a second, 8000 are needed",
        "quiet.wav: it is silent",
        "broken.mp4: it is no clip that can be read",
        "broken.mp3: ",
        "broken.png: ",
        "untold.wav: it has no caption untold.txt beside it",
        "nan.wav: it holds what are no numbers",
        "endless.wav: it holds what are no numbers",
        "huge.wav: it holds what are no numbers",
        "tiny.png: it is too small: 8x7, 8x8 are needed",
        "tiny.gif: it is too small: 12x6, 8x8 are needed",
        "lost.wav: it is a link to nothing",
        "pipe.mp4: it is no file",
        "16 faults",
    ):
        assert fault in told.value.message


def test_a_picture_of_the_size_that_is_learned_is_taken(tmp_path):
    Image.new("RGB", (32, 32), (9, 9, 9)).save(tmp_path / "a.png")
    assert (clips.open_clip(tmp_path / "a.png", "image", Pixels(1, 32, (1, 4))) == 9).all()


@pytest.mark.parametrize("present", [True, False])
def test_a_folder_of_nothing_is_refused(tmp_path, present):
    with pytest.raises(RequestError, match="holds no pictures, clips or sounds" if present else "There is no"):
        clips.read_folder(tmp_path if present else tmp_path / "none", [])


@pytest.fixture
def plan(tmp_path, monkeypatch):
    small = joint.choose_sizes(32, 8)._replace(text=joint.text_qwen3.Params(16, 32, 2, 1, 8, (1,), vocab_size=1024))
    blocks = replace(small.blocks, num_heads=2, depth=1, depth_single_blocks=1, context_in_dim=16, axes_dim=(4,) * 4)
    monkeypatch.setattr(joint, "choose_sizes", lambda: small._replace(blocks=blocks))
    world.write(tmp_path / "set", 2)
    settings = Settings(rank=None, optimizer="muon", rate=0.01, batch=1, self_flow=True)
    return Plan(tmp_path / "set", tmp_path / "joint", "joint", settings, 2, sample_every=2)


def test_a_disk_without_room_for_the_checkpoints_is_told_before_the_first_step(plan, monkeypatch):
    monkeypatch.setattr(session, "free_bytes", lambda path: 2**16)
    with pytest.raises(DiskFull, match="are free"):
        list(joint_run.train_clips(plan))
    assert not any(plan.out.iterdir())


@pytest.mark.sweep
def test_a_run_of_all_kinds_goes_on_to_the_bit(plan, tmp_path):
    """Losses of each kind, samples that open, the weights."""
    events = list(joint_run.train_clips(replace(plan, steps=1, sample_every=0)))
    events += joint_run.train_clips(replace(plan, resume=True))
    assert [event.step for event in events if isinstance(event, Learned)] == [1, 2]
    lines = [json.loads(line) for line in (plan.out / "log.jsonl").read_text().splitlines()]
    assert all({"loss", *KINDS} <= set(line) for line in lines)
    whole = replace(plan, out=tmp_path / "whole", sample_every=0)
    list(joint_run.train_clips(whole))
    ours, theirs = mx.load(str(plan.result)), mx.load(str(whole.result))
    assert all(mx.array_equal(array, ours[name]) for name, array in theirs.items())
    samples = plan.out / "samples"
    assert soundfile.info(samples / "step-000002-audio.wav").frames == 2 * 8192
    with Image.open(samples / "step-000002-video.gif") as film:
        assert (film.n_frames, film.size) == (8, (16, 8))
    with Image.open(samples / "step-000002-image.png") as picture:
        assert picture.size == (16, 8)


def test_each_kind_has_its_line():
    lines = [{"step": step, "loss": 1.0, "image": 0.5, "video": 1.0, "audio": 2.0 + step} for step in range(1, 30)]
    shown, alone = draw_curve(lines), draw_curve([{"step": line["step"], "loss": 1.0} for line in lines])
    for dark, _ in KINDS.values():
        assert (shown == dark).all(-1).sum() > 500
    assert not (alone == KINDS["video"][0]).all(-1).any()
