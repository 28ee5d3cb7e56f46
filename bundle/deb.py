"""A Debian package of a bundle that was built: python -m bundle.deb [--quick]

    dist/flux-local          what pyinstaller build_app.spec made, into /usr/lib/flux-local
    assets                   desktop file, MIME type, icons
    dist/flux-local_VERSION_ARCHITECTURE.deb

Made by dpkg-deb, which every Debian has.
"""

import argparse
import os
import shutil
import subprocess
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BUILT = ROOT / "dist" / "flux-local"
# What the bundle leaves to the system: the C library, graphics drivers, fonts and what Qt's X11 part looks for.
NEEDS = (
    "libc6 (>= 2.35), libegl1, libgl1, libfontconfig1, libdbus-1-3, libxcb-cursor0, libxcb-icccm4, libxcb-image0, "
    "libxcb-keysyms1, libxcb-randr0, libxcb-render-util0, libxcb-shape0, libxcb-xinerama0, libxkbcommon-x11-0"
)
GAINS = "libopenblas0-pthread, fonts-noto-color-emoji, xdg-utils"
PLACES = {  # in assets -> in the system
    "flux-local.desktop": "usr/share/applications/flux-local.desktop",
    "flux-local.xml": "usr/share/mime/packages/flux-local.xml",
    "icons/app.svg": "usr/share/icons/hicolor/scalable/apps/flux-local.svg",
    "icons/document.svg": "usr/share/icons/hicolor/scalable/mimetypes/application-vnd.flux-local.board+zip.svg",
}


def main() -> None:
    parser = argparse.ArgumentParser(description="Make a Debian package of dist/flux-local.")
    parser.add_argument("--quick", action="store_true", help="hardly compressed, for trials")
    arguments = parser.parse_args()
    if not BUILT.is_dir():
        parser.error("there is no dist/flux-local yet; this makes it: pyinstaller --noconfirm build_app.spec")
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder)
        fill(tree, BUILT)
        print(pack(tree, BUILT.parent, arguments.quick))


def fill(tree: Path, built: Path) -> None:
    """Everything where it will be in the system. Hard links where they are possible: it is large."""
    shutil.copytree(built, tree / "usr/lib/flux-local", symlinks=True, copy_function=_link)
    (tree / "usr/bin").mkdir(parents=True)
    (tree / "usr/bin/flux-local").symlink_to("../lib/flux-local/flux-local")
    for source, place in PLACES.items():
        (tree / place).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / "assets" / source, tree / place)
    notes = tree / "usr/share/doc/flux-local"
    notes.mkdir(parents=True)
    shutil.copyfile(ROOT / "LICENSE", notes / "copyright")
    (tree / "DEBIAN").mkdir()
    (tree / "DEBIAN/control").write_text(control(tree), "utf-8")
    for path in (tree, *tree.rglob("*")):
        if path.is_dir() and not path.is_symlink():
            path.chmod(0o755)


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def control(tree: Path) -> str:
    """What the package says of itself."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    size = sum(path.lstat().st_size for path in tree.rglob("*") if path.is_file()) // 1024
    lines = {
        "Package": "flux-local", "Version": project["version"], "Architecture": _ask("dpkg", "--print-architecture"),
        "Maintainer": "Flux Local <nobody@localhost>", "Installed-Size": size, "Depends": NEEDS, "Recommends": GAINS,
        "Section": "graphics", "Priority": "optional", "Description": project["description"],
    }  # fmt: skip
    return "".join(f"{name}: {value}\n" for name, value in lines.items())


def _ask(*words: str) -> str:
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout.strip()


def pack(tree: Path, out: Path, quick: bool) -> Path:
    """The package, as everybody's files of root."""
    how = ["-Zgzip", "-z1"] if quick else ["-Zxz"]
    said = _ask("dpkg-deb", "--root-owner-group", *how, "--build", str(tree), str(out))
    return out / said.rpartition("'.")[0].rpartition("/")[2]


if __name__ == "__main__":
    main()
