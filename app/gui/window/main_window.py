"""The one window: places on the left, the board or a panel in the middle, messages at the foot."""

from pathlib import Path

from PySide6.QtCore import QByteArray, QEvent, QSize, Qt, QTimer
from PySide6.QtWidgets import QFrame, QHBoxLayout, QMainWindow, QMenu, QStackedWidget, QVBoxLayout, QWidget

from mlx_model.errors import Hint

from ...base.words import say_count
from ...board.data import Board
from ...models.library import BUILT_IN
from ..board.view import BoardView
from ..document.document import Document
from ..kit.messages import Toasts
from ..kit.theme import theme
from ..kit.widgets import icon_button
from ..pages.cast_view import CastView
from ..pages.models_view import ModelsView
from ..pages.queue_view import QueueView
from .actions import Actions, State
from .board_commands import BoardCommands
from .session import Session
from .window_commands import WindowCommands

PLACES = (("board", "Board"), ("cast", "Cast"), ("models", "Models"), ("queue", "Queue"))
LONG = 20_000  # ms of work without a pause: its end is worth a notification


class MainWindow(QMainWindow):
    """Shows the session's document. Pages that belong to a board are made anew for each board."""

    def __init__(self, session: Session):
        super().__init__()
        self.session = session
        self.places, self.pages = {}, {}
        self.stack = QStackedWidget()
        self.stack.setAccessibleName("Page")
        self.toasts: Toasts
        self.commands = WindowCommands(self)
        self.board_commands: BoardCommands | None = None
        self.actions_ = Actions(self, self.run)
        self._lay_out()
        self._menus()
        self.queue = QueueView(session.engine, self._words_of)
        self.queue.again.connect(session.again)
        self._set_page("queue", self.queue)
        session.message.connect(self.say)
        session.locked_elsewhere.connect(self.commands.open_anyway)
        session.document_changed.connect(self.show_document)
        session.engine.changed.connect(self._queue_changed)
        self._busy_since = QTimer(self, singleShot=True, interval=LONG)
        self._was_busy = False
        self.setAcceptDrops(False)
        self._restore_geometry()

    # Parts

    def _lay_out(self) -> None:
        rail = QFrame()
        rail.setObjectName("rail")
        rail.setFixedWidth(78)
        column = QVBoxLayout(rail)
        column.setContentsMargins(7, 12, 7, 12)
        column.setSpacing(6)
        for name, text in PLACES:
            column.addWidget(self._place(name, text))
        column.addStretch(1)
        gear = icon_button("Settings", "settings", act=lambda: self.run("settings"))
        column.addWidget(gear, 0, Qt.AlignmentFlag.AlignHCenter)
        middle = QWidget()
        box = QHBoxLayout(middle)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(0)
        box.addWidget(rail)
        box.addWidget(self.stack, 1)
        self.setCentralWidget(middle)
        self.toasts = Toasts(middle)

    def _place(self, name: str, text: str) -> QWidget:
        made = icon_button(text, name, act=lambda: self.go(name), checkable=True)
        made.setObjectName("place")
        made.setText(text)
        made.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextUnderIcon)
        made.setIconSize(QSize(24, 24))
        made.setFixedSize(64, 58)
        made.setAutoExclusive(True)
        self.places[name] = made
        return made

    def _menus(self) -> None:
        self.recent, self.samples = QMenu(self), QMenu(self)
        self.recent.aboutToShow.connect(self._fill_recent)
        self.samples.aboutToShow.connect(self._fill_samples)
        self.actions_.menus(self.menuBar(), {"recent": self.recent, "samples": self.samples})

    def _fill_recent(self) -> None:
        self.recent.clear()
        for path in self.session.settings.recent:
            self.recent.addAction(Path(path).stem, lambda path=path: self.session.open(path))
        self.recent.setEnabled(bool(self.session.settings.recent))

    def _fill_samples(self) -> None:
        from ...fluxboard.samples import SAMPLES

        self.samples.clear()
        for name, sample in SAMPLES.items():
            self.samples.addAction(sample.title, lambda name=name: self.session.open_sample(name))

    def _set_page(self, name: str, page: QWidget) -> None:
        old = self.pages.pop(name, None)
        if old:
            self.stack.removeWidget(old)
            old.deleteLater()
        self.pages[name] = page
        self.stack.addWidget(page)

    # The document

    @property
    def document(self) -> Document | None:
        return self.session.document

    @property
    def board(self) -> BoardView:
        return self.pages["board"]

    def show_document(self, document: Document) -> None:
        """Make the pages of another board."""
        view = BoardView(document, self.run, self.session.settings.cell)
        self.board_commands = BoardCommands(document, view, self.open_panel_id, self)
        view.grid.opened.connect(self.open_panel)
        view.grid.file_dropped.connect(self.session.open_or_import, Qt.ConnectionType.QueuedConnection)
        view.grid.peek_wanted.connect(self.commands.peek_at)
        view.grid.add_wanted.connect(self.board_commands.add_panel_to)
        view.selection_changed.connect(self.update_actions)
        self.actions_.context(view.grid)
        for name in ("panel", "cast"):
            if name in self.pages:
                old = self.pages.pop(name)
                self.stack.removeWidget(old)
                old.deleteLater()
        self._set_page("board", view)
        document.changed.connect(self._document_changed)
        document.state_changed.connect(lambda _: self.update_actions())
        self.go("board")
        self._document_changed(None, document.board)
        view.grid.setFocus()

    def _document_changed(self, old: Board | None, new: Board) -> None:
        """The model is looked for only where the board names another: that reads folders, and letters are typed."""
        document = self.document
        self.setWindowTitle(f"{document.board.title}[*]" if document else "Flux Local")
        if document:
            self.setWindowFilePath(str(document.file._path))
            if old is None or old.model != new.model:
                self.show_model()
        self.update_actions()

    def update_actions(self) -> None:
        """Enable what can be used now."""
        if not self.document or not self.board_commands:
            return
        chosen = self.board_commands.chosen()
        there = {panel.id: panel for panel in self.document.board.panels()}
        picture = any(there[one].take for one in chosen if one in there)
        history = self.document.history
        busy = self.session.busy() > 0
        self.actions_.update(State(len(chosen), picture, history.undo_label, history.redo_label, busy))

    # Going places

    def page(self, name: str) -> QWidget:
        """A page, made when it is first wanted."""
        if name not in self.pages:
            self._set_page(name, self._make(name))
        return self.pages[name]

    def _make(self, name: str) -> QWidget:
        if name == "cast":
            page = CastView(self.document)
            page.open_panel.connect(self.open_panel)
            return page
        if name == "models":
            return self._make_models()
        from ..panel.view import PanelView

        page = PanelView(self.document)
        page.closed.connect(lambda: self.go("board"))
        page.open_panel.connect(self.open_panel)
        return page

    def _make_models(self) -> ModelsView:
        page = ModelsView(self.session.downloads, self.session.default_model())
        page.default_chosen.connect(self.session.set_default_model)
        page.default_chosen.connect(lambda _: self.show_model())
        self.session.downloads.installed.connect(lambda _: self.show_model())
        return page

    def show_model(self) -> None:
        """What new pictures of the board are made with."""
        name = self.document.board.model or self.session.default_model()
        self.board.show_model(name, name == BUILT_IN)

    def go(self, name: str) -> None:
        """Show a place; from a panel, the board shows the panel that was open."""
        opened = self.open_panel_id()
        self.stack.setCurrentWidget(self.page(name))
        if name in self.places:
            self.places[name].setChecked(True)
        if name == "board" and self.document:
            self.show_model()  # models come and go on the other pages
        if name == "board" and opened:
            self.board.grid.select((opened,))
            self.board.grid.setFocus()
        self.update_actions()

    def open_panel(self, panel_id: str) -> None:
        """Show one panel."""
        page = self.page("panel")
        page.show_panel(panel_id)
        self.stack.setCurrentWidget(page)
        self.places["board"].setChecked(True)
        self.update_actions()

    def open_panel_id(self) -> str | None:
        """The panel that is open; None where another page is shown."""
        page = self.pages.get("panel")
        return page.panel_id if page is not None and self.stack.currentWidget() is page else None

    # Doing things

    def run(self, name: str) -> None:
        """Do what the action of that name says."""
        owner = self.commands if hasattr(self.commands, name) else self.board_commands
        if owner is not None:
            getattr(owner, name)()

    def _words_of(self, job) -> str:
        """What a job is about, in the artist's words where its panel is still there."""
        try:
            return self.document.panel(job.job.panel).prompt or job.job.request.prompt
        except (KeyError, AttributeError):
            return job.job.request.prompt

    def say(self, text: str, hint: Hint = "", good: bool = False) -> None:
        """A message at the foot of the window."""
        self.toasts.say(text, hint, good)

    def _queue_changed(self) -> None:
        count = self.session.busy()
        place = self.places["queue"]
        place.setText(f"Queue {count}" if count else "Queue")
        place.setAccessibleName(f"Queue, {say_count(count, 'job')}" if count else "Queue")
        if count and not self._was_busy:
            self._busy_since.start()
        elif self._was_busy and not count:
            self._run_ended(long=not self._busy_since.isActive())
        self._was_busy = count > 0
        self.update_actions()

    def _run_ended(self, long: bool) -> None:
        if long and self.session.settings.notifications and not self.isActiveWindow():
            self.commands.notify("Flux Local", "All panels in the queue are done.")

    # The window itself

    def _restore_geometry(self) -> None:
        kept = QByteArray.fromBase64(self.session.settings.geometry.encode())
        if kept.isEmpty() or not self.restoreGeometry(kept):
            self.resize(1280, 800)
        self.setMinimumSize(900, 560)

    def closeEvent(self, event: QEvent) -> None:
        """Everything is saved; only running jobs are worth a question."""
        busy = self.session.busy()
        if busy and not self.commands.sure_to_quit(busy):
            event.ignore()
            return
        if not self.session.saved() and not self.commands.sure_to_lose():
            event.ignore()
            return
        import msgspec

        geometry = bytes(self.saveGeometry().toBase64().data()).decode()
        cell = self.board.grid.cell if "board" in self.pages else self.session.settings.cell
        self.session.store(msgspec.structs.replace(self.session.settings, geometry=geometry, cell=cell))
        self.session.close()
        event.accept()

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QEvent.Type.ThemeChange and theme.scheme == "system":
            theme.apply("system")
