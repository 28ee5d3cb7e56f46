"""The bundle is built, packed for Debian, unpacked and used: a picture, a job of the engine, the window on a screen.

FLUX_LOCAL_BUILT names one that is built already (dist/flux-local); else it takes PyInstaller a few minutes.
"""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

from bundle import deb
from tests.bench import frozen
from tests.window.driver import NEEDED, Screen

ROOT = Path(__file__).resolve().parents[2]
BUILT = "FLUX_LOCAL_BUILT"
PATIENCE = 60.0  # seconds for a window to come up
LOOK = """
import sys
from PySide6.QtGui import QGuiApplication
app = QGuiApplication([])
app.primaryScreen().grabWindow(0).save(sys.argv[1])
"""

pytestmark = pytest.mark.timeout(1500)


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The folder that PyInstaller makes."""
    pytest.importorskip("PyInstaller", reason="needs the packaging extra (.ci/run)")
    if os.environ.get(BUILT):
        return Path(os.environ[BUILT]).absolute()
    out = tmp_path_factory.mktemp("built")
    places = ["--distpath", str(out / "dist"), "--workpath", str(out / "work")]
    words = [sys.executable, "-m", "PyInstaller", "--noconfirm", *places, "build_app.spec"]
    subprocess.run(words, cwd=ROOT, check=True, capture_output=True)
    return out / "dist" / "flux-local"


@pytest.fixture(scope="module")
def program(built, tmp_path_factory):
    """What a Debian package of it puts into the system."""
    if not shutil.which("dpkg-deb"):
        pytest.skip("needs dpkg-deb")
    folder = tmp_path_factory.mktemp("deb")
    deb.fill(folder / "tree", built)
    package = deb.pack(folder / "tree", folder, quick=True)
    fields = subprocess.run(
        ["dpkg-deb", "-f", package, "Package", "Version"], check=True, capture_output=True, text=True
    )
    assert fields.stdout.startswith("Package: flux-local\nVersion: ")
    shutil.rmtree(folder / "tree")
    subprocess.run(["dpkg-deb", "-x", package, folder / "root"], check=True)
    package.unlink()
    return folder / "root" / "usr" / "bin" / "flux-local"


STRANGE = ("libx264", "libx265", "libreadline", "av.libs", "libcudart")


def test_no_library_that_is_not_ours_to_give_is_inside(built):
    assert [path.name for path in built.rglob("*") if path.name.startswith(STRANGE)] == []


def test_it_has_its_licences_and_the_guide(built):
    inside = built / "_internal"
    assert (inside / "assets" / "guide" / "README.md").is_file()
    assert (inside / "assets" / "licences" / "Python.txt").is_file()
    texts = {path.stem for path in (inside / "assets" / "licences" / "system").glob("*.txt")}
    assert not shutil.which("dpkg") or {"libx11-6", "libstdc++6"} <= texts
    for name in ("pillow", "mlx", "PySide6_Essentials", "huggingface_hub"):
        assert list(inside.glob(f"{name}-*.dist-info")) or list(inside.glob(f"{name.lower()}-*.dist-info")), name


@pytest.mark.parametrize("trial", [frozen.edit, frozen.worker, frozen.write, frozen.serve, frozen.mcp])
def test_a_packed_program_works(program, trial, tmp_path, monkeypatch):
    for name, value in {"FLUX_LOCAL_HOME": tmp_path / "home", "HOME": tmp_path, "QT_QPA_PLATFORM": "offscreen"}.items():
        monkeypatch.setenv(name, str(value))
    monkeypatch.delenv("PYTHONPATH", raising=False)
    code = f"from pathlib import Path; from tests.bench.frozen import {trial.__name__} as trial; "
    code += f"trial({str(program)!r}, Path({str(tmp_path)!r}))"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)  # an application object of its own


def test_its_window_opens_on_a_screen(program, tmp_path):
    if not all(map(shutil.which, NEEDED)):
        pytest.skip(f"needs {', '.join(NEEDED)}")
    screen = Screen()
    environment = {**screen.environment, "FLUX_LOCAL_HOME": str(tmp_path / "home"), "HOME": str(tmp_path)}
    try:
        with subprocess.Popen([program], env=environment, stderr=subprocess.PIPE, text=True) as process:
            colours = wait_for_colours(screen, tmp_path / "window.png", process)
            process.terminate()
            assert (process.wait(60), process.stderr.read()) == (0, "")
    finally:
        screen.close()
    assert colours > 1000  # the sample board's pictures


def wait_for_colours(screen: Screen, path: Path, process: subprocess.Popen) -> int:
    """How many colours the screen shows once it shows something, or in the end."""
    end, found = time.monotonic() + PATIENCE, 0
    while time.monotonic() < end and found <= 1000 and process.poll() is None:
        time.sleep(1)
        subprocess.run([sys.executable, "-c", LOOK, str(path)], env=screen.environment, check=True, capture_output=True)
        with Image.open(path) as image:
            found = len(image.convert("RGB").getcolors(1 << 24))
    return found
