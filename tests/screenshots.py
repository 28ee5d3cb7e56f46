"""Pictures of every view in dark and light, at two sizes: python -m tests.screenshots OUT [--only board]

Runs without a screen (offscreen), on the sample board and a scripted engine.
"""

import argparse
import json
import os
import tempfile
import time
from functools import partial
from pathlib import Path

SCREEN = {
    "name": "wide",
    "x": 0,
    "y": 0,
    "width": 2560,
    "height": 1440,
    "logicalDpi": 96,
    "logicalBaseDpi": 96,
    "dpr": 1,
}
SIZES = {"1280x800": (1280, 800), "2560x1440": (2560, 1440)}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("out", type=Path)
    parser.add_argument("--only", default="")
    parser.add_argument("--size", default="")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as home:
        os.environ["FLUX_LOCAL_HOME"] = home
        screens = Path(home, "screens.json")  # its own is 800 x 800, and a window is never larger than the screen
        screens.write_text(json.dumps({"screens": [SCREEN]}))
        os.environ["QT_QPA_PLATFORM"] = f"offscreen:configfile={screens}"
        take_all(arguments.out, Path(home), arguments.only, arguments.size)


def take_all(out: Path, home: Path, only: str, size: str) -> None:
    import msgspec
    from PySide6.QtWidgets import QApplication

    from app.gui.kit.theme import theme
    from app.gui.window.main_window import MainWindow
    from app.gui.window.session import Session
    from tests.app.fake_engine import FakeEngine

    app = QApplication([])
    for scheme in ("dark", "light"):
        for label, (width, height) in SIZES.items():
            if size in ("", label):
                theme.apply(scheme)
                session = Session(FakeEngine())
                session.settings = msgspec.structs.replace(session.settings, folder=str(home / scheme / label))
                window = MainWindow(session)
                window.resize(width, height)
                window.show()
                session.open_sample("gull")
                scenes(window, partial(shoot, app, window, out, only, f"{scheme}-{label}"))
                session.close()
                window.deleteLater()
                app.processEvents()


def shoot(app, window, out: Path, only: str, suffix: str, name: str, widget=None) -> None:
    """Let everything settle, then grab."""
    if only and not name.startswith(only):
        return
    for _ in range(40):  # pictures are decoded beside the window's thread
        app.processEvents()
        time.sleep(0.01)
    path = out / f"{name}-{suffix}.png"
    (widget or window).grab().save(str(path))
    print(path, flush=True)


def scenes(window, shot) -> None:
    """Every view, one after the other."""
    from tests.panel_scenes import panel_scenes

    session, grid = window.session, window.board.grid
    document, engine = session.document, session.engine
    ids = [panel.id for panel in document.board.panels()]
    shot("board")
    grid.select((ids[1], ids[2]))
    grid.setFocus()
    document.render(ids[2:5])
    engine.loaded()
    engine.step(6, 16, left=12)
    engine.preview(document.picture_path(document.board.panel(ids[2]).take.picture.sha256))
    document.cancel(ids[3])
    shot("board-working")
    document.render([ids[6], ids[0]])
    window.go("queue")
    shot("queue")
    engine.fail("The machine ran out of memory.", "Try a smaller size, or fewer references.")
    window.go("board")
    shot("board-failed")
    window.toasts.hide()
    window.open_panel(ids[2])
    shot("panel-failed")
    engine.cancel_all()
    window.open_panel(ids[4])
    shot("panel")
    window.go("cast")
    window.page("cast").show_member(document.board.cast[1].id)
    shot("cast")
    window.go("loras")
    shot("loras")
    window.go("models")
    shot("models")
    window.go("home")
    shot("home")
    window.go("board")
    panel_scenes(window, shot)
    dialogs(window, shot)
    empty(window, shot)


def dialogs(window, shot) -> None:
    """Dialogs and windows of their own."""
    from app.gui.pages.animatic import Animatic
    from app.gui.pages.peek import Peek
    from app.gui.window.dialogs import BoardSettings, Shortcuts
    from app.gui.window.exchange import ExportDialog
    from app.gui.window.settings_dialog import SettingsDialog

    document = window.session.document
    first = next(document.board.panels())
    for name, made in (
        ("settings", SettingsDialog(window.session.settings, lambda s: None, window)),
        ("board-settings", BoardSettings(document, window)),
        ("export", ExportDialog(document, (), window)),
        ("shortcuts", Shortcuts(window.actions_.list_shortcuts(), window)),
    ):
        made.show()
        shot(f"dialog-{name}", made)
        made.close()
        made.deleteLater()
    player = Animatic(document, list(document.board.panels())[4].id, window)
    player.show()
    shot("animatic", player)
    player.close()
    look = Peek(document, first.id, window.centralWidget())
    shot("quick-look")
    look.hide()
    look.deleteLater()


def empty(window, shot) -> None:
    """A new board, without panels or cast; an empty queue."""
    from app.board import commands
    from app.board.data import new_board

    board = new_board("Untitled")
    window.session.new(board)
    shot("new-board")
    document = window.session.document
    document.do("Delete", commands.remove_scene(document.board, document.board.scenes[0].id))
    shot("empty-board")
    window.go("cast")
    shot("empty-cast")


if __name__ == "__main__":
    main()
