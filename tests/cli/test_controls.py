"""What a stranger's file says never commands the terminal: every command, on names made of control marks."""

import json
import shutil

import pytest
from click.testing import CliRunner
from PIL import Image

from app.base.words import HIDDEN
from app.board.data import Board, Member, Panel, PanelReference, Picture, Scene, Take, new_id
from app.cli.group import cli
from app.fluxboard.file import BoardFile
from tests.cli.scripted_pipeline import EDITOR
from tests.house.tree import ROOT

EVIL = "a\x1b[31m\x9bmb\x07\u202ec\u200bd\r\x08\x7f\u2066e"


def run(*words):
    ended = CliRunner().invoke(cli, list(words))
    assert ended.exit_code in (0, 2, 3, 5), ended.output
    assert "Traceback" not in ended.output
    return ended


def is_plain(text: str) -> bool:
    return not HIDDEN.search(text)


@pytest.fixture
def board(machine):
    picture = Picture("a" * 64, 128, 96, EVIL)
    take = Take(new_id(), picture, "", EVIL, EVIL, 3, note=EVIL)
    reference = PanelReference(new_id(), picture, name="x")
    panel = Panel(new_id(), f"@nobody {EVIL}", EVIL, EVIL, EVIL, references=(reference,), takes=(take,))
    made = Board(new_id(), EVIL, style=EVIL, model=EVIL, scenes=(Scene(new_id(), EVIL, (panel,)),))
    made = Board(
        **{**{f: getattr(made, f) for f in made.__struct_fields__}, "cast": (Member(new_id(), "m", notes=EVIL),)}
    )
    BoardFile.create("evil.fluxboard", made).close()
    return "evil.fluxboard"


COMMANDS = [
    "board show evil.fluxboard",
    "board show evil.fluxboard --panel 1A",
    "board list evil.fluxboard",
    "board check evil.fluxboard",
    "board check evil.fluxboard --json",
    "board show evil.fluxboard --json",
    "board cast evil.fluxboard",
    "board render evil.fluxboard",
    "board export evil.fluxboard -o out.otio",
    "board export evil.fluxboard -o out.zip",
]


@pytest.mark.parametrize("command", COMMANDS)
def test_boards(board, command):
    ended = run(*command.split())
    assert ended.output
    assert is_plain(ended.output)


def spoil_manifest(tmp_path):
    folder = tmp_path / "home" / "models" / EDITOR
    values = json.loads((folder / "model.json").read_text())
    values |= {"plan": EVIL, "licence": EVIL, "source": {"path": EVIL}}
    (folder / "model.json").write_text(json.dumps(values))
    wrong = tmp_path / "home" / "models" / "wrong"
    shutil.copytree(folder, wrong)
    (wrong / "model.json").write_text(json.dumps(values | {"model": EVIL}))


@pytest.mark.parametrize(
    "command", ["models list", "models verify", "doctor", f"models info {EDITOR}", "models list --json"]
)
def test_models(tmp_path, command):
    spoil_manifest(tmp_path)
    ended = run(*command.split())
    assert is_plain(ended.output)


def test_names_of_files(machine):
    name = EVIL.replace("/", "")
    (machine / f"{name}.fountain").write_text("INT. HOUSE\n\nHe sits.\n")
    (machine / f"{name}.png").write_bytes(b"no picture")
    (machine / f"{name}.safetensors").write_bytes(b"no weights")
    Image.new("RGB", (96, 96)).save(f"x{name}.png")
    for words in (
        ["board", "import", f"{name}.fountain", "-o", "b", "-f", name],
        ["edit", f"{name}.png", "-p", "x"],
        ["edit", f"x{name}.png", "-p", "@3"],
        ["edit", "room.png", "-p", "x", "--lora", f"{name}.safetensors"],
        ["convert", f"{name}.safetensors", "-o", "out"],
        ["board", "show", name],
        ["models", "info", name],
        ["models", "path", name],
        ["bench", "-m", name],
        ["generate", "x", "-m", name],
        ["generate", "x", f"--{name}"],
        [name],
    ):
        ended = run(*words)
        assert ended.exit_code in (2, 3), words
        assert is_plain(ended.output), words


def test_words_are_printed_in_one_place():
    for file in [*(ROOT / "app/cli").rglob("*.py"), ROOT / "app/__main__.py"]:
        if file.name == "say.py":
            continue
        text = file.read_text("utf-8")
        assert "click.echo" not in text, file
        assert "click.secho" not in text, file
