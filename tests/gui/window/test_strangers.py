"""What strangers can hand to the window: settings, dropped and pasted data, boards, scripts, models and LoRAs.

Nothing of it may end the program, raise where nobody catches it (which fails a test of Qt) or hold the window up.
"""

import json
import os
import struct
import time
import zlib
from pathlib import Path

import pytest
from PySide6.QtCore import QByteArray, QMimeData, QUrl
from PySide6.QtGui import QGuiApplication, QImage

from app.base import paths, settings
from app.board.data import new_board
from app.fluxboard import codec
from app.fluxboard.file import BoardFile
from app.gui.document import picture_drag
from app.gui.kit.theme import theme
from app.gui.window.main_window import MainWindow
from app.gui.window.session import Session
from tests.gui.board.test_board_view import drop, now, spot
from tests.gui.board.test_dropping import dropped
from tests.hostile.fuzz.targets import TARGETS, safetensors

pytestmark = pytest.mark.sweep

SOON = 5.0  # seconds of this process: what takes longer is a freeze on any machine
EVIL = '<img src="file:///etc/passwd">\x1b[31m\u202e'


def open_window(qtbot, engine) -> MainWindow:
    theme.apply("dark")
    made = MainWindow(Session(engine))
    qtbot.addWidget(made, before_close_func=lambda shown: shown.session.close())
    made.show()
    made.session.stand_by()
    return made


def soon(act) -> None:
    start = time.process_time()
    act()
    assert time.process_time() - start < SOON


# Settings


SETTINGS = {
    "nothing": b"", "no json": b"\xff\xfe{", "a list": b"[]", "deep": b"[" * 200_000,
    "deep inside": b'{"x":' + b"[" * 200_000,
    "numbers": b'{"cell": 99999999999999999999, "geometry": 5}', "a huge cell": b'{"cell": 2147483648}',
    "a negative cell": b'{"cell": -5}', "geometry": json.dumps({"geometry": "A" * 100_000}).encode(),
    "geometry of letters": json.dumps({"geometry": "\u202eé" * 50}).encode(),
    "recent": json.dumps(
        {"recent": ["\0", "x" * 5000, "/dev/zero", "..", "", EVIL], "titles": {EVIL: EVIL, "\0": "x"}}
    ).encode(),
    "many": json.dumps({"recent": [f"/nowhere/{n}" for n in range(20_000)]}).encode(),
    "a folder with a zero": json.dumps({"folder": "/tmp/\0x"}).encode(),
    "a folder that is a file": json.dumps({"folder": "/etc/passwd"}).encode(),
    "a folder too long": json.dumps({"folder": "/tmp/" + "x" * 5000}).encode(),
    "a folder of the system": json.dumps({"folder": "/proc/1"}).encode(),
    "a model": json.dumps({"model": EVIL + "\0" + "x" * 100_000}).encode(),
    "surrogates": b'{"model": "\\ud800", "folder": "\\udcff"}',
}  # fmt: skip


@pytest.mark.parametrize("name", SETTINGS)
def test_settings_from_elsewhere(qtbot, engine, home, name):
    home.mkdir()
    (home / "settings.json").write_bytes(SETTINGS[name])
    soon(lambda: open_window(qtbot, engine))


@pytest.mark.parametrize("kind", ["a pipe", "a folder", "a device", "endless", "a link to itself"])
def test_settings_that_are_no_file(qtbot, engine, home, kind):
    home.mkdir()
    file = home / "settings.json"
    match kind:
        case "a pipe":
            os.mkfifo(file)
        case "a folder":
            file.mkdir()
        case "a device":
            file.symlink_to("/dev/zero")
        case "endless":
            file.touch()
            os.truncate(file, 1 << 40)
        case "a link to itself":
            file.symlink_to(file)
    soon(lambda: open_window(qtbot, engine))


# What is dropped and pasted


def data(kind: str, content: bytes) -> QMimeData:
    mime = QMimeData()
    mime.setData(kind, QByteArray(content))
    return mime


def links(*texts: str) -> QMimeData:
    mime = QMimeData()
    mime.setUrls([QUrl(text) for text in texts])
    return mime


def image(width: int, height: int) -> QMimeData:
    mime = QMimeData()
    mime.setImageData(QImage(width, height, QImage.Format.Format_Grayscale8))
    return mime


def png(width: int, height: int) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b"")
    )


def files(folder: Path) -> QMimeData:
    (folder / "bomb.png").write_bytes(png(2**31 - 1, 2**31 - 1))
    (folder / "wide.png").write_bytes(png(60_000, 60_000))
    (folder / "no.jpg").write_bytes(b"\xff\xd8\xff" + b"\xff" * 1000)
    (folder / "x.svg").write_bytes(b"<svg xmlns='http://www.w3.org/2000/svg'><image href='file:///etc/passwd'/></svg>")
    os.mkfifo(folder / "pipe.png")
    (folder / "loop.png").symlink_to("loop.png")
    (folder / "zero.png").symlink_to("/dev/zero")
    (folder / f"{'n' * 250}.png").write_bytes(b"x")
    (folder / os.fsdecode(b"\xff\x1b[31m.png")).write_bytes(b"x")
    mime = QMimeData()
    mime.setUrls([QUrl.fromLocalFile(str(one)) for one in sorted(folder.iterdir())])
    return mime


PANELS = "application/x-flux-local-panels"
DROPPED = {
    "ids that are no text": lambda _: data(PANELS, b"\xff\xfe\0"),
    "ids without end": lambda _: data(PANELS, b"x\n" * 2_000_000),
    "one id of a megabyte": lambda _: data(PANELS, b"x" * 1_000_000),
    "a picture that is no text": lambda _: data(picture_drag.PICTURE, b"\xff\0../../etc/passwd"),
    "a picture without end": lambda _: data(picture_drag.PICTURE, b"a" * 5_000_000),
    "a mime type without end": lambda _: data("image/" + "x" * 100_000, b"x"),
    "an image that is none": lambda _: data("image/png", b"\x89PNG\r\n\x1a\n"),
    "an image without end": lambda _: data("image/png", png(2**31 - 1, 2**31 - 1)),
    "no image at all": lambda _: data("application/x-qt-image", b"x"),
    "an image of one pixel": lambda _: image(1, 1),
    "an image of a line": lambda _: image(30_000, 1),
    "a zero in a name": lambda _: links("file:///tmp/%00/x.png", "file:///tmp/a%00.png"),
    "a name without end": lambda _: links("file:///" + "x" * 100_000 + ".png"),
    "names without end": lambda _: links(*[f"file:///nowhere/{n}.png" for n in range(2_000)]),
    "places elsewhere": lambda _: links("http://x/a.png", "smb://x/y.png", "data:image/png;base64,AA", "qrc:/x"),
    "places of the system": lambda _: links("file:///dev/zero", "file:///proc/self/mem", "file:///dev/stdin"),
    "no place": lambda _: links("", "file:", "file://", "file://host/x.png"),
    "files": files,
    "text": lambda _: data("text/plain", b"\xff" * 1000),
    "html": lambda _: data("text/html", b"<img src='file:///etc/passwd'>" * 1000),
    "nothing": lambda _: QMimeData(),
}  # fmt: skip


@pytest.mark.parametrize("name", DROPPED)
def test_what_is_dropped(window, tmp_path, name):
    folder = tmp_path / "given"
    folder.mkdir()
    mime, grid, before = DROPPED[name](folder), window.board.grid, now(window)
    soon(lambda: drop(grid, mime, spot(grid, before[0], 0.05)))
    soon(lambda: drop(grid, mime, spot(grid, before[0], 0.5)))
    window.go("cast")
    soon(lambda: dropped(window.page("cast"), mime))
    window.open_panel(before[0])
    panel = window.page("panel")
    soon(lambda: dropped(panel.stage.canvas, mime))
    soon(lambda: dropped(panel.side.tray, mime))
    window.go("loras")
    soon(lambda: dropped(window.page("loras"), mime))
    assert set(before) <= set(now(window))


@pytest.mark.parametrize("name", DROPPED)
def test_what_is_pasted(window, tmp_path, name):
    folder = tmp_path / "given"
    folder.mkdir()
    picture_drag.to_clipboard(DROPPED[name](folder))
    window.go("board")
    soon(lambda: window.run("paste"))
    window.open_panel(now(window)[0])
    soon(lambda: window.page("panel").side.tray.add_from(QGuiApplication.clipboard().mimeData()))
    QGuiApplication.clipboard().clear()


def test_a_panel_that_is_pasted_many_times_is_pasted_once(window):
    window.go("board")
    first = now(window)[0]
    picture_drag.to_clipboard(data(PANELS, f"{first}\n".encode() * 100_000))
    soon(lambda: window.run("paste"))
    assert len(now(window)) == 4
    QGuiApplication.clipboard().clear()


# Boards and documents that are opened


def write_board(folder: Path, content: bytes) -> Path:
    folder.mkdir(parents=True)
    (folder / "board.json").write_bytes(content)
    (folder / "blobs").mkdir()
    return folder


def make_pipe(path: Path) -> Path:
    os.mkfifo(path)
    return path


def with_title(title: str) -> bytes:
    return codec.encode(new_board(title))


def inside(folder: Path, make) -> Path:
    folder.mkdir()
    make(folder / "board.json")
    return folder


BOARDS = {
    "a file": lambda p: p.write_bytes(b"x") and p, "a pipe": make_pipe, "empty": lambda p: p.mkdir() or p,
    "a link to itself": lambda p: p.symlink_to(p) or p, "not there": lambda p: p,
    "a pipe inside": lambda p: inside(p, os.mkfifo),
    "a device inside": lambda p: inside(p, lambda f: f.symlink_to("/dev/zero")),
    "a folder inside": lambda p: inside(p, os.mkdir),
    "endless": lambda p: inside(p, lambda f: (f.touch(), os.truncate(f, 1 << 40))),
    "no json": lambda p: write_board(p, b"\xff\xfe"), "deep": lambda p: write_board(p, b"[" * 1_000_000),
    "a title": lambda p: write_board(p, with_title(EVIL * 100)),
    "a title [*]": lambda p: write_board(p, with_title("[*][*]&&")),
    "another schema": lambda p: write_board(p, b'{"schema": 99999999999999999999}'),
    "a name too long": lambda p: p.with_name("x" * 300 + ".fluxboard"),
    "a zero in the name": lambda p: p.with_name("a\0.fluxboard"),
    "hidden marks": lambda p: write_board(p.with_name(f"{EVIL.replace('/', '')}.fluxboard"), with_title("x")),
}  # fmt: skip


@pytest.mark.parametrize("name", BOARDS)
def test_boards_that_are_opened(window, tmp_path, name):
    path = BOARDS[name](tmp_path / "given.fluxboard")
    soon(lambda: window.session.open(str(path)))
    soon(lambda: window.session.open_or_import(str(path)))
    for place in ("cast", "queue", "board"):
        window.go(place)
    window.grab()


@pytest.mark.parametrize("name", ["fountain", "fdx", "otio", "storyboarder", "edl", "fcpxml", "fcp7", "zip"])
@pytest.mark.parametrize("harm", ["half", "deep", "a pipe", "a name too long", "endless"])
def test_documents_that_are_imported(window, tmp_path, name, harm):
    target = TARGETS[name]
    path = tmp_path / f"given{target.ending}"
    match harm:
        case "half":
            path.write_bytes(target.seeds[0][: len(target.seeds[0]) // 2])
        case "deep":
            path.write_bytes(b"<a>" * 100_000 + b"[" * 100_000)
        case "a pipe":
            os.mkfifo(path)
        case "a name too long":
            path = tmp_path / f"{'n' * 240}{target.ending}"
            path.write_bytes(target.seeds[0])
        case "endless":
            path.touch()
            os.truncate(path, 1 << 40)
    soon(lambda: window.session.open_or_import(str(path)))
    soon(lambda: window.session.import_onto(str(path)))


# Models and LoRAs


STRANGE = {"schema": 1, "model": "flux2-klein-4b", "components": {EVIL: {"files": {"../../x": {}}}}}
MODELS = (b"", b"[]", b"[" * 100_000, b"\xff", json.dumps({"schema": 1, "model": EVIL}).encode(),
          json.dumps(STRANGE).encode())  # fmt: skip


def test_models_of_strangers(qtbot, engine, home):
    for number, content in enumerate(MODELS):
        folder = paths.models() / f"{number}{EVIL.replace('/', '')}"
        folder.mkdir(parents=True)
        (folder / "model.json").write_bytes(content)
    os.mkfifo(paths.models() / "pipe")
    (paths.models() / "loop").symlink_to(paths.models() / "loop")
    inner = paths.models() / "piped"
    inner.mkdir()
    os.mkfifo(inner / "model.json")
    shown = open_window(qtbot, engine)
    soon(lambda: shown.go("models"))
    shown.grab()


def header(facts: dict) -> bytes:
    text = json.dumps(
        {"__metadata__": facts, "x.lora_A.weight": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}
    ).encode()
    return struct.pack("<Q", len(text)) + text + bytes(4)


LORAS = {
    "marks.safetensors": header(
        {"modelspec.title": EVIL, "modelspec.trigger_phrase": EVIL * 100, "ss_tag_frequency": "[" * 100_000}
    ),
    "thumbnail.safetensors": header({"modelspec.thumbnail": "data:image/png;base64,AAAA"}),
    f"{EVIL.replace('/', '')}.safetensors": safetensors(("x",)), "none.safetensors": b"",
    "huge.safetensors": b"\xff" * 8 + b"{}",
}  # fmt: skip


def test_loras_of_strangers(qtbot, engine, home):
    paths.loras().mkdir(parents=True)
    for name, content in LORAS.items():
        (paths.loras() / name).write_bytes(content)
        (paths.loras() / f"{Path(name).stem}.png").write_bytes(png(2**31 - 1, 2**31 - 1))
        (paths.loras() / f"{Path(name).stem}.json").write_bytes(b"[" * 100_000)
    os.mkfifo(paths.loras() / "pipe.safetensors")
    (paths.loras() / "loop.safetensors").symlink_to("loop.safetensors")
    (paths.loras() / "zero.safetensors").symlink_to("/dev/zero")
    shown = open_window(qtbot, engine)
    soon(lambda: shown.go("loras"))
    shown.grab()
    shown.open_panel(now(shown)[0])
    shown.grab()


def test_recent_boards_from_elsewhere_are_opened_or_told(qtbot, engine, home, tmp_path):
    home.mkdir()
    made = BoardFile.create(tmp_path / "film", new_board(EVIL))
    made.close()
    recent = ["/dev/zero", "\0", "x" * 5000, str(tmp_path), str(made._path), EVIL]
    (home / "settings.json").write_text(json.dumps({"recent": recent, "titles": dict.fromkeys(recent, EVIL)}))
    shown = open_window(qtbot, engine)
    shown.commands.fill_recent(shown.recent)
    for action in shown.recent.actions():
        assert "\u202e" not in action.text()
        soon(action.trigger)
    assert settings.load().recent
