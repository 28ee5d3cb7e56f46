"""What goes into every bundle beside the code: licences of all that is inside; and whether MLX's fast kernels are."""

import mmap
import os
import re
import shutil
import subprocess
import sysconfig
import warnings
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

from app.base.credits import OURS, list_libraries

# GTK's platform theme brings forty libraries of the system's for a file dialog; Qt has its own.
# transformers looks for NVIDIA's runtime, which PyInstaller takes from a system that has it; it isn't ours to give.
UNWANTED = re.compile(
    "libqgtk3|libgtk-3|libgdk-3|libgdk_pixbuf|libatk|libatspi|libcairo|libpango|libepoxy|libcolord|libcudart"
)
SYSTEM = ("/usr/lib/", "/lib/")
NAX = b"_nax_"  # in the names of the kernels for the Neural Accelerators of an M5
OLDER = "FLUX_LOCAL_OLDER_MACS"  # in the environment: build for macOS 14 too, without them


def list_metadata() -> list[str]:
    """The packages whose names, versions and licences Help shows. Raises SystemExit where a licence is lacking."""
    libraries = [library for library in list_libraries() if library.name != "Python"]
    lacking = [library.name for library in libraries if not library.text.strip()]
    if lacking:
        raise SystemExit(f"No licence text of {', '.join(lacking)}: add it to app/base/credits.py.")
    return [OURS, *(library.name for library in libraries)]


def is_for_words(module: str) -> bool:
    """Whether a module of transformers.models reads words or a model's settings: its networks need torch."""
    return not re.match(r"(modeling|modular|image|video|processing|feature|convert)_", module.rpartition(".")[2])


def gather_licences(out: Path, binaries: Iterable[str]) -> None:
    """Python's licence, and Debian's notes on each library of the system that is among `binaries`, into `out`."""
    shutil.rmtree(out, ignore_errors=True)
    (out / "system").mkdir(parents=True)
    shutil.copyfile(Path(sysconfig.get_path("stdlib")) / "LICENSE.txt", out / "Python.txt")
    for package in sorted(_list_packages(binaries)):
        notes = Path("/usr/share/doc", package, "copyright")
        if notes.is_file():
            shutil.copyfile(notes, out / "system" / f"{package}.txt")


def _list_packages(binaries: Iterable[str]) -> set[str]:
    """Debian's packages that these files are from; none where there is no dpkg."""
    files = {os.path.realpath(path) for path in binaries if path.startswith(SYSTEM)}
    if not files or not shutil.which("dpkg"):
        return set()
    names = [f"*/{Path(file).name}" for file in files]  # /lib is /usr/lib, and dpkg knows either
    said = subprocess.run(["dpkg", "-S", *names], capture_output=True, text=True, check=False).stdout
    return {line.partition(":")[0] for line in said.splitlines() if ": " in line}


def count_kernels(library: Path) -> int:
    """How often MLX's Metal library names a kernel for the Neural Accelerators."""
    with open(library, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as held:
        found, at = 0, held.find(NAX)
        while at >= 0:
            found, at = found + 1, held.find(NAX, at + 1)
    return found


def choose_system(library: Path, tags: str, older: bool) -> str:
    """The oldest macOS that runs a bundle with this Metal library, such as 26.0. `tags`: the wheel's own WHEEL file.

    Raises SystemExit where the kernels are lacking, unless `older` Macs are wanted: then it warns.
    """
    found = re.search(r"macosx_(\d+)_(\d+)_arm64", tags)
    oldest = f"{found[1]}.{found[2]}" if found else "14.0"
    if count_kernels(library):
        return oldest
    lost = "MLX's Metal library here has no kernels for the Neural Accelerators: every M5 would be 3 to 4 times slower."
    if not older:
        raise SystemExit(f"{lost} Build on macOS 26, whose wheel of mlx-metal has them, or set {OLDER}=1.")
    warnings.warn(lost, stacklevel=2)
    return oldest


def read_system() -> str:
    """choose_system for what is installed here."""
    metal = metadata.distribution("mlx-metal")
    library = Path(str(metal.locate_file("mlx/lib/mlx.metallib")))
    return choose_system(library, metal.read_text("WHEEL") or "", bool(os.environ.get(OLDER)))


if __name__ == "__main__":
    print(f"The oldest macOS for this bundle: {read_system()}")
