"""Messages at the foot of the window: what happened and what to do. They never block, never pile up, and cover nothing
but the head of a canvas, which has to keep its size: and that no longer than it takes to read them.
"""

import os
from collections.abc import Callable, Container
from functools import partial

from PySide6.QtCore import QDir, QEvent, QObject, QPoint, Qt, QTimer, Signal
from PySide6.QtGui import QAccessible, QAccessibleEvent, QResizeEvent
from PySide6.QtWidgets import (
    QApplication,
    QDialog,
    QFileDialog,
    QFrame,
    QHBoxLayout,
    QLabel,
    QMessageBox,
    QProgressBar,
    QProgressDialog,
    QPushButton,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from mlx_model.errors import Hint

from ...base.words import say_count, show_plainly
from . import icons
from .dialog import fill_dialog
from .measures import GAP, HAIR, MARGIN, WIDE
from .theme import theme
from .widgets import as_title, button, icon_button, label, row
from .words import in_window

SIGN = 40  # px of the sign beside a question
READ = 70  # ms of showing for each letter
LEAST = 6000
MOST = 4  # messages at once, besides those that last
READING = 340  # px: width of what says how far something is
SHARE = 0.3  # of the window's height
Offer = tuple[str, Callable[[], None]]


class Message(QFrame):
    """One thing that happened, and what to do about it."""

    gone = Signal()
    read = Signal()  # it lasts, and was shown for the time that reading takes

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("toast")
        self.setAccessibleName("Message")
        self.title, self.hint = label(wrap=True), label(tone="muted", wrap=True)  # plain text: names stand in them
        self._offered: Callable[[], None] | None = None
        self.lasting, self.said, self.was_read = False, "", False
        words = QVBoxLayout()
        words.setSpacing(HAIR)
        words.addWidget(self.title)
        words.addWidget(self.hint)
        box = QHBoxLayout(self)
        box.setContentsMargins(WIDE, GAP, GAP, GAP)
        self.offer = button("", self._accept_offer)
        box.addLayout(words, 1)
        box.addWidget(self.offer)
        box.addWidget(icon_button("Dismiss message", "close", act=self.gone.emit))
        self._timer = QTimer(self, singleShot=True)
        self._timer.timeout.connect(self._end_reading)

    def show_words(self, text: str, words: str, good: bool, offer: Offer | None, lasting: bool) -> None:
        self._offered, self.lasting, self.said = offer[1] if offer else None, lasting, text
        self.offer.setText(offer[0] if offer else "")
        self.offer.setVisible(offer is not None)
        self.title.setText(text)
        self.hint.setText(words)
        self.hint.setVisible(bool(words))
        self.setProperty("good", "true" if good else "false")
        self.style().unpolish(self)
        self.style().polish(self)
        self.was_read = False
        self._timer.start(max(LEAST, READ * len(text + words)) * (1 if good else 2))
        self.setAccessibleDescription(f"{text} {words}".strip())

    def _end_reading(self) -> None:
        self.was_read = True
        (self.read if self.lasting else self.gone).emit()

    def _accept_offer(self) -> None:
        self.gone.emit()
        if self._offered:
            self._offered()


class Follower(QObject):
    """Does something whenever what it watches has another size."""

    def __init__(self, parent: QObject, act: Callable[[], None]):
        super().__init__(parent)
        self._act = act

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() == QEvent.Type.Resize:
            self._act()
        return False


class Toasts(QScrollArea):
    """The latest messages below the page, newest on top; the same one twice is one.

    A message goes after the time it takes to read it, or when it is dropped: a lasting one only then. Where that would
    lie over a canvas it is `folded`, a button that shows it again.
    """

    def __init__(self, parent: QWidget):
        super().__init__(parent)
        self.setAccessibleName("Messages")
        self.setWidgetResizable(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        inside = QWidget()
        inside.setObjectName("plain")
        self._column = QVBoxLayout(inside)
        self._column.setContentsMargins(MARGIN, GAP, MARGIN, GAP)
        self._column.setSpacing(GAP)
        self.setWidget(inside)
        self.shown: list[Message] = []  # newest first
        self.folded = icon_button("Notices", "warning", "Show what still holds", self._fit, checkable=True, side=24)
        self.folded.hide()
        self._over: QWidget | None = None
        self._follower = Follower(self, self._fit)
        self._none = Message()
        self._none.setParent(self)
        self._none.hide()
        self.hide()

    @property
    def title(self) -> QLabel:
        """What the newest message says; empty where there is none."""
        return (self.shown or [self._none])[0].title

    @property
    def hint(self) -> QLabel:
        return (self.shown or [self._none])[0].hint

    @property
    def offer(self) -> QPushButton:
        return (self.shown or [self._none])[0].offer

    def say(
        self, text: str, hint: Hint = "", good: bool = False, offer: Offer | None = None, lasting: bool = False
    ) -> None:
        """Show a message; errors stay longer than news. `offer`: the words of a button and what it does."""
        words = in_window(hint)
        made = next((one for one in self.shown if one.said == text), None) or self._new()
        made.show_words(text, words, good, offer, lasting)
        self.shown = [made, *(one for one in self.shown if one is not made)]
        self._column.insertWidget(0, made)
        for old in [one for one in self.shown[MOST:] if not one.lasting]:
            self._remove(old)
        self._fit()
        self.verticalScrollBar().setValue(0)
        self.setAccessibleDescription(f"{text} {words}".strip())
        QAccessible.updateAccessibility(QAccessibleEvent(made, QAccessible.Event.Alert))

    def drop(self, text: str) -> None:
        """What was said is no longer so."""
        for one in [one for one in self.shown if one.said == text]:
            self._remove(one)

    def forget(self, kept: Container[str] = ()) -> None:
        """What was said of a moment that is over: all but what lasts, and what is `kept`, which still holds."""
        for one in [one for one in self.shown if not one.lasting and one.said not in kept]:
            self._remove(one)

    def suit(self, page: QWidget | None, below: QVBoxLayout) -> None:
        """Below the page, or over the head of its `steady` part, which no message may resize."""
        steady: QWidget | None = getattr(page, "steady", None)
        self.folded.setChecked(False)
        if steady is self._over:
            return
        if self._over:
            self._over.removeEventFilter(self._follower)
        self._over = steady
        if steady:
            below.removeWidget(self)
            steady.installEventFilter(self._follower)
        else:
            below.addWidget(self)
        self._fit()

    def _new(self) -> Message:
        made = Message()
        made.gone.connect(partial(self._remove, made))
        made.read.connect(self._fit)
        return made

    def _remove(self, one: Message) -> None:
        if one in self.shown:
            self.shown.remove(one)
            self._column.removeWidget(one)
            one.hide()
            one.deleteLater()
        self._fit()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fit()

    def _fold(self) -> None:
        """Show what may be seen here: what was read does not stay over a canvas unless it is asked for."""
        read = [one for one in self.shown if self._over and one.lasting and one.was_read]
        self.folded.setVisible(bool(read))
        self.folded.setText(say_count(len(read), "notice"))
        hidden = () if self.folded.isChecked() else read
        for one in self.shown:
            one.setVisible(one not in hidden)
        self.setVisible(len(self.shown) > len(hidden))

    def _fit(self) -> None:
        """As high as the messages, up to a share of the window: then they scroll."""
        self._fold()
        window = self.parentWidget()
        if self._over and window:
            self.resize(self._over.width(), self.height())
            self.move(self._over.mapTo(window, QPoint()))
            self.raise_()
        width = self.viewport().width()
        for layout in (one.layout() for one in self.shown):
            if layout:
                layout.invalidate()  # it was measured before its labels had their letters
        needed = self._column.totalHeightForWidth(width) if not self.isHidden() else 0
        self.setFixedHeight(min(needed, round(SHARE * window.height())) if window else needed)


class ReadingDialog(QDialog):
    """Modal, so that nothing that is asked for meanwhile can meet a half-finished drop."""

    stop_asked = Signal()

    def __init__(self, count: int):
        super().__init__(QApplication.activeWindow())
        self.setWindowTitle("Reading Pictures")
        self.setWindowModality(Qt.WindowModality.ApplicationModal)
        self.words, self.bar = label(), QProgressBar()
        self.bar.setRange(0, count if count > 1 else 0)
        self.bar.setTextVisible(False)
        self.bar.setAccessibleName("Pictures read")
        self.stop = button("Stop", self.reject)
        self.stop.setVisible(count > 1)  # one thing can't be stopped halfway
        box = fill_dialog(self)
        box.addWidget(self.words)
        box.addWidget(self.bar)
        box.addLayout(row(None, self.stop))
        self.setMinimumWidth(READING)
        _take_keys(self)

    def show_done(self, done: int) -> None:
        """How many pictures are read."""
        count = self.bar.maximum()
        self.bar.setValue(done)
        self.words.setText(f"Reading picture {min(done + 1, count)} of {count}" if count else "Reading")

    def reject(self) -> None:
        """Esc and the button: the pictures that are read already stay."""
        self.stop.setEnabled(False)
        self.stop_asked.emit()


def _make_box(icon: str, parent: QWidget, title: str, text: str, more: str) -> QMessageBox:
    """`icon` is one of ours, "" for none. Names of files, scenes and people in the words are never read as HTML: Qt
    would do so in the second text.
    """
    box = QMessageBox(QMessageBox.Icon.NoIcon, title, show_plainly(text), parent=parent)
    if icon:
        colour = theme.colours.warning if icon == "warning" else theme.colours.accent
        drawn = icons.pixmap(icon, round(SIGN * box.devicePixelRatioF()), colour).copy()  # theirs is shared
        drawn.setDevicePixelRatio(box.devicePixelRatioF())
        box.setIconPixmap(drawn)
    box.setInformativeText(show_plainly(more))
    for words in box.findChildren(QLabel):
        words.setTextFormat(Qt.TextFormat.PlainText)
    box.setTextFormat(Qt.TextFormat.PlainText)
    return box


def tell(parent: QWidget, title: str, text: str, more: str, trouble: bool = True) -> None:
    """Something to know now, with one button."""
    box = _make_box("warning" if trouble else "", parent, title, text, more)
    box.exec()
    box.deleteLater()


def _take_keys(dialog: QDialog) -> None:
    """Itself, not its button, which the second Return of a double press on what began this would press."""
    dialog.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
    dialog.setFocus()


def show_progress(parent: QWidget, words: str) -> QProgressDialog:
    """Appears where the work takes longer than half a second, and stays until it is deleted; of 1000."""
    dialog, bar = QProgressDialog("", "Cancel", 0, 1000, parent), QProgressBar()
    bar.setTextVisible(False)  # it is lower than its words would be
    for stop in dialog.findChildren(QPushButton):
        stop.setAutoDefault(False)
    dialog.setWindowTitle(as_title(words))
    dialog.setMinimumWidth(READING)
    dialog.setLabel(label(words))
    dialog.setBar(bar)
    _take_keys(dialog)
    dialog.setWindowModality(Qt.WindowModality.WindowModal)
    dialog.setMinimumDuration(500)
    dialog.setAutoReset(False)
    dialog.setAutoClose(False)
    return dialog


def ask(parent: QWidget, title: str, text: str, more: str, *ways: str) -> str:
    """Which of the buttons `ways` was pressed: the first is the main one, which Return does, the last what Esc does."""
    box = _make_box("question", parent, title, text, more)
    role = QMessageBox.ButtonRole
    roles = [role.AcceptRole, *[role.DestructiveRole] * (len(ways) - 2), role.RejectRole]
    buttons = [box.addButton(way, one) for way, one in zip(ways, roles, strict=True)]
    box.setDefaultButton(buttons[0])
    box.setEscapeButton(buttons[-1])
    box.exec()
    box.deleteLater()
    return next((way for way, one in zip(ways, buttons, strict=True) if one is box.clickedButton()), ways[-1])


def sure(parent: QWidget, title: str, text: str, more: str, go: str, stay: str = "Cancel") -> bool:
    """Whether the button `go` was pressed, by which something is lost: `stay` is the main one."""
    box = _make_box("question", parent, title, text, more)
    yes = box.addButton(go, QMessageBox.ButtonRole.DestructiveRole)
    box.setDefaultButton(box.addButton(stay, QMessageBox.ButtonRole.RejectRole))
    box.exec()
    box.deleteLater()
    return box.clickedButton() is yes


SHORT = QFileDialog.Option.HideNameFilterDetails  # what kinds are called: a dozen endings are wider than the dialog


def choose_file(parent: QWidget, words: str, filters: str) -> str:
    """Ask for a file to read; "" for none."""
    chosen = QFileDialog.getOpenFileName(parent, words, _find_beginning(), filters, options=SHORT)[0]
    _remember(chosen)
    return chosen


def choose_files(parent: QWidget, words: str, filters: str) -> list[str]:
    """Ask for files to read."""
    chosen = QFileDialog.getOpenFileNames(parent, words, _find_beginning(), filters, options=SHORT)[0]
    _remember(*chosen[:1])
    return chosen


def choose_folder(parent: QWidget, words: str) -> str:
    """Ask for a folder to read; "" for none."""
    chosen = QFileDialog.getExistingDirectory(parent, words, _find_beginning())
    _remember(chosen)
    return chosen


_lately = {"folder": ""}  # where the last file or folder was chosen


def _find_beginning() -> str:
    """There, or at home: told nothing, Qt begins where the program was started, which is often its own folder."""
    return _lately["folder"] if os.path.isdir(_lately["folder"]) else QDir.homePath()


def _remember(*chosen: str) -> None:
    _lately["folder"] = next((os.path.dirname(one) for one in chosen if one), _lately["folder"])
