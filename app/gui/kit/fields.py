"""Number fields whose lowest value means "the model's own", and rows of a form."""

from collections.abc import Callable

from PySide6.QtCore import QEvent, QSignalBlocker, Qt, Signal
from PySide6.QtGui import QHelpEvent, QPaintEvent, QWheelEvent
from PySide6.QtWidgets import (
    QComboBox,
    QDoubleSpinBox,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QSlider,
    QSpinBox,
    QStyle,
    QStyleOptionComboBox,
    QStylePainter,
    QToolTip,
    QWidget,
)

from .measures import GAP, HAIR, TIGHT
from .widgets import as_tip, describe, label

MOST_ROWS = 16
LABEL_WIDTH, LABEL_HEIGHT = 84, 30


class WholeField(QSpinBox):
    """A wheel that turns over it scrolls the page behind it."""

    def __init__(self) -> None:
        super().__init__()
        self.lineEdit().setTextMargins(TIGHT + HAIR, 0, 0, 0)  # as far in as the words of other fields

    def wheelEvent(self, event: QWheelEvent) -> None:
        event.ignore()


class FractionField(QDoubleSpinBox):
    """A wheel that turns over it scrolls the page behind it."""

    def __init__(self) -> None:
        super().__init__()
        self.lineEdit().setTextMargins(TIGHT + HAIR, 0, 0, 0)  # as far in as the words of other fields

    def wheelEvent(self, event: QWheelEvent) -> None:
        event.ignore()


class ChoiceField(QComboBox):
    """Its list shows all rows, each whole; where the field itself is too narrow, an ellipsis says so.

    A wheel that turns over it scrolls the page behind it.
    """

    elides = True

    def showPopup(self) -> None:
        self.setMaxVisibleItems(min(MOST_ROWS, max(1, self.count())))
        view = self.view()
        bar = view.verticalScrollBar().sizeHint().width() if self.count() > MOST_ROWS else 0
        view.setMinimumWidth(view.sizeHintForColumn(0) + bar + 2 * view.frameWidth())
        super().showPopup()

    def paintEvent(self, event: QPaintEvent) -> None:
        if self.isEditable():
            super().paintEvent(event)
            return
        option = QStyleOptionComboBox()
        self.initStyleOption(option)
        option.currentText = self._elide(option)
        painter = QStylePainter(self)
        painter.drawComplexControl(QStyle.ComplexControl.CC_ComboBox, option)
        painter.drawControl(QStyle.ControlElement.CE_ComboBoxLabel, option)

    def event(self, event: QEvent) -> bool:
        """The hint says it all where there is an ellipsis."""
        if isinstance(event, QHelpEvent) and event.type() == QEvent.Type.ToolTip and self._is_cut():
            QToolTip.showText(event.globalPos(), as_tip(f"{self.currentText()}\n{self.toolTip()}".strip()), self)
            return True
        return super().event(event)

    def _is_cut(self) -> bool:
        option = QStyleOptionComboBox()
        self.initStyleOption(option)
        return self._elide(option) != self.currentText()

    def _elide(self, option: QStyleOptionComboBox) -> str:
        field = QStyle.SubControl.SC_ComboBoxEditField
        room = self.style().subControlRect(QStyle.ComplexControl.CC_ComboBox, option, field, self).width() - 2
        room -= 0 if option.currentIcon.isNull() else option.iconSize.width() + 4
        return self.fontMetrics().elidedText(self.currentText(), Qt.TextElideMode.ElideRight, room)

    def wheelEvent(self, event: QWheelEvent) -> None:
        event.ignore()


class StrengthField(QWidget):
    """A slider with its number, -1 to 2; `chosen` comes for what a person does."""

    chosen = Signal(float)
    LOWEST, HIGHEST, STEPS = -1.0, 2.0, 20  # steps of 1

    def __init__(self, name: str):
        super().__init__()
        self.slider, self.number = QSlider(Qt.Orientation.Horizontal), FractionField()
        self.slider.setRange(round(self.LOWEST * self.STEPS), round(self.HIGHEST * self.STEPS))
        self.slider.setPageStep(self.STEPS // 4)
        self.slider.setMinimumWidth(90)
        self.number.setRange(-20.0, 20.0)
        self.number.setSingleStep(1 / self.STEPS)
        self.number.setKeyboardTracking(False)
        self.number.setFixedWidth(92)
        hint = "0 is off, 1 as it was made; less than 0 does the opposite"
        describe(self.slider, name, hint)
        _suit_number(self.number, f"{name}, as a number", hint)
        self.slider.valueChanged.connect(lambda steps: self._choose(steps / self.STEPS))
        self.number.valueChanged.connect(lambda value: self._choose(round(value, 4)))
        box = QHBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(GAP)
        box.addWidget(self.slider, 1)
        box.addWidget(self.number)

    def show_value(self, strength: float) -> None:
        """Of the board: tells nobody."""
        with QSignalBlocker(self.slider), QSignalBlocker(self.number):
            self.slider.setValue(round(strength * self.STEPS))
            self.number.setValue(strength)

    def _choose(self, strength: float) -> None:
        self.show_value(strength)
        self.chosen.emit(strength)


def whole(name: str, hint: str, highest: int, act: Callable[[int | None], None]) -> QSpinBox:
    """0 stands for None."""
    box = WholeField()
    box.setRange(0, highest)
    box.setKeyboardTracking(False)
    box.valueChanged.connect(lambda value: act(value or None))
    _suit_number(box, name, hint)
    return box


def fraction(name: str, hint: str, highest: float, step: float, act: Callable[[float | None], None]) -> QDoubleSpinBox:
    """The lowest value, one step below 0, stands for None."""
    box = FractionField()
    box.setRange(-step, highest)
    box.setSingleStep(step)
    box.setKeyboardTracking(False)
    box.valueChanged.connect(lambda value: act(None if value < -step / 2 else round(value, 4)))
    _suit_number(box, name, hint)
    return box


def _suit_number(box: QSpinBox | QDoubleSpinBox, name: str, hint: str) -> None:
    describe(box, name, hint)
    box.setFocusPolicy(Qt.FocusPolicy.StrongFocus)  # a wheel over a field that was not clicked scrolls the page


def show_number(box: QSpinBox | QDoubleSpinBox, value: float | None, own: str) -> None:
    """`value`, or for None the words `own`."""
    with QSignalBlocker(box):
        box.setSpecialValueText(own)
        shown = box.minimum() if value is None else value
        if isinstance(box, QSpinBox):
            box.setValue(round(shown))
        else:
            box.setValue(shown)


def choice(name: str, hint: str, act: Callable[[int], None]) -> ChoiceField:
    """A list to choose from; `act` gets the row that the user chose."""
    box = ChoiceField()
    box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
    box.setMinimumContentsLength(6)
    describe(box, name, hint)
    box.activated.connect(act)
    return box


def form() -> QFormLayout:
    """Labels on the left, fields as wide as there is room."""
    layout = QFormLayout()
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setVerticalSpacing(GAP)
    layout.setHorizontalSpacing(GAP)
    layout.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
    layout.setLabelAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
    return layout


def add_row(layout: QFormLayout, text: str, field: QWidget | QHBoxLayout, buddy: QWidget | None = None) -> QLabel:
    """A label with its field; all labels are equally wide."""
    words = label(text, "muted")
    words.setMinimumSize(LABEL_WIDTH, LABEL_HEIGHT)
    target = buddy or field
    if isinstance(target, QWidget):
        words.setBuddy(target)
    layout.addRow(words, field)
    return words
