"""What a bundle holds and says, without building one: licences, MLX's kernels, what a Mac and Debian are told."""

import plistlib
import re
import subprocess
import sys
import zipfile
from pathlib import Path
from xml.etree import ElementTree

import pytest

from app.base.credits import Library
from bundle import deb, dmg, inside, mac, nvidia

ROOT = Path(__file__).resolve().parents[2]
WHEEL = "Wheel-Version: 1.0\nTag: py3-none-macosx_{}_arm64\n"


def make_library(path: Path, kernels: int) -> Path:
    path.write_bytes(b"MTLB" + b"\0affine_qmm_t_nax_float_gs_64\0" * kernels + b"naxE")
    return path


def test_a_library_with_the_kernels_decides_the_oldest_system(tmp_path):
    library = make_library(tmp_path / "mlx.metallib", 3)
    assert inside.count_kernels(library) == 3
    assert inside.choose_system(library, WHEEL.format("26_0"), older=False) == "26.0"


def test_a_library_without_them_is_refused_or_warned_of(tmp_path):
    library = make_library(tmp_path / "mlx.metallib", 0)
    with pytest.raises(SystemExit, match="macOS 26"):
        inside.choose_system(library, WHEEL.format("15_0"), older=False)
    with pytest.warns(UserWarning, match="Neural Accelerators"):
        assert inside.choose_system(library, WHEEL.format("15_0"), older=True) == "15.0"


def test_of_a_language_model_s_library_what_reads_words_goes_in():
    """Its networks are torch's, which no bundle has."""
    modules = [
        "qwen3.tokenization_qwen3",
        "qwen3.configuration_qwen3",
        "auto",
        "qwen3.modeling_qwen3",
        "clip.image_processing_clip",
    ]
    kept = [module for module in modules if inside.is_for_words(f"transformers.models.{module}")]
    assert kept == modules[:3]


@pytest.mark.parametrize(("system", "has"), [("14_0", False), ("15_0", False), ("26_0", True)])
def test_which_of_mlx_s_wheels_has_them(tmp_path, system, has):
    """The wheels themselves, as files for another platform."""
    pytest.importorskip("PyInstaller", reason="needs the packaging extra (.ci/run)")
    pin = re.search(r"^mlx-metal==(\S+)", (ROOT / "requirements.lock").read_text("utf-8"), re.MULTILINE)[1]
    platform = ["--platform", f"macosx_{system}_arm64", "--only-binary=:all:", "--no-deps", "-d", str(tmp_path)]
    subprocess.run([sys.executable, "-m", "pip", "download", "-q", *platform, f"mlx-metal=={pin}"], check=True)
    with zipfile.ZipFile(next(tmp_path.glob("*.whl"))) as wheel:
        library = wheel.extract("mlx/lib/mlx.metallib", tmp_path)
        tags = wheel.read(next(name for name in wheel.namelist() if name.endswith("/WHEEL"))).decode()
    assert (inside.count_kernels(Path(library)) > 1000) == has
    if has:
        assert inside.choose_system(Path(library), tags, older=False) == "26.0"


def test_every_library_goes_in_with_its_licence(tmp_path, monkeypatch):
    assert {"flux-local-studio", "mlx", "pyside6-essentials"} <= set(inside.list_metadata())
    inside.gather_licences(tmp_path / "licences", [])
    assert "PYTHON SOFTWARE FOUNDATION" in (tmp_path / "licences" / "Python.txt").read_text("utf-8").upper()
    monkeypatch.setattr(inside, "list_libraries", lambda: [Library("strange", "1", "none", " ")])
    with pytest.raises(SystemExit, match="No licence text of strange"):
        inside.list_metadata()


def commands(**environment):
    return list(mac.list_commands("1.2", environment))


def test_a_mac_builds_unsigned_without_an_identity():
    words = [one[0] for one in commands()]
    assert "codesign" not in words
    assert "xcrun" not in words
    assert commands()[-1][-1] == "cd dist && shasum -a 256 Flux-Local-1.2.dmg > Flux-Local-1.2.dmg.sha256"
    assert "Flux-Local-1.2-older-macs.dmg" in commands(FLUX_LOCAL_OLDER_MACS="1")[-1][-1]


def test_the_app_is_notarised_and_stapled_before_its_image_is_made():
    steps = commands(FLUX_LOCAL_IDENTITY="me", FLUX_LOCAL_NOTARY="profile")
    kinds = [" ".join(one[:3]) if one[0] == "xcrun" else " ".join(one[1:3]) for one in steps]
    notarised = [place for place, kind in enumerate(kinds) if kind == "xcrun notarytool submit"]
    stapled = [place for place, kind in enumerate(kinds) if kind == "xcrun stapler staple"]
    image = kinds.index("-m dmgbuild")
    assert notarised[0] < stapled[0] < image < notarised[1] < stapled[1]
    assert ("codesign", "--sign", "me", "--timestamp", "dist/Flux-Local-1.2.dmg") in steps


def test_what_the_image_shows_is_what_is_built():
    assert dmg.files[0] == mac.APP
    assert {Path(one if isinstance(one, str) else one[1]).name for one in dmg.files} | set(dmg.symlinks) == set(
        dmg.icon_locations
    )
    assert (ROOT / dmg.icon).is_file()


def test_a_debian_package_has_everything_in_its_place(tmp_path):
    built = tmp_path / "built"
    (built / "_internal").mkdir(parents=True)
    (built / "flux-local").write_text("program")
    tree = tmp_path / "tree"
    deb.fill(tree, built)
    assert (tree / "usr/bin/flux-local").resolve().read_text() == "program"
    said = dict(line.split(": ", 1) for line in (tree / "DEBIAN/control").read_text("utf-8").splitlines())
    assert said["Package"] == "flux-local"
    assert {"Version", "Architecture", "Maintainer", "Depends", "Description"} <= said.keys()
    kind = ElementTree.parse(tree / "usr/share/mime/packages/flux-local.xml").find("{*}mime-type").get("type")
    entry = (tree / "usr/share/applications/flux-local.desktop").read_text("utf-8")
    assert f"MimeType=inode/directory;{kind};" in entry
    icon = kind.replace("/", "-")
    assert (tree / f"usr/share/icons/hicolor/scalable/mimetypes/{icon}.svg").is_file()


def test_the_document_s_icon_is_one_that_macs_read():
    data = (ROOT / "assets" / "icons" / "document.icns").read_bytes()
    assert data[:4] == b"icns"
    assert b"ic10" in data  # 1024 px
    assert plistlib.loads((ROOT / "assets" / "entitlements.plist").read_bytes())


def test_an_nvidia_environment_never_has_two_mlx_s():
    steps = list(nvidia.list_commands(Path("there"), ["test"]))
    asked = [word for step in steps for word in step if word.startswith("mlx[")]
    assert len(asked) == 1
    assert asked[0].startswith("mlx[cuda13]>=")
    own = next(step for step in steps if str(ROOT) in step)
    assert "--no-deps" in own
    assert "pytest>=8.4" in steps[1]


def test_an_environment_with_mlx_for_processors_is_left_alone(tmp_path, monkeypatch, capsys):
    (tmp_path / "lib/python3.11/site-packages/mlx_cpu-0.32.4.dist-info").mkdir(parents=True)
    monkeypatch.setattr(sys, "argv", ["nvidia", "--dry-run", str(tmp_path)])
    with pytest.raises(SystemExit, match="2"):
        nvidia.main()
    assert "has MLX for processors already" in capsys.readouterr().err


def test_a_package_of_what_was_not_built_says_how_to_build(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(deb, "BUILT", tmp_path / "flux-local")
    monkeypatch.setattr(sys, "argv", ["deb"])
    with pytest.raises(SystemExit, match="2"):
        deb.main()
    assert "pyinstaller" in capsys.readouterr().err
