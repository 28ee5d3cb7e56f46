"""The side of the panel view: what to draw from what, what it means in the story, and all about the take."""

from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtGui import QPixmap, QResizeEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QScrollArea, QStackedWidget, QTabBar, QVBoxLayout, QWidget

from ...base.words import say_count
from ...board.data import Picture
from ...board.seen import see
from ..document.document import Document
from ..document.forecast import PanelModel, find_model, forecast, obstacle
from ..document.panel_part import PanelPart
from ..kit.theme import GAP
from ..kit.widgets import describe, key_text, label, order_tabs, set_tone
from ..kit.words import in_window
from ..prompt.instruction_box import InstructionBox
from ..prompt.menu import attach_menus
from ..prompt.tray import ReferenceTray
from .fields import ShotFields, SourceBox
from .render_bar import RenderBar
from .render_settings import RenderSettings
from .take_details import TakeDetails

TABS = (
    ("Picture", "What the picture shows and what it is made from"),
    ("Shot", "Camera, action, dialogue, notes, duration"),
    ("Take", "What made the current take, and a note on it"),
)
MARGIN = 14
TALL = 1000  # pixels


class PanelSide(PanelPart, QFrame):
    """The fields of one panel. `model` is the model it is rendered with."""

    render_asked = Signal()

    def __init__(self, document: Document, parent: QWidget | None = None):
        super().__init__(parent)
        self.document, self.model = document, PanelModel()
        self.setObjectName("side")
        self._tall = False
        self._wanted: tuple[str | None, ...] | None = None  # what the model was found for
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 6, 0, 12)
        column.setSpacing(6)
        self.tabs, self.pages = QTabBar(), QStackedWidget()
        self.tabs.setDrawBase(False)
        self.tabs.setExpanding(False)
        self.tabs.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.tabs.setAccessibleName("Fields of the panel")
        top = QHBoxLayout()
        top.setContentsMargins(MARGIN - 8, 0, MARGIN, 0)
        top.addWidget(self.tabs)
        top.addStretch(1)
        column.addLayout(top)
        column.addWidget(self.pages, 1)
        self._build_picture()
        self.shot, self.take = ShotFields(document), TakeDetails(document)
        self._parts: tuple[PanelPart, ...] = (self.source, self.tray, self.settings, self.shot, self.take)
        for (name, hint), page in zip(TABS, (self.picture_page, self.shot, self.take), strict=True):
            self.tabs.setTabToolTip(self.tabs.addTab(name), hint)
            self._scroll(page)
        self.tabs.currentChanged.connect(self.pages.setCurrentIndex)
        self.render_bar = RenderBar()
        foot = QVBoxLayout()
        foot.setContentsMargins(MARGIN, 4, MARGIN, 0)
        foot.addWidget(self.render_bar)
        column.addLayout(foot)
        self._connect()

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
        column.setContentsMargins(MARGIN, 6, MARGIN, 6)
        column.addWidget(page)

    def _build_picture(self) -> None:
        self.picture_page = QWidget()
        column = QVBoxLayout(self.picture_page)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(GAP)
        self.source = SourceBox(self.document)
        self.text = InstructionBox(self._thumbnail)
        self.text_hint: QLabel = label(tone="muted")
        self.text_hint.setWordWrap(True)
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
        upper: tuple[QWidget, ...] = (self.source, self.text, self.text_hint)
        for part in upper:
            column.addWidget(part)
        column.addSpacing(GAP // 2)
        column.addLayout(heading)
        lower: tuple[QWidget, ...] = (self.tray, self.tray_told, self.settings)
        for part in lower:
            column.addWidget(part)
        column.addStretch(1)

    def _connect(self) -> None:
        self.text.edited.connect(self._write_prompt)
        self.settings.fold.toggled.connect(lambda on: QTimer.singleShot(0, self._show_settings) if on else None)
        self.text.render_asked.connect(self.render_asked)
        self.text.cursorPositionChanged.connect(self._show_text_hint)
        self.tray.mention_asked.connect(self._mention)
        self.tray.told.connect(self._tell)
        self.text.undo_asked.connect(self.document.undo)
        self.text.redo_asked.connect(self.document.redo)

    def _show_settings(self) -> None:
        """What was unfolded below the edge comes into view, with its heading on top where it is too high."""
        area = self.pages.currentWidget()
        if isinstance(area, QScrollArea) and not self._tall:
            area.ensureWidgetVisible(self.settings.seed, 0, 2 * GAP)
            area.ensureWidgetVisible(self.settings.fold, 0, 2 * GAP)

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
        self._refresh_text()
        self._refresh_foot()
        self._order()

    def _find_model(self) -> None:
        """Opening the model's folder takes some milliseconds: not for every letter that is typed."""
        wanted = (self.panel.settings.model, self.document.board.model, self.document.model)
        if wanted != self._wanted:
            self._wanted = wanted
            self.model = find_model(self.document.board, self.panel, self.document.model)
            self.settings.model = self.model
            self.tray.limit, self.tray.subject = self.model.limit, self.model.subject

    def _order(self) -> None:
        """Tab goes down the side as the eye does; tiles come later."""
        source, settings, bar = self.source, self.settings, self.render_bar
        order_tabs(
            self.tabs, source.box, source.remove_mask, self.text, *self.tray.controls(), *settings.controls(),
            bar.change, bar.anyway, bar.button, bar.counts, bar.live, bar.cancel,
        )  # fmt: skip

    def _refresh_text(self) -> None:
        panel, board = self.panel, self.document.board
        shown = see(board, panel)
        self.text.set_context(board, shown, panel.source.kind != "blank")
        self.text.set_text(getattr(panel, panel.words_field))
        self.tray_count.setText(f"{len(shown)} of {self.model.limit}" if self.model.spec else "")
        set_tone(self.tray_count, "danger" if len(shown) > self.model.limit else "muted")
        if len(shown) > self.model.limit:
            self._tell(self.tray.limit_message())
        elif self.tray_told.property("tone") == "danger":
            self._tell("")
        self._show_text_hint()

    def _refresh_foot(self) -> None:
        panel, document = self.panel, self.document
        self.render_bar.set_words(bool(panel.takes), panel.source.kind != "blank")
        refused = obstacle(document.board, panel, self.model, document.picture_path)
        if refused and self.text.highlighter.problem:
            refused = None  # a mention, perhaps half typed: the line under the text tells
        refusal = f"{refused.message} {in_window(refused.hint)}".strip() if refused else ""
        over = len(see(document.board, panel)) - self.model.limit
        if self.model.limit and over > 0:  # the line under the pictures says the rest
            refusal = f"{say_count(over, 'picture')} too many."
        needed = forecast(document.board, panel, self.model)
        self.render_bar.set_forecast(needed, refusal, mild=not panel.words.strip())

    def _show_text_hint(self) -> None:
        problem = self.text.problem
        self.text_hint.setText(problem or f"@ mentions a picture · {key_text('Ctrl+Return')} renders")
        set_tone(self.text_hint, "danger" if problem else "muted")

    def _thumbnail(self, picture: Picture, side: int) -> QPixmap:
        return self.document.pixmap(picture.sha256, 2 * side)

    def _write_prompt(self, prompt: str) -> None:
        field = self.panel.words_field
        self.change("Edit Instruction", f"{field} {self.panel_id}", **{field: prompt})

    def _mention(self, word: str) -> None:
        self.text.setFocus()
        self.text.mention(word)

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
