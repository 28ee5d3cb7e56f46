"""Another board is opened while something of the one before is open over its pages: nothing acts on it any more."""

import pytest
from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QApplication

from app.fluxboard import samples
from app.gui.pages.animatic import Animatic
from app.gui.pages.peek import Peek


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
