"""Sound: what files are taken, what is read of them, and how they are played, on an output that only counts."""

import hashlib
import os
import sys
import threading
import time
import zipfile

import numpy as np
import pytest
import soundfile

from app.board import commands
from app.board.data import new_board
from app.fluxboard.archive import export_zip, import_zip
from app.fluxboard.check import problems
from app.fluxboard.file import BoardFile
from app.sound import player
from app.sound.clip import look_at, measure_peaks, read_blocks
from app.sound.player import NO_LIBRARY, NO_OUTPUT, Player, Silent
from mlx_model.errors import BoardError, RequestError


def write(path, seconds=1.0, rate=8000, channels=1, **options):
    """Half a second of silence, then a tone of 0.5."""
    at = np.arange(round(seconds * rate)) / rate
    tone = np.where(at < 0.5, 0, 0.5 * np.sin(2 * np.pi * 440 * at)).astype(np.float32)
    soundfile.write(path, np.stack([tone] * channels, axis=1), rate, **options)
    return path


class Counted:
    """An output without a device: keeps what it gets, as fast as it comes."""

    latency = 0.125

    def __init__(self):
        self.blocks, self.closed = [], threading.Event()

    def write(self, block):
        self.blocks.append(block.copy())

    def close(self):
        self.closed.set()

    def heard(self):
        assert self.closed.wait(5)
        return np.concatenate(self.blocks)


@pytest.mark.parametrize("ending", ["wav", "flac", "ogg", "mp3", "aiff"])
def test_kinds_are_told_by_what_is_in_them(tmp_path, ending):
    clip = look_at(write(tmp_path / f"tone.{ending}", channels=2).rename(tmp_path / "tone.dat"))
    assert clip.ending == f".{ending}"
    assert clip.seconds == pytest.approx(1, abs=0.1)
    assert sum(map(len, read_blocks(clip))) == pytest.approx(8000, abs=800)


@pytest.mark.parametrize("data", [b"", b"RIFF", b"\x89PNG\r\n\x1a\n" + bytes(50), b"ID3" + bytes(500), b"\0" * 5000])
def test_what_is_no_sound_is_refused(tmp_path, data):
    (tmp_path / "x.mp3").write_bytes(data)
    with pytest.raises(RequestError, match="is no sound"):
        look_at(tmp_path / "x.mp3")
    with pytest.raises(RequestError, match="is no sound"):
        look_at(tmp_path / "nothing.wav")


def test_too_many_channels_are_refused(tmp_path):
    with pytest.raises(RequestError, match="too long or large"):
        look_at(write(tmp_path / "nine.wav", channels=9))


def test_numbers_that_are_none_are_silent_and_nothing_is_louder_than_full(tmp_path):
    samples = np.full((4000, 2), 0.25, np.float32)
    samples[:1000], samples[1000:2000, 0], samples[2000:3000] = np.nan, -np.inf, 50
    soundfile.write(tmp_path / "odd.wav", samples, 8000, subtype="FLOAT")
    clip = look_at(tmp_path / "odd.wav")
    sound = np.concatenate(list(read_blocks(clip)))
    assert [float(sound[at, 0]) for at in (500, 1500, 2500, 3500)] == [0, -1, 1, 0.25]
    assert measure_peaks(clip, 8).tolist() == [0, 1, 1, 0.25]


@pytest.mark.parametrize("rate", [1, 2_000_000_000])
def test_rates_that_no_sound_has_are_refused(tmp_path, rate):
    with pytest.raises(RequestError, match="is no sound"):
        look_at(_set_rate(write(tmp_path / "a.wav"), rate))


def _set_rate(path, rate):
    data = bytearray(path.read_bytes())
    data[24:28] = rate.to_bytes(4, "little")  # of its header
    path.write_bytes(data)
    return path


def test_a_pipe_is_no_sound_and_nobody_waits_for_it(tmp_path):
    os.mkfifo(tmp_path / "pipe.wav")
    with pytest.raises(RequestError, match="is no sound"):
        look_at(tmp_path / "pipe.wav")


def test_one_channel_is_heard_on_both_sides_from_where_it_is_asked_for(tmp_path):
    clip = look_at(write(tmp_path / "a.wav"))
    sound = np.concatenate(list(read_blocks(clip, 0.75)))
    assert sound.shape == (2000, 2)
    assert (sound[:, 0] == sound[:, 1]).all()
    assert list(read_blocks(clip, 5)) == []


def test_peaks_follow_what_is_loud(tmp_path):
    peaks = measure_peaks(look_at(write(tmp_path / "a.wav")), 10)
    assert len(peaks) == 10
    assert np.allclose(peaks, [0, 0, 0, 0, 0, 0.5, 0.5, 0.5, 0.5, 0.5], atol=0.02)


def test_a_file_that_was_cut_off_is_silent_from_there(tmp_path):
    path = write(tmp_path / "a.flac")
    clip = look_at(path)
    path.write_bytes(path.read_bytes()[:3000])
    assert sum(map(len, read_blocks(clip))) < 8000
    measure_peaks(clip)


def test_it_plays_from_the_middle_and_waits_before_its_start(tmp_path):
    clip, output = look_at(write(tmp_path / "a.wav")), Counted()
    made = Player(lambda rate: output)
    assert made.start(clip, 0.75) == 0.125
    assert len(output.heard()) == 2000
    output = Counted()
    made.start(clip, -0.5)
    sound = output.heard()
    assert len(sound) == 4000 + 8000
    assert not sound[:8000].any()
    assert abs(sound[8000:]).max() > 0.4


def test_stop_ends_it_at_once(tmp_path):
    class Slow(Counted):
        def write(self, block):
            time.sleep(0.02)
            super().write(block)

    clip, output = look_at(write(tmp_path / "a.wav", seconds=60)), Slow()
    made = Player(lambda rate: output)
    made.start(clip, 0)
    made.stop()
    assert not made.playing
    assert output.closed.is_set()
    assert len(output.blocks) < 20


def test_without_an_output_it_is_silent_and_says_why(tmp_path):
    def refuse(rate):
        raise Silent(NO_OUTPUT)

    made = Player(refuse)
    assert made.start(look_at(write(tmp_path / "a.wav")), 0) == 0
    assert (made.playing, made.problem) == (False, NO_OUTPUT)


def test_a_board_keeps_its_sound_as_it_is_copies_and_shares_it(tmp_path):
    path = write(tmp_path / "tone.mp3")
    with BoardFile.create(tmp_path / "b", new_board("b")) as file:
        sound = file.put_sound(path)
        file.save(commands.set_board(file.board, sound=sound))
        assert file.picture_path(sound.sha256).read_bytes() == path.read_bytes()
        assert (sound.name, file.missing(), file.list_unused_blobs()) == ("tone.mp3", 0, [])
        with file.copy_to(tmp_path / "copy") as copy:
            assert copy.missing() == 0
        zipped = export_zip(file, tmp_path / "b.zip")
        with import_zip(zipped, tmp_path / "again") as again:
            assert look_at(again.picture_path(again.board.sound.sha256)).ending == ".mp3"
        assert [problem for problem in problems(file) if "lost" in problem.what] == []
        file.picture_path(sound.sha256).unlink()
        assert any(problem.what.startswith("A sound is lost") for problem in problems(file))
        file.save(commands.set_board(file.board, sound=None))


def test_a_zip_whose_sound_is_none_is_refused_whole(tmp_path):
    path = write(tmp_path / "tone.wav")
    with BoardFile.create(tmp_path / "b", new_board("b")) as file:
        sound = file.put_sound(path)
        file.save(commands.set_board(file.board, sound=sound))
        zipped = export_zip(file, tmp_path / "b.zip")
    bad = b"RIFF and no more"
    with zipfile.ZipFile(zipped) as old, zipfile.ZipFile(tmp_path / "bad.zip", "w") as new:
        for entry in old.infolist():
            name = entry.filename.replace(sound.sha256, hashlib.sha256(bad).hexdigest())
            data = old.read(entry).replace(sound.sha256.encode(), hashlib.sha256(bad).hexdigest().encode())
            new.writestr(name, bad if name.endswith(".wav") else data)
    with pytest.raises(BoardError, match="is no sound"):
        import_zip(tmp_path / "bad.zip", tmp_path / "again")
    assert not (tmp_path / "again.fluxboard").exists()


@pytest.mark.parametrize(("error", "words"), [(OSError("no PortAudio"), NO_LIBRARY), (ValueError("none"), NO_OUTPUT)])
def test_without_a_library_or_a_device_the_system_s_output_says_so(monkeypatch, error, words):
    class Library:
        PortAudioError = RuntimeError

        @staticmethod
        def OutputStream(**_):
            raise error

    monkeypatch.setitem(sys.modules, "sounddevice", None if isinstance(error, OSError) else Library())
    with pytest.raises(Silent, match="No sound is heard") as silent:
        player.open_output(44100)
    assert str(silent.value) == words
