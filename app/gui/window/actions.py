"""Every action of the window in one table: its words, shortcut, icon and menu. The shortcuts help is made from it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from PySide6.QtGui import QAction, QKeySequence
from PySide6.QtWidgets import QMenu, QMenuBar, QWidget

from ..kit import icons

Role = QAction.MenuRole
NEEDS = ("", "panels", "one", "picture", "undo", "redo", "busy")


@dataclass(frozen=True)
class Row:
    """`needs` says when it can be used; `role` moves it into the Mac's application menu."""

    name: str
    text: str
    keys: str = ""
    icon: str = ""
    needs: str = ""
    role: Role = Role.NoRole


TABLE = {
    "&File": (
        Row("new", "New Board", "Ctrl+N"), Row("open", "Open…", "Ctrl+O"), Row("recent", "Open Recent"),
        Row("samples", "Open a Sample"), None,
        Row("import_", "Import…", "Ctrl+I", "import"),
        Row("import_folder", "Import a Folder of Pictures…"), Row("export", "Export…", "Ctrl+E", "export"), None,
        Row("copy_as", "Save a Copy…", "Ctrl+Shift+S"), Row("restore", "Restore an Earlier State…", "", "history"),
        Row("share", "Save as Zip for Sharing…"), Row("tidy", "Move Unused Pictures to the Trash…"),
        Row("reveal", "Show in Finder"), None,
        Row("settings", "Settings…", "Ctrl+,", "settings", role=Role.PreferencesRole),
        Row("close", "Close Window", "Ctrl+W"), Row("quit", "Quit Flux Local", "Ctrl+Q", role=Role.QuitRole),
    ),
    "&Edit": (
        Row("undo", "Undo", "Ctrl+Z", "undo", "undo"), Row("redo", "Redo", "Ctrl+Shift+Z", "redo", "redo"), None,
        Row("copy", "Copy", "Ctrl+C", "", "panels"), Row("paste", "Paste", "Ctrl+V"),
        Row("duplicate", "Duplicate", "Ctrl+D", "duplicate", "panels"),
        Row("delete", "Delete", "Del", "trash", "panels"), None,
        Row("select_all", "Select All Panels", "Ctrl+A"), Row("rename", "Edit Caption", "F2", "", "one"),
    ),
    "&Board": (
        Row("add_panel", "Add Panel", "Ctrl+Shift+N", "plus"),
        Row("add_scene", "Add Scene", "Ctrl+Alt+N", "scene"),
        Row("continue_from", "Continue from This Panel", "Ctrl+K", "continue", "panels"), None,
        Row("earlier", "Move Earlier", "Alt+Left", "", "panels"),
        Row("later", "Move Later", "Alt+Right", "", "panels"),
        Row("scene_earlier", "Move Scene Earlier"), Row("scene_later", "Move Scene Later"),
        Row("remove_scene", "Delete Scene"), None,
        Row("board_settings", "Board Settings…", "Ctrl+Shift+B"),
    ),
    "&Render": (
        Row("render", "Render", "Ctrl+R", "render"),
        Row("again", "Re-generate This One", "Ctrl+Shift+R", "again", "panels"),
        Row("variations", "Four Variations", "Ctrl+Alt+R", "variations", "panels"),
        Row("apply_to_all", "Apply to All…", "Ctrl+Shift+A", "all"), None,
        Row("cancel", "Cancel These", "Ctrl+.", "stop", "busy"),
        Row("cancel_all", "Cancel All", "Ctrl+Shift+.", "", "busy"),
    ),
    "&View": (
        Row("show_board", "Board", "Ctrl+1"), Row("show_cast", "Cast", "Ctrl+2"),
        Row("show_models", "Models", "Ctrl+3"), Row("show_queue", "Queue", "Ctrl+4"), None,
        Row("open_panel", "Open Panel", "Ctrl+Down", "panel", "one"),
        Row("peek", "Quick Look", "Ctrl+Y", "eye", "picture"),
        Row("play", "Play Animatic", "Ctrl+P", "play"), None,
        Row("zoom_in", "Larger Panels", "Ctrl++", "zoom_in"),
        Row("zoom_out", "Smaller Panels", "Ctrl+-", "zoom_out"),
        Row("full_screen", "Full Screen", "F11"),
    ),
    "&Help": (
        Row("shortcuts", "Keyboard Shortcuts", "Ctrl+/"), Row("about", "About Flux Local", role=Role.AboutRole),
    ),
}  # fmt: skip
CONTEXT = (
    "open_panel", "peek", None, "render", "again", "variations", "apply_to_all", "cancel", None, "continue_from",
    "duplicate", "copy", None, "rename", "delete",
)  # fmt: skip
ALSO = {"delete": ("Backspace",), "zoom_in": ("Ctrl+=",)}


class State(NamedTuple):
    """What decides which actions can be used."""

    panels: int
    picture: bool
    undo: str
    redo: str
    busy: bool


class Actions:
    """The QActions by name, on `parent`; triggering one calls `run(name)`."""

    def __init__(self, parent: QWidget, run: Callable[[str], None]):
        self.rows = {row.name: row for rows in TABLE.values() for row in rows if row}
        self.made = {name: self._make(parent, row, run) for name, row in self.rows.items()}

    def __getitem__(self, name: str) -> QAction:
        return self.made[name]

    def _make(self, parent: QWidget, row: Row, run: Callable[[str], None]) -> QAction:
        action = QAction(row.text, parent)
        action.setMenuRole(row.role)
        keys = [QKeySequence(text) for text in (row.keys, *ALSO.get(row.name, ())) if text]
        action.setShortcuts(keys)
        if row.icon:
            icons.dress(action, row.icon)
        action.triggered.connect(lambda *_: run(row.name))
        parent.addAction(action)
        return action

    def menus(self, bar: QMenuBar, special: dict[str, QMenu]) -> None:
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

    def context(self, target: QWidget) -> None:
        """The context menu of the grid."""
        for name in CONTEXT:
            if name is None:
                separator = QAction(target)
                separator.setSeparator(True)
                target.addAction(separator)
            else:
                target.addAction(self.made[name])

    def update(self, state: State) -> None:
        """Enable what can be used now, and name what undo would undo."""
        usable = {
            "": True, "panels": state.panels > 0, "one": state.panels == 1, "picture": state.picture,
            "undo": bool(state.undo), "redo": bool(state.redo), "busy": state.busy,
        }  # fmt: skip
        for name, action in self.made.items():
            action.setEnabled(usable[self.rows[name].needs])
        self.made["undo"].setText(f"Undo {state.undo}".strip())
        self.made["redo"].setText(f"Redo {state.redo}".strip())
        self.made["again"].setText("Re-generate This One" if state.panels <= 1 else "Re-generate These")
