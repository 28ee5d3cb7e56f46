"""What killed processes leave goes at the next start, by its owner; a folder is replaced whole or not at all."""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from app.cli.group import cli
from mlx_model import files, unfinished
from mlx_model.errors import LayoutError, NotInstalled
from mlx_model.store.folder import keep_others, list_others, open_folder
from tests.converters.checkpoints import converted

ROOT = Path(__file__).resolve().parents[2]
START = "import os, sys, shutil, time\nfrom pathlib import Path\nfrom mlx_model import files, unfinished\n"


@pytest.fixture
def notes(tmp_path, monkeypatch):
    """The folder of notes, of a home of its own."""
    monkeypatch.setenv("FLUX_LOCAL_HOME", str(tmp_path / "home"))
    yield tmp_path / "home" / "unfinished"
    files._notes = files.Notes(None)


def run(script: str, *arguments: object, wait: bool = True) -> subprocess.Popen:
    """Another process of ours, with ROOT as its code."""
    words = [sys.executable, "-c", START + script, *map(str, arguments)]
    process = subprocess.Popen(words, env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE, text=True)
    if wait:
        process.communicate(timeout=60)
    return process


def start(notes: Path) -> None:
    """What every command does first."""
    files.keep_notes(notes)
    unfinished.remove_left(notes)


LEAVING = """
notes, place = map(Path, sys.argv[1:])
files.keep_notes(notes)
partial = files.begin(place / "film.fluxboard")
(partial / "blobs").mkdir(parents=True)
scratch = files.make_scratch_folder()
(scratch / "take.png").write_bytes(b"1")
print(partial, scratch, sep="\\n", flush=True)
def write(handle):
    handle.write(b"half")
    handle.flush()
    print("writing", flush=True)
    time.sleep(60)
files.write_new(place / "out.png", write)
"""


def leave(notes: Path, place: Path) -> subprocess.Popen:
    """A process in the middle of an import, a render and a file."""
    place.mkdir(exist_ok=True)
    process = run(LEAVING, notes, place, wait=False)
    lines = [process.stdout.readline().strip() for _ in range(3)]
    assert lines[-1] == "writing"
    process.made = [Path(line) for line in lines[:2]]
    return process


def test_what_a_killed_process_left_goes_at_the_next_start(notes, tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    process, place = leave(notes, tmp_path / "work"), tmp_path / "work"
    (place / ".mine.png.0123456789ab01234567.partial").write_bytes(b"called like one of ours")
    before = set(place.iterdir())
    start(notes)
    assert set(place.iterdir()) == before  # it lives
    assert all(path.exists() for path in process.made)
    process.kill()
    process.communicate()
    start(notes)
    assert [path.name for path in place.iterdir()] == [".mine.png.0123456789ab01234567.partial"]
    assert list((tmp_path / "tmp").iterdir()) == list(notes.iterdir()) == []


def test_a_command_is_such_a_start(notes, tmp_path):
    process = leave(notes, tmp_path / "work")
    process.kill()
    process.communicate()
    done = CliRunner().invoke(cli, ["models", "list"])
    assert done.exit_code == 0, done.output
    assert list((tmp_path / "work").iterdir()) == []


def test_a_process_that_ends_well_leaves_no_note(notes, tmp_path):
    script = "files.keep_notes(Path(sys.argv[1])); files.write_new(Path(sys.argv[2]), lambda h: h.write(b'1'))"
    assert run(script, notes, tmp_path / "a.png").returncode == 0
    assert (tmp_path / "a.png").read_bytes() == b"1"
    assert not notes.exists()


NOT_OURS = ["treasure.txt", ".x.partial", ".x.0123456789ab.partial", ".x.ffffffffffff01234567.partial"]


@pytest.mark.parametrize("name", [*NOT_OURS, ".x.0123456789ab01234567.png"])
def test_notes_that_lie_remove_nothing(notes, tmp_path, name):
    notes.mkdir(parents=True)
    (tmp_path / name).write_text("mine")
    (notes / "0123456789ab").write_text(json.dumps(str(tmp_path / name)) + '\n{"pid": 1}\nx\n[1]\n"relative"\n')
    start(notes)
    assert (tmp_path / name).read_text() == "mine"


def test_a_link_that_took_the_place_is_left_alone(notes, tmp_path):
    notes.mkdir(parents=True)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "a").write_text("mine")
    link = tmp_path / ".x.0123456789ab01234567.partial"
    link.symlink_to(tmp_path / "mine")
    (notes / "0123456789ab").write_text(json.dumps(str(link)))
    (notes / "aaaaaaaaaaaa").symlink_to(tmp_path / "mine" / "a")
    start(notes)
    assert (tmp_path / "mine" / "a").read_text() == "mine"


def test_without_flock_a_day_of_silence_decides(notes, tmp_path, monkeypatch):
    import fcntl

    notes.mkdir(parents=True)
    left, note = tmp_path / ".x.0123456789ab01234567.partial", notes / "0123456789ab"
    left.write_text("half")
    note.write_text(json.dumps(str(left)))

    def none(*_):
        raise OSError(unfinished.NO_FLOCK[0], "not supported")

    monkeypatch.setattr(fcntl, "flock", none)
    start(notes)
    assert left.exists()
    os.utime(note, (time.time() - 2 * unfinished.DAY,) * 2)
    start(notes)
    assert not left.exists()


def test_a_disk_that_is_not_there_is_waited_for(notes, tmp_path):
    notes.mkdir(parents=True)
    note = notes / "0123456789ab"
    note.write_text(json.dumps(str(tmp_path / "stick" / ".x.0123456789ab01234567.partial")))
    start(notes)
    assert note.exists()
    os.utime(note, (time.time() - 2 * unfinished.MONTH,) * 2)
    start(notes)
    assert not note.exists()


def test_many_files_do_not_make_the_note_grow(notes, tmp_path):
    start(notes)
    files.begin(tmp_path / "long.png")
    for number in range(1500):
        files.finish(files.begin(tmp_path / f"{number}.png"))
    [note] = notes.iterdir()
    assert note.stat().st_size < 2 * files.Notes.LARGEST
    partial = files.begin(tmp_path / "last.png")
    assert str(partial) in note.read_text()


# A folder that takes another one's place

KILLED = """
from mlx_model.store import folder
notes, out, new, at, swaps = *map(Path, sys.argv[1:4]), *map(int, sys.argv[4:])
files.keep_notes(notes)
partial = files.begin(out)
shutil.copytree(new, partial)
count = 0
def wrap(real):
    def call(*args, **more):
        global count
        count += 1
        if count == at:
            os._exit(9)
        return real(*args, **more)
    return call
for module, name in ((os, "rename"), (os, "link"), (os, "unlink"), (os, "rmdir"), (shutil, "copy2")):
    setattr(module, name, wrap(getattr(module, name)))
unfinished.swap = wrap(unfinished.swap) if swaps else lambda *_: False
folder.keep_others(out, partial)
unfinished.take_place(partial, out)
"""


@pytest.fixture
def two(tmp_path):
    """A model with a note of the person's in it, and one that is to take its place."""
    old, new = tmp_path / "place" / "out", converted(tmp_path / "made" / "new")
    shutil.copytree(new, old)
    (old / "notes.txt").write_text("mine")
    (new / "model.json").write_text((new / "model.json").read_text().replace('"plan": "', '"plan": "new '))
    return old, new


@pytest.mark.sweep
@pytest.mark.parametrize("swaps", [1, 0], ids=["swapped", "by two renames"])
def test_killed_at_every_step_of_a_replacement(notes, two, swaps):
    """Before each; of the removal of the old one's files, before the first three."""
    old, new = two
    kept = shutil.copytree(old, old.parents[1] / "kept")
    for at in (*range(1, 7), 1000):
        shutil.rmtree(old)
        shutil.copytree(kept, old)
        ended = run(KILLED, notes, old, new, at, swaps).returncode == 0
        assert ended == (at == 1000)
        if swaps:
            assert open_folder(old).plan in ("new 32bit", "32bit"), at
        start(notes)  # of any command
        assert open_folder(old).plan == "new 32bit" if ended else open_folder(old).plan in ("new 32bit", "32bit"), at
        assert (old / "notes.txt").read_text() == "mine", at
        assert [path.name for path in old.parent.iterdir()] == ["out"], at


def test_what_is_not_as_listed_stays(two, tmp_path):
    old, new = two
    first = next(iter(open_folder(old).list_files()))
    (old / first).write_bytes(b"edited by hand")
    (old / "more.safetensors").write_bytes(b"weights of mine")
    (old / "a" / "b").mkdir(parents=True)
    (old / "a" / "b" / "c.txt").write_text("mine too")
    (old / "link").symlink_to(tmp_path)
    assert list_others(old) == sorted(["notes.txt", first, "more.safetensors", "a/b/c.txt", "link"])
    partial = shutil.copytree(new, old.with_name("partial"))
    told = keep_others(old, partial)
    unfinished.take_place(partial, old)
    assert sorted(text.split()[0] for text in told) == sorted([first, "more.safetensors"])
    assert (old / "notes.txt").read_text() == "mine"
    assert (old / "a" / "b" / "c.txt").read_text() == "mine too"
    assert os.readlink(old / "link") == str(tmp_path)
    beside = old.with_name("out-kept")
    assert (beside / first).read_bytes() == b"edited by hand"
    assert (beside / "more.safetensors").read_bytes() == b"weights of mine"
    assert open_folder(old).plan == "new 32bit"


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"schema": 1}', '{"schema": 2}', '{"schema": 1, "components": 3}'])
def test_a_folder_with_some_model_json_is_none_of_ours(tmp_path, text):
    (tmp_path / "model.json").write_text(text)
    with pytest.raises((LayoutError, NotInstalled, Exception), match=r"model\.json"):
        list_others(tmp_path)
