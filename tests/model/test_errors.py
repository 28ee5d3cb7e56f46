"""The tree of errors in the docstring is the tree of the classes."""

import re

from mlx_model import errors


def branches(kind: type[errors.FluxLocalError], depth: int = 0) -> list[tuple[int, str, int]]:
    own = [sub for sub in kind.__subclasses__() if sub.__module__ == errors.__name__]
    return [(depth, kind.__name__, kind.exit_code)] + [row for sub in own for row in branches(sub, depth + 1)]


def test_the_drawing_is_the_tree():
    drawn = re.findall(r"^([| ]*)\+-- (\w+) +(\d)", errors.__doc__, re.MULTILINE)
    found = [(len(indent) // 4 + 1, name, int(code)) for indent, name, code in drawn]
    assert sorted(found) == sorted(branches(errors.FluxLocalError)[1:])
    assert [name for _, name, _ in found] == [name for _, name, _ in branches(errors.FluxLocalError)[1:]]
