"""The app and its disk image on a Mac, in one command: python -m bundle.mac [--dry-run]

Builds, tries what was built, makes dist/Flux-Local-VERSION.dmg and its .sha256. From the environment:

    FLUX_LOCAL_IDENTITY   "Developer ID Application: ...", in the keychain: signs everything for the hardened runtime
    FLUX_LOCAL_NOTARY     a profile of `xcrun notarytool store-credentials`: Apple notarises app and image
    FLUX_LOCAL_OLDER_MACS builds for macOS 14 too, without the kernels that make an M5 fast

Without the first the app runs on the Mac that built it. Nothing of this has run yet (docs/PACKAGING.md).
"""

import argparse
import os
import platform
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path

from bundle.inside import OLDER

ROOT = Path(__file__).resolve().parents[1]
APP, ZIP = "dist/Flux Local.app", "dist/notarise.zip"
NOTARISE = ("xcrun", "notarytool", "submit", "--wait", "--keychain-profile")


def main() -> None:
    parser = argparse.ArgumentParser(description="Build, sign and notarise Flux Local for Macs.")
    parser.add_argument("--dry-run", action="store_true", help="say what would be run")
    dry = parser.parse_args().dry_run
    if not dry and (sys.platform, platform.machine()) != ("darwin", "arm64"):
        raise SystemExit("This needs a Mac with Apple Silicon.")
    version = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    for words in list_commands(version, os.environ):
        print("+", shlex.join(words), flush=True)
        if not dry:
            subprocess.run(words, check=True, cwd=ROOT)


def list_commands(version: str, environment: Mapping[str, str]) -> Iterator[tuple[str, ...]]:
    """Each step as a command. The app is stapled before it goes into the image: who copies it out keeps the ticket."""
    identity, notary = environment.get("FLUX_LOCAL_IDENTITY"), environment.get("FLUX_LOCAL_NOTARY")
    image = f"dist/Flux-Local-{version}{'-older-macs' if environment.get(OLDER) else ''}.dmg"
    yield sys.executable, "-m", "bundle.inside"
    yield sys.executable, "-m", "PyInstaller", "--noconfirm", "build_app.spec"
    yield sys.executable, "-m", "tests.bench.frozen", f"{APP}/Contents/MacOS/flux-local"
    if identity:
        yield "codesign", "--verify", "--deep", "--strict", APP
    if identity and notary:
        yield "ditto", "-c", "-k", "--keepParent", APP, ZIP
        yield *NOTARISE, notary, ZIP
        yield "xcrun", "stapler", "staple", APP
    yield sys.executable, "-m", "dmgbuild", "-s", "bundle/dmg.py", "Flux Local", image
    if identity:
        yield "codesign", "--sign", identity, "--timestamp", image
    if identity and notary:
        yield *NOTARISE, notary, image
        yield "xcrun", "stapler", "staple", image
        yield "spctl", "--assess", "--type", "execute", "--verbose", APP
    yield "sh", "-c", f"cd dist && shasum -a 256 {Path(image).name} > {Path(image).name}.sha256"


if __name__ == "__main__":
    main()
