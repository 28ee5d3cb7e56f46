"""Actions that concern the window rather than panels: files, pages, dialogs. Methods are named as in actions.py."""

from PySide6.QtWidgets import QApplication, QFileDialog, QSystemTrayIcon

from mlx_model.errors import FluxLocalError
from mlx_model.memory import size

from ...base.words import say_count
from ...fluxboard.file import SUFFIX
from ..kit.messages import sure

BOARDS = f"Boards (*{SUFFIX})"


class WindowCommands:
    """What the menus do, for `window`."""

    def __init__(self, window):
        self.window, self.session = window, window.session

    # Files

    def new(self) -> None:
        self.session.new()

    def open(self) -> None:
        """Boards are folders, which Finder and its dialog show as files; elsewhere a folder is chosen."""
        path = QFileDialog.getExistingDirectory(self.window, "Open Board", self._folder())
        if path:
            self.session.open(path)

    def import_(self) -> None:
        from .exchange import ask_import

        path = ask_import(self.window)
        if path:
            self.session.import_board(path)

    def import_folder(self) -> None:
        path = QFileDialog.getExistingDirectory(self.window, "Import a Folder of Pictures")
        if path:
            self.session.import_board(path)

    def export(self) -> None:
        from . import exchange

        document = self.session.document
        exchange.export(document, self.window.board_commands.chosen(), self.window, self.window.say)

    def copy_as(self) -> None:
        suggestion = f"{self._folder()}/{self.session.document.board.title} copy{SUFFIX}"
        path = QFileDialog.getSaveFileName(self.window, "Save a Copy", suggestion, BOARDS)[0]
        if path and self.session.copy_as(path):
            gone = self.session.document.file.missing()
            if gone:
                self.window.say("This is the copy now.", f"{say_count(gone, 'picture')} could not be copied: gone.")
            else:
                self.window.say("This is the copy now.", "The other board stays as it was.", True)

    def open_anyway(self, path: str, who: str) -> None:
        """Ask about a board that another machine has locked, perhaps long ago."""
        more = "Open it here anyway? If it is still open there, the changes of one of you get lost."
        if sure(self.window, "Open Board", who, more, "Open Anyway", "Cancel"):
            self.session.open(path, anyway=True)

    def share(self) -> None:
        """The saved board with all its pictures as one file for mail and messages."""
        from ...fluxboard.archive import export_zip
        from ...interchange.formats import ZIPPED
        from .exchange import run

        document = self.session.document
        suggestion = f"{self._folder()}/{document.board.title}.zip"
        path = QFileDialog.getSaveFileName(self.window, "Save as Zip", suggestion, ZIPPED.filter)[0]
        if not path or not document.saved():
            return

        def done(made) -> None:
            self.window.say(f"Saved {made.name}.", "File > Import opens it again, here or on another computer.", True)

        run(self.window, "Saving the Zip", lambda progress: export_zip(document.file, path), done, self.window.say)

    def tidy(self) -> None:
        """Pictures that nothing uses any more to the Trash, after a question."""
        document = self.session.document
        unused = document.unused_pictures()
        if not unused:
            self.window.say("Every picture of this board is in use.", "By the board, undo or an earlier state.", True)
            return
        taken = size(sum(path.stat().st_size for path in unused))
        text = f"{say_count(len(unused), 'picture')} of this board ({taken}) are not used any more."
        more = "Neither undo nor an earlier state needs them."
        if not sure(self.window, "Unused Pictures", text, more, "Move to Trash", "Cancel"):
            return
        try:
            document.move_unused_to_trash()
        except FluxLocalError as error:
            self.window.say(error.message, error.hint)

    def restore(self) -> None:
        from .dialogs import RestoreDialog

        self.session.document.save()
        RestoreDialog(self.session.document, self.window).exec()

    def settings(self) -> None:
        from .dialogs import SettingsDialog

        SettingsDialog(self.session.settings, self._store, self.window).exec()

    def _store(self, changed) -> None:
        from ..kit.theme import theme

        if changed.appearance != theme.scheme:
            theme.apply(changed.appearance)
        self.session.store(changed)
        self.window.show_model()

    def close(self) -> None:
        self.window.close()

    def quit(self) -> None:
        if self.window.close():
            QApplication.quit()

    def _folder(self) -> str:
        from ...base.settings import boards_folder

        return str(boards_folder(self.session.settings))

    # Undo

    def undo(self) -> None:
        self.session.document.undo()

    def redo(self) -> None:
        self.session.document.redo()

    # Places

    def show_board(self) -> None:
        self.window.go("board")

    def show_cast(self) -> None:
        self.window.go("cast")

    def show_models(self) -> None:
        self.window.go("models")

    def show_queue(self) -> None:
        self.window.go("queue")

    def open_panel(self) -> None:
        for panel in self.window.board_commands.chosen()[:1]:
            self.window.open_panel(panel)

    def peek(self) -> None:
        for panel in self.window.board_commands.chosen()[:1]:
            self.peek_at(panel)

    def peek_at(self, panel_id: str) -> None:
        """Quick Look of a panel."""
        from ..pages.peek import Peek

        look = Peek(self.session.document, panel_id, self.window.centralWidget())
        look.closed.connect(self._peeked)
        look.opened.connect(self.window.open_panel)

    def _peeked(self, panel_id: str) -> None:
        if not self.window.open_panel_id():
            self.window.board.grid.select((panel_id,))
            self.window.board.grid.setFocus()

    def play(self) -> None:
        from ..pages.animatic import Animatic

        chosen = self.window.board_commands.chosen()
        window = Animatic(self.session.document, chosen[0] if chosen else None, self.window)
        window.show()
        window.toggle()

    def zoom_in(self) -> None:
        grid = self.window.board.grid
        grid.set_cell(round(grid.least * 1.2))

    def zoom_out(self) -> None:
        grid = self.window.board.grid
        grid.set_cell(round(grid.least / 1.2))

    def full_screen(self) -> None:
        window = self.window
        window.showNormal() if window.isFullScreen() else window.showFullScreen()

    # Dialogs

    def board_settings(self) -> None:
        from .dialogs import BoardSettings

        BoardSettings(self.session.document, self.window).exec()

    def shortcuts(self) -> None:
        from .dialogs import Shortcuts

        Shortcuts(self.window.actions_, self.window).exec()

    def about(self) -> None:
        from .dialogs import about

        about(self.window)

    def sure_to_quit(self, busy: int) -> bool:
        """Ask before jobs are thrown away."""
        text = f"{say_count(busy, 'picture')} {'is' if busy == 1 else 'are'} not done yet."
        return sure(self.window, "Quit", text, "Everything else is saved.", "Quit Anyway", "Keep Working")

    def sure_to_lose(self) -> bool:
        """Ask before changes are thrown away that no disk would take; the message that says why is there already."""
        text = "The last changes could not be saved."
        more = "Free some space, or save a copy elsewhere: File > Save a Copy."
        return sure(self.window, "Quit", text, more, "Quit and Lose Them", "Keep Working")

    def notify(self, title: str, text: str) -> None:
        """Through the system, where it lets us; the icon in the Dock or task bar asks for attention in any case."""
        QApplication.alert(self.window)
        if QSystemTrayIcon.isSystemTrayAvailable():
            tray = QSystemTrayIcon(QApplication.windowIcon(), self.window)
            tray.show()
            tray.showMessage(title, text)
            tray.messageClicked.connect(self.window.activateWindow)
