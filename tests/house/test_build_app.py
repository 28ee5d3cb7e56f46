"""The build description, played through with PyInstaller's parts replaced: what goes in, and what Finder is told."""

import plistlib
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from app.base.paths import SUFFIX
from bundle import inside

ROOT = Path(__file__).resolve().parents[2]


def play(monkeypatch, platform, work):
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
        collect_submodules=lambda package, **_: [f"{package}.something"],
        copy_metadata=lambda name: [(f"/x/{name}.dist-info", f"{name}.dist-info")],
    )
    monkeypatch.setitem(sys.modules, "PyInstaller.utils.hooks", hooks)
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.chdir(ROOT)
    text = (ROOT / "build_app.spec").read_text("utf-8")
    monkeypatch.setattr(inside, "read_system", lambda: "26.0")
    kinds = {name: part(name) for name in ("Analysis", "PYZ", "EXE", "COLLECT", "BUNDLE")}
    exec(compile(text, "build_app.spec", "exec"), {**kinds, "SPECPATH": str(ROOT), "workpath": str(work)})
    return asked


@pytest.mark.first_case
@pytest.mark.parametrize("platform", ["darwin", "linux"])
def test_what_goes_in(monkeypatch, tmp_path, platform):
    asked = play(monkeypatch, platform, tmp_path)
    [(_, [scripts], options)] = [each for each in asked if each[0] == "Analysis"]
    assert [ROOT / script for script in scripts] == [ROOT / "app" / "__main__.py"]
    assert {("assets", "assets"), ("docs/guide", "assets/guide")} <= set(options["datas"])
    assert {"flux-local-studio.dist-info", "mlx.dist-info", "pyside6-essentials.dist-info"} <= {
        place for _, place in options["datas"]
    }
    assert "av" in options["excludes"], "its wheels hold encoders under the GPL"
    [(_, parts, _)] = [each for each in asked if each[0] == "COLLECT"]
    assert ("assets/licences/Python.txt", str(tmp_path / "licences" / "Python.txt"), "DATA") in parts[-1]
    assert [source for source, _ in options["datas"] if "/mlx/" in source] == ["/x/mlx/lib/mlx.metallib"]
    assert {"mlx._reprlib_fix", "mlx.__array_api_info", "app.something", "mlx_model.something"} <= set(
        options["hiddenimports"]
    )


@pytest.mark.sweep
def test_on_a_mac_there_are_two_programs_and_a_document_type(monkeypatch, tmp_path):
    asked = play(monkeypatch, "darwin", tmp_path)
    programs = [(options["name"], options["console"]) for name, _, options in asked if name == "EXE"]
    assert programs == [("Flux Local", False), ("flux-local", True)]
    assert all((ROOT / options["icon"]).is_file() for name, _, options in asked if name in ("EXE", "BUNDLE"))
    [plist] = [options["info_plist"] for name, _, options in asked if name == "BUNDLE"]
    assert plistlib.loads(plistlib.dumps(plist)) == plist
    [exported] = plist["UTExportedTypeDeclarations"]
    document = plist["CFBundleDocumentTypes"][0]
    assert document["LSTypeIsPackage"] is True
    assert document["LSItemContentTypes"] == [exported["UTTypeIdentifier"]]
    assert plist["LSMinimumSystemVersion"] == "26.0"
    for icon in (exported["UTTypeIconFile"], document["CFBundleTypeIconFile"]):
        assert (f"assets/icons/{icon}", ".") in next(o["datas"] for name, _, o in asked if name == "Analysis")
        assert (ROOT / "assets" / "icons" / icon).is_file()
    assert exported["UTTypeTagSpecification"]["public.filename-extension"] == [SUFFIX[1:]]
    assert "com.apple.package" in exported["UTTypeConformsTo"]


@pytest.mark.sweep
def test_elsewhere_it_is_a_folder_with_one_program(monkeypatch, tmp_path):
    asked = play(monkeypatch, "linux", tmp_path)
    assert [options["name"] for name, _, options in asked if name == "EXE"] == ["flux-local"]
    assert [name for name, _, _ in asked].count("BUNDLE") == 0


def test_a_mac_s_programs_are_signed_for_the_hardened_runtime(monkeypatch, tmp_path):
    monkeypatch.setenv("FLUX_LOCAL_IDENTITY", "Developer ID Application: Somebody")
    programs = [options for name, _, options in play(monkeypatch, "darwin", tmp_path) if name == "EXE"]
    assert {one["codesign_identity"] for one in programs} == {"Developer ID Application: Somebody"}
    allowed = plistlib.loads((ROOT / programs[0]["entitlements_file"]).read_bytes())
    assert set(allowed) == {
        f"com.apple.security.cs.{name}" for name in ("allow-unsigned-executable-memory", "disable-library-validation")
    }
