"""Over all pages and dialogs: icons are ours, whatever takes the keys has a name, every page keeps its measures."""

from functools import partial

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QAccessible
from PySide6.QtWidgets import (
    QAbstractButton,
    QAbstractSpinBox,
    QColorDialog,
    QComboBox,
    QDialogButtonBox,
    QFileDialog,
    QHeaderView,
    QInputDialog,
    QMessageBox,
    QScrollBar,
    QStyle,
    QWidget,
)

from app.base.paths import guide
from app.gui.canvas.canvas import Canvas
from app.gui.kit import messages
from app.gui.kit.icons import OURS, Style
from app.gui.pages.animatic import Animatic
from app.gui.pages.downloads import Consent
from app.gui.pages.log_in import LogIn
from app.gui.pages.teach import TeachDialog
from app.gui.prompt.crop import CropDialog
from app.gui.window.dialogs import BoardSettings, InstructionDialog, RestoreDialog, Shortcuts
from app.gui.window.exchange import ExportDialog
from app.gui.window.reading import Acknowledgements, Guide
from app.gui.window.settings_dialog import SettingsDialog
from app.models import library
from tests.gui.panel_board import add_member, add_take

PAGES = ("home", "board", "cast", "loras", "models", "queue")
TITLE_BARS = [one for one in QStyle.StandardPixmap if one.name.startswith(("SP_TitleBar", "SP_DockWidget"))]


@pytest.fixture
def stock(monkeypatch):
    """The standard icons that are asked for and are none of ours."""
    asked = []
    ours = Style.standardIcon

    def note(self, which, option=None, widget=None):
        asked.append(which)
        return ours(self, which, option, widget)

    monkeypatch.setattr(Style, "standardIcon", note)
    return lambda: [one.name for one in asked if one not in OURS and one not in TITLE_BARS]


def list_nameless(top: QWidget) -> list[str]:
    """What Tab comes to and a screen reader can't name."""
    found = []
    for one in (top, *top.findChildren(QWidget)):
        inner = isinstance(one, QScrollBar | QHeaderView) or isinstance(
            one.parentWidget(), QAbstractSpinBox | QComboBox
        )
        if inner or not one.isVisible() or not one.focusPolicy() & Qt.FocusPolicy.TabFocus:
            continue
        interface = QAccessible.queryAccessibleInterface(one)
        if not (one.accessibleName() or interface.text(QAccessible.Text.Name)):
            found.append(f"{type(one).__name__} {one.objectName()!r} in {type(one.parentWidget()).__name__}")
    return found


def list_iconed(top: QWidget) -> list[str]:
    """Buttons of dialogs that have icons: they have words."""
    return [one.text() for box in top.findChildren(QDialogButtonBox) for one in box.findChildren(QAbstractButton)
            if not one.icon().isNull()]  # fmt: skip


@pytest.mark.first_case
@pytest.mark.parametrize("page", PAGES)
def test_a_page_is_of_one_hand(window, stock, page):
    window.go(page)
    assert list_nameless(window) == []
    assert stock() == []


@pytest.mark.first_case
@pytest.mark.parametrize("tool", ["move", "brush", "paint", "place"])
def test_a_panel_is_of_one_hand(window, stock, picture_file, tool):
    document, (panel, *_) = window.session.document, list_ids(window)
    add_take(document, panel, 1)
    window.open_panel(panel)
    window.page("panel").stage.set_tool(tool)
    assert isinstance(window.page("panel").stage.canvas, Canvas)
    for tab in range(3):
        window.page("panel").side.tabs.setCurrentIndex(tab)
        assert list_nameless(window) == []
    assert stock() == []


def list_ids(window) -> list[str]:
    return [panel.id for panel in window.session.document.board.panels()]


def list_drawn(window) -> list[str]:
    """All panels, of which one has a picture to change."""
    add_take(window.session.document, list_ids(window)[0], 1)
    return list_ids(window)


def make_crop(window, picture_file) -> CropDialog:
    picture = window.session.document.import_picture(picture_file())
    return CropDialog(window.session.document.pixmap_now(picture.sha256, 256), picture, None, window)


def make_files(window, mode) -> QFileDialog:
    """As Qt draws it where the system has none of its own."""
    made = QFileDialog(window, "Open", str(guide()))
    made.setOption(QFileDialog.Option.DontUseNativeDialog)
    made.setFileMode(mode)
    return made


def make_colours(window) -> QColorDialog:
    made = QColorDialog(window)
    made.setOption(QColorDialog.ColorDialogOption.DontUseNativeDialog)
    return made


def make_consent(window) -> Consent:
    entry = next(one for one in library.catalogue(window.page("models").here) if one["licence"]["gated"])
    return Consent(entry, window)


DIALOGS = {
    "settings": lambda window, _: SettingsDialog(window.session.settings, lambda _: None, window),
    "board": lambda window, _: BoardSettings(window.session.document, window),
    "export": lambda window, _: ExportDialog(window.session.document, (), window),
    "shortcuts": lambda window, _: Shortcuts(window.actions_.list_shortcuts(), window),
    "apply to all": lambda window, _: InstructionDialog(window.session.document, list_drawn(window), window),
    "restore": lambda window, _: RestoreDialog(window.session.document, window),
    "guide": lambda window, _: Guide(window),
    "acknowledgements": lambda window, _: Acknowledgements(window),
    "log in": lambda window, _: LogIn(window),
    "consent": lambda window, _: make_consent(window),
    "teach": lambda window, _: TeachDialog(
        window.session.document, add_member(window.session.document, "gull"), window
    ),
    "crop": make_crop,
    "animatic": lambda window, _: Animatic(window.session.document, None, window),
    "reading": lambda window, _: messages.ReadingDialog(3),
    "question": lambda window, _: messages._make_box("question", window, "Title", "Sure?", "More"),
    "files": lambda window, _: make_files(window, QFileDialog.FileMode.ExistingFile),
    "folder": lambda window, _: make_files(window, QFileDialog.FileMode.Directory),
    "colours": lambda window, _: make_colours(window),
    "name": lambda window, _: QInputDialog(window),
}
QTS_OWN = ("files", "folder", "colours", "name")  # they have no names for some of their parts


@pytest.mark.first_case
@pytest.mark.parametrize("name", DIALOGS)
def test_a_dialog_is_of_one_hand(qtbot, window, stock, picture_file, name):
    made = DIALOGS[name](window, picture_file)
    if isinstance(made, QMessageBox):
        made.addButton("Do It", QMessageBox.ButtonRole.AcceptRole)
    made.show()
    qtbot.waitUntil(partial(made.isVisible))
    assert stock() == []
    assert list_iconed(made) == []
    if name not in QTS_OWN:
        assert list_nameless(made) == []
    made.close()
