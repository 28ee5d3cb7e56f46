"""Words of strangers are never read as HTML, and hidden marks are seen."""

from PySide6.QtCore import Qt

from app.gui.kit.widgets import OneLine, as_tip, describe, label
from tests.house.tree import NAMES, ROOT

EVIL = '<img src="file:///etc/passwd"><b>x</b>'


def test_a_hint_shows_a_name_as_it_is(qtbot):
    line = OneLine(EVIL)
    qtbot.addWidget(line)
    assert line.textFormat() == Qt.TextFormat.PlainText
    assert "<img" not in line.toolTip()
    assert "&lt;img" in line.toolTip()
    describe(line, EVIL)
    assert "<img" not in line.toolTip()
    assert as_tip("plain\nwords") == "plain\nwords"
    assert as_tip("a\x1b\u202eb") == "a\ufffd\ufffdb"


def test_labels_are_plain(qtbot):
    made = label(EVIL)
    qtbot.addWidget(made)
    assert made.textFormat() == Qt.TextFormat.PlainText


def test_no_label_of_the_window_reads_html():
    """kit.label makes them, or their format is set where they are made."""
    for name in (name for name in NAMES if name.startswith("app/gui/")):
        text = (ROOT / name).read_text("utf-8")
        bare = text.count("QLabel(") - text.count("class OneLine(QLabel")
        if bare and name != "app/gui/kit/widgets.py":
            told = "PlainText" in text or "setPixmap" in text
            assert told, name
