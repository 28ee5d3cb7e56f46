"""What a new user must be able to do, without reading anything, with the built-in model: once, from start to end."""

import json
import subprocess
import sys
import time
from pathlib import Path

import opentimelineio as otio
import psutil
import pypdfium2
import pytest
from PySide6.QtCore import Qt, QTimer
from PySide6.QtGui import QDesktopServices, QGuiApplication
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QFileDialog, QMessageBox

from app.engine.engine import Engine
from app.fluxboard.file import BoardFile
from app.fluxboard.samples import SAMPLES, create
from app.gui.window.exchange import ExportDialog
from app.gui.window.main_window import MainWindow
from app.gui.window.session import Session
from app.gui.window.start import begin

ROOT = Path(__file__).resolve().parents[3]
LEFT, CONTROL = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.ControlModifier


@pytest.fixture
def pictures(tmp_path):
    """Files as an artist has them: the portraits of three members of a sample's cast."""
    made = []
    with create(next(iter(SAMPLES)), tmp_path / "source") as sample:
        cast = {member.name: member for member in sample.board.cast}
        for name in ("gull", "fox", "robot"):
            made.append(tmp_path / f"{name}.png")
            made[-1].write_bytes(sample.picture_path(cast[name].pictures[0].sha256).read_bytes())
    return made


def alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def first_session(pictures: list[Path]) -> dict:
    """Run the first user to the end and kill the window's process; what was on the board when it died."""
    command = [sys.executable, "-m", "tests.gui.first_user", *map(str, pictures)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as window:
        line = window.stdout.readline()
        window.kill()  # SIGKILL: nothing in it can tidy up
        errors = window.stderr.read()
    assert line, errors[-3000:]
    return json.loads(line)


def export(window, name: str, out: Path, qtbot, monkeypatch) -> None:
    """Ctrl+E, the format by keys, Export; only the system's own dialog for the place is answered here."""
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(out), ""))

    def choose() -> None:
        dialog = QApplication.activeModalWidget()
        if not isinstance(dialog, ExportDialog):
            return
        asked.stop()
        for _ in range(dialog.format.count()):
            if dialog.name != name:
                QTest.keyClick(dialog.format, Qt.Key.Key_Down)
        QTest.mouseClick(dialog.ok, LEFT)

    asked = QTimer(interval=20)
    asked.timeout.connect(choose)
    asked.start()
    window.activateWindow()  # keys go where the focus is, and a dialog that has just closed may still have it
    qtbot.waitUntil(lambda: QGuiApplication.focusWindow() is window.windowHandle())
    QTest.keyClick(window, Qt.Key.Key_E, CONTROL)
    qtbot.waitUntil(out.exists, timeout=60_000)
    qtbot.waitUntil(lambda: "Exported" in window.toasts.title.text(), timeout=60_000)


@pytest.mark.sweep
@pytest.mark.timeout(1200)
def test_from_the_first_start_over_a_kill_to_a_pdf_and_a_timeline(pictures, tmp_path, qtbot, monkeypatch):
    left = first_session(pictures)
    assert left["cast"] == ["gull", "fox", "robot"]
    assert left["panels"] == [[2, "make it night"], [1, "move the scene to the beach"]]
    end = time.monotonic() + 60
    while alive(left["worker"]) and time.monotonic() < end:
        time.sleep(0.1)
    assert not alive(left["worker"]), "the model's process outlived the window"

    monkeypatch.setattr(QMessageBox, "exec", lambda *_: pytest.fail("a question after a crash"))
    monkeypatch.setattr(QDesktopServices, "openUrl", lambda url: True)
    session = Session(Engine())
    window = MainWindow(session)
    qtbot.addWidget(window)
    with qtbot.waitActive(window):  # shortcuts go to the active window only
        window.show()
        window.activateWindow()
    begin(window, None)
    board = window.document.board
    assert str(window.document.file.path) == left["path"]
    assert not window.document.file.read_only
    assert [[len(panel.takes), panel.words] for panel in board.panels()] == left["panels"]
    assert [member.name for member in board.cast] == left["cast"]

    export(window, "pdf", tmp_path / "board.pdf", qtbot, monkeypatch)
    window.toasts.title.clear()
    export(window, "otio", tmp_path / "board.otio", qtbot, monkeypatch)
    session.close()
    check_exports(tmp_path, left["path"])


def check_exports(folder: Path, path: str) -> None:
    """Both re-opened by other people's programs; then the board, once more."""
    with pypdfium2.PdfDocument(folder / "board.pdf") as sheets:
        text = sheets[0].get_textpage().get_text_bounded()
        assert {"1A", "1B"} <= set(text.split())
        assert any(item.type == 3 for item in sheets[0].get_objects())  # 3: a picture
    timeline = otio.adapters.read_from_file(str(folder / "board.otio"))
    clips = list(timeline.find_clips())
    assert [clip.duration().to_seconds() for clip in clips] == [2.0, 2.0]
    with BoardFile.open(path) as again:
        assert again.recovered == ""
        for panel in again.board.panels():
            assert all(again.damage(take.picture) == "" for take in panel.takes)
