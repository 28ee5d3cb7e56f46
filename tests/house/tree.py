"""The shipped code as the tests of the house see it: files, their syntax trees, what each imports."""

import ast
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("app", "mlx_model", "converters")
FILES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
NAMES = [path.relative_to(ROOT).as_posix() for path in FILES]
KNOWN = frozenset(NAMES)
ROOMS = sorted({name.rpartition("/")[0] for name in NAMES})


@cache
def nodes(name: str) -> list[ast.AST]:
    """All of a file's syntax tree."""
    return list(ast.walk(tree(name)))


@cache
def tree(name: str) -> ast.Module:
    return ast.parse((ROOT / name).read_text("utf-8"))


@cache
def imported(name: str) -> frozenset[str]:
    """Full names of what a file imports, relative ones resolved, wherever in the file the import stands."""
    package, found = name.removesuffix(".py").split("/")[:-1], set()
    for node in nodes(name):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            found.add(".".join([*base, *([node.module] if node.module else [])]))
            found |= {".".join([*base, *([node.module] if node.module else []), alias.name]) for alias in node.names}
    return frozenset(found)


@cache
def imported_files(name: str) -> frozenset[str]:
    """The files of ours that a file imports, or from which it imports a name."""
    return frozenset(file for module in imported(name) if (file := module.replace(".", "/") + ".py") in KNOWN)


def at_import_time(name: str) -> set[str]:
    """What is imported when the file is, not inside a function or for type checkers."""
    body = [
        node for node in tree(name).body if not (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test))
    ]
    names = [node for node in body if isinstance(node, (ast.Import, ast.ImportFrom))]
    return {alias.name for n in names if isinstance(n, ast.Import) for alias in n.names} | {
        n.module for n in names if isinstance(n, ast.ImportFrom) and n.module and not n.level
    }


def functions(name: str) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    return [node for node in nodes(name) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]


def for_each(names: Iterable[str]) -> Callable[[Callable[[str], None]], Callable[[], None]]:
    """One test of all `names`: it tells of every one that fails, and costs no more than one."""

    def gather(check: Callable[[str], None]) -> Callable[[], None]:
        def test() -> None:
            found = {}
            for name in names:
                try:
                    check(name)
                except AssertionError as error:
                    found[name] = str(error)
            assert found == {}, "\n\n".join(f"{name}: {fault}" for name, fault in found.items())

        test.__name__, test.__doc__ = check.__name__, check.__doc__
        return test

    return gather
