"""Another board is opened while something of the one before is open over its pages: nothing acts on it any more."""

import msgspec
import pytest
from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QApplication

from app.base.settings import with_recent
from app.board.data import new_board
from app.fluxboard import samples
from app.fluxboard.file import BoardFile
from app.gui.pages.animatic import Animatic
from app.gui.pages.peek import Peek
from app.gui.window import window_commands
from app.gui.window.main_window import MainWindow
from app.gui.window.start import begin


def open_another(window):
    window.session.open_sample(list(samples.SAMPLES)[1])


@pytest.mark.parametrize(("action", "kind"), [("play", Animatic), ("peek", Peek)])
def test_what_is_looked_at_goes_with_its_board(window, qtbot, action, kind):
    window.run("select_all")
    window.run(action)
    (shown,) = window.findChildren(kind)
    gone = []
    shown.destroyed.connect(lambda: gone.append(True))
    open_another(window)
    qtbot.waitUntil(lambda: gone == [True])


@pytest.mark.parametrize("action", ["board_settings", "export", "restore", "open", "shortcuts"])
def test_a_question_is_closed_as_by_escape(window, qtbot, action):
    """Finder opens a file whatever is asked just now."""
    before, asked, left = window.document, [], []

    def open_from_outside():
        asked.append(QApplication.activeModalWidget())
        open_another(window)
        if asked[0].isVisible():
            left.append(asked[0])
            asked[0].close()

    QTimer.singleShot(0, open_from_outside)
    window.run(action)
    assert window.document is not before
    assert len(asked) == 1
    assert left == []


def test_a_board_that_is_open_elsewhere_is_gone_on_with_in_a_copy_and_no_other_takes_its_place(
    session, qtbot, tmp_path, monkeypatch
):
    """Who named it on the command line wrote into the board of last time."""
    asked, way = [], "Cancel"

    def ask(*words):
        asked.append((window.stack.currentWidget(), *words[2:]))
        return way

    monkeypatch.setattr(window_commands, "ask", ask)
    session.settings = with_recent(session.settings, session.path, "Harbour")
    window = MainWindow(session)
    qtbot.addWidget(window)
    window.show()
    with BoardFile.create(tmp_path / "second.fluxboard", new_board("Second")) as held:
        begin(window, str(held.path))
        assert window.document.board.title == "Harbour"
        (question,) = asked
        assert question[:2] == (window.pages["home"], "second.fluxboard is open already, in this window.")
        assert question[3:] == ("Open a Copy", "Cancel")
        way = "Open a Copy"
        assert not session.open(held.path)
        assert window.document.board.title == "Second"
        assert window.document.file.path != held.path


def test_who_starts_the_program_twice_is_asked_once_and_has_a_board(session, qtbot, tmp_path, monkeypatch):
    """That of last time and the sample are one, and open in the first window: there was no board at all."""
    asked = []
    monkeypatch.setattr(window_commands, "ask", lambda *words: asked.append(words[2]) or "Cancel")
    with samples.create(samples.FIRST, tmp_path / "gull.fluxboard") as held:
        session.settings = with_recent(session.settings, held.path, held.board.title)
        session.settings = msgspec.structs.replace(session.settings, stories={samples.FIRST: str(held.path)})
        window = MainWindow(session)
        qtbot.addWidget(window)
        window.show()
        begin(window, None)
        assert window.stack.currentWidget() is window.pages["home"]
        assert asked == ["gull.fluxboard is open already, in this window."]
        assert (window.document.board.title, window.document.file.path != held.path) == (held.board.title, True)
