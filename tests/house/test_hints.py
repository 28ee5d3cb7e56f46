"""What to do about an error is worded where it is shown: on the command line by commands, in the window by places."""

import ast
import re
import string
from functools import cache
from typing import get_args

from app.cli import say as command_line
from app.gui.kit import words as window
from mlx_model.errors import AdviceCode
from tests.house.tree import NAMES, for_each, nodes

# A command with its words, or an option in a sentence; a bare "--option" is what a program is called with.
COMMAND = re.compile(r"flux-local [a-z]+\b|`?models add`|(?<!^)(?<![\w-])--[a-z]|^--[a-z-]+ |\bconvert --")
CODES = get_args(AdviceCode)


def texts(name: str):
    """Every text of the file that is no docstring, with {} where a value stands."""
    docs = {id(node.value) for node in nodes(name) if isinstance(node, ast.Expr)}
    inside = {id(part) for node in nodes(name) if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in nodes(name):
        if isinstance(node, ast.JoinedStr):
            yield "".join(part.value if isinstance(part, ast.Constant) else "{}" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and not {id(node)} & (docs | inside):
            yield node.value


@for_each([name for name in NAMES if not name.startswith("app/cli/")])
def test_no_text_outside_the_command_line_names_a_command(name):
    said = [re.sub(r"pip install [^,]*", "", text) for text in texts(name)]  # the same command wherever it is read
    assert [text for text in said if COMMAND.search(text)] == []


def test_the_window_s_words_name_no_command():
    assert [words for words in window.WORDS.values() if COMMAND.search(words)] == []


@cache
def given() -> dict[str, list[set[str]]]:
    """Code -> the names of the values, for every place that gives it."""
    found: dict[str, list[set[str]]] = {code: [] for code in CODES}
    for name in NAMES:
        for node in nodes(name):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Advice":
                if len(node.args) + len(node.keywords) == 1 and node.keywords:  # Advice(**values), read from a line
                    continue
                code = ast.literal_eval(node.args[0])
                values = _values(name, node.args[1]) if len(node.args) > 1 else set()
                found[code].append(values)
    return found


def _values(name: str, node: ast.expr) -> set[str]:
    assert isinstance(node, ast.Dict), f"{name}:{node.lineno}: write the values where the advice is given"
    return {ast.literal_eval(key) for key in node.keys}


def places(words: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(words) if name}


@for_each(CODES)
def test_every_advice_is_worded_twice_and_given(code):
    said = places(command_line.WORDS[code]), places(window.WORDS[code])
    assert given()[code], "nobody gives it"
    for values in given()[code]:
        assert values == said[0] | said[1]


def test_nothing_is_worded_that_is_no_advice():
    assert set(command_line.WORDS) == set(window.WORDS) == set(CODES)
