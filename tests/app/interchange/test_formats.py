"""The table of formats and its two functions: options, places, what is refused before any work."""

import sys

import pytest

from app.board.data import Board, Scene
from app.interchange import formats
from app.interchange.formats import EXPORTS, FOLDER, FORMATS, IMPORTS, export_board, guess, import_board
from mlx_model.errors import Advice, DiskFull, FluxLocalError, RequestError
from tests.app.interchange.made_boards import sample


@pytest.fixture
def board(blobs):
    """Small pictures: what these tests see doesn't depend on the size."""
    return sample(blobs, (160, 90))


def small(name: str) -> dict:
    """Options that make an export quick."""
    return {"width": 160} if any(option.name == "width" for option in FORMATS[name].options) else {}


def test_the_table_leads_to_functions():
    for format in FORMATS.values():
        for where in filter(None, (format.export, format.load)):
            assert callable(formats._load_function(where, format))
        assert format.title
        assert all(ending == FOLDER or ending.startswith(".") for ending in format.extensions)
        assert len({option.name for option in format.options}) == len(format.options)
        for option in format.options:
            assert option.help
            assert formats._check_value(option, option.default) == option.default
            assert isinstance(option.default, bool) or option.choices or option.high


def test_file_dialogs_offer_what_can_be_read():
    together, *each = formats.list_import_filters().split(";;")
    assert each[0] == "OpenTimelineIO (*.otio)"
    assert each[-1] == "Zipped board (*.zip)"
    assert "Fountain script (*.fountain *.spmd *.txt *.md *.markdown)" in each
    endings = {f"*{ending}" for name in IMPORTS for ending in FORMATS[name].extensions if ending}
    assert set(together.partition("(")[2].rstrip(")").split()) == endings | {"*.zip"}


def test_product_formats_are_all_there():
    assert {"pdf", "png", "shots", "gif", "webp", "mp4", "otio", "fcpxml", "edl", "csv", "psd", "ora"} <= set(EXPORTS)
    assert {"fountain", "fdx", "storyboarder", "pictures", "otio"} <= set(IMPORTS)


def test_the_table_loads_no_library():
    heavy = {"numpy", "PIL", "PySide6", "opentimelineio", "av", "psd_tools", "mlx"}
    code = f"import sys, app.interchange.formats; print([m for m in {sorted(heavy)} if m in sys.modules])"
    import subprocess

    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


@pytest.mark.parametrize(
    ("name", "options", "word"),
    [
        ("docx", {}, "docx"),
        ("fountain", {}, "not a format"),
        ("gif", {"colour": 3}, "colour"),
        ("gif", {"width": 5}, "64"),
        ("gif", {"width": True}, "width"),
        ("gif", {"width": "640"}, "width"),
        ("pdf", {"paper": "B5"}, "A4"),
        ("png", {"takes": "some"}, "current"),
    ],
)
def test_bad_options_are_refused(board, blobs, tmp_path, name, options, word):
    with pytest.raises(RequestError, match=word):
        export_board(name, board, blobs.path, tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", EXPORTS)
def test_a_board_without_panels_is_refused(blobs, tmp_path, name):
    with pytest.raises(RequestError, match="no panels"):
        export_board(name, Board("b", scenes=(Scene("s"),)), blobs.path, tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["package"]


@pytest.mark.first_case
@pytest.mark.parametrize("name", EXPORTS)
def test_nothing_is_overwritten_without_force(board, blobs, tmp_path, name):
    first = export_board(name, board, blobs.path, tmp_path / "out", **small(name)).path
    keep = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    second = export_board(name, board, blobs.path, tmp_path / "out", **small(name)).path
    assert second != first
    assert second.stem.endswith("-2")
    assert all(path.read_bytes() == data for path, data in keep.items())
    third = export_board(name, board, blobs.path, tmp_path / "out", force=True, **small(name)).path
    assert third == first


@pytest.mark.parametrize("name", EXPORTS)
def test_a_missing_folder_is_named(board, blobs, tmp_path, name):
    with pytest.raises(RequestError, match="no folder"):
        export_board(name, board, blobs.path, tmp_path / "no" / "out")


class Stop(Exception):
    pass


@pytest.mark.parametrize("name", [name for name in EXPORTS if name not in ("otio", "fcpxml", "xml", "edl")])
def test_stopping_leaves_nothing(board, blobs, tmp_path, name):
    def stop(share):
        if share >= 0.3:
            raise Stop

    with pytest.raises(Stop):
        export_board(name, board, blobs.path, tmp_path / "out", progress=stop, **small(name))
    assert [path.name for path in tmp_path.iterdir()] == ["package"]


@pytest.mark.parametrize("name", EXPORTS)
def test_progress_only_rises_to_one(board, blobs, tmp_path, name):
    heard = []
    export_board(name, board, blobs.path, tmp_path / "out", progress=heard.append, **small(name))
    assert heard == sorted(heard)
    assert heard[-1] == 1.0
    assert len(heard) >= 2 or name == "pdf"


@pytest.mark.first_case
@pytest.mark.parametrize("name", [name for name in EXPORTS if name != "csv"])
def test_empty_and_lost_pictures_are_named(board, blobs, tmp_path, name):
    blobs.path(board.panel("panel0000004").take.picture.sha256).unlink()  # 2B
    notes = export_board(name, board, blobs.path, tmp_path / "out", **small(name)).notes
    assert [note for note in notes if "No picture yet: 2C." in note]
    assert [note for note in notes if "missing or damaged: 2B" in note]


def test_a_hostile_hash_never_becomes_a_path(board, blobs, tmp_path):
    asked = []

    def path_of(sha256):
        asked.append(sha256)
        return blobs.path(sha256)

    from msgspec.structs import replace

    scene = board.scenes[0]
    panel = scene.panels[0]
    evil = replace(panel.takes[0], picture=replace(panel.takes[0].picture, sha256="../" * 21 + "x"))
    hostile = replace(board, scenes=(replace(scene, panels=(replace(panel, takes=(evil,)),)),))
    notes = export_board("png", hostile, path_of, tmp_path / "out").notes
    assert asked == []
    assert "1A" in notes[0]


def test_a_full_disk_is_said(board, blobs, tmp_path, monkeypatch):
    import errno
    from pathlib import Path

    def full(*args, **kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(DiskFull):
        export_board("png", board, blobs.path, tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["package"]


@pytest.mark.parametrize(("name", "module"), [("mp4", "av"), ("psd", "psd_tools")])
def test_a_missing_extra_is_named(board, blobs, tmp_path, monkeypatch, name, module):
    real = formats.find_spec
    monkeypatch.setattr(formats, "find_spec", lambda wanted: None if wanted == module else real(wanted))
    assert not FORMATS[name].available
    with pytest.raises(RequestError) as caught:
        export_board(name, board, blobs.path, tmp_path / "out")
    assert caught.value.hint == Advice("install_part", {"name": FORMATS[name].extra.name})


def test_chosen_panels_keep_their_numbers(board, blobs, tmp_path):
    chosen = {"panel0000001", "panel0000003"}
    out = export_board("png", board, blobs.path, tmp_path / "out", panels=chosen).path
    assert sorted(path.name for path in out.iterdir()) == ["001_1B.png", "002_2A.png"]


@pytest.mark.parametrize(
    ("file", "name"),
    [("a.fountain", "fountain"), ("A.FDX", "fdx"), ("b.storyboarder", "storyboarder"), ("c.otio", "otio"),
     ("d.csv", "csv"), ("e.txt", "fountain")],
)  # fmt: skip
def test_the_extension_decides(tmp_path, file, name):
    assert guess(tmp_path / file) == name


def test_what_can_not_be_imported_is_named(tmp_path, blobs):
    assert guess(tmp_path) == "pictures"
    (tmp_path / "x.docx").write_bytes(b"PK")
    for path in (tmp_path / "x.docx", tmp_path / "nothing", tmp_path / "gone.fdx"):
        with pytest.raises(RequestError, match=path.name):
            import_board(path, blobs.put)
    with pytest.raises(FluxLocalError):
        import_board(tmp_path / "x.docx", blobs.put, "pictures")


@pytest.mark.parametrize("ending", sorted(formats.REFUSED))
def test_other_programs_files_are_refused_by_their_name(blobs, tmp_path, ending):
    """Whatever is in them, and also where they are folders."""
    what, hint = formats.REFUSED[ending]
    (tmp_path / f"film{ending}").mkdir()
    (tmp_path / f"FILM{ending.upper()}").write_bytes(b"INT. ROOM - DAY")
    for path in tmp_path.glob("*.*"):
        with pytest.raises(RequestError, match=what) as error:
            import_board(path, blobs.put)
        assert error.value.hint == hint


def test_what_is_read_is_not_refused():
    read = {ending for name in IMPORTS for ending in FORMATS[name].extensions} | set(formats.BUNDLES) | {".zip"}
    assert not read & set(formats.REFUSED)


@pytest.mark.parametrize(("name", "ending"), [("fcpxml", ".fcpxmld"), ("otio", ".otiod")])
def test_bundles_are_read_with_their_pictures(board, blobs, tmp_path, name, ending):
    bundle = tmp_path / f"film{ending}"
    bundle.mkdir()
    export_board(name, board, blobs.path, bundle / formats.BUNDLES[ending])
    made = import_board(bundle, blobs.put)
    assert [panel.take is not None for panel in made.board.panels()] == [True] * 5 + [name == "fcpxml"]
    (tmp_path / f"empty{ending}").mkdir()
    with pytest.raises(RequestError, match=formats.BUNDLES[ending]):
        import_board(tmp_path / f"empty{ending}", blobs.put)


def test_a_table_may_be_separated_by_tabs(board, blobs, tmp_path):
    path = export_board("csv", board, blobs.path, tmp_path / "film.tsv").path
    assert path.read_text("utf-8-sig").splitlines()[0].count("\t") > 10
    assert [panel.action for panel in import_board(path, blobs.put).board.panels()] == [
        p.action for p in board.panels()
    ]


def test_markdown_is_read_as_fountain(blobs, tmp_path):
    (tmp_path / "plan.md").write_text("# The harbour\n\nA **ship** comes in.\n\n# The sea\n\n* it leaves\n")
    board = import_board(tmp_path / "plan.md", blobs.put).board
    assert [(scene.heading, scene.panels[0].action) for scene in board.scenes] == [
        ("The harbour", "A ship comes in."), ("The sea", "* it leaves"),
    ]  # fmt: skip
