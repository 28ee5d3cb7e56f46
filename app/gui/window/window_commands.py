"""Actions that need no open board: opening one, places, the window itself, its dialogs, its questions."""

from functools import partial

from PySide6.QtCore import QObject, Signal
from PySide6.QtWidgets import QApplication, QFileDialog, QMainWindow, QMenu, QSystemTrayIcon

from ...base.settings import Settings, boards_folder, without_recent
from ...base.words import say_count
from ...board.data import numbers
from ...fluxboard import samples
from ..document.document import Document
from ..kit.messages import ask, sure
from ..kit.theme import theme
from ..kit.turns import breathe
from ..kit.widgets import as_action, as_tip, key_text
from ..kit.words import model_title
from ..pages.home import Story
from .session import Session


class WindowCommands(QObject):
    """What the menus do for `window`; what only the window itself can do is asked for by signals."""

    place_wanted = Signal(str)
    panel_wanted = Signal(str)  # id
    shortcuts_wanted = Signal()
    model_chosen = Signal()  # the one for boards that name none

    def __init__(self, session: Session, window: QMainWindow):
        super().__init__(window)
        self.session, self.window = session, window
        self._fresh: Document | None = None  # the new board that was made last
        self._step = ""  # of a story, as it was said last
        session.document_changed.connect(lambda _: self.end_step())
        session.document_changed.connect(lambda document: document.runs.lacking.connect(self.offer_model))

    def offer_model(self, name: str) -> None:
        """Show the models, this one in full, and ask whether it is to be downloaded."""
        from ..pages.models_view import ModelsView

        self.place_wanted.emit("models")
        for page in self.window.findChildren(ModelsView):
            page.offer(name)

    # Files

    def new(self) -> None:
        """Keys that are pressed twice make one board: it is new until something is done to it."""
        shown = self.session.document
        if shown and shown is self._fresh and not (shown.history.can_undo or shown.history.can_redo):
            self.place_wanted.emit("board")
        elif self.session.new():
            self._fresh = self.session.document

    def open(self) -> None:
        """Boards are folders, which Finder and its dialog show as files; elsewhere a folder is chosen."""
        folder = str(boards_folder(self.session.settings))
        path = QFileDialog.getExistingDirectory(self.window, "Open Board", folder)
        if path:
            breathe()  # the dialog goes first: it and the new board together stood still for long
            self.session.open(path)

    def open_locked(self, path: str, who: str, anyway: bool) -> None:
        """Ask about a board that is open elsewhere; one that another machine has locked perhaps no longer is."""
        more = "Close it there first, or go on with a copy of what was saved last."
        ways = ["Open a Copy", "Cancel"]
        if anyway:
            more += " Opened here as well, the changes of one of you get lost."
            ways.insert(1, "Open Anyway")
        way = ask(self.window, "Open Board", who, more, *ways)
        if way == "Open Anyway":
            self.session.open(path, anyway=True)
        elif way == "Open a Copy":
            self.session.open_copy(path)

    def import_(self) -> None:
        from .exchange import ask_import

        path = ask_import(self.window)
        if path:
            self.session.import_board(path)

    def import_folder(self) -> None:
        from .exchange import ask_folder

        if path := ask_folder(self.window):
            self.session.import_board(path)

    def import_onto(self) -> None:
        from .exchange import ask_timeline

        path = ask_timeline(self.window)
        if path:
            self.session.import_onto(path)

    def fill_recent(self, menu: QMenu) -> None:
        menu.clear()
        menu.setToolTipsVisible(True)
        for path, title in self.session.list_boards():
            menu.addAction(as_action(title), partial(self.session.open, path)).setToolTip(as_tip(path))
        menu.setEnabled(not menu.isEmpty())

    def fill_samples(self, menu: QMenu) -> None:
        menu.clear()
        for name, sample in samples.SAMPLES.items():
            menu.addAction(sample.title, partial(self.open_story, name))

    def open_story(self, name: str, again: bool = False) -> None:
        """Its board, see Session.open_sample, and how it is played."""
        if self.session.open_sample(name, again) and self.session.document:
            self._say_step(self.session.document)

    def _say_step(self, document: Document) -> None:
        """What is to be done next with a story, until it is, or another page or board is shown."""
        board = document.board
        lacking = next((panel.id for panel in board.panels() if not panel.takes), None)
        if lacking is None:
            return
        step = f"select panel {numbers(board)[lacking]} and press Render ({key_text('Ctrl+R')})."
        self._step = f"To play this story: {step}"
        document.claims.add(self._step, lambda: any(p.id == lacking and not p.takes for p in document.board.panels()))
        self.session.lasting.emit(self._step, "", True)

    def end_step(self) -> None:
        """Another page is shown, or another board."""
        if self._step:
            self.session.mended.emit(self._step)
        self._step = ""

    def forget_board(self, path: str) -> None:
        """Out of the boards of lately, until it is opened again."""
        self.session.store(without_recent(self.session.settings, path))

    def show_panel_of(self, job_id: str) -> None:
        """The panel that a job of the queue is of, on its board."""
        state = self.session.engine.job(job_id)
        owner = self.session.owner_of(state) if state else None
        if owner and state and state.job.panel:
            self.session.show(owner)
            self.panel_wanted.emit(state.job.panel)

    def settings(self) -> None:
        from .settings_dialog import SettingsDialog

        SettingsDialog(self.session.settings, self.store_settings, self.window).exec()

    def store_settings(self, settings: Settings) -> None:
        """Keep what was chosen, and show it at once."""
        if settings.appearance != theme.scheme:
            theme.apply(settings.appearance)
        model_before = self.session.settings.model
        self.session.store(settings)
        if settings.model != model_before:
            self.model_chosen.emit()

    def close(self) -> None:
        self.window.close()

    def quit(self) -> None:
        if self.window.close():
            QApplication.quit()

    # Places

    def show_home(self) -> None:
        self.place_wanted.emit("home")

    def show_board(self) -> None:
        self.place_wanted.emit("board")

    def show_cast(self) -> None:
        self.place_wanted.emit("cast")

    def show_loras(self) -> None:
        self.place_wanted.emit("loras")

    def show_models(self) -> None:
        self.place_wanted.emit("models")

    def show_queue(self) -> None:
        self.place_wanted.emit("queue")

    def toggle_full_screen(self) -> None:
        if self.window.isFullScreen():
            self.window.showNormal()
        else:
            self.window.showFullScreen()

    # Jobs

    def cancel_all(self) -> None:
        self.session.engine.cancel_all()

    # Dialogs

    def show_shortcuts(self) -> None:
        self.shortcuts_wanted.emit()

    def show_guide(self) -> None:
        from .reading import Guide

        Guide(self.window).show()

    def show_acknowledgements(self) -> None:
        from .reading import Acknowledgements

        Acknowledgements(self.window).exec()

    def show_about(self) -> None:
        from .reading import show_about

        show_about(self.window)

    def sure_to_quit(self, busy: int) -> bool:
        """Ask before jobs are thrown away."""
        lessons = self.session.count_lessons()
        parts = [say_count(count, one) for count, one in ((busy - lessons, "picture"), (lessons, "lesson")) if count]
        text = f"{' and '.join(parts)} {'is' if busy == 1 else 'are'} not done yet."
        more = "Everything else is saved." + (" A lesson can be gone on with, on the cast page." if lessons else "")
        return sure(self.window, "Quit", text, more, "Quit Anyway", "Keep Working")

    def sure_to_lose(self) -> bool:
        """Whether nothing is left that no disk has: saved, copied elsewhere, or given up when asked."""
        given_up: list[Document] = []
        while document := next((one for one in self.session.list_unsaved() if one not in given_up), None):
            title = document.board.title
            lost = f"“{title}” is no longer on the disk." if document.file.is_gone else f"“{title}” could not be saved."
            more = "A copy in another folder keeps everything that is still there."
            ways = ("Save a Copy…", "Quit and Lose It", "Keep Working")
            way = ask(self.window, "Quit", lost, more, *ways)
            if way == ways[0]:
                self.copy_as(document)
            elif way == ways[1]:
                given_up.append(document)
            else:
                return False
        return True

    def copy_as(self, document: Document) -> Document | None:
        """Ask where to, and show the copy from now on; None where there is none."""
        from ...base.paths import SUFFIX
        from ...interchange.files import make_safe_name

        title = make_safe_name(document.board.title)
        suggested = f"{boards_folder(self.session.settings)}/{title} copy{SUFFIX}"
        path = QFileDialog.getSaveFileName(self.window, "Save a Copy", suggested, f"Boards (*{SUFFIX})")[0]
        return self.session.copy_as(path, document) if path else None

    def tell_done(self) -> None:
        """After a long run, to who looks elsewhere."""
        if self.session.settings.notifications and not self.window.isActiveWindow():
            self.notify("Flux Local", "All panels in the queue are done.")

    def notify(self, title: str, text: str) -> None:
        """Through the system, where it lets us; the icon in the Dock or task bar asks for attention in any case."""
        QApplication.alert(self.window)
        if QSystemTrayIcon.isSystemTrayAvailable():
            tray = QSystemTrayIcon(QApplication.windowIcon(), self.window)
            tray.show()
            tray.showMessage(title, text)
            tray.messageClicked.connect(self.window.activateWindow)


def list_stories() -> list[Story]:
    """The samples as Home shows them."""
    return [
        Story(name, one.title, one.story, samples.FOLDER / f"{one.cover}.png", model_title(one.needs))
        for name, one in samples.SAMPLES.items()
    ]
