"""What can be read under Help, all of it on this disk: the guide, the licences of what is inside, the version."""

import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from PySide6.QtCore import Qt, QUrl, qVersion
from PySide6.QtGui import QImage, QTextCursor, QTextTable
from PySide6.QtWidgets import (
    QDialog,
    QHBoxLayout,
    QListWidget,
    QPlainTextEdit,
    QTextBrowser,
    QWidget,
)

from ...base import paths
from ...base.credits import OURS, Library, list_libraries
from ..document.pixmaps import read
from ..kit.dialog import Buttons, fill_dialog
from ..kit.measures import GAP, ROOM, TIGHT, WIDE
from ..kit.messages import tell
from ..kit.placing import size_window
from ..kit.turns import beside
from ..kit.widgets import as_line, button, row

FIRST = "README.md"
WIDTH = 800  # px of a picture between the words
PIXELS = 1280  # of the file
UPDATE = "It never looks for a newer version by itself. "
BY_FILE = "To update, put a newer Flux Local in the place of this one; boards and models stay."
BY_PIP = (
    "To update, in the repository's folder: git pull, then .venv/bin/pip\u00a0install\u00a0-e\u00a0. (with the stop). "
    "Boards and models stay."
)


class Pages(QTextBrowser):
    """The guide's Markdown. Only what lies in its folder is opened: no link leads out of it, or to the internet."""

    def __init__(self, folder: Path):
        super().__init__()
        self.folder = folder.resolve()
        self.setAccessibleName("Page of the guide")
        self.setOpenLinks(False)
        self.anchorClicked.connect(self.go)
        self.go(QUrl(FIRST))

    def go(self, url: QUrl) -> None:
        """Show a page by its name; anything else is left alone."""
        path = (self.folder / url.fileName()).resolve()
        if path.parent == self.folder and path.suffix == ".md" and path.is_file():
            self.setSource(QUrl.fromLocalFile(str(path)))
            self._give_air()

    def loadResource(self, kind: int, url: QUrl | str) -> object:
        """Pictures as wide as the words, sharp on dense screens; text as Qt reads it."""
        url = QUrl(url)
        path = Path(url.toLocalFile() or self.folder / url.path()).resolve()
        if not path.is_relative_to(self.folder):
            return None
        if path.suffix != ".webp":
            return super().loadResource(kind, url)
        image: QImage = read(str(path), PIXELS)
        image.setDevicePixelRatio(max(1.0, image.width() / WIDTH))
        return image

    def _give_air(self) -> None:
        """Around the page, below each paragraph, in the cells of tables: Markdown can't ask for it."""
        self.document().setDocumentMargin(ROOM)
        block = self.document().begin()
        while block.isValid():
            form = block.blockFormat()
            form.setBottomMargin(TIGHT if block.textList() else WIDE)
            QTextCursor(block).setBlockFormat(form)
            block = block.next()
        for frame in self.document().rootFrame().childFrames():
            if isinstance(frame, QTextTable):
                table = frame.format().toTableFormat()
                table.setCellPadding(GAP)
                table.setCellSpacing(0)
                table.setBorder(0.5)
                frame.setFormat(table)
        self.document().clearUndoRedoStacks()
        self.moveCursor(QTextCursor.MoveOperation.Start)


class Guide(QDialog):
    """Stays open beside the work."""

    def __init__(self, parent: QWidget):
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle("Guide")
        self.pages = Pages(paths.guide())
        self.back = button("Back", self.pages.backward, "back", "quiet")
        self.back.setEnabled(False)
        self.pages.backwardAvailable.connect(self.back.setEnabled)
        contents = button("Contents", lambda: self.pages.go(QUrl(FIRST)), "board", "quiet")
        box = fill_dialog(self)
        box.addLayout(row(self.back, contents, None))
        box.addWidget(self.pages)
        size_window(self, WIDTH + 110, 760)
        self.pages.setFocus()


class Acknowledgements(QDialog):
    """Every library with its version and the text of its licence."""

    def __init__(self, parent: QWidget):
        super().__init__(parent)
        self.setWindowTitle("Acknowledgements")
        self.libraries: list[Library] = []
        self.list, self.text = QListWidget(), QPlainTextEdit()
        self.list.setAccessibleName("Libraries")
        self.text.setAccessibleName("Licence")
        self.text.setReadOnly(True)
        self.text.setTabChangesFocus(True)
        self.list.currentRowChanged.connect(lambda place: self._show(self.libraries[place]))
        middle = QHBoxLayout()
        middle.addWidget(self.list, 2)
        middle.addWidget(self.text, 5)
        box = fill_dialog(self)
        box.addLayout(middle)
        box.addWidget(Buttons(self))
        size_window(self, 900, 600)
        self.text.setPlainText("Reading the licences…")
        beside().do(self, list_libraries, self._fill)  # of a hundred files

    def _fill(self, libraries: list[Library]) -> None:
        self.libraries = libraries
        self.list.addItems([as_line(f"{library.name} {library.version}") for library in libraries])
        self.list.setMinimumWidth(self.list.sizeHintForColumn(0) + 48)  # and its scroll bar
        self.list.setCurrentRow(0)

    def _show(self, library: Library) -> None:
        self.text.setPlainText(f"{library.name} {library.version}\n{library.licence}\n\n{library.text}")


def show_about(parent: QWidget) -> None:
    """Name, version, licences, and how a newer version comes here."""
    try:
        number = version(OURS)
    except PackageNotFoundError:
        number = "from a checkout"
    more = (
        "Storyboards and pictures with Black Forest Labs' FLUX models on your own machine. Nothing leaves it except a "
        "download that you ask for.\n\nApache-2.0. The models have licences of their own: see Models.\n"
        f"Made with Qt {qVersion()} (LGPL-3), MLX, Pillow; all of it under Help, Acknowledgements. Characters of the "
        f"built-in model: Noto Color Emoji (OFL).\n\n{UPDATE}{BY_FILE if hasattr(sys, 'frozen') else BY_PIP}"
    )
    tell(parent, "About Flux Local", f"Flux Local {number}", more, trouble=False)
