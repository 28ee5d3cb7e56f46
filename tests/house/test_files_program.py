"""The program that shows files is called what this system calls it, by one list of words."""

import ast

from app.base.words import SHOW_IN_FILES
from app.gui.window.actions import TABLE
from tests.house.tree import NAMES, for_each, nodes

NAMED = ("Finder", "Explorer", "Nautilus", "Dolphin")
WORDS = "app/base/words.py"


@for_each([name for name in NAMES if name.startswith("app/") and name != WORDS])
def test_nothing_else_names_one(name):
    docs = {id(node.value) for node in nodes(name) if isinstance(node, ast.Expr)}
    said = [node.value for node in nodes(name) if isinstance(node, ast.Constant) and id(node) not in docs]
    assert [text for text in said if isinstance(text, str) and any(word in text for word in NAMED)] == []


def test_the_menu_takes_it_from_there():
    assert SHOW_IN_FILES in [row.text for row in TABLE["&File"] if row]
