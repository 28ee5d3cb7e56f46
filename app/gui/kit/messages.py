"""Messages at the foot of the window: what happened and what to do. They never block, never pile up and cover nothing:
where a canvas has to keep its size, one stands as a line in a row of the page that is free.
"""

import os
from collections.abc import Callable, Container
from functools import partial

from PySide6.QtCore import QDir, QEvent, QObject, QPoint, Qt, Signal
from PySide6.QtGui import QAccessible, QAccessibleEvent, QResizeEvent
from PySide6.QtWidgets import (
    QApplication,
    QDialog,
    QFileDialog,
    QFrame,
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

from ...base.words import let_break, say_count, show_plainly
from . import icons
from .dialog import fill_dialog
from .measures import GAP, MARGIN, TALL_ROW
from .message import Message, Offer
from .theme import theme
from .widgets import as_title, button, icon_button, label, row
from .words import in_window

SIGN = 40  # px of the sign beside a question
MOST = 4  # messages at once, besides those that last
READING = 340  # px: width of what says how far something is
LINE = 240  # px: a line that is shorter tells nothing
SHARE = 0.3  # of the window's height


class Follower(QObject):
    """Does something whenever what it watches has another place or size, comes or goes."""

    TOLD = (QEvent.Type.Resize, QEvent.Type.Move, QEvent.Type.Show, QEvent.Type.Hide)

    def __init__(self, parent: QObject, act: Callable[[], None]):
        super().__init__(parent)
        self._act = act

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() in self.TOLD:
            self._act()
        return False


class Toasts(QScrollArea):
    """The latest messages below the page, newest on top; the same one twice is one.

    A message goes after the time it takes to read it, or when it is dropped: a lasting one only then. Where there is
    room for one line alone, all that it does not tell is `folded`, a button that shows it.
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
        """Below the page, or where that may not be resized in its row `spare`, which has room for a line."""
        spare: QWidget | None = getattr(page, "spare", None)
        self.folded.setChecked(False)
        if spare is self._over:
            return
        for part in _list_around(self._over):
            part.removeEventFilter(self._follower)
        self._over = spare
        for part in _list_around(spare):
            part.installEventFilter(self._follower)
        if spare:
            below.removeWidget(self)
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

    def _find_line(self) -> Message | None:
        """The one that is told in the row that is free: the newest that isn't read yet."""
        over = self._over
        if over is None or over.width() < LINE or not over.isVisibleTo(over.window()):
            return None
        return next((one for one in self.shown if not (one.lasting and one.was_read)), None)

    def _fold(self) -> bool:
        """Show what may be seen here; whether that is one line."""
        line, asked = self._find_line(), self.folded.isChecked()
        short = bool(self._over) and not asked
        for one in self.shown:
            one.shorten(short)
            one.setVisible(not short or one is line)
        told = line if short and self._over and line and line.fits(self._over.width()) else None
        folded = sum(one is not told for one in self.shown) if self._over else 0
        self.folded.setVisible(folded > 0)
        self.folded.setText(say_count(folded, "notice"))
        self.setVisible(bool(self.shown) and not (short and line is None))
        return short

    def _fit(self) -> None:
        """As high as the messages, up to a share of the window: then they scroll."""
        if not self.shown:
            self.folded.setChecked(False)
        short, window = self._fold(), self.parentWidget()
        self._column.setContentsMargins(*(0, 0, 0, 0) if short else (MARGIN, GAP, MARGIN, GAP))
        if self._over and window:
            place = self._over if short else self._over.parentWidget() or self._over
            self.resize(place.width(), self.height())
            self.move(place.mapTo(window, QPoint()))
            self.raise_()
        width = self.viewport().width()
        for layout in (one.layout() for one in self.shown):
            if layout:
                layout.invalidate()  # it was measured before its labels had their letters
        needed = TALL_ROW if short else self._column.totalHeightForWidth(width)
        needed = 0 if self.isHidden() else needed
        self.setFixedHeight(min(needed, round(SHARE * window.height())) if window else needed)


def _list_around(part: QWidget | None) -> list[QWidget]:
    """Itself and all that it lies in: where one of them moves, it does."""
    return [part, *_list_around(part.parentWidget())] if part and not part.isWindow() else []


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
    box = QMessageBox(QMessageBox.Icon.NoIcon, title, let_break(show_plainly(text)), parent=parent)
    if icon:
        colour = theme.colours.warning if icon == "warning" else theme.colours.accent
        drawn = icons.pixmap(icon, round(SIGN * box.devicePixelRatioF()), colour).copy()  # theirs is shared
        drawn.setDevicePixelRatio(box.devicePixelRatioF())
        box.setIconPixmap(drawn)
    box.setInformativeText(let_break(show_plainly(more)))
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
