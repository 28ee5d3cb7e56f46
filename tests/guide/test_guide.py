"""The guide: every picture is taken by a scene and shown, every page is in the contents, every command runs."""

import glob
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from app.base import paths
from app.cli.group import cli
from converters.convert import convert
from tests.converters.tiny import TINY, checkpoint
from tests.guide import scenes
from tests.window.test_loras import make_lora

ROOT = Path(__file__).resolve().parents[2]
GUIDE = ROOT / "docs" / "guide"
PAGES = {path.name: path.read_text("utf-8") for path in sorted(GUIDE.glob("*.md"))}
LINE = re.compile(r"^    (flux-local .*)$", re.MULTILINE)
SMALL = {  # what is added where the real thing takes minutes
    "generate": ["--size", "64x64", "--steps", "1"],
    "train": ["--size", "64", "--steps", "2", "--keep", "0", "--sample-every", "0"],
}


def test_every_picture_is_taken_and_shown():
    shown = {name for text in PAGES.values() for name in re.findall(r"\]\(pictures/([\w-]+)\.webp\)", text)}
    taken = set(re.findall(r'film\.(?:shoot|keep)\("([\w-]+)"', Path(scenes.__file__).read_text("utf-8")))
    there = {path.stem for path in (GUIDE / "pictures").iterdir()}
    assert shown == taken == there
    assert sum(path.stat().st_size for path in (GUIDE / "pictures").iterdir()) < 3_000_000


def test_every_page_is_in_the_contents_and_shows_something():
    contents = re.findall(r"\]\(([\w-]+\.md)\)", PAGES["README.md"])
    assert sorted(set(contents)) == sorted({*PAGES} - {"README.md"})
    assert [name for name in contents if "![" not in PAGES[name]] == []
    assert all(text.startswith("# ") for text in PAGES.values())


MADE = {"× 4", "8 bits", "4 bits", "FLUX.2 klein 4B"}  # words that the window puts together


def test_what_it_tells_to_press_is_in_the_window():
    window = "\n".join(path.read_text("utf-8") for path in (ROOT / "app" / "gui").rglob("*.py"))
    told = {words.replace("\n", " ") for text in PAGES.values() for words in re.findall(r"\*\*([^*]+)\*\*", text)}
    names = {name for words in told for name in re.split(r"^(?:File|Help), ", words) if name}
    assert len(names) > 40
    assert {name for name in names if name not in window} - MADE == set()


def test_the_readme_shows_the_board_an_edit_and_the_takes():
    readme = (ROOT / "README.md").read_text("utf-8")
    assert re.findall(r"\]\((docs/guide/pictures/\S+)\)", readme) == [
        f"docs/guide/pictures/{name}.webp" for name in ("board", "edit", "takes")
    ]


def test_the_site_is_built_of_every_page(tmp_path):
    pytest.importorskip("mkdocs", reason="needs the guide extra (.ci/run)")
    words = [
        sys.executable,
        "-m",
        "mkdocs",
        "build",
        "--strict",
        "-q",
        "-f",
        str(ROOT / "mkdocs.yml"),
        "-d",
        str(tmp_path),
    ]
    subprocess.run(words, check=True, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"}, capture_output=True)
    names = {name.replace("README", "index").replace(".md", ".html") for name in PAGES}
    assert names <= {path.name for path in tmp_path.iterdir()}
    served = re.findall(
        r'<(?:script|link|img)[^>]*(?:src|href)="(https?://[^"]+)"', (tmp_path / "index.html").read_text()
    )
    assert served == []


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """The models that the commands name, tiny and with random weights, by name."""
    folder = tmp_path_factory.mktemp("models")
    named = {name for text in PAGES.values() for name in re.findall(r"-m (flux[\w-]+)", text)}
    for name in sorted(named):
        list(convert(checkpoint(TINY[name], folder / f"source-{name}"), folder / name, model=name))
        shutil.rmtree(folder / f"source-{name}")
    return folder


@pytest.fixture
def work(tmp_path, monkeypatch):
    """A folder as a reader of the guide has it."""
    monkeypatch.setenv("FLUX_LOCAL_HOME", str(tmp_path / "home"))
    work = tmp_path / "work"
    (work / "photos").mkdir(parents=True)
    monkeypatch.chdir(work)
    (work / "assets").symlink_to(ROOT / "assets")
    for number in range(5):
        pixels = np.random.default_rng(number).integers(0, 255, (64, 64, 3)).astype(np.uint8)
        Image.fromarray(pixels).save(work / "photos" / f"{number}.jpg")
    (work / "walk.fountain").write_text(scenes.SCRIPT, "utf-8")
    shutil.copy(make_lora(tmp_path / "downloads", "comic"), work / "comic.safetensors")
    return work


def run(line: str, models: Path) -> None:
    """As a shell would, but small. The model is there where the line names it, else the built-in one is the default."""
    words = [word for given in shlex.split(line, comments=True)[1:] for word in sorted(glob.glob(given)) or [given]]
    small, place = [], paths.models()
    if "-m" in words:
        small, name = SMALL[words[0]], words[words.index("-m") + 1]
        shutil.copytree(models / name, place / name)
    ended = CliRunner().invoke(cli, [*words, *small])
    assert ended.exit_code == 0, f"{line}\n{ended.output}\n{ended.exception}"
    shutil.rmtree(place, ignore_errors=True)


BOARD = LINE.findall(PAGES["panels.md"])  # other pages go on with the board that is made there
ALONE = {"flux-local"} | {line for line in LINE.findall(PAGES["models.md"]) if " add " in line}


@pytest.mark.sweep
@pytest.mark.parametrize("name", [name for name, text in PAGES.items() if LINE.search(text)])
def test_every_command_runs(name, work, models):
    """Opening the window is what tests/window do; a download is that of tests/network."""
    lines = LINE.findall(PAGES[name])
    if "day.fluxboard" in PAGES[name] and name != "panels.md":
        lines = [*BOARD, *lines]
    for line in lines:
        if line not in ALONE:
            run(line, models)
    assert paths.home() == work.parent / "home"
    assert os.listdir(work)


def test_a_download_of_the_guide_is_one_that_is_tested():
    assert {line for line in ALONE if " add " in line} == {
        "flux-local models add flux2-klein-4b --bits 8",
        "flux-local models add flux3-writer --bits 4",
    }
