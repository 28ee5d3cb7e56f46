"""The table of faults, with a few cases of each: python -m tests.bench.faults tries all of them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.bench.faults import GROUPS
from tests.hostile import faulty_os
from tests.hostile.faults import disks, power, strangers
from tests.hostile.faults.writers import WRITERS, Writer

ROOT = Path(__file__).resolve().parents[2]


def test_every_group_that_is_made_of_tests_names_tests():
    named = [test for tests in strangers.CASES.values() for test in tests]
    texts = {test: (ROOT / test.split("::")[0]).read_text("utf-8") for test in named}
    assert [test for test in named if f"def {test.partition('::')[2] or 'test_'}" not in texts[test]] == []


@pytest.mark.first_case
@pytest.mark.parametrize("group", sorted(set(GROUPS) - set(strangers.GROUPS)))  # the others run as what they are
def test_nothing_is_lost(group):
    """In a process of its own: its children are forked, and none of MLX's threads may run by then."""
    command = [sys.executable, "-m", "tests.bench.faults", "--quick", group]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr
    cases, survived, lost, *_ = map(float, done.stdout.splitlines()[-1].removeprefix(group).split())
    assert cases == survived > 2
    assert lost == 0


def write_carelessly(place, tell):
    """As no writer may: over what is there."""
    with open(place / "x.txt", "w") as handle:
        handle.write("new " * 1000)
    tell(["done", 0])


def judge_text(place, told):
    text = (place / "x.txt").read_text()
    return "" if text in ("old", "new " * 1000) else f"{len(text)} letters are there"


CARELESS = Writer("careless", lambda place: (place / "x.txt").write_text("old"), write_carelessly, judge_text)


@pytest.mark.parametrize("fault", [disks.try_kills, disks.try_disk_errors])
def test_a_careless_writer_is_found_out(tmp_path, monkeypatch, fault):
    """The table can lose."""
    monkeypatch.setattr(disks, "list_writers", lambda _: (CARELESS,))
    monkeypatch.setattr(disks, "_try_random_kills", lambda *_: iter(()))
    assert [lost for _, lost in fault(tmp_path, True) if lost]


@pytest.mark.first_case
@pytest.mark.parametrize("writer", WRITERS, ids=[writer.name for writer in WRITERS])
def test_what_is_said_to_be_written_outlives_the_power(tmp_path, writer):
    """The order of writing, fsync, naming, and fsync of the folder, of every writer, in the calls that it makes."""

    (place := tmp_path / "place").mkdir()

    def work(tell):
        disk = faulty_os.Disk(place).install()
        writer.work(place, lambda _: None)
        tell(sorted({*disk.ledger.lost(place)}))

    disks.prepare(writer, place)
    told, code = faulty_os.in_child(work)
    assert (told, code) == ([[]], 0)


@pytest.mark.parametrize("end", [lambda path: path.unlink(), lambda path: (path.parent / "b").rename(path)])
def test_a_file_that_went_leaves_nothing_to_the_next_with_its_inode(tmp_path, end):
    def work(tell):
        disk = faulty_os.Disk(tmp_path).install()
        gone, other = tmp_path / "a", tmp_path / "b"
        os.close(os.open(other, os.O_CREAT))
        with open(gone, "w") as handle:
            handle.write("never synced")
        inode = gone.stat().st_ino
        end(gone)
        tell(inode in disk.ledger.unsynced)

    assert faulty_os.in_child(work) == ([False], 0)


@pytest.fixture(scope="module")
def lost_with_the_power():
    """Of writers that need MLX or a server; in a process of its own, see test_nothing_is_lost."""
    command = [sys.executable, "-m", "tests.hostile.faults.power"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.sweep
@pytest.mark.parametrize("name", [writer.name for writer in power.WRITERS])
def test_models_downloads_and_training_outlive_the_power_too(lost_with_the_power, name):
    assert lost_with_the_power[name] == []
