"""What things are called: functions by verbs, nothing private used from outside, no model asked for by its name."""

import ast
import re

from mlx_model.specs import SPECS
from tests.house.tree import NAMES, for_each, functions, imported_files, nodes

# Participles that do not end in -ed, without those that are present tense too (put, set, cut, read, found ...).
WORDS = """
told kept made said seen shown drawn written taken given held lost hidden sent built brought thought bought caught done
gone known grown thrown chosen broken spoken frozen torn worn born begun met fed led paid laid heard stood understood
won sold spent bent lent meant dealt felt swept learnt spelt spoilt hurt beaten fallen forgotten forbidden proven risen
shaken struck stuck swung hung
"""
IRREGULAR = frozenset(WORDS.split())
NO_PARTICIPLES = ("embed", "feed", "seed", "need", "speed", "exceed", "proceed", "succeed", "red")
QT = {"currentChanged", "dataChanged"}  # overridden: the name is Qt's
PRIVATE = re.compile(r"_[a-zA-Z]\w*")


def is_participle(name: str) -> bool:
    first = name.strip("_").split("_")[0]
    return first in IRREGULAR or (first.endswith("ed") and first not in NO_PARTICIPLES)


def is_property(function: ast.FunctionDef) -> bool:
    decorators = {ast.unparse(one).split("(")[0].split(".")[-1] for one in function.decorator_list}
    return bool(decorators & {"property", "cached_property", "setter"})


@for_each(NAMES)
def test_functions_are_named_by_verbs(name):
    found = [f.name for f in functions(name) if is_participle(f.name) and not is_property(f) and f.name not in QT]
    assert found == []


def test_the_test_of_names_knows_a_participle():
    assert all(map(is_participle, ("told", "_kept", "renamed_mentions", "settled", "_resized")))
    assert not any(map(is_participle, ("tell", "seed_of", "read", "find", "with_pictures", "embed", "set_member")))


@for_each(NAMES)
def test_what_is_private_stays_in_its_file(name):
    """Neither imported nor reached for through the module that holds it."""
    modules = {file.rpartition("/")[2].removesuffix(".py") for file in imported_files(name)}
    taken = [a.name for n in nodes(name) if isinstance(n, ast.ImportFrom) and (n.level or n.module) for a in n.names]
    reached = [
        f"{n.value.id}.{n.attr}"
        for n in nodes(name)
        if isinstance(n, ast.Attribute) and isinstance(n.value, ast.Name) and n.value.id in modules
    ]
    assert [one for one in taken if PRIVATE.fullmatch(one)] == []
    assert [one for one in reached if PRIVATE.fullmatch(one.split(".")[1])] == []


@for_each([name for name in NAMES if name != "mlx_model/specs.py"])
def test_no_decision_by_a_model_s_name(name):
    """Comparing with a name or family belongs into a field of ModelSpec."""
    known = set(SPECS) | {spec.family for spec in SPECS.values()}
    found = [
        (node.lineno, value.value)
        for node in nodes(name)
        if isinstance(node, (ast.Compare, ast.match_case))
        for value in ast.walk(node.pattern if isinstance(node, ast.match_case) else node)
        if isinstance(value, ast.Constant) and value.value in known
    ]
    assert found == []


@for_each([name for name in NAMES if name.startswith(("mlx_model/", "converters/"))])
def test_libraries_neither_print_nor_exit(name):
    if name == "mlx_model/training/mini.py":  # a script with its own main
        return
    calls = [node.func for node in nodes(name) if isinstance(node, ast.Call)]
    names = {call.id for call in calls if isinstance(call, ast.Name)}
    names |= {f"{c.value.id}.{c.attr}" for c in calls if isinstance(c, ast.Attribute) and isinstance(c.value, ast.Name)}
    assert names & {"print", "exit", "quit", "sys.exit", "os._exit"} == set()
