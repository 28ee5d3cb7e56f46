"""Who may import whom: docs/HOUSE.md says it, the code is held against it."""

import ast
import re
import sys
from itertools import pairwise

from tests.house.tree import NAMES, PACKAGES, ROOMS, ROOT, at_import_time, for_each, imported, imported_files, nodes

PAGE = (ROOT / "docs" / "HOUSE.md").read_text("utf-8")
ROW = re.compile(r"^\| `([\w/]+)` \| [^|]+ \|([^|]*)\|$", re.MULTILINE)
ARROWS = {room: set(re.findall(r"`([\w/]+)`", used)) for room, used in ROW.findall(PAGE)}
TEXT = re.compile(r"\.\.[a-z_]+\.[a-z_]+")  # a module, as import_module takes it
EVERYBODY = {"app/base", "mlx_model"}  # what HOUSE.md says once for all rooms of app
# What each package may import besides the standard library; then the files that may import more.
ALLOWED = {
    "mlx_model": {"mlx_model", "mlx", "numpy", "safetensors", "tokenizers"},
    "converters": {"converters", "mlx_model", "mlx", "numpy", "safetensors", "tokenizers", "psutil"},
    "app": {*PACKAGES, "mlx", "numpy", "PIL", "click", "platformdirs", "send2trash", "safetensors", "msgspec"},
}
MORE = {
    "mlx_model/memory.py": {"psutil"},
    "mlx_model/store/lora_kinds.py": {"regex"},
    "mlx_model/run/pictures.py": {"PIL", "cv2"},
    "mlx_model/training/": {"PIL"},
    "mlx_model/run/write.py": {"mlx_lm"},
    "converters/language.py": {"mlx_lm"},
    "converters/hub.py": {"huggingface_hub"},
    "converters/formats/gguf_file.py": {"gguf"},
    "converters/survey.py": {"gguf", "yaml"},
    "converters/coreml.py": {"coremltools"},
    "app/gui/": {"PySide6"},
    "app/engine/engine.py": {"PySide6"},
    "app/serving/runner.py": {"PySide6"},
    "app/serving/web.py": {"starlette", "uvicorn"},
    "app/serving/tools.py": {"mcp"},
    "app/pictures/images.py": {"pi_heif"},
    "app/interchange/": {"opentimelineio", "defusedxml"},
    "app/interchange/animatic.py": {"PySide6", "av"},
    "app/interchange/soundtrack.py": {"av"},
    "app/training/clips.py": {"av"},
    "app/sound/": {"soundfile", "sounddevice"},
    "app/models/access.py": {"keyring"},
    "app/interchange/layers.py": {"psd_tools"},
    **{f"app/interchange/{name}.py": {"PySide6"} for name in ("pdf", "sheet", "typeset")},
}


def room_of(name: str) -> str:
    return name.rpartition("/")[0]


def arrows(room: str) -> set[str]:
    """The other rooms from which the files of a room import."""
    return {room_of(file) for name in NAMES if room_of(name) == room for file in imported_files(name)} - {room}


def test_the_page_names_every_room_and_no_other():
    assert sorted(ARROWS) == ROOMS
    assert [place for place in re.findall(r"`((?:app|mlx_model|converters|tests|docs)/[\w./]*)`", PAGE)
            if "<" not in place and not (ROOT / place).exists()] == []  # fmt: skip


@for_each(ROOMS)
def test_the_page_says_what_each_room_imports(room):
    shared = EVERYBODY if room.startswith("app") else set()
    used = arrows(room)
    assert used - ARROWS[room] - shared == set(), "imports that docs/HOUSE.md does not know"
    assert ARROWS[room] - used == set(), "arrows in docs/HOUSE.md that nothing follows"


def circle(start: str) -> list[str]:
    """A way from a file back to it along imports, [] where there is none."""
    ways, seen = [[start]], set()
    while ways:
        way = ways.pop()
        for file in imported_files(way[-1]):
            if file == start:
                return [*way, file]
            if file not in seen:
                seen.add(file)
                ways.append([*way, file])
    return []


@for_each(NAMES)
def test_no_circle_not_even_of_types(name):
    assert circle(name) == []


def test_no_circle_of_rooms():
    order: list[str] = []
    left = {room: {r for r in arrows(room) if not r.startswith(f"{room}/") and not room.startswith(f"{r}/")}
            for room in ROOMS}  # fmt: skip
    while left:
        free = [room for room, used in left.items() if not used & set(left)]
        assert free, f"these rooms import each other: {sorted(left)}"
        order += free
        left = {room: used for room, used in left.items() if room not in free}
    assert len(order) == len(ROOMS)
    assert all(a != b for a, b in pairwise(order))


@for_each(NAMES)
def test_libraries(name):
    allowed = ALLOWED[name.split("/")[0]] | {m for where, more in MORE.items() if name.startswith(where) for m in more}
    roots = {module.split(".")[0] for module in imported(name)}
    assert roots - allowed - set(sys.stdlib_module_names) == set()


@for_each([name for name in NAMES if name.startswith("app/gui/")])
def test_the_window_imports_the_contract_alone(name):
    modules = imported(name)
    assert not [module for module in modules if module.split(".")[0] in ("mlx", "converters")]
    assert {room_of(file) for file in imported_files(name) if file.startswith("mlx_model/")} <= {"mlx_model"}


@for_each([name for name in NAMES if room_of(name) == "mlx_model"])
def test_the_contract_loads_no_mlx_and_imports_nothing_below_it(name):
    assert {module for module in imported(name) if module.split(".")[0] == "mlx"} == set()
    assert {room_of(file) for file in imported_files(name)} <= {"mlx_model"}


@for_each([name for name in NAMES if not name.startswith("app/gui/")])
def test_widgets_only_in_the_window(name):
    painters = "app/interchange/"  # QtGui sets type and writes PDF without a window
    forbidden = ("QtWidgets",) if name.startswith(painters) else ("QtWidgets", "QtGui")
    assert not [module for module in imported(name) if any(part in module for part in forbidden)]


@for_each([name for name in NAMES if name.startswith("app/cli/") or name == "app/__main__.py"])
def test_commands_import_what_they_need_when_they_run(name):
    """What --help and option parsing load; a running command loads its helpers, and all beside board/commands.py."""
    helpers = name.startswith("app/cli/board/") and not name.endswith("commands.py")
    if helpers or name.split("/")[-1] in ("run.py", "add.py"):
        return
    heavy = {"numpy", "PIL", "mlx", "huggingface_hub", "app.pictures.images", "mlx_model.events"}
    assert at_import_time(name) & {*heavy, "mlx_model.run.pipeline"} == set()


@for_each(NAMES)
def test_oracles_and_pickles_stay_out(name):
    roots = {module.split(".")[0] for module in imported(name)}
    assert roots & {"torch", "transformers", "diffusers", "pickle", "dill", "joblib"} <= (
        {"pickle"} if "pickle_free" in name else set()
    )


@for_each(NAMES)
def test_modules_named_in_a_text_are_there(name):
    """What is imported by its name, which no type checker follows: "..prompt.tile"."""
    for node in nodes(name):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and TEXT.fullmatch(node.value):
            up = len(node.value) - len(node.value.lstrip("."))
            place = "/".join([*name.split("/")[:-up], *node.value.strip(".").split(".")]) + ".py"
            assert place in NAMES, node.value
