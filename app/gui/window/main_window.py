"""The one window: places on the left, the board or a panel in the middle, messages at the foot."""

import contextlib
import importlib
from collections.abc import Iterator
from functools import partial
from typing import Any

import msgspec
from PySide6.QtCore import QCoreApplication, QEvent, Qt, QTimer
from PySide6.QtGui import QCloseEvent
from PySide6.QtWidgets import QMainWindow, QMenu, QVBoxLayout, QWidget

from mlx_model.errors import FluxLocalError, Hint

from ...base import blas
from ...board.data import Board
from ...models import library
from ..board.view import BoardView
from ..document.document import Document
from ..document.panel_part import PanelPart
from ..document.storing import in_background
from ..kit.dialog import close_questions
from ..kit.messages import Toasts
from ..kit.placing import place_again
from ..kit.theme import theme
from ..kit.turns import OnceATurn, breathe, spare_collections
from ..kit.widgets import Pages, as_title, focus_main, row
from ..pages.cast_view import CastView
from ..pages.home import HomeView
from ..pages.models_view import ModelsView
from ..pages.queue_view import Names, QueueView
from .actions import Actions, Row, State
from .board_commands import BoardCommands
from .rail import Rail
from .session import Session
from .window_commands import WindowCommands, list_stories

LEAST = (860, 540)  # px
IDLE = 60  # ms between the steps of what is built before it is wanted
AHEAD = ("psutil", "..canvas.canvas", "..canvas.bars", "..prompt.instruction_box", "..prompt.tile", "..prompt.tray",
         "..panel.render_settings", "..panel.takes_tree", "..panel.edit_bar", "..panel.side", "..panel.stage",
         "..panel.view")  # fmt: skip
LONG = 20_000  # ms of work without a pause: its end is worth a notification


class MainWindow(QMainWindow):
    """Shows the session's document. Pages that belong to a board are made anew for each board."""

    def __init__(self, session: Session):
        super().__init__()
        self.session = session
        self.pages: dict[str, QWidget] = {}
        self.stack, self.arrival = Pages(), "board"  # the place where a board that comes is shown
        self.stack.setAccessibleName("Page")
        self.commands = WindowCommands(session, self)
        self._update_soon = OnceATurn(self, self.update_actions)
        self.board_commands: BoardCommands | None = None
        self.actions_ = Actions(self, self._run)
        self._lay_out()
        self._fill_menus()
        names = Names(session.trouble, session.number_of, session.board_of, session.has_panel)
        self.queue = QueueView(session.engine, names)
        self.queue.again.connect(session.again)
        self.queue.panel_wanted.connect(self.commands.show_panel_of)
        self._set_page("queue", self.queue)
        self.commands.place_wanted.connect(self.go)
        self.commands.panel_wanted.connect(self.open_panel)
        self.commands.model_chosen.connect(self.show_model)
        self.commands.shortcuts_wanted.connect(self._show_shortcuts)
        session.message.connect(self.say)
        session.lasting.connect(partial(self.toasts.say, lasting=True))
        session.mended.connect(self.toasts.drop)
        for told in (session.lasting, session.mended):
            told.connect(self.queue.refresh)
        session.locked.connect(self.commands.open_locked)
        session.document_changed.connect(self.show_document)
        session.shown_already.connect(partial(self.go, "board"))
        session.engine.changed.connect(self._queue_changed)
        session.downloads.installed.connect(self._model_came)
        self._busy_since, self._was_busy = QTimer(self, singleShot=True, interval=LONG), False
        self._ahead = QTimer(self, interval=IDLE)
        self._ahead.timeout.connect(self._build_ahead)
        self._steps: Iterator[bool] = iter(())
        theme.changing.connect(self._forget_hidden)
        self.setMinimumSize(*LEAST)
        place_again(self, session.settings.geometry)

    # Parts

    def _lay_out(self) -> None:
        middle = QWidget()
        self.toasts = Toasts(middle)
        self.rail = Rail(self.go, lambda: self.run("settings"), self.toasts.folded)
        self.places = self.rail.places
        box = row(self.rail, spacing=0)
        box.setContentsMargins(0, 0, 0, 0)
        middle.setLayout(box)
        content = QVBoxLayout()
        content.setSpacing(0)
        box.addLayout(content, 1)
        self.setCentralWidget(middle)
        content.addWidget(self.stack, 1)
        content.addWidget(self.toasts)
        self.stack.currentChanged.connect(lambda _: self.toasts.suit(self.stack.currentWidget(), content))
        self.stack.currentChanged.connect(lambda _: self.commands.end_step())

    def _fill_menus(self) -> None:
        self.recent, self.samples = QMenu(self), QMenu(self)
        self.recent.aboutToShow.connect(partial(self.commands.fill_recent, self.recent))
        self.samples.aboutToShow.connect(partial(self.commands.fill_samples, self.samples))
        self.actions_.fill(self.menuBar(), {"recent": self.recent, "samples": self.samples})

    def _set_page(self, name: str, page: QWidget) -> None:
        self._drop_page(name)
        self.pages[name] = page
        self.stack.addWidget(page)

    def _drop_page(self, name: str) -> None:
        page = self.pages.pop(name, None)
        if page:
            self.stack.removeWidget(page)
            page.deleteLater()

    def _forget_hidden(self) -> None:
        """A new theme dresses every widget anew, also those of pages that nobody looks at: they are made again."""
        for name in ("panel", "cast", "loras", "models"):
            page = self.pages.get(name)
            live = getattr(page, "live", None)
            if page and page.isHidden() and not (live and live.latest):  # a live picture is no take yet
                self._drop_page(name)
                QCoreApplication.sendPostedEvents(page, QEvent.Type.DeferredDelete.value)
        if self.document and "panel" not in self.pages:
            self._steps = self._step_ahead(self.document)
            self._ahead.start()

    # The document

    @property
    def document(self) -> Document | None:
        return self.session.document

    @property
    def board(self) -> BoardView:
        """Raises KeyError before the first board is open."""
        page = self.pages["board"]
        assert isinstance(page, BoardView)
        return page

    def show_document(self, document: Document) -> None:
        """Make the pages of another board. Finder may open it while something is asked about the one before."""
        close_questions()
        if self.board_commands:  # what was said before the first is why it is this one
            self.toasts.forget()
        view = BoardView(document, self.run, self.session.settings.cell)
        self.board_commands = BoardCommands(self.session, view, self.open_panel_id, self, self.commands.copy_as)
        self.board_commands.said.connect(self.say)
        self.board_commands.undoable.connect(self._say_undoable)
        self.board_commands.panel_wanted.connect(self.open_panel)
        self.board_commands.board_wanted.connect(partial(self.go, "board"))
        view.grid.opened.connect(self.open_panel)
        view.grid.file_dropped.connect(self.session.open_or_import, Qt.ConnectionType.QueuedConnection)
        view.grid.peek_wanted.connect(self.board_commands.peek_at)
        view.grid.add_wanted.connect(self.board_commands.add_panel_to)
        view.selection_changed.connect(self.update_actions)
        view.grid.menu_wanted.connect(lambda kind, at: self.actions_.show_menu(kind, at, view))
        for name in ("panel", "cast", "loras"):
            self._drop_page(name)
        self._set_page("board", view)
        document.changed.connect(self._follow_document)
        document.turned.connect(lambda: self.toasts.forget(document.claims))
        document.state_changed.connect(self._update_soon.ask)
        self.go(self.arrival)
        self._steps = self._step_ahead(document)
        self._ahead.start()
        self._follow_document(document.board, document.board)

    def _follow_document(self, old: Board, new: Board) -> None:
        """The model is looked for only where the board names another: that reads folders, and letters are typed."""
        document = self.document
        self.setWindowTitle(f"{as_title(document.board.title)}[*]" if document else "Flux Local")
        if document:
            with contextlib.suppress(FluxLocalError):  # the board's folder is gone, which is told elsewhere
                self.setWindowFilePath(str(document.file.path))
            if old.model != new.model:
                self.show_model()
        self.update_actions()

    def update_actions(self) -> None:
        """Enable what can be used now."""
        if not self.document or not self.board_commands:
            return
        chosen, on_board = self.board_commands.list_chosen(), not self.board.isHidden()
        there = {panel.id: panel for panel in self.document.board.panels()}
        picture = any(there[one].take for one in chosen if one in there)
        history = self.document.history
        busy = self.session.busy() > 0
        self.actions_.update(State(len(chosen), on_board, picture, history.undo_label, history.redo_label, busy))

    # Going places

    def page(self, name: str) -> QWidget:
        """A page, made when it is first wanted."""
        while name not in self.pages:  # a board that is opened meanwhile takes it away
            self._set_page(name, self._make(name))
            breathe()
        return self.pages[name]

    def _make(self, name: str) -> QWidget:
        match name:
            case "home":
                return self._make_home()
            case "cast":
                return self._make_cast()
            case "loras":
                from ..pages.loras_view import LorasView

                return LorasView(self.board.document, self.stack)
            case "models":
                return self._make_models()
            case _:
                return self._make_panel()

    def _make_home(self) -> QWidget:
        page = HomeView(list_stories(), self.run, self.session.list_boards, self.session.find_cover)
        page.story_wanted.connect(self.commands.open_story)
        page.board_wanted.connect(self.session.open)
        page.removal_wanted.connect(self.commands.forget_board)
        return page

    def _make_cast(self) -> CastView:
        page = CastView(self.board.document, self.stack)
        page.open_panel.connect(self.open_panel)
        return page

    def _make_panel(self, ahead: Any = None) -> QWidget:
        """`ahead` is the view where it was built before it was wanted."""
        from ..panel.view import PanelView

        page = ahead or PanelView(self.board.document, self.stack)
        page.closed.connect(lambda: self.go("board"))
        page.open_panel.connect(self.open_panel)
        page.said.connect(self.say)
        return page

    def _build_ahead(self) -> None:
        """One step of the panel's page: no panel of a session is opened slower than another, and nothing freezes."""
        if next(self._steps, None) is None:
            self._ahead.stop()
            spare_collections()

    def _step_ahead(self, document: Document) -> Iterator[bool]:
        for name in AHEAD:
            importlib.import_module(name, __package__)
            yield True
        from ..panel.view import PanelView

        if "panel" in self.pages or self.document is not document:
            return
        page = PanelView(document, self.stack, at_once=False)
        try:
            for _ in page.build():
                yield True
            if "panel" not in self.pages and self.document is document:
                self._set_page("panel", self._make_panel(page))
        finally:
            if self.pages.get("panel") is not page:  # somebody was quicker, or another board came
                with contextlib.suppress(RuntimeError):  # the window is gone
                    page.deleteLater()

    def _make_models(self) -> ModelsView:
        here = blas.machine()
        in_background(library.catalogue, [here])  # what that predicts is remembered
        page = ModelsView(self.session.downloads, self.session.default_model(), here, self.stack)
        page.default_chosen.connect(self.session.set_default_model)
        page.default_chosen.connect(lambda _: self.show_model())
        return page

    def _model_came(self) -> None:
        self.show_model()
        if self.document:
            self.document.forget_refusals()

    def show_model(self) -> None:
        """What new pictures of the board are made with."""
        if self.document:
            name = self.document.board.model or self.session.default_model()
            self.board.show_model(name, name == library.BUILT_IN)

    def go(self, name: str, stay: bool = False) -> None:
        """Show a place and give it the keys, or `stay` among the places; a panel that was open is selected."""
        opened = self.open_panel_id()
        self.places[name].setChecked(True)  # at once: a page may take a moment
        self.stack.setCurrentWidget(self.page(name))
        if name == "board":
            self.show_model()  # models come and go on the other pages
        if opened:
            self.board.grid.select((opened,))
        if not stay:
            focus_main(self.pages[name])
        self.update_actions()

    def open_panel(self, panel_id: str) -> None:
        """Show one panel."""
        page = self.page("panel")
        assert isinstance(page, PanelPart)
        page.show_panel(panel_id)
        self.stack.setCurrentWidget(page)
        self.places["board"].setChecked(True)
        self.update_actions()

    def open_panel_id(self) -> str | None:
        """The panel that is open; None where another page is shown."""
        page = self.stack.currentWidget()
        return page.panel_id if isinstance(page, PanelPart) else None

    # Doing things

    def run(self, name: str) -> None:
        """Do what the action of that name says."""
        self._run(self.actions_.rows[name])

    def _run(self, row: Row) -> None:
        if row.window:
            row.window(self.commands)
        elif row.board and self.board_commands:
            try:
                row.board(self.board_commands)
            except FluxLocalError as error:  # such as that the board's folder is gone
                self.say(error.message, error.hint)

    def _show_shortcuts(self) -> None:
        from .dialogs import Shortcuts

        Shortcuts(self.actions_.list_shortcuts(), self).exec()

    def say(self, text: str, hint: Hint = "", good: bool = False) -> None:
        """A message at the foot of the window."""
        self.toasts.say(text, hint, good)

    def _say_undoable(self, text: str) -> None:
        """With a button that takes it back, as long as nothing else was done."""
        if document := self.document:
            done = document.history.undo_label
            document.claims.add(text, lambda: document.history.undo_label == done)
            self.toasts.say(text, good=True, offer=("Undo", document.undo))

    def _queue_changed(self) -> None:
        count = self.session.busy()
        self.rail.count_jobs(count)
        if count and not self._was_busy:
            self._busy_since.start()
        elif self._was_busy and not count and not self._busy_since.isActive():
            self.commands.tell_done()
        self._was_busy = count > 0
        self._update_soon.ask()

    # The window itself

    def closeEvent(self, event: QCloseEvent) -> None:
        """Everything is saved; only running jobs are worth a question."""
        busy = self.session.busy()
        if (busy and not self.commands.sure_to_quit(busy)) or not self.commands.sure_to_lose():
            return event.ignore()
        geometry = bytes(self.saveGeometry().toBase64().data()).decode()
        cell = self.board.grid.cell if "board" in self.pages else self.session.settings.cell
        self.session.store(msgspec.structs.replace(self.session.settings, geometry=geometry, cell=cell))
        self.session.close()
        event.accept()

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QEvent.Type.ActivationChange and self.isActiveWindow() and self.document:
            self.document.look_around()
        if event.type() == QEvent.Type.ThemeChange and theme.scheme == "system":
            theme.apply("system")
