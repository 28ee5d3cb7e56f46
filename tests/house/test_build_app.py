"""The build description, played through with PyInstaller's parts replaced: what goes in, and what Finder is told."""

import plistlib
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from app.base.paths import SUFFIX

ROOT = Path(__file__).resolve().parents[2]


def play(monkeypatch, platform):
    """What the description asks for on a platform: (name, arguments, options) of each part."""
    asked = []

    def part(name):
        def call(*arguments, **options):
            asked.append((name, arguments, options))
            return SimpleNamespace(pure=[], scripts=[], binaries=[], datas=options.get("datas", []))

        return call

    mlx = ([("/x/mlx/lib/mlx.metallib", "mlx/lib"), ("/x/mlx/include/mlx.h", "mlx/include")], [], ["mlx.core"])
    hooks = SimpleNamespace(
        collect_all=lambda package: mlx if package == "mlx" else ([], [], []),
        collect_submodules=lambda package: [f"{package}.something"],
        copy_metadata=lambda name: [(f"/x/{name}.dist-info", f"{name}.dist-info")],
    )
    monkeypatch.setitem(sys.modules, "PyInstaller.utils.hooks", hooks)
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.chdir(ROOT)
    text = (ROOT / "build_app.spec").read_text("utf-8")
    kinds = {name: part(name) for name in ("Analysis", "PYZ", "EXE", "COLLECT", "BUNDLE")}
    exec(compile(text, "build_app.spec", "exec"), {**kinds, "SPECPATH": str(ROOT)})
    return asked


@pytest.mark.parametrize("platform", ["darwin", "linux"])
def test_what_goes_in(monkeypatch, platform):
    [(_, [scripts], options)] = [each for each in play(monkeypatch, platform) if each[0] == "Analysis"]
    assert [ROOT / script for script in scripts] == [ROOT / "app" / "__main__.py"]
    assert ("assets", "assets") in options["datas"]
    assert [source for source, _ in options["datas"] if "mlx" in source] == ["/x/mlx/lib/mlx.metallib"]
    assert {"mlx._reprlib_fix", "mlx.__array_api_info", "app.something", "mlx_model.something"} <= set(
        options["hiddenimports"]
    )


def test_on_a_mac_there_are_two_programs_and_a_document_type(monkeypatch):
    asked = play(monkeypatch, "darwin")
    programs = [(options["name"], options["console"]) for name, _, options in asked if name == "EXE"]
    assert programs == [("Flux Local", False), ("flux-local", True)]
    assert all((ROOT / options["icon"]).is_file() for name, _, options in asked if name in ("EXE", "BUNDLE"))
    [plist] = [options["info_plist"] for name, _, options in asked if name == "BUNDLE"]
    assert plistlib.loads(plistlib.dumps(plist)) == plist
    [exported] = plist["UTExportedTypeDeclarations"]
    document = plist["CFBundleDocumentTypes"][0]
    assert document["LSTypeIsPackage"] is True
    assert document["LSItemContentTypes"] == [exported["UTTypeIdentifier"]]
    assert exported["UTTypeTagSpecification"]["public.filename-extension"] == [SUFFIX[1:]]
    assert "com.apple.package" in exported["UTTypeConformsTo"]


def test_elsewhere_it_is_a_folder_with_one_program(monkeypatch):
    asked = play(monkeypatch, "linux")
    assert [options["name"] for name, _, options in asked if name == "EXE"] == ["flux-local"]
    assert [name for name, _, _ in asked].count("BUNDLE") == 0
