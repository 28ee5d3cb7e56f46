"""How large files, functions and folders may be, and how small."""

import ast

from tests.house.tree import NAMES, ROOMS, ROOT, for_each, functions, imported_files, tree

FILE_LINES, FUNCTION_LINES, SMALL, IN_A_FOLDER = 400, 60, 60, 28
# A small file with one importer, or none, may be a kind of its own: a family, a format, a table of names, a command.
KINDS = ("mlx_model/nets/", "converters/keys/", "converters/formats/", "converters/tokenizers/", "app/interchange/",
         "app/cli/", "app/__main__.py")  # fmt: skip


def lines(name: str) -> int:
    return len((ROOT / name).read_text("utf-8").splitlines())


@for_each(NAMES)
def test_files_are_not_too_long(name):
    assert lines(name) <= FILE_LINES


def test_functions_are_short():
    sizes = sorted((n.end_lineno - n.lineno + 1, f"{file}:{n.name}") for file in NAMES for n in functions(file))
    lengths = [size for size, _ in sizes]
    shares = {share: lengths[int(share * (len(lengths) - 1))] for share in (0.5, 0.9, 0.95, 1.0)}
    print(f"{len(lengths)} functions; lines at the median, 90 %, 95 %, longest: {list(shares.values())}")
    assert [entry for entry in sizes if entry[0] > FUNCTION_LINES] == []
    assert shares[0.5] <= 15


@for_each(ROOMS)
def test_no_folder_is_crowded(room):
    assert len([name for name in NAMES if name.rpartition("/")[0] == room and lines(name)]) <= IN_A_FOLDER


def test_no_small_file_for_one_other():
    importers = {name: [other for other in NAMES if name in imported_files(other)] for name in NAMES}
    small = [name for name in NAMES if 0 < lines(name) < SMALL and len(importers[name]) <= 1]
    assert [(name, importers[name]) for name in small if not name.startswith(KINDS)] == []


def test_packages_do_nothing_when_they_are_imported():
    for name in NAMES:
        if name.endswith("__init__.py"):
            assert all(isinstance(node, ast.Expr) for node in tree(name).body), name
