"""Capitals in the window, by one rule: what does something (a button, a menu's entry, a step that undo names, the title
of a dialog) Has Them on Its Words; what is chosen between, named or said begins with one and goes on without.
"""

import ast
import re
from collections.abc import Mapping
from functools import cache

import pytest

from tests.house.tree import NAMES, for_each, nodes, tree

COMMANDS = {  # what is called -> which of its arguments are words of a command
    "button": (0,), "PushButton": (0,), "addButton": (0,), "addAction": (0,), "addMenu": (0,), "Row": (1,), "do": (0,),
    "setWindowTitle": (0,), "sure": (1, 4, 5), "ask": (1, 4, 5, 6), "choose_file": (1,), "choose_files": (1,),
    "choose_folder": (1,), "_add": (1,), "Buttons": (1,),
}  # fmt: skip
SAID = {
    "QCheckBox": (0,), "addRow": (0,), "icon_button": (0, 2), "setAccessibleName": (0,), "setPlaceholderText": (0,),
    "label": (0,), "describe": (2,), "setToolTip": (0,), "addItem": (0,), "choice": (0, 1), "_choice": (0, 2),
}  # fmt: skip
LITTLE = {"a", "an", "and", "as", "at", "for", "from", "in", "into", "of", "on", "onto", "or", "the", "to", "with"}
NAMED = {  # with capitals, or without, wherever they stand; keys, and the window's own places
    "LoRA", "LoRAs", "ComfyUI", "mflux", "Hugging", "Face", "Flux", "Local", "FLUX", "JSON", "Ctrl", "B", "C", "E", "O",
    "Delete", "Return", "Esc", "Trash", "Quick", "Look", "Settings", "Models", "Cast", "Queue", "×", "Redux",
}  # fmt: skip
WORD = re.compile(r"[^\W\d_][\w'’-]*|×")


def list_words(text: str) -> list[str]:
    """The words of a text, those left out that a value gives, or that are part of something else (hf_token, x2)."""
    return [word for word in WORD.findall(re.sub(r"\S*[{}_@]\S*|\d\w+", " ", text)) if word not in NAMED]


def is_command(text: str) -> bool:
    first, *words = list_words(text) or [""]
    return first[:1] == first[:1].upper() and all(word[0].isupper() != (word in LITTLE) for word in words)


def is_said(text: str) -> bool:
    """Each sentence for itself; words in quotation marks are somebody else's."""
    parts = re.split(r"[.;:?!,] |[“(].*?[”)]", text)
    return not any(word[0].isupper() and not word.isupper() for part in parts for word in list_words(part.strip())[1:])


@cache
def list_constants(name: str) -> dict[str, ast.expr]:
    """The texts that a file has names for, those of a pair too."""
    found = {}
    for node in tree(name).body:
        if isinstance(node, ast.Assign):
            (target,) = node.targets
            pair = isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple)
            pairs = zip(target.elts, node.value.elts, strict=False) if pair else [(target, node.value)]
            found |= {one.id: value for one, value in pairs if isinstance(one, ast.Name)}
    return found


def list_texts(node: ast.AST, constants: Mapping[str, ast.expr]) -> list[str]:
    match node:
        case ast.Name(id=word) if word in constants:
            return list_texts(constants[word], {})
        case ast.Constant(value=str(text)):
            return [text]
        case ast.JoinedStr(values=parts):
            return ["".join(part.value if isinstance(part, ast.Constant) else "{}" for part in parts)]
        case ast.IfExp(body=one, orelse=other):
            return list_texts(one, constants) + list_texts(other, constants)
        case ast.BoolOp(values=parts):
            return [text for part in parts for text in list_texts(part, constants)]
    return []


def find_given(name: str, table: dict[str, tuple[int, ...]]) -> list[str]:
    found = []
    for call in nodes(name):
        if isinstance(call, ast.Call):
            called = getattr(call.func, "id", getattr(call.func, "attr", ""))
            places = [place for place in table.get(called, ()) if place < len(call.args)]
            found += [text for place in places for text in list_texts(call.args[place], list_constants(name))]
    return found


GUI = [name for name in NAMES if name.startswith("app/gui/")]


@for_each(GUI)
def test_commands_have_capitals(name):
    assert [text for text in find_given(name, COMMANDS) if not is_command(text)] == []


@for_each(GUI)
def test_what_is_said_has_none(name):
    assert [text for text in find_given(name, SAID) if not is_said(text)] == []


@pytest.mark.parametrize(
    ("text", "command"), [("Add Panel", True), ("Add panel", False), ("Use as a Reference", True), ("Undo {}", True)]
)
def test_the_rule_tells_them_apart(text, command):
    assert is_command(text) == command
    assert is_said(text) != (text == "Add Panel" or text == "Use as a Reference")
