"""An environment for Linux with an NVIDIA card: python3 -m bundle.nvidia .venv-nvidia

The project asks for mlx[cpu]; the wheels of mlx[cuda13] and of mlx[cpu] both bring mlx/lib/libmlx.so, and the one that
is installed last wins, so neither is put on top of the other: all else with MLX for CUDA first, then this checkout
without what it asks for. Needs NVIDIA's driver 580 or newer, and about 3 GB to download.
"""

import argparse
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]


def main() -> None:
    parser = argparse.ArgumentParser(description="Make an environment with MLX for NVIDIA's cards.")
    parser.add_argument("folder", type=Path)
    extras = sorted(_read_project()["optional-dependencies"])
    parser.add_argument("--extra", action="append", default=[], choices=extras, metavar="EXTRA", help="such as test")
    parser.add_argument("--dry-run", action="store_true", help="say what would be run")
    arguments = parser.parse_args()
    if has_other_mlx(arguments.folder):
        parser.error(f"{arguments.folder} has MLX for processors already: name a folder of its own.")
    for words in list_commands(arguments.folder, arguments.extra):
        print("+", shlex.join(words), flush=True)
        if not arguments.dry_run and (ended := subprocess.run(words, check=False, cwd=ROOT).returncode):
            sys.exit(ended)


def has_other_mlx(folder: Path) -> bool:
    """Whether an environment has MLX for processors, on which MLX for CUDA must not come to lie."""
    return any(folder.glob("lib/python*/site-packages/mlx_cpu-*"))


def list_commands(folder: Path, extras: list[str]) -> Iterator[list[str]]:
    """Each step as a command."""
    project = _read_project()
    needed = [*project["dependencies"], *(line for extra in extras for line in project["optional-dependencies"][extra])]
    (mlx,) = [line for line in needed if line.startswith("mlx[cpu]")]
    python = str(folder.absolute() / "bin" / "python")
    yield [sys.executable, "-m", "venv", str(folder.absolute())]
    others = [line for line in needed if line != mlx]
    yield [python, "-m", "pip", "install", *others, mlx.replace("[cpu]", "[cuda13]")]
    yield [python, "-m", "pip", "install", "--no-deps", "-e", str(ROOT)]
    yield [python, "-m", "app", "doctor"]


def _read_project() -> dict[str, Any]:
    project: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    return project


if __name__ == "__main__":
    main()
