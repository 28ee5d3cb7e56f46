"""Words of strangers are never read as HTML, and hidden marks are seen."""

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QImage, QPainter
from PySide6.QtWidgets import QLabel, QMessageBox, QWidget

from app.gui.kit import messages
from app.gui.kit.widgets import OneLine, as_action, as_line, as_tip, as_title, describe, draw_words, label
from app.gui.kit.words import model_title

EVIL = '<img src="file:///etc/passwd"><b>x</b>\u202e\x1b[31m'
SHOWN = '<img src="file:///etc/passwd"><b>x</b>\ufffd\ufffd[31m'


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
    assert (made.textFormat(), made.text()) == (Qt.TextFormat.PlainText, SHOWN)


@pytest.mark.parametrize("show", [
    lambda parent: messages.ask(parent, "x", EVIL, EVIL, "Go", "Stay"),
    lambda parent: messages.sure(parent, "x", EVIL, EVIL, "Go"),
    lambda parent: messages.tell(parent, "x", EVIL, EVIL),
])  # fmt: skip
def test_no_question_reads_html_or_hides_marks(qtbot, monkeypatch, show):
    """The second text of a message box is a label of its own, which reads HTML and opens links."""
    parent, seen = QWidget(), []
    qtbot.addWidget(parent)

    def look(box):
        seen.extend((words.textFormat(), words.text()) for words in box.findChildren(QLabel) if words.text())

    monkeypatch.setattr(QMessageBox, "exec", look)
    show(parent)
    assert [words for _, words in seen].count(SHOWN) == 2
    assert {kind for kind, _ in seen} == {Qt.TextFormat.PlainText}


def test_no_progress_reads_html_or_hides_marks(qtbot):
    parent = QWidget()
    qtbot.addWidget(parent)
    words = [one for one in messages.show_progress(parent, EVIL).findChildren(QLabel) if one.text()]
    assert [(one.textFormat(), one.text()) for one in words] == [(Qt.TextFormat.PlainText, SHOWN)]


def test_a_message_is_found_again_by_what_was_said(qtbot):
    parent = QWidget()
    qtbot.addWidget(parent)
    toasts = messages.Toasts(parent)
    toasts.say(EVIL, lasting=True)
    toasts.say(EVIL, lasting=True)
    assert [one.title.text() for one in toasts.shown] == [SHOWN]
    toasts.drop(EVIL)
    assert toasts.shown == []


def test_titles_menus_and_lists():
    assert as_line("a\nb\u202ec") == "a b\ufffdc"
    assert as_action("Tom & \x1bJerry") == "Tom && \ufffdJerry"
    assert as_title("draft[*]\n") == "draft[*][*] "
    assert model_title("/x/\u202egpj") == "/x/\ufffdgpj"


def test_painted_words_show_hidden_marks(qtbot):
    """Painted with the mark that turns them round, the words would read backwards."""

    def paint(text):
        image = QImage(120, 30, QImage.Format.Format_RGB32)
        image.fill(Qt.GlobalColor.white)
        painter = QPainter(image)
        draw_words(painter, image.rect(), Qt.AlignmentFlag.AlignLeft | Qt.TextFlag.TextWordWrap, text)
        painter.end()
        return image

    assert paint("a\u202ebcd") == paint("a\ufffdbcd")
    assert paint("abcd") != paint("abce")


def test_a_few_letters_of_a_line_are_none(qtbot):
    """A hint says it all; "INT. …" said nothing."""
    line = OneLine("INT. BAR - DAY")
    qtbot.addWidget(line)
    for letters, shown in (("INT. B…", False), ("INT. BAR - DAY ", True)):
        line.resize(line.fontMetrics().horizontalAdvance(letters), 24)
        image = line.grab().toImage()
        colours = {image.pixel(x, y) for x in range(image.width()) for y in range(image.height())}
        assert (len(colours) > 1) == shown
