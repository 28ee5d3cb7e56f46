"""Every action of the window in one table: its words, shortcut, menu, and what it does."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from PySide6.QtCore import QEvent, QObject, QPoint, Qt
from PySide6.QtGui import QAction, QKeyEvent, QKeySequence
from PySide6.QtWidgets import (
    QAbstractSpinBox,
    QApplication,
    QLineEdit,
    QMenu,
    QMenuBar,
    QPlainTextEdit,
    QTextEdit,
    QWidget,
)

from ...base.words import SHOW_IN_FILES, say_count
from .board_commands import BoardCommands
from .window_commands import WindowCommands

Role = QAction.MenuRole
Need = Literal["", "board", "panels", "selected", "one", "picture", "undo", "redo", "busy"]


@dataclass(frozen=True)
class Row:
    """What it does is a command of the window or of the open board; a menu of its own stands in a row without either.

    `needs` says when it can be used; `role` moves it into the Mac's application menu.
    """

    name: str
    text: str
    keys: str = ""
    needs: Need = ""
    window: Callable[[WindowCommands], object] | None = None
    board: Callable[[BoardCommands], object] | None = None
    role: Role = Role.NoRole


Window, Board = WindowCommands, BoardCommands
TABLE: dict[str, tuple[Row | None, ...]] = {
    "&File": (
        Row("new", "New Board", "Ctrl+N", window=Window.new),
        Row("open", "Open…", "Ctrl+O", window=Window.open),
        Row("recent", "Open Recent"),
        Row("samples", "Open a Sample"),
        None,
        Row("import_", "Import…", "Ctrl+I", window=Window.import_),
        Row("import_folder", "Import a Folder of Pictures…", window=Window.import_folder),
        Row("import_into", "Import into This Board…", "Ctrl+Shift+I", board=Board.import_into),
        Row("import_folder_into", "Import a Folder into This Board…", board=Board.import_folder_into),
        Row("import_onto", "Import a Timeline onto This Board…", window=Window.import_onto),
        Row("export", "Export…", "Ctrl+E", board=Board.export),
        None,
        Row("copy_as", "Save a Copy…", "Ctrl+Shift+S", board=Board.copy_as),
        Row("restore", "Restore an Earlier State…", board=Board.restore),
        Row("share", "Save as Zip for Sharing…", board=Board.share),
        Row("tidy", "Move Unused Pictures to the Trash…", board=Board.tidy),
        Row("reveal", SHOW_IN_FILES, board=Board.reveal),
        None,
        Row("settings", "Settings…", "Ctrl+,", window=Window.settings, role=Role.PreferencesRole),
        Row("close", "Close Window", "Ctrl+W", window=Window.close),
        Row("quit", "Quit Flux Local", "Ctrl+Q", window=Window.quit, role=Role.QuitRole),
    ),
    "&Edit": (
        Row("undo", "Undo", "Ctrl+Z", "undo", board=Board.undo),
        Row("redo", "Redo", "Ctrl+Shift+Z", "redo", board=Board.redo),
        None,
        Row("copy", "Copy", "Ctrl+C", "panels", board=Board.copy),
        Row("paste", "Paste", "Ctrl+V", board=Board.paste),
        Row("duplicate", "Duplicate", "Ctrl+D", "panels", board=Board.duplicate),
        Row("delete", "Delete", "Del", "selected", board=Board.delete),
        None,
        Row("find", "Find a Panel…", "Ctrl+F", board=Board.find),
        Row("select_all", "Select All Panels", "Ctrl+A", board=Board.select_all),
        Row("rename", "Edit Caption", "F2", "one", board=Board.rename),
    ),
    "&Board": (
        Row("add_panel", "Add Panel", "Ctrl+Shift+N", board=Board.add_panel),
        Row("add_scene", "Add Scene", "Ctrl+Alt+N", board=Board.add_scene),
        Row("continue_from", "Continue from This Panel", "Ctrl+K", "panels", board=Board.continue_from),
        None,
        Row("earlier", "Move Earlier", "Alt+Left", "selected", board=Board.move_earlier),
        Row("later", "Move Later", "Alt+Right", "selected", board=Board.move_later),
        Row("scene_earlier", "Move Scene Earlier", board=Board.move_scene_earlier),
        Row("scene_later", "Move Scene Later", board=Board.move_scene_later),
        Row("remove_scene", "Delete Scene", board=Board.remove_scene),
        Row("write_scene", "Write Out Scene", board=Board.write_scene),
        None,
        Row("board_settings", "Board Settings…", "Ctrl+Shift+B", board=Board.settings),
    ),
    "&Render": (
        Row("render", "Render", "Ctrl+R", board=Board.render),
        Row("four", "Render Four Takes", "Ctrl+Alt+R", "panels", board=Board.render_four),
        Row("apply_to_all", "Apply to All…", "Ctrl+Shift+A", board=Board.apply_to_all),
        None,
        Row("cancel", "Cancel These", "Ctrl+.", "busy", board=Board.cancel),
        Row("cancel_all", "Cancel All", "Ctrl+Shift+.", "busy", window=Window.cancel_all),
    ),
    "&View": (
        Row("show_home", "Home", "Ctrl+0", window=Window.show_home),
        Row("show_board", "Board", "Ctrl+1", window=Window.show_board),
        Row("show_cast", "Cast", "Ctrl+2", window=Window.show_cast),
        Row("show_models", "Models", "Ctrl+3", window=Window.show_models),
        Row("show_queue", "Queue", "Ctrl+4", window=Window.show_queue),
        Row("show_loras", "LoRAs", "Ctrl+5", window=Window.show_loras),
        None,
        Row("open_panel", "Open Panel", "Ctrl+Down", "board", board=Board.open_panel),
        Row("peek", "Quick Look", "Ctrl+Y", "picture", board=Board.peek),
        Row("play", "Play Animatic", "Ctrl+P", board=Board.play),
        None,
        Row("zoom_in", "Larger Panels", "Ctrl++", board=Board.zoom_in),
        Row("zoom_out", "Smaller Panels", "Ctrl+-", board=Board.zoom_out),
        Row("full_screen", "Full Screen", "F11", window=Window.toggle_full_screen),
    ),
    "&Help": (
        Row("guide", "Guide", "F1", window=Window.show_guide),
        Row("shortcuts", "Keyboard Shortcuts", "Ctrl+/", window=Window.show_shortcuts),
        None,
        Row("acknowledgements", "Acknowledgements…", window=Window.show_acknowledgements),
        Row("about", "About Flux Local", window=Window.show_about, role=Role.AboutRole),
    ),
}
CONTEXT: dict[str, tuple[str | None, ...]] = {  # what a right click shows, on the board: there are panels, headings
    "panel": (
        "open_panel", "peek", None, "render", "four", "apply_to_all", "cancel", None, "continue_from",
        "duplicate", "copy", None, "rename", "delete",
    ),
    "heading": ("add_panel", None, "write_scene", "scene_earlier", "scene_later", None, "remove_scene"),
    "board": (
        "add_panel", "add_scene", "paste", None, "import_into", "import_folder_into", None, "select_all",
        "apply_to_all", "play", None, "board_settings",
    ),
}  # fmt: skip
WRITTEN = (QLineEdit, QPlainTextEdit, QTextEdit, QAbstractSpinBox)
HELD = ("undo", "redo", "earlier", "later", "zoom_in", "zoom_out")  # goes on while the keys are held; the rest is once
PANELS = (  # what changes panels or leaves for one: none of it happens while words are typed
    "copy", "paste", "duplicate", "delete", "select_all", "rename", "add_panel", "add_scene", "continue_from",
    "earlier", "later", "apply_to_all", "open_panel", "peek",
)  # fmt: skip
ALSO = {"delete": ("Backspace",), "zoom_in": ("Ctrl+=",)}


class State(NamedTuple):
    """What decides which actions can be used."""

    panels: int
    on_board: bool  # rather than on a panel or another page
    picture: bool
    undo: str
    redo: str
    busy: bool


class KeysOfWords(QObject):
    """A field that is written in has the keys: those for panels come to the window when the field has no use for them,
    and go no further. The menus' entries stay what they are."""

    def __init__(self, window: QWidget, actions: Sequence[QAction]):
        super().__init__(window)
        self.actions = actions
        window.installEventFilter(self)

    def eventFilter(self, _: QObject, event: QEvent) -> bool:
        if event.type() != QEvent.Type.ShortcutOverride or not isinstance(event, QKeyEvent):
            return False
        keys = QKeySequence(event.keyCombination())
        if not isinstance(QApplication.focusWidget(), WRITTEN) or not any(
            keys in one.shortcuts() for one in self.actions
        ):
            return False
        event.accept()
        return True


class Actions:
    """The QActions by name, on `parent`; triggering one calls `run` with its row."""

    def __init__(self, parent: QWidget, run: Callable[[Row], None]):
        self.rows = {row.name: row for rows in TABLE.values() for row in rows if row}
        self.made = {name: self._make(parent, row, run) for name, row in self.rows.items()}
        KeysOfWords(parent, [self.made[name] for name in PANELS])

    def __getitem__(self, name: str) -> QAction:
        return self.made[name]

    def _make(self, parent: QWidget, row: Row, run: Callable[[Row], None]) -> QAction:
        action = QAction(row.text, parent)
        action.setMenuRole(row.role)
        keys = [QKeySequence(text) for text in (row.keys, *ALSO.get(row.name, ())) if text]
        action.setShortcuts(keys)
        action.setAutoRepeat(row.name in HELD)
        action.triggered.connect(lambda *_: run(row))
        parent.addAction(action)
        return action

    def fill(self, bar: QMenuBar, special: dict[str, QMenu]) -> None:
        """Fill the menu bar; `special` are menus that stand in the place of a row."""
        for title, rows in TABLE.items():
            menu = bar.addMenu(title)
            for row in rows:
                if row is None:
                    menu.addSeparator()
                elif row.name in special:
                    special[row.name].setTitle(row.text)
                    menu.addMenu(special[row.name])
                else:
                    menu.addAction(self.made[row.name])

    def show_menu(self, kind: str, at: QPoint, parent: QWidget) -> None:
        """What a right click on the board shows: see CONTEXT; `at` on the screen."""
        menu = QMenu(parent)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        for name in CONTEXT[kind]:
            menu.addAction(self.made[name]) if name else menu.addSeparator()
        menu.popup(at)

    def list_shortcuts(self) -> list[tuple[str, str, str]]:
        """(menu, words, keys as this system writes them) of each action that has keys."""
        native = QKeySequence.SequenceFormat.NativeText
        found = []
        for title, rows in TABLE.items():
            for row in rows:
                keys = " or ".join(one.toString(native) for one in self.made[row.name].shortcuts()) if row else ""
                if row and keys:
                    found.append((title.replace("&", ""), row.text.replace("…", ""), keys))
        return found

    def update(self, state: State) -> None:
        """Enable what can be used now, and name what undo would undo."""
        usable: dict[Need, bool] = {
            "": True, "board": state.on_board, "panels": state.panels > 0,
            "selected": state.on_board and state.panels > 0, "one": state.panels == 1, "picture": state.picture,
            "undo": bool(state.undo), "redo": bool(state.redo), "busy": state.busy,
        }  # fmt: skip
        for name, action in self.made.items():
            action.setEnabled(usable[self.rows[name].needs])
        self.made["undo"].setText(f"Undo {state.undo}".strip())
        self.made["redo"].setText(f"Redo {state.redo}".strip())
        self.made["delete"].setText("Delete" if state.panels <= 1 else f"Delete {state.panels} Panels")
        self.made["render"].setText(
            f"Render {say_count(state.panels, 'Panel')}" if state.panels else "Render New Panels"
        )
        self.made["four"].setText("Render Four Takes" if state.panels <= 1 else "Render Four Takes of Each")
        many = f"Apply to {state.panels} Panels…"
        self.made["apply_to_all"].setText(many if state.panels > 1 else self.rows["apply_to_all"].text)
