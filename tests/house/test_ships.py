"""What ships and what it says: the wheel, its dependencies, the README, the names of the tests."""

import re
import sys
import tomllib

import pytest
from hatchling.builders.wheel import WheelBuilder
from packaging.requirements import Requirement

from tests.house.tree import NAMES, PACKAGES, ROOT, imported


def test_the_wheel_is_the_three_packages_and_the_assets():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert wheel["packages"] == [*sorted(PACKAGES[:1]), "mlx_model", "converters", "assets"]
    places = {ROOT / source: target for source, target in wheel["shared-data"].items()}  # where a desktop looks
    assert [source for source in places if not source.is_file()] == []
    assert all(target.startswith(("share/applications/", "share/icons/")) for target in places.values())
    assert project["project"]["scripts"] == {"flux-local": "app.__main__:main"}
    shipped = {file.distribution_path for file in WheelBuilder(str(ROOT)).recurse_included_files()}
    odd = {".py", ".json", ".safetensors", ".png", ".svg", ".icns", ".ico", ".txt", ".md", ".ttf", ".fluxboard", ".qss"}
    odd |= {".desktop", ".webp", ".plist", ".xml"}
    kept = [p for package in (*PACKAGES, "assets", "docs/guide") for p in (ROOT / package).rglob("*") if p.is_file()]
    kept = [p for p in kept if "__pycache__" not in p.parts]
    assert wheel["force-include"] == {"docs/guide": "assets/guide"}
    names = {p.relative_to(ROOT).as_posix() for p in kept}
    assert shipped == {name.replace("docs/guide/", "assets/guide/") for name in names}
    assert [p for p in kept if p.suffix not in odd and p.name != "LICENSE"] == []
    assert sum(p.stat().st_size for p in kept) < 20_000_000  # 18 at most are the built-in model's


def test_every_dependency_is_imported_and_every_import_is_a_dependency():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    names = {
        "pillow": "PIL",
        "pi-heif": "pi_heif",
        "pyyaml": "yaml",
        "huggingface-hub": "huggingface_hub",
        "pyside6-essentials": "PySide6",
        **dict.fromkeys(("otio-cmx3600-adapter", "otio-fcp-adapter"), "opentimelineio"),  # found by it, not imported
    }
    declared = {re.split(r"[\[<>=~ ]", line)[0] for line in project["dependencies"]}
    declared = {names.get(name, name) for name in declared}
    used = {module.split(".")[0] for name in NAMES for module in imported(name)}
    used -= set(sys.stdlib_module_names) | set(PACKAGES)
    optional = {"coremltools", "av", "psd_tools", "cv2", "mcp", "mlx_lm", "starlette", "uvicorn"}
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


BUNDLED = ("edges", "video", "layers", "serve", "writer", "packaging")


def test_the_lock_pins_what_the_bundle_needs_by_hash():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    text = (ROOT / "requirements.lock").read_text("utf-8")
    blocks = [block for block in re.split(r"\n(?=\S)", text) if not block.startswith("#")]
    assert [block for block in blocks if not re.search(r"--hash=sha256:[0-9a-f]{64}", block)] == []
    pinned = {name.lower(): set() for name, _ in re.findall(r"^([\w.-]+)==(\S+)", text, re.MULTILINE)}
    for name, version in re.findall(r"^([\w.-]+)==([^\s;]+)", text, re.MULTILINE):
        pinned[name.lower()].add(version)
    wanted = [Requirement(line) for line in project["dependencies"]]
    wanted += [Requirement(line) for extra in BUNDLED for line in project["optional-dependencies"][extra]]
    assert [str(need) for need in wanted if not any(map(need.specifier.contains, pinned.get(need.name, ())))] == []


def test_the_build_and_the_audit_go_by_the_lock():
    assert "--require-hashes" in (ROOT / "docs" / "PACKAGING.md").read_text("utf-8")
    assert ".ci/audit --strict" in (ROOT / ".github" / "workflows" / "audit.yml").read_text("utf-8")
    assert ".ci/audit" in (ROOT / ".ci" / "run").read_text("utf-8")


def test_security_says_how_to_report_and_invents_no_address():
    text = (ROOT / "SECURITY.md").read_text("utf-8")
    assert "Report a vulnerability" in text
    assert not re.search(r"\w@\w", text)
