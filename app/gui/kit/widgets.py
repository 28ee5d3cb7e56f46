"""Small pieces that several views are made of: labels, buttons with icons, empty states."""

import html
from collections.abc import Callable, Iterable
from itertools import pairwise
from typing import Any

from PySide6.QtCore import (
    QEvent,
    QObject,
    QPoint,
    QRect,
    QRectF,
    QSize,
    Qt,
    QTimer,
)
from PySide6.QtGui import QKeyEvent, QKeySequence, QMouseEvent, QPainter, QPaintEvent, QPalette, QShowEvent
from PySide6.QtGui import Qt as RichText  # the same, with what its text knows
from PySide6.QtWidgets import (
    QAbstractButton,
    QAbstractItemView,
    QAbstractScrollArea,
    QFrame,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QScrollArea,
    QStackedWidget,
    QStyle,
    QStyleOptionFrame,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from ...base.words import show_plainly
from . import icons
from .measures import BAR, GAP, MARGIN, WIDE
from .theme import theme


class Plain(QLabel):
    """Whatever it says, from whatever file: never HTML, and marks that nobody sees are seen."""

    def __init__(self, text: str = "", tone: str = "", name: str = ""):
        super().__init__()
        self.setTextFormat(Qt.TextFormat.PlainText)
        if tone:
            self.setProperty("tone", tone)
        if name:
            self.setObjectName(name)
        self.setText(text)

    def setText(self, text: str) -> None:
        super().setText(show_plainly(text))


def label(text: str = "", tone: str = "", name: str = "", wrap: bool = False) -> QLabel:
    """`tone` is muted, danger, warning, good or badge; `name` heading or subheading."""
    made = Plain(text, tone, name)
    made.setWordWrap(wrap)
    return made


def draw_words(painter: QPainter, rect: QRect | QRectF, flags: Any, text: str) -> None:
    """As a label shows them; `flags` are an alignment and how lines break."""
    painter.drawText(rect, int(flags), show_plainly(text))


def as_line(text: str) -> str:
    """Words of a file where one line of them is shown: a list, a title."""
    return show_plainly(text, lines=False)


def as_action(text: str) -> str:
    """The same on a button or in a menu, where & marks a key."""
    return as_line(text).replace("&", "&&")


def as_title(text: str) -> str:
    """The same in a window's title, where [*] stands for the mark of changes."""
    return as_line(text).replace("[*]", "[*][*]")


def scroll_column(name: str, spacing: int) -> tuple[QScrollArea, QVBoxLayout]:
    """What a page lists below each other, and the layout that takes it."""
    inside = QWidget()
    inside.setObjectName("plain")
    column = QVBoxLayout(inside)
    column.setContentsMargins(MARGIN, MARGIN, MARGIN, MARGIN)
    column.setSpacing(spacing)
    area = QScrollArea()
    area.setWidgetResizable(True)
    area.setWidget(inside)
    area.setAccessibleName(name)
    return area, column


def fill_page(page: QWidget, top: QWidget, body: QWidget) -> None:
    """A page: its bar above, the rest below."""
    box = QVBoxLayout(page)
    box.setContentsMargins(0, 0, 0, 0)
    box.setSpacing(0)
    box.addWidget(top)
    box.addWidget(body, 1)


def order_tabs(*stops: QWidget) -> None:
    """Tab goes through them in this order; Qt's own order is that of creation."""
    for before, after in pairwise(stops):
        QWidget.setTabOrder(before, after)


def leave_keys(tools: QWidget) -> None:
    """A click on one of the `tools` leaves the keys to what they work on; Tab still comes to them."""
    for one in tools.findChildren(QAbstractButton):
        one.setFocusPolicy(Qt.FocusPolicy.TabFocus)


def focus_main(page: QWidget) -> None:
    """The keys go to what a page is about: its list, or what an empty one offers, not to what comes next or to a list
    of places beside it, which is narrow."""
    found: list[QWidget] = []
    for one in page.findChildren(QWidget):
        main = one.focusProxy() if isinstance(one, Empty) else one if isinstance(one, QAbstractScrollArea) else None
        if main and one.isVisibleTo(page) and main.focusPolicy() & Qt.FocusPolicy.TabFocus:
            found.append(main)
    place = lambda one: (2 * one.width() < page.width(), one.mapTo(page, QPoint()).x())  # noqa: E731
    min(found, key=place, default=page).setFocus()


FEW = 10  # letters that say nothing, such as "INT. …"
LEAST = 24  # px: of a text that gives way to its neighbours
PLAIN = (Qt.KeyboardModifier.NoModifier, Qt.KeyboardModifier.KeypadModifier)


class OneLine(Plain):
    """Text of any length in the room that there is: an ellipsis says that there is more, the hint says it all."""

    elides = True

    def setText(self, text: str) -> None:
        super().setText(text)
        self.setToolTip(as_tip(text))

    def minimumSizeHint(self) -> QSize:
        return QSize(min(LEAST, super().minimumSizeHint().width()), super().minimumSizeHint().height())

    def paintEvent(self, event: QPaintEvent) -> None:
        room = self.contentsRect()
        text = self.fontMetrics().elidedText(self.text(), Qt.TextElideMode.ElideRight, room.width())
        if text != self.text() and len(text) < FEW:
            return
        painter, role = QPainter(self), QPalette.ColorRole.WindowText
        self.style().drawItemText(painter, room, self.alignment(), self.palette(), self.isEnabled(), text, role)


class OneLineEdit(QLineEdit):
    """While it isn't written in, it shows how its text begins, with an ellipsis where there is more."""

    elides = True

    def paintEvent(self, event: QPaintEvent) -> None:
        option = QStyleOptionFrame()
        self.initStyleOption(option)
        room = self.style().subElementRect(QStyle.SubElement.SE_LineEditContents, option, self).adjusted(2, 0, -2, 0)
        text = self.fontMetrics().elidedText(self.text(), Qt.TextElideMode.ElideRight, room.width())
        if self.hasFocus() or text == self.text():
            super().paintEvent(event)
            return
        painter = QPainter(self)
        self.style().drawPrimitive(QStyle.PrimitiveElement.PE_PanelLineEdit, option, painter, self)
        where = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
        role = QPalette.ColorRole.Text
        self.style().drawItemText(painter, room, where, self.palette(), self.isEnabled(), text, role)


class LeftButton(QObject):
    """Keeps the other buttons from choosing anything in a list: what they do, a menu says."""

    MOUSE = (QEvent.Type.MouseButtonPress, QEvent.Type.MouseButtonRelease, QEvent.Type.MouseButtonDblClick)

    def __init__(self, view: QAbstractItemView):
        super().__init__(view)
        view.viewport().installEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        return isinstance(event, QMouseEvent) and event.type() in self.MOUSE and event.button() != LEFT


LEFT = Qt.MouseButton.LeftButton


def set_tone(target: QWidget, tone: str) -> None:
    """Change the tone of something that is shown already."""
    if target.property("tone") != tone:
        target.setProperty("tone", tone)
        target.style().unpolish(target)
        target.style().polish(target)


class PushButton(QPushButton):
    """Return presses it as Space does: in a window Qt's own does nothing then, in a dialog another one is pressed."""

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if not _press(self, event):
            super().keyPressEvent(event)


class ToolButton(QToolButton):
    """Return presses it as Space does."""

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if not _press(self, event):
            super().keyPressEvent(event)


def _press(target: QAbstractButton, event: QKeyEvent) -> bool:
    returned = event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and event.modifiers() in PLAIN
    if returned and not event.isAutoRepeat():
        target.click()
    return returned


def button(text: str, act: Callable[[], object], icon: str = "", kind: str = "") -> QPushButton:
    """`kind` is primary, quiet or nothing."""
    made = PushButton(text)
    if kind:
        made.setProperty("kind", kind)
    if icon:
        icons.dress(made, icon, "primary" if kind == "primary" else "normal")
    made.setAccessibleName(text.replace("&", ""))
    made.setAutoDefault(False)
    made.clicked.connect(lambda *_: act())
    return made


def icon_button(
    name: str,
    icon: str,
    hint: str = "",
    act: Callable[[], object] | None = None,
    checkable: bool = False,
    side: int = 18,
) -> QToolButton:
    """A flat button without words; `name` is its accessible name and the start of its hint, `act` what a click does.

    `side` of the icon in px: set later, it would be drawn so only at the next change of theme.
    """
    made = ToolButton()
    made.setIconSize(QSize(side, side))
    made.setCheckable(checkable)
    made.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
    describe(made, name, hint)
    icons.dress(made, icon)
    if act:
        made.clicked.connect(lambda *_: act())
    return made


def describe(widget: QWidget, name: str, hint: str = "") -> None:
    """Name a control for screen readers; the hint shows on hover and is read as its description."""
    widget.setAccessibleName(name)
    widget.setAccessibleDescription(hint)
    widget.setToolTip(as_tip(f"{name}\n{hint}" if hint else name))


def as_tip(text: str) -> str:
    """Words as a hint may have them: Qt takes a name such as <b>x</b>, or a picture to load, for HTML."""
    shown = show_plainly(text)
    if not RichText.mightBeRichText(shown):
        return shown
    return f'<p style="white-space: pre-wrap">{html.escape(shown)}</p>'


def row(*widgets: QWidget | int | None, spacing: int = 8) -> QHBoxLayout:
    """Widgets beside each other; None is a stretch, a number a gap."""
    box = QHBoxLayout()
    box.setSpacing(spacing)
    for widget in widgets:
        if widget is None:
            box.addStretch(1)
        elif isinstance(widget, int):
            box.addSpacing(widget)
        else:
            box.addWidget(widget)
    return box


def bar(*widgets: QWidget | int | None) -> QFrame:
    """The strip at the top of a view."""
    frame = QFrame()
    frame.setObjectName("bar")
    box = row(*widgets)
    box.setContentsMargins(MARGIN, WIDE, MARGIN, WIDE)
    frame.setLayout(box)
    frame.setFixedHeight(BAR)
    return frame


READABLE = 440  # px: of words in the middle of a page


class Empty(QWidget):
    """What a view shows while there is nothing: what it is for, and what to do."""

    def __init__(self, icon: str, title: str, text: str, *buttons: QPushButton):
        super().__init__()
        self._icon, self._name = label(), icon
        self._icon.setAlignment(Qt.AlignmentFlag.AlignCenter)
        heading, words = label(title, name="subheading"), label(text, "muted", wrap=True)
        heading.setAlignment(Qt.AlignmentFlag.AlignCenter)
        words.setAlignment(Qt.AlignmentFlag.AlignCenter)
        words.setFixedWidth(READABLE)
        self._words = words
        box = QVBoxLayout(self)
        box.setSpacing(WIDE)
        box.addStretch(2)
        box.addWidget(self._icon)
        box.addWidget(heading)
        box.addWidget(words, 0, Qt.AlignmentFlag.AlignHCenter)
        if buttons:
            self.setFocusProxy(buttons[0])
            box.addSpacing(GAP)
            box.addLayout(row(None, *buttons, None))
        box.addStretch(3)
        theme.changed.connect(self._dress)
        self._dress()

    def showEvent(self, event: QShowEvent) -> None:
        """A wrapped label in the middle of a layout does not ask for its height."""
        super().showEvent(event)
        self._words.setFixedHeight(self._words.heightForWidth(READABLE))

    def _dress(self) -> None:
        drawn = icons.pixmap(self._name, 96, theme.colours.muted)
        drawn.setDevicePixelRatio(2)
        self._icon.setPixmap(drawn)


def key_text(keys: str) -> str:
    """A key as this system writes it: Ctrl+Return is shown as the Command sign on a Mac."""
    return QKeySequence(keys).toString(QKeySequence.SequenceFormat.NativeText)


def wins_over_menus(event: QEvent, keys: Iterable[int] = (), standard: Iterable[QKeySequence.StandardKey] = ()) -> bool:
    """Whether a widget keeps a key that the window's menus also know: Delete here must not delete the panel there.

    To be asked first in the widget's event(); accepts the event where it is so.
    """
    if event.type() != QEvent.Type.ShortcutOverride or not isinstance(event, QKeyEvent):
        return False
    if event.key() in keys or any(event.matches(one) for one in standard):
        event.accept()
        return True
    return False


SETTLES = 1000  # ms after which a press is none that was meant for the page before


class Pages(QStackedWidget):
    """One page of many. The second press of a double click whose first one brought another page does nothing there:
    it was meant for what stood here before.
    """

    def __init__(self, parent: QWidget | None = None):
        super().__init__(parent)
        self._eaten = False
        self._watched: QObject = self
        self._settled = QTimer(self, singleShot=True, interval=SETTLES)
        self._settled.timeout.connect(self._end)
        self.currentChanged.connect(self._begin)

    def _begin(self) -> None:
        """What comes from the mouse goes through the window's handle; through the application come all events of all
        widgets, a thousand while a page is shown.
        """
        self._eaten = False
        self._settled.start()
        self._watched = self.window().windowHandle() or self
        self._watched.installEventFilter(self)

    def _end(self) -> None:
        self._settled.stop()
        self._watched.removeEventFilter(self)

    def eventFilter(self, _: QObject, event: QEvent) -> bool:
        kind = event.type()
        if kind == QEvent.Type.MouseButtonDblClick:
            self._eaten = True
            return True
        if kind == QEvent.Type.MouseButtonPress or (kind == QEvent.Type.MouseButtonRelease and self._eaten):
            self._end()
        return self._eaten and kind == QEvent.Type.MouseButtonRelease
