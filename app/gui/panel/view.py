"""The panel view: one panel's picture, large, and everything that makes it."""

from collections.abc import Iterator

from msgspec.structs import replace
from PySide6.QtCore import QMimeData, Qt, Signal
from PySide6.QtGui import QHideEvent, QKeyEvent, QKeySequence, QResizeEvent, QShortcut, QShowEvent
from PySide6.QtWidgets import QHBoxLayout, QSizePolicy, QVBoxLayout, QWidget

from ...board.data import Board, Panel, find_id, numbers
from ...board.panel_job import panel_job, resolve
from ...board.seen import source_picture
from ...engine import jobs
from ..document.document import Document
from ..document.live import Live, Made
from ..document.panel_part import PanelPart
from ..document.picture_drag import pictures_in
from ..kit.measures import GAP, HAIR, TIGHT
from ..kit.widgets import OneLine, icon_button, key_text, label, order_tabs
from ..kit.words import in_window
from .canvas_menu import Parts, open_menu
from .edit_bar import EditBar
from .render_bar import RenderBar, words_of
from .side import PanelSide
from .stage import LAYERS, PanelStage, invitation
from .take_commands import TakeCommands
from .takes_tree import TakesTree

SIDE = (348, 0.24, 460)  # width of the side: least, share of the window, most


class PanelView(PanelPart, QWidget):
    """Shows one panel of the document at a time."""

    closed = Signal()  # back to the board
    open_panel = Signal(str)  # id: another panel is asked for
    said = Signal(str, object, bool)  # what happened; what to do, a Hint; whether it is good news

    def __init__(self, document: Document, parent: QWidget | None = None, at_once: bool = True):
        """Not `at_once`: whoever asked for it goes through `build`."""
        super().__init__(parent)
        self.document = document
        for _ in self.build() if at_once else ():
            pass

    def build(self) -> Iterator[None]:
        """Its parts, one after the other, from the outside in: a style sheet dresses all that is put into another
        widget once more.
        """
        self.stage = PanelStage(self.document, self)
        self.spare = self.stage.strip.seen  # messages have this row: none may resize the canvas
        yield
        self.edit = EditBar(self.document, self)
        yield
        self.side = PanelSide(self.document, self)
        yield
        self.live = Live(self.document.runs, self._live_job, self)
        self.with_take = TakeCommands(self.document, self)
        self._lay_out()
        self._connect()
        self._shortcuts()

    def _lay_out(self) -> None:
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(0)
        left = QVBoxLayout()
        left.setContentsMargins(GAP, TIGHT, 0, TIGHT)
        left.setSpacing(TIGHT)
        row.addLayout(left, 1)
        self._head, self._below = self._header(), QHBoxLayout()
        self._below.setContentsMargins(0, 0, GAP, 0)
        left.addLayout(self._head)
        left.addLayout(self._below)
        self._head.addWidget(self.stage.bar)
        left.addWidget(self.stage, 1)
        left.addWidget(self.edit)
        row.addWidget(self.side)

    def _header(self) -> QHBoxLayout:
        row = QHBoxLayout()
        row.setContentsMargins(0, 0, GAP, 0)
        row.setSpacing(HAIR)
        self.back = icon_button("Back to the board", "back", "Esc", self.closed.emit)
        self.earlier = icon_button("Panel before", "up", key_text("Ctrl+["), lambda: self._step(-1))
        self.later = icon_button("Next panel", "down", key_text("Ctrl+]"), lambda: self._step(1))
        self.number, self.heading = label(), OneLine(tone="muted")
        self.number.setObjectName("subheading")
        for widget in (self.back, self.earlier, self.later, self.number, self.heading):
            row.addWidget(widget)
            row.setStretchFactor(widget, 1 if widget is self.heading else 0)
        row.insertSpacing(row.indexOf(self.heading), GAP)
        self.heading.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)  # the tools come first
        return row

    def _connect(self) -> None:
        document = self.document
        document.changed.connect(self._follow_board)
        document.state_changed.connect(self._show_state)
        self._connect_edit(self.edit, self.edit.render_bar)
        self._connect_stage(self.stage)
        self._connect_side(self.side)
        self.live.preview.connect(self.stage.show_preview)
        self.live.result.connect(self._show_live)
        self.live.refused.connect(lambda text, hint: self.edit.set_note(f"{text} {in_window(hint)}".strip()))

    def _connect_edit(self, edit: EditBar, bar: RenderBar) -> None:
        edit.text.render_asked.connect(lambda: self.render_panel())
        edit.keep_asked.connect(self.keep_live)
        edit.discard_asked.connect(self._discard_live)
        edit.anyway_asked.connect(lambda: self.render_panel(anyway=True))
        edit.settings_asked.connect(self.side.open_settings)
        bar.render_asked.connect(lambda _: self.render_panel())
        bar.cancel_asked.connect(lambda: self.document.cancel(self.panel_id))
        bar.live_toggled.connect(self._toggle_live)

    def _connect_stage(self, stage: PanelStage) -> None:
        stage.retry_asked.connect(self._retry)
        stage.settings_asked.connect(self.side.open_settings)
        stage.dismissed.connect(self._dismiss)
        stage.dropped.connect(self.edit.write)
        parts = Parts(stage, self.edit, self.side.takes)
        stage.menu_asked.connect(lambda at, by_mouse: open_menu(parts, at, by_mouse))

    def _connect_side(self, side: PanelSide) -> None:
        side.tray.mention_asked.connect(self._mention)
        self.edit.text.pictures_dropped.connect(side.tray.add_from)
        side.tray.pose_asked.connect(self.stage.pose)
        side.tray.lay_asked.connect(self._lay)
        side.tray.layer = self.edit.start.layer = self.stage.laying.layer
        self.stage.laying.read.connect(side.tray.refresh)
        self.stage.laying.read.connect(self.edit.start.update)
        side.take.again_asked.connect(self.with_take.use_settings)
        side.continue_asked.connect(self._continue)
        side.takes.compare_asked.connect(self.stage.compare_with)
        self.stage.compared_changed.connect(side.takes.set_compared)
        side.takes.details_asked.connect(self._show_details)
        self._connect_takes(side.takes, self.with_take)

    def _connect_takes(self, takes: TakesTree, with_take: TakeCommands) -> None:
        takes.reference_asked.connect(self._use_as_reference)
        takes.source_asked.connect(with_take.start_from)
        takes.placed_asked.connect(with_take.take_up_placed)
        takes.cast_asked.connect(with_take.add_to_cast)
        takes.save_asked.connect(with_take.save_picture)
        takes.reveal_asked.connect(with_take.reveal)
        with_take.started.connect(self.edit.write)
        with_take.taken_up.connect(lambda: self.stage.set_tool("place"))
        with_take.said.connect(self.said)

    def _shortcuts(self) -> None:
        for keys, act in (
            ("Ctrl+Return", self.render_panel), ("Ctrl+[", lambda: self._step(-1)), ("Ctrl+]", lambda: self._step(1)),
        ):  # fmt: skip
            shortcut = QShortcut(QKeySequence(keys), self, context=Qt.ShortcutContext.WidgetWithChildrenShortcut)
            shortcut.setAutoRepeat(act != self.render_panel)
            shortcut.activated.connect(act)

    def show_panel(self, panel_id: str) -> None:
        self.document.board.panel(panel_id)
        self.edit.render_bar.live.setChecked(False)
        self.live.forget()
        self.panel_id = self.with_take.panel_id = panel_id
        self.document.watched = panel_id if self.isVisible() else None
        self.side.show_panel(panel_id)
        self.stage.model = self.edit.model = self.side.model
        self.stage.show_panel(panel_id)
        self.edit.show_panel(panel_id)
        self._order()
        self._show_header()
        self._show_state(panel_id)
        self.side.tabs.setCurrentIndex(0)
        self.edit.text.setFocus()

    def refresh(self) -> None:
        self.side.refresh()
        self.stage.model = self.edit.model = self.side.model
        self.stage.refresh()
        self.edit.refresh()
        self._order()
        self._show_header()

    def _order(self) -> None:
        """Tab goes along the edit bar, then down the side, as the eye does."""
        order_tabs(*self.edit.controls(), *self.side.controls())

    def _mention(self, word: str) -> None:
        self.edit.text.setFocus()
        self.edit.text.mention(word)

    def _show_header(self) -> None:
        board = self.document.board
        self.number.setText(f"Panel {numbers(board)[self.panel_id]}")
        self.heading.setText(board.scene_of(self.panel_id).heading)
        ids = [panel.id for panel in board.panels()]
        place = ids.index(self.panel_id)
        self.earlier.setEnabled(place > 0)
        self.later.setEnabled(place + 1 < len(ids))
        self._place_tools()

    def _step(self, by: int) -> None:
        ids = [panel.id for panel in self.document.board.panels()]
        place = ids.index(self.panel_id) + by
        if 0 <= place < len(ids):
            self.open_panel.emit(ids[place])

    # The board changed

    def _follow_board(self, old: Board, new: Board) -> None:
        if not self.panel_id:
            return
        if all(panel.id != self.panel_id for panel in new.panels()):
            self.panel_id = self.stage.panel_id = ""
            self.closed.emit()
            return
        before = next((panel for panel in old.panels() if panel.id == self.panel_id), None)
        self.refresh()
        panel = self.panel
        if before and len(panel.takes) > len(before.takes):  # a take that came, a live one that is kept too: no change
            panel = replace(panel, current=before.current)
        if before is None or _decides(before, old) != _decides(panel, new):
            self._touch_live()
        if before and before.takes != self.panel.takes:
            self.live.forget()
            self._end_live()
            self._show_state(self.panel_id)

    # Runs

    def render_panel(self, anyway: bool = False) -> None:
        """Make as many takes as chosen; what is masked stays masked, and the result is looked at.

        `anyway`: also where it will not fit, as predicted.
        """
        self.stage.set_tool("move")
        self.document.render([self.panel_id], anyway, self.edit.render_bar.count)

    def _retry(self) -> None:
        if not self.document.store_again(self.panel_id):
            self.render_panel()

    def _show_state(self, panel_id: str) -> None:
        if panel_id != self.panel_id or not self.panel_id:
            return
        state = self.document.panel_state(panel_id)
        self.stage.canvas.set_invitation(words_of(state) if state.busy else invitation(self.document, self.panel))
        if self.live.on and (state.busy or state.state == "failed"):
            self.edit.set_note(words_of(state) if state.busy else f"{state.reason} {in_window(state.hint)}".strip())
        self.edit.render_bar.set_state(state, self.live.on)
        if state.state == "failed" and not self.live.on:
            self.stage.show_preview(None)
            if self.edit.tells(state):
                self.stage.hush()
            else:
                self.stage.say_failed(state.reason, state.hint, state.misfit)
        elif state.busy and not self.live.on:
            self.stage.hush()
            self.edit.show_live("")
            if state.job:  # else the picture is being stored: its last preview stays until it is there
                self.stage.show_preview(state.preview)
        elif self.live.latest is None and not (self.live.on and state.busy):
            self.stage.hush()
            self.edit.show_live("")
            self.stage.show_preview(None)

    def _dismiss(self) -> None:
        """Put the card away: the failure is forgotten."""
        self.stage.hush()
        if self.document.panel_state(self.panel_id).state == "failed":
            self.document.cancel(self.panel_id)

    # Live mode

    def _toggle_live(self, on: bool) -> None:
        if on:
            self.stage.hush()
            self.live.start()
            return
        self.live.stop()
        self.edit.set_note("")
        if self.live.latest is None and self.panel_id:
            self.stage.show_preview(None)
        if self.panel_id:
            self._show_state(self.panel_id)

    def _touch_live(self) -> None:
        """What is laid on the picture is seen until the draft shows what becomes of it."""
        self.live.touch()
        if self.live.on and self.stage.tool in LAYERS:
            self.live.forget()
            self._end_live()

    def _live_job(self) -> Made:
        """One seed for all live runs of a panel, so that only what is changed changes."""
        panel, document = self.panel, self.document
        choice = resolve(document.board, panel, document.model)
        job = panel_job(document.board, self.panel_id, document.picture_path, choice, seed=panel.seed,
                        compose=document.compose)  # fmt: skip
        return Made(job, choice.spec)

    def _show_live(self, job: jobs.JobState) -> None:
        self.edit.set_note("")
        self.stage.show_preview(job.result)
        width, height = job.job.request.size
        draft, made = self.live.is_draft, f"made in {job.seconds:.1f} s"
        words = f"Draft of {width} × {height}, {made}. The full picture follows" if draft else f"Live picture, {made}"
        self.edit.show_live(words, draft)

    def keep_live(self) -> None:
        """What is seen of live mode becomes a take; a draft stays to be seen until its full picture is one."""
        if job := self.live.keep():
            self.document.keep(job)
            self._end_live()
        self.edit.show_live("")

    def _discard_live(self) -> None:
        self.live.settle()
        self.live.forget()
        self._end_live()

    def _end_live(self) -> None:
        """Nothing of live mode is seen any more, but for what runs."""
        self.edit.show_live("")
        self.stage.show_preview(None)

    # Takes

    def _continue(self) -> None:
        if new := self.document.continue_from(self.panel_id):
            self.open_panel.emit(new)

    def _lay(self, mime: QMimeData) -> None:
        """Place what the tray shows on the picture, or say why that can't be done."""
        if self.stage.canvas.placing:
            self.stage.lay(pictures_in(mime, self.document))
        else:
            self.side.tray.told.emit(f"{self.stage.bar.tools['place'].accessibleDescription()}.")

    def _use_as_reference(self, take_id: str) -> None:
        self.side.tray.add_pictures([find_id(self.panel.takes, take_id, "take").picture])

    def _show_details(self, take_id: str) -> None:
        self.side.take.point_at(take_id)
        self.side.tabs.setCurrentIndex(2)
        self.side.take.note.setFocus()

    # Window

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_Escape:
            if not (self.edit.pen.step_back() or self.stage.step_back()):
                self.closed.emit()
        else:
            super().keyPressEvent(event)

    def showEvent(self, event: QShowEvent) -> None:
        self.document.watched = self.panel_id or None

    def hideEvent(self, event: QHideEvent) -> None:
        """Nothing runs by itself for a panel that nobody looks at."""
        self.document.watched = None
        self.edit.render_bar.live.setChecked(False)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        least, share, most = SIDE
        side = round(min(most, max(least, share * self.width())))
        self.side.setFixedWidth(side)
        self._place_tools()

    def _place_tools(self) -> None:
        """In the header; where even with all else under More there is no room for them, in a row of their own."""
        needed = sum(one.sizeHint().width() for one in (self.back, self.earlier, self.later, self.number))
        needed += self.stage.bar.find_least() + 3 * GAP + self._head.count() * HAIR
        narrow = self.width() - self.side.width() < needed
        (self._below if narrow else self._head).addWidget(self.stage.bar)


def _decides(panel: Panel, board: Board) -> tuple:
    """What a live run depends on."""
    return (panel.words, panel.references, panel.source.kind, panel.mask, panel.seed, panel.settings, board.style,
            source_picture(board, panel), board.cast, panel.placed, panel.boxes)  # fmt: skip
