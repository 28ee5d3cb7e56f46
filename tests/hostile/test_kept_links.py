"""Folders that somebody else packed with what keeps links: nothing at their other end is written, moved or deleted.

Boards have tests of their own (test_board_links.py). Here are models, LoRAs, runs of training, data sets, their caches
and downloads, each packed and unpacked by the real tool with links in the place of every file and folder.
"""

import atexit
import io
import json
import os
import shutil
import subprocess
import tarfile
import tempfile
from functools import cache
from itertools import cycle
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image
from safetensors.numpy import save_file

from app.base import paths
from app.cli.group import cli
from app.models import loras
from converters import download, hub, transfer
from tests.converters.checkpoints import single_file

pytestmark = pytest.mark.sweep


def pack(folder: Path, *words: str) -> None:
    subprocess.run(words, cwd=folder, check=True, capture_output=True)


def by_tar(origin: Path, here: Path) -> None:
    pack(origin, "tar", "-cf", str(here.parent / "x.tar"), ".")
    pack(here, "tar", "-xf", str(here.parent / "x.tar"))


def by_python(origin: Path, here: Path) -> None:
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w") as packed:
        packed.add(origin, ".")
    held.seek(0)
    with tarfile.open(fileobj=held) as packed:
        packed.extractall(here, filter="fully_trusted")


def by_zip(origin: Path, here: Path) -> None:
    pack(origin, "zip", "-qry", str(here.parent / "x.zip"), ".")
    pack(here, "unzip", "-q", str(here.parent / "x.zip"))


def by_git(origin: Path, here: Path) -> None:
    name = ("-c", "user.name=x", "-c", "user.email=x@x", "-c", "commit.gpgsign=false")
    pack(origin, "git", "init", "-q")
    pack(origin, "git", "add", "-A", "-f")
    pack(origin, "git", *name, "commit", "-qm", "x")
    pack(here, "git", "clone", "-q", str(origin), ".")


def by_rsync(origin: Path, here: Path) -> None:
    pack(origin, "rsync", "-aH", "./", f"{here}/")


def by_copy(origin: Path, here: Path) -> None:
    """As services that synchronise folders, and Finder, do it: links stay links, hard links become files."""
    shutil.copytree(origin, here, symlinks=True, dirs_exist_ok=True)


def by_backup(origin: Path, here: Path) -> None:
    """What snapshots of hard links (Time Machine, rsnapshot) do to every file."""
    pack(origin, "cp", "-al", "./.", str(here))


TOOLS = {"tar": by_tar, "tarfile": by_python, "zip": by_zip, "git": by_git, "rsync": by_rsync, "copy": by_copy,
         "backup": by_backup}  # fmt: skip
TOOLS = {name: by for name, by in TOOLS.items() if name in ("tarfile", "copy", "backup") or shutil.which(name)}
HARD = [
    name for name in TOOLS if name in ("tar", "tarfile", "rsync", "backup")
]  # the others make two files of two names, or refuse them


LOCAL = Path(__file__).parents[2] / "assets" / "mini"
TRAIN = ("-m", str(LOCAL), "--lora", "--rank", "2", "--size", "64", "--sample-every", "0")


def flux(*words) -> str:
    done = CliRunner().invoke(cli, [str(word) for word in words], input="y\n")
    assert done.exit_code in (0, 2, 3, 4), (words, done.output, done.exception)
    return done.output


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    """A home, a trash and a work folder of the test."""
    for name in ("FLUX_LOCAL_HOME", "HOME", "XDG_DATA_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path


# For each kind of folder: what makes one, and what uses it in every way there is


@cache
def source() -> Path:
    folder = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, folder, True)
    return single_file(folder)


def make_model(folder: Path) -> None:
    folder.rmdir()
    flux("convert", source(), "-o", folder)


def use_model(folder: Path) -> None:
    kept = paths.models() / "from-them"
    kept.parent.mkdir(parents=True)
    kept.symlink_to(folder)
    for words in (
        ("models", "list"), ("models", "info", "from-them"), ("models", "verify", "from-them"),
        ("convert", folder, "-o", "again", "--bits", "8"), ("convert", source(), "-o", folder, "--force"),
        ("models", "remove", "from-them", "--yes"),
    ):  # fmt: skip
        flux(*words)


def write_lora(path: Path, size: int) -> None:
    names = [f"double_blocks.0.img_attn.proj.lora_{part}.weight" for part in "AB"]
    save_file({name: np.ones((size, size), np.float32) for name in names}, path)


def make_loras(folder: Path) -> None:
    write_lora(folder / "comic.safetensors", 4)
    Image.new("RGB", (64, 64)).save(folder / "comic.png")
    (folder / "comic.json").write_text('{"description": "x"}')
    (folder / loras.DIGESTS).write_text("{}")


def use_loras(folder: Path) -> None:
    paths.home().mkdir()
    paths.loras().symlink_to(folder)
    write_lora(Path("new.safetensors"), 2)
    for words in (
        ("list",), ("add", "new.safetensors"), ("add", folder / "comic.safetensors"), ("remove", "comic"),
        ("remove", "new"),
    ):  # fmt: skip
        flux("lora", *words)


def make_set(folder: Path) -> None:
    for number in range(5):
        pixels = np.random.default_rng(number).integers(0, 255, (64, 64, 3)).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
        (folder / f"{number}.txt").write_text("a fox")
    (folder / "control").mkdir()
    for number in range(5):
        shutil.copy(folder / f"{number}.png", folder / "control")


def use_set(folder: Path) -> None:
    flux("train", folder, *TRAIN, "--steps", "1", "-o", "run")


def make_run(folder: Path) -> None:
    folder.rmdir()
    data = folder.parent / "set"
    data.mkdir()
    make_set(data)
    flux("train", data, *TRAIN, "--steps", "1", "-o", folder)


def use_run(folder: Path) -> None:
    flux("train", folder.parent / "set", *TRAIN, "--steps", "2", "-o", folder, "--resume")


def make_download(folder: Path) -> None:
    (folder / transfer.FOLDER).mkdir()
    (folder / transfer.FOLDER / "abc").write_bytes(b"ha")
    (folder / transfer.FOLDER / f"abc{transfer.TAG}").write_bytes(b'"x"')
    (folder / "vae").mkdir()
    (folder / "vae" / "x.safetensors").write_bytes(b"whole")
    files = [{"name": "x.safetensors", "bytes": 5, "git": "abc", "into": "vae"}]
    (folder / download.RECORD).write_text(json.dumps({"repo": "x/y", "commit": "c", "files": files}))
    (folder / download.LOCK).touch()


def use_download(folder: Path) -> None:
    """As models add and remove do; the partial file is gone on with and moved to its place."""
    kept = paths.downloads() / "flux2-klein-4b"
    kept.parent.mkdir(parents=True)
    os.rename(folder, kept)
    flux("models", "add", "flux2-klein-4b", "--yes")
    file = hub.Remote("x.safetensors", 4, git="abc", into="vae")
    for finish in (lambda partial: partial.move(kept, file.path), lambda partial: partial.remove()):
        partial = transfer.Partial(kept, file)
        os.close(partial.open())
        partial.keep_tag('"y"')
        finish(partial)
    download._tidy(kept, [])
    flux("models", "remove", "flux2-klein-4b", "--yes")


KINDS = {
    "model": (make_model, use_model, ("model.json", "transformer", "tokenizer", "autoencoder/00001.safetensors",
                                      "tokenizer/tokenizer.json", "model.json.part")),
    "loras": (make_loras, use_loras, ("comic.safetensors", "comic.png", "comic.json", loras.DIGESTS,
                                      "new.safetensors")),
    "set": (make_set, use_set, ("0.png", "0.txt", "control", "control/0.png")),
    "run": (make_run, use_run, ("run.json", "log.jsonl", "state.checkpoint", "cache", "loss.png", "run.safetensors",
                                "cache/x")),
    "download": (make_download, use_download, (".partial", ".partial/abc", ".partial/abc.etag", "vae",
                                               "vae/x.safetensors", download.RECORD, download.LOCK)),
}  # fmt: skip
SOFT = [
    (kind, name, tool) for kind, (_, _, names) in KINDS.items() for name, tool in zip(names, cycle(TOOLS), strict=False)
]


@cache
def made(kind: str) -> Path:
    """A folder with `given`, of that kind, beside what it needs; made once."""
    folder = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, folder, True)
    (folder / "given").mkdir()
    KINDS[kind][0](folder / "given")
    return folder


def copy_made(kind: str, to: Path) -> Path:
    shutil.copytree(made(kind), to)
    return to


def contents(folder: Path) -> dict:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()
    }


@pytest.mark.parametrize(("kind", "name", "tool"), SOFT)
def test_a_link_in_a_folder_that_was_packed(kind, name, tool, tmp_path):
    """It leads out of the folder to something of the same kind, so that whoever follows it finds what it looks for."""
    origin, here = copy_made(kind, tmp_path / "origin"), tmp_path / "here"
    here.mkdir()
    mine, given = origin / "mine" / Path(name).name, origin / "given" / name
    mine.parent.mkdir()
    if given.exists():
        given.rename(mine)
    else:
        mine.write_bytes(b"mine")
    given.parent.mkdir(exist_ok=True)
    given.symlink_to(os.path.relpath(mine, given.parent))
    TOOLS[tool](origin, here)
    assert (here / "given" / name).is_symlink()
    before = contents(here / "mine")
    assert before or not any(path.is_file() for path in mine.parent.rglob("*"))
    KINDS[kind][1](here / "given")
    assert contents(here / "mine") == before


@pytest.mark.parametrize("tool", HARD)
@pytest.mark.parametrize("kind", KINDS)
def test_every_file_has_a_second_name(kind, tool, tmp_path):
    """As after a snapshot: the other names keep what they had."""
    origin, here = copy_made(kind, tmp_path / "origin"), tmp_path / "here"
    here.mkdir()
    shutil.copytree(origin / "given", origin / "mine", copy_function=os.link)
    TOOLS[tool](origin, here)
    linked = [path for path in (here / "given").rglob("*") if path.is_file()]
    assert all(path.stat().st_nlink > 1 for path in linked)
    before = contents(here / "mine")
    KINDS[kind][1](here / "given")
    assert contents(here / "mine") == before
    assert tool != "backup" or contents(origin / "mine") == before


def test_what_came_is_removed_from_no_other_folder(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "abc").write_bytes(b"mine")
    (tmp_path / "download").mkdir()
    (tmp_path / "download" / transfer.FOLDER).symlink_to(tmp_path / "mine")
    transfer.Partial(tmp_path / "download", hub.Remote("x.safetensors", 4, git="abc")).remove()
    assert (tmp_path / "mine" / "abc").read_bytes() == b"mine"
