"""Finds words that do not fit where they are shown: cut in the middle of a letter, or off the screen.

An ellipsis is no cut: what is left out is said. Asked in the program by probe.py.
"""

from collections.abc import Iterator
from itertools import combinations

from PySide6.QtCore import QRect, Qt
from PySide6.QtGui import QFontMetrics
from PySide6.QtWidgets import (
    QAbstractButton,
    QAbstractScrollArea,
    QAbstractSlider,
    QAbstractSpinBox,
    QApplication,
    QComboBox,
    QDialog,
    QHeaderView,
    QLabel,
    QLineEdit,
    QListView,
    QMenu,
    QMenuBar,
    QPlainTextEdit,
    QPushButton,
    QStyle,
    QStyleOptionComboBox,
    QTabBar,
    QToolButton,
    QWidget,
)

SLACK = 1  # px: metrics are rounded
WRAP = Qt.TextFlag.TextWordWrap


def find_cut(app: QApplication) -> list[str]:
    """One line for each text that can be seen only in part."""
    found: list[str] = []
    for top in app.topLevelWidgets():
        if top.isVisible():
            if isinstance(top, QDialog) and not top.screen().geometry().contains(top.frameGeometry()):
                found.append(f"{type(top).__name__} {top.windowTitle()!r}: {top.frameGeometry()} is off the screen")
            for one in [top, *top.findChildren(QWidget)]:
                if one.isVisible():
                    found += [f"{type(one).__name__} {text[:60]!r}: {what}" for text, what in look_at(one)]
                    found += overlaps(one)
    return found


SOLID = (QAbstractButton, QLabel, QComboBox, QLineEdit, QAbstractSlider, QAbstractSpinBox)


def overlaps(parent: QWidget) -> Iterator[str]:
    """Controls and words beside each other that lie on each other."""
    parts = [one for one in parent.children() if isinstance(one, SOLID) and one.isVisible()]
    for one, other in combinations(parts, 2):
        shared = one.geometry().intersected(other.geometry())
        if shared.width() > SLACK and shared.height() > SLACK:
            yield f"{name_of(one)!r} and {name_of(other)!r} lie on each other by {shared.width()}x{shared.height()}"


def name_of(widget: QWidget) -> str:
    return widget.accessibleName() or words_of(widget)[:40] or type(widget).__name__


def look_at(widget: QWidget) -> Iterator[tuple[str, str]]:
    for text, needed, room in measure(widget):
        if needed[0] > room[0] + SLACK or needed[1] > room[1] + SLACK:
            yield text, f"needs {needed[0]}x{needed[1]}, has {room[0]}x{room[1]}"
    words = words_of(widget)
    if words and (gone := clipped(widget)):
        yield words, gone
    if isinstance(widget, QTabBar):
        yield from tabs(widget)
    if isinstance(widget, QMenu | QMenuBar) or (isinstance(widget, QListView) and is_popup(widget)):
        yield from rows(widget)


def words_of(widget: QWidget) -> str:
    if isinstance(widget, QLabel | QAbstractButton):
        return widget.text()
    if isinstance(widget, QComboBox):
        return widget.currentText()
    return widget.accessibleName() if isinstance(widget, QLineEdit | QPlainTextEdit) else ""


Size = tuple[int, int]


def measure(widget: QWidget) -> Iterator[tuple[str, Size, Size]]:
    """Text, the size it needs, the size it has."""
    metrics, elides = widget.fontMetrics(), getattr(widget, "elides", False)
    elides = elides or widget.objectName() == "lookInCombo"  # of Qt's dialog for files: a path, elided in its middle
    if isinstance(widget, QLabel) and widget.text() and not elides:
        yield measure_label(widget)
    elif isinstance(widget, QComboBox) and not widget.isEditable() and not elides:
        option = QStyleOptionComboBox()
        widget.initStyleOption(option)
        field = QStyle.SubControl.SC_ComboBoxEditField
        room = widget.style().subControlRect(QStyle.ComplexControl.CC_ComboBox, option, field, widget)
        yield widget.currentText(), (metrics.horizontalAdvance(widget.currentText()), 1), (room.width(), room.height())
    elif isinstance(widget, QAbstractButton) and widget.text() and not elides:
        yield measure_button(widget)
    elif isinstance(widget, QLineEdit) and not widget.hasFocus() and not elides:
        text = widget.displayText() or widget.placeholderText()
        yield text, (metrics.horizontalAdvance(text), 1), (widget.contentsRect().width(), widget.height())
    elif isinstance(widget, QHeaderView) and widget.orientation() == Qt.Orientation.Horizontal:
        for place in (one for one in range(widget.count()) if not widget.isSectionHidden(one)):
            text = str(widget.model().headerData(place, widget.orientation()) or "")
            needed = header_metrics(widget).horizontalAdvance(text)
            yield text, (needed, 1), (widget.sectionSize(place), widget.height())


def header_metrics(header: QHeaderView) -> QFontMetrics:
    """The style paints them bold, which the widget's own font doesn't know."""
    font = header.font()
    font.setBold(True)
    return QFontMetrics(font)


def measure_label(label: QLabel) -> tuple[str, Size, Size]:
    margin = 2 * label.margin()
    room = label.contentsRect()
    width, height = room.width() - margin, room.height() - margin
    keys = Qt.TextFlag.TextShowMnemonic if label.buddy() else Qt.TextFlag(0)
    if label.wordWrap():
        needed = label.fontMetrics().boundingRect(QRect(0, 0, width, 10**6), WRAP | keys, label.text())
    else:
        needed = label.fontMetrics().boundingRect(QRect(0, 0, 10**6, 10**6), keys, label.text())
    return label.text(), (needed.width(), needed.height()), (width, height)


def measure_button(button: QAbstractButton) -> tuple[str, Size, Size]:
    text = button.text().replace("&", "")
    needed = button.fontMetrics().size(Qt.TextFlag.TextShowMnemonic, button.text())
    icon = 0 if button.icon().isNull() else button.iconSize().width() + 4
    room = button.contentsRect()
    if isinstance(button, QPushButton):  # the style knows its padding and its weight while it is pressed
        return text, (button.sizeHint().width(), needed.height()), (button.width(), room.height())
    if isinstance(button, QToolButton):
        if button.toolButtonStyle() == Qt.ToolButtonStyle.ToolButtonIconOnly:
            return text, (0, 0), (0, 0)
        if button.toolButtonStyle() == Qt.ToolButtonStyle.ToolButtonTextUnderIcon:
            icon = 0
    else:
        icon = max(0, button.sizeHint().width() - needed.width())
    return text, (needed.width() + icon, needed.height()), (room.width(), room.height())


def clipped(widget: QWidget) -> str:
    """What of it lies outside of something that it can't be scrolled in; "" for nothing."""
    rect, inside = QRect(widget.rect()), widget
    while not inside.isWindow():
        parent = inside.parentWidget()
        rect.translate(inside.pos())
        scrolls = isinstance(parent.parentWidget(), QAbstractScrollArea)
        if scrolls:
            area = parent.parentWidget()
            if rect.right() > parent.width() + SLACK and not area.horizontalScrollBar().isVisible():
                return f"{rect.right() - parent.width()} px are cut at the right of what scrolls"
            return ""
        if not parent.rect().adjusted(-SLACK, -SLACK, SLACK, SLACK).contains(rect):
            return f"stands out of its {type(parent).__name__} {parent.accessibleName() or parent.objectName()!r}"
        inside = parent
    screen = inside.screen().geometry()
    rect.translate(inside.geometry().topLeft())
    return "" if screen.contains(rect) else "stands off the screen"


def tabs(bar: QTabBar) -> Iterator[tuple[str, str]]:
    for place in range(bar.count()):
        needed, rect = bar.fontMetrics().horizontalAdvance(bar.tabText(place)), bar.tabRect(place)
        if needed > rect.width() or not bar.rect().contains(rect):
            yield bar.tabText(place), f"a tab of {rect.width()} for {needed} px, or out of its bar"


def is_popup(view: QListView) -> bool:
    """The rows of a combo box, or of what can be completed."""
    return view.objectName() == "popup" or isinstance(view.window().parentWidget(), QComboBox)


def rows(popup: QWidget) -> Iterator[tuple[str, str]]:
    """Rows that a popup hides."""
    if isinstance(popup, QListView):
        model = popup.model()
        for row in range(model.rowCount()):
            rect, words = popup.visualRect(model.index(row, 0)), str(model.index(row, 0).data())
            if popup.sizeHintForIndex(model.index(row, 0)).width() > popup.viewport().width() + SLACK:
                yield words, f"a row of {popup.sizeHintForIndex(model.index(row, 0)).width()} px in a narrower popup"
            if not popup.viewport().rect().contains(rect) and not popup.verticalScrollBar().isVisible():
                yield words, "a row that the popup hides"
        place = popup.window().geometry() if popup.objectName() != "popup" else None
        if place and not popup.screen().geometry().contains(place):
            yield popup.accessibleName(), "stands off the screen"
        return
    for action in popup.actions():
        rect = popup.actionGeometry(action)
        if action.isVisible() and not popup.rect().contains(rect) and not action.isSeparator():
            yield action.text(), "an entry that the menu hides"
    place = popup.geometry().translated(popup.mapToGlobal(popup.rect().topLeft()) - popup.geometry().topLeft())
    if not popup.screen().geometry().contains(place):
        yield popup.accessibleName() or type(popup).__name__, "stands off the screen"
