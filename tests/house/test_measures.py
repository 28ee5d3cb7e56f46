"""Spaces, corners and letters of the window come from app/gui/kit/measures.py: no page has a number of its own."""

import ast
import re
from collections.abc import Iterator

from app.gui.kit.measures import SPACES, name_measures
from app.gui.kit.theme import SHEET
from tests.house.tree import NAMES, for_each, nodes

GUI = [name for name in NAMES if name.startswith("app/gui/") and name != "app/gui/kit/measures.py"]
SPACED = {
    "setSpacing", "setVerticalSpacing", "setHorizontalSpacing", "addSpacing", "setContentsMargins", "setCellPadding",
    "setTextMargins", "setViewportMargins", "setDocumentMargin", "setBottomMargin", "row", "bar", "scroll_column",
    "font", "setPixelSize", "setPointSize", "setPointSizeF",
}  # fmt: skip
ROUND = {"drawRoundedRect", "addRoundedRect"}
FREE = {"0", "-5px", "7px"}  # of a style sheet: nothing, and the round handle of a slider


def numbers(node: ast.expr) -> Iterator[float]:
    """In an expression, besides 0 and what something is multiplied with."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult | ast.Div | ast.FloorDiv):
        parts = [one for one in (node.left, node.right) if not isinstance(one, ast.Constant)]
    else:
        parts = [one for one in ast.iter_child_nodes(node) if isinstance(one, ast.expr)]
    for part in parts:
        yield from numbers(part)
    if isinstance(node, ast.Constant) and type(node.value) in (int, float) and node.value:
        yield node.value


@for_each(GUI)
def test_no_page_has_measures_of_its_own(name):
    found = []
    for node in nodes(name):
        if isinstance(node, ast.Call):
            what = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            given = node.args[-2:] if what in ROUND else node.args if what in SPACED else []
            given = [*given, *(word.value for word in node.keywords if word.arg == "spacing")]
            if any(True for one in given for _ in numbers(one)):
                found.append(f"line {node.lineno}: {ast.unparse(node)[:90]}")
    assert found == []


@for_each(GUI)
def test_no_page_has_a_style_sheet_of_its_own(name):
    calls = {node.attr for node in nodes(name) if isinstance(node, ast.Attribute)}
    assert "setStyleSheet" not in calls or name == "app/gui/kit/theme.py"


def test_the_style_sheet_names_its_measures():
    lines = re.findall(r"(padding[a-z-]*|margin|border-radius|font-size|spacing):([^;]+);", SHEET.template)
    assert len(lines) > 50
    strange = [part for _, value in lines for part in value.split() if part[0] != "$" and part not in FREE]
    assert strange == []


def test_spaces_lie_on_one_grid():
    assert all(space % 4 == 0 for name, space in SPACES.items() if name != "hair")
    assert list(SPACES.values()) == sorted(SPACES.values())
    made = name_measures()
    for name, space in SPACES.items():
        for line in (1, 2):
            assert int(made[f"{name}_{line}"][:-2]) + line == space
