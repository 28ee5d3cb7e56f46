"""The side of the panel view: pictures to draw from, what it means in the story, and its takes."""

from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QScrollArea, QStackedWidget, QTabBar, QVBoxLayout, QWidget

from ...board.seen import see
from ..document.document import Document
from ..document.forecast import PanelModel, find_model
from ..document.panel_part import PanelPart
from ..kit.measures import GAP, MARGIN, TIGHT, WIDE
from ..kit.widgets import button, describe, icon_button, label, row, set_tone
from ..prompt.menu import attach_menus
from ..prompt.tray import ReferenceTray
from .fields import ShotFields
from .render_settings import RenderSettings
from .shares import Shares
from .take_details import TakeDetails
from .takes_tree import HEIGHT, LEAST, TakesTree

TABS = (
    ("Pictures", "What the model looks at, and how it paints"),
    ("Shot", "Description, camera, action, dialogue, notes, duration"),
    ("Take", "What made the current take, and a note on it"),
)
TALL = 1000  # pixels


class PanelSide(PanelPart, QFrame):
    """The fields of one panel. `model` is the model it is rendered with."""

    continue_asked = Signal()

    def __init__(self, document: Document, parent: QWidget | None = None):
        super().__init__(parent)
        self.document, self.model = document, PanelModel()
        self.setObjectName("side")
        self._tall = False
        self._wanted: tuple[str | None, ...] | None = None  # what the model was found for
        column = QVBoxLayout(self)
        column.setContentsMargins(0, GAP, 0, WIDE)
        column.setSpacing(GAP)
        self.tabs, self.pages = QTabBar(), QStackedWidget()
        self.tabs.setDrawBase(False)
        self.tabs.setExpanding(False)
        self.tabs.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.tabs.setAccessibleName("Fields of the panel")
        top = QHBoxLayout()
        top.setContentsMargins(MARGIN - WIDE, 0, MARGIN, 0)
        top.addWidget(self.tabs)
        top.addStretch(1)
        column.addLayout(top)
        column.addWidget(self.pages)
        self._build_picture()
        self.shot, self.take = ShotFields(document), TakeDetails(document)
        for (name, hint), page in zip(TABS, (self.picture_page, self.shot, self.take), strict=True):
            self.tabs.setTabToolTip(self.tabs.addTab(name), hint)
            self._scroll(page)
        self.tabs.currentChanged.connect(self.pages.setCurrentIndex)
        self._lower = self._build_takes()
        column.addLayout(self._lower, 1)
        self._shares = Shares(self, self.pages)
        self._parts: tuple[PanelPart, ...] = (self.tray, self.settings, self.shot, self.take, self.takes)
        self._connect()

    def _build_takes(self) -> QVBoxLayout:
        """The history of the picture, always in the same place, and on to the next panel."""
        self.takes = TakesTree(self.document)
        self.more = icon_button("More about this take", "more", "Star, compare, save, delete …", self._open_take_menu)
        self.takes_count = label(tone="muted")
        self.go_on = button("Continue in the Next Panel", self.continue_asked.emit, "continue")
        describe(self.go_on, "Continue in the next panel", "A panel behind this one that starts from this take")
        column = QVBoxLayout()
        column.setContentsMargins(MARGIN, TIGHT, MARGIN, 0)
        column.setSpacing(TIGHT)
        column.addLayout(row(label("Takes"), None, self.takes_count, self.more))
        column.addWidget(self.takes, 1)
        column.addSpacing(TIGHT)
        column.addWidget(self.go_on)
        return column

    def _open_take_menu(self) -> None:
        if branch := self.takes.branch():
            corner = self.more.mapToGlobal(self.more.rect().bottomLeft())
            self.takes.menu_for(branch.take).popup(corner)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """On a tall screen the settings are open from the start: there is room for them."""
        super().resizeEvent(event)
        if not self._tall and self.height() >= TALL:
            self._tall = True
            self.settings.fold.setChecked(True)

    def _scroll(self, page: QWidget) -> None:
        """One more page. From the outside in: a style sheet dresses all that is put into another widget once more."""
        area, inner = QScrollArea(), QWidget()
        area.setWidgetResizable(True)
        area.setFrameShape(QFrame.Shape.NoFrame)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        inner.setObjectName("plain")
        self.pages.addWidget(area)
        area.setWidget(inner)
        column = QVBoxLayout(inner)
        column.setContentsMargins(MARGIN, GAP, MARGIN, GAP)
        column.addWidget(page)

    def _build_picture(self) -> None:
        self.picture_page = QWidget()
        column = QVBoxLayout(self.picture_page)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(GAP)
        self.tray = ReferenceTray(self.document)
        attach_menus(self.tray)
        self.tray_title, self.tray_count = label("References"), label(tone="muted")
        describe(self.tray_title, "References", "Numbered as the model sees them")
        self.tray_told: QLabel = label(tone="muted")
        self.tray_told.setWordWrap(True)
        self.tray_told.hide()
        heading = QHBoxLayout()
        heading.addWidget(self.tray_title)
        heading.addStretch(1)
        heading.addWidget(self.tray_count)
        self.settings = RenderSettings(self.document)
        column.addLayout(heading)
        lower: tuple[QWidget, ...] = (self.tray, self.tray_told, self.settings)
        for part in lower:
            column.addWidget(part)
        column.addStretch(1)

    def _connect(self) -> None:
        self.settings.fold.toggled.connect(lambda on: QTimer.singleShot(0, self._show_settings) if on else None)
        self.tray.told.connect(self._tell)

    def _show_settings(self) -> None:
        """What was unfolded below the edge comes into view, with its heading on top where it is too high."""
        area = self.pages.currentWidget()
        if isinstance(area, QScrollArea) and not self._tall:
            area.ensureWidgetVisible(self.settings.seed, 0, 2 * GAP)
            area.ensureWidgetVisible(self.settings.fold, 0, TIGHT)  # more would show half of a letter above it

    def show_panel(self, panel_id: str) -> None:
        self.panel_id, self._wanted = panel_id, None
        self._find_model()
        for part in self._parts:
            part.show_panel(panel_id)
        self._refresh_rest()

    def refresh(self) -> None:
        self._find_model()
        for part in self._parts:
            part.refresh()
        self._refresh_rest()

    def _refresh_rest(self) -> None:
        takes = self.panel.takes
        self.takes_count.setText(str(len(takes)) if takes else "")
        self._share()
        for part in (self.go_on, self.more):
            part.setEnabled(bool(takes))
        count, limit = len(see(self.document.board, self.panel)), self.model.limit
        self.tray_count.setText(f"{count} of {limit}" if self.model.spec else "")
        set_tone(self.tray_count, "danger" if count > limit else "muted")
        if count > limit:
            self._tell(self.tray.limit_message())
        elif self.tray_told.property("tone") == "danger":
            self._tell("")

    def _share(self) -> None:
        """The takes need a row each, of which two are always there."""
        rest = WIDE + GAP + self._lower.minimumSize().height()
        needed = rest + HEIGHT * max(0, len(self.panel.takes) - LEAST)
        if needed != self._shares.takes:
            self._shares.takes = needed
            self._shares.share_soon()

    def _find_model(self) -> None:
        """Opening the model's folder takes some milliseconds: not for every letter that is typed."""
        wanted = (self.panel.settings.model, self.document.board.model, self.document.model)
        if wanted != self._wanted:
            self._wanted = wanted
            self.model = find_model(self.document.board, self.panel, self.document.model)
            self.settings.model = self.model
            self.tray.limit, self.tray.subject = self.model.limit, self.model.subject

    def controls(self) -> list[QWidget]:
        """What takes the keyboard, in its order; Qt's own is that of creation, and tiles come later."""
        return [self.tabs, *self.tray.controls(), *self.settings.controls(), self.more, self.takes, self.go_on]

    def _tell(self, text: str) -> None:
        over = bool(text) and len(see(self.document.board, self.panel)) > self.model.limit
        self.tray_told.setText(text)
        self.tray_told.setVisible(bool(text))
        set_tone(self.tray_told, "danger" if over else "warning")

    def open_settings(self) -> None:
        """Unfold the settings and put the keyboard on the size, which decides most about memory."""
        self.tabs.setCurrentIndex(0)
        self.settings.fold.setChecked(True)
        self.settings.size_box.setFocus(Qt.FocusReason.OtherFocusReason)
