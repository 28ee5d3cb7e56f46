"""The rules of the house: who may import whom, sizes, no model names outside specs.py, what ships, docs."""

import ast
import re
import sys
import tomllib
from functools import cache
from pathlib import Path

import pytest
from hatchling.builders.wheel import WheelBuilder

from mlx_model.specs import SPECS

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("app", "mlx_model", "converters")
FILES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
NAMES = [path.relative_to(ROOT).as_posix() for path in FILES]
FILE_LINES, FUNCTION_LINES = 400, 60
OURS = set(PACKAGES)
# What each package may import besides the standard library; then the files that may import more.
ALLOWED = {
    "mlx_model": {"mlx_model", "mlx", "numpy", "safetensors", "tokenizers"},
    "converters": {"converters", "mlx_model", "mlx", "numpy", "safetensors", "tokenizers", "psutil"},
    "app": {*OURS, "mlx", "numpy", "PIL", "click", "platformdirs", "send2trash", "safetensors", "msgspec"},
}
MORE = {
    "mlx_model/memory.py": {"psutil"},
    "mlx_model/run/pictures.py": {"PIL"},
    "mlx_model/run/edges.py": {"cv2"},
    "mlx_model/training/": {"PIL"},
    "converters/hub.py": {"huggingface_hub"},
    "converters/coreml.py": {"coremltools"},
    "converters/formats/gguf_file.py": {"gguf"},
    "app/gui/": {"PySide6"},
    "app/engine/engine.py": {"PySide6"},
    "app/pictures/images.py": {"pi_heif"},
    "app/interchange/": {"opentimelineio", "defusedxml"},
    "app/interchange/animatic.py": {"PySide6", "av"},
    "app/interchange/psd.py": {"psd_tools"},
    **{f"app/interchange/{name}.py": {"PySide6"} for name in ("pdf", "sheet", "captions", "typeset")},
}
WINDOW_MAY = {"specs", "spec_parts", "request", "events", "errors", "memory"}  # the files of mlx_model that need no mlx


@cache
def tree(name: str) -> ast.Module:
    return ast.parse((ROOT / name).read_text("utf-8"))


def imported(name: str) -> set[str]:
    """Full names of what a file imports, relative ones resolved, wherever in the file the import stands."""
    package, found = name.removesuffix(".py").split("/")[:-1], set()
    for node in ast.walk(tree(name)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            found.add(".".join([*base, *([node.module] if node.module else [])]))
            found |= {".".join([*base, *([node.module] if node.module else []), alias.name]) for alias in node.names}
    return found


def at_import_time(name: str) -> set[str]:
    """What is imported when the file is, not inside a function or for type checkers."""
    body = [
        node for node in tree(name).body if not (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test))
    ]
    names = [node for node in body if isinstance(node, (ast.Import, ast.ImportFrom))]
    return {alias.name for n in names if isinstance(n, ast.Import) for alias in n.names} | {
        n.module for n in names if isinstance(n, ast.ImportFrom) and n.module and not n.level
    }


@pytest.mark.parametrize("name", NAMES)
def test_imports(name):
    allowed = ALLOWED[name.split("/")[0]] | {m for where, more in MORE.items() if name.startswith(where) for m in more}
    roots = {module.split(".")[0] for module in imported(name)}
    assert roots - allowed - set(sys.stdlib_module_names) == set()


@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith("app/gui/")])
def test_the_window_never_loads_mlx(name):
    modules = imported(name)
    assert not [module for module in modules if module.split(".")[0] in ("mlx", "converters")]
    ours = {module.split(".")[1] for module in modules if module.startswith("mlx_model.")}
    assert ours <= WINDOW_MAY


@pytest.mark.parametrize("name", [name for name in NAMES if not name.startswith("app/gui/")])
def test_widgets_only_in_the_window(name):
    painters = "app/interchange/"  # QtGui sets type and writes PDF without a window
    forbidden = ("QtWidgets",) if name.startswith(painters) else ("QtWidgets", "QtGui")
    assert not [module for module in imported(name) if any(part in module for part in forbidden)]


@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith("app/cli/") or name == "app/__main__.py"])
def test_commands_import_what_they_need_when_they_run(name):
    """What --help and option parsing load; a running command loads its helpers, and all beside board/commands.py."""
    helpers = name.startswith("app/cli/board/") and not name.endswith("commands.py")
    if helpers or name.split("/")[-1] in ("run.py", "prepare.py", "add.py"):
        return
    heavy = {
        "numpy",
        "PIL",
        "mlx",
        "huggingface_hub",
        "app.pictures.images",
        "mlx_model.events",
        "mlx_model.run.pipeline",
    }
    assert at_import_time(name) & heavy == set()


@pytest.mark.parametrize("package", PACKAGES)
def test_no_work_when_a_package_is_imported(package):
    for path in (ROOT / package).rglob("__init__.py"):
        body = ast.parse(path.read_text("utf-8")).body
        assert all(isinstance(node, ast.Expr) for node in body), path


@pytest.mark.parametrize("name", NAMES)
def test_oracles_and_pickles_stay_out(name):
    roots = {module.split(".")[0] for module in imported(name)}
    assert roots & {"torch", "transformers", "diffusers", "pickle", "dill", "joblib"} <= (
        {"pickle"} if "pickle_free" in name else set()
    )


@pytest.mark.parametrize("name", NAMES)
def test_file_sizes(name):
    assert len((ROOT / name).read_text("utf-8").splitlines()) <= FILE_LINES


def functions(name: str) -> list[tuple[str, int]]:
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return [(f"{name}:{n.name}", n.end_lineno - n.lineno + 1) for n in ast.walk(tree(name)) if isinstance(n, kinds)]


def test_function_sizes():
    sizes = sorted((size, name) for file in NAMES for name, size in functions(file))
    lengths = [size for size, _ in sizes]
    shares = {share: lengths[int(share * (len(lengths) - 1))] for share in (0.5, 0.9, 0.95, 1.0)}
    print(f"{len(lengths)} functions; lines at the median, 90 %, 95 %, longest: {list(shares.values())}")
    assert [entry for entry in sizes if entry[0] > FUNCTION_LINES] == []
    assert shares[0.5] <= 15


@pytest.mark.parametrize("name", [name for name in NAMES if name != "mlx_model/specs.py"])
def test_no_decision_by_a_model_s_name(name):
    """Comparing with a name or family belongs into a field of ModelSpec."""
    known = set(SPECS) | {spec.family for spec in SPECS.values()}
    found = [
        (node.lineno, value.value)
        for node in ast.walk(tree(name))
        if isinstance(node, (ast.Compare, ast.match_case))
        for value in ast.walk(node.pattern if isinstance(node, ast.match_case) else node)
        if isinstance(value, ast.Constant) and value.value in known
    ]
    assert found == []


@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith(("mlx_model/", "converters/"))])
def test_libraries_neither_print_nor_exit(name):
    if name == "mlx_model/training/mini.py":  # a script with its own main
        return
    calls = [node.func for node in ast.walk(tree(name)) if isinstance(node, ast.Call)]
    names = {call.id for call in calls if isinstance(call, ast.Name)}
    names |= {f"{c.value.id}.{c.attr}" for c in calls if isinstance(c, ast.Attribute) and isinstance(c.value, ast.Name)}
    assert names & {"print", "exit", "quit", "sys.exit", "os._exit"} == set()


def test_the_wheel_is_the_three_packages_and_the_assets():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    assert project["tool"]["hatch"]["build"]["targets"]["wheel"] == {
        "packages": [*sorted(PACKAGES[:1]), "mlx_model", "converters", "assets"]
    }
    assert project["project"]["scripts"] == {"flux-local": "app.__main__:main"}
    shipped = {file.distribution_path for file in WheelBuilder(str(ROOT)).recurse_included_files()}
    odd = {".py", ".json", ".safetensors", ".png", ".svg", ".icns", ".ico", ".txt", ".md", ".ttf", ".fluxboard", ".qss"}
    kept = [p for package in (*PACKAGES, "assets") for p in (ROOT / package).rglob("*") if p.is_file()]
    kept = [p for p in kept if "__pycache__" not in p.parts]
    assert shipped == {p.relative_to(ROOT).as_posix() for p in kept}
    assert [p for p in kept if p.suffix not in odd and p.name != "LICENSE"] == []
    assert sum(p.stat().st_size for p in kept) < 16_000_000


def test_every_dependency_is_imported_and_every_import_is_a_dependency():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    names = {
        "pillow": "PIL",
        "pi-heif": "pi_heif",
        "huggingface-hub": "huggingface_hub",
        "pyside6-essentials": "PySide6",
        **dict.fromkeys(("otio-cmx3600-adapter", "otio-fcp-adapter"), "opentimelineio"),  # found by it, not imported
    }
    declared = {re.split(r"[\[<>=~ ]", line)[0] for line in project["dependencies"]}
    declared = {names.get(name, name) for name in declared}
    used = {module.split(".")[0] for name in NAMES for module in imported(name)}
    used -= set(sys.stdlib_module_names) | OURS
    optional = {"coremltools", "av", "psd_tools", "cv2"}
    assert used - optional <= declared
    assert declared - {"PySide6"} <= used


def test_the_readme_mentions_every_command():
    from app.cli.group import COMMANDS

    readme = ROOT / "README.md"
    text = readme.read_text("utf-8") if readme.exists() else ""
    if not text.strip():
        pytest.skip("README.md is not written yet")
    assert [name for name in COMMANDS if f"flux-local {name}" not in text] == []


def test_no_two_test_files_share_a_name():
    """In folders that are no packages pytest imports by bare name, and the second one stops the whole run."""
    bare = [p.name for p in (ROOT / "tests").rglob("test_*.py") if not (p.parent / "__init__.py").exists()]
    assert sorted({name for name in bare if bare.count(name) > 1}) == []
