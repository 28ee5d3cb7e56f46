"""Every command line in README, docs and --help is one that the program takes; the files it names are there."""

import re
import shlex
from pathlib import Path

import click
import pytest

from app.cli.group import COMMANDS, HIDDEN, cli
from tests.cli.scripted_pipeline import ROOT

LINE = re.compile(r"^ {4,}(?:\.venv/bin/)?(flux-local .*)$", re.MULTILINE)
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def helps():
    """The help of every command."""
    context = click.Context(cli)
    for command in (cli, *(cli.get_command(context, name) for name in COMMANDS)):
        parts = getattr(command, "commands", {}) if command is not cli else {}
        yield from (one.help for one in (command, *parts.values()))


README = LINE.findall(PAGES[0].read_text("utf-8"))
REST = [line for text in (*[page.read_text("utf-8") for page in PAGES[1:]], *helps()) for line in LINE.findall(text)]


def parsed(words):
    """Raises click.UsageError where the command does not take these words."""
    command, context = cli, click.Context(cli)
    if " ".join(words[:2]) in HIDDEN:  # one command, as the group sees it
        words = [" ".join(words[:2]), *words[2:]]
    while isinstance(command, click.Group) and words:
        command = command.get_command(context, words[0])
        assert command, words
        words = words[1:]
    with command.make_context("flux-local", list(words)) as context:
        return context.params


def test_there_are_some():
    assert len(README) > 15
    assert len(REST) > 20


@pytest.mark.parametrize("line", sorted({*README, *REST}))
def test_the_program_takes_it(line):
    words = shlex.split(line.partition(" > ")[0], comments=True)[1:]
    if "--formats" not in words:
        parsed(words)


@pytest.mark.parametrize("line", [line for line in README if "assets/" in line])
def test_its_pictures_are_in_the_repository(line):
    for name in (word for word in shlex.split(line) if word.startswith("assets/")):
        assert (ROOT / name).is_file()


def test_the_traps_name_tests_that_are_there():
    named = re.findall(r"\| (tests/\S+) \|$", Path(ROOT / "docs" / "PITFALLS.md").read_text("utf-8"), re.MULTILINE)
    assert len(named) > 50
    assert [name for name in named if not (ROOT / name).is_file()] == []
