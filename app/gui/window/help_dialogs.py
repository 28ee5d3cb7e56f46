"""Help: the shortcuts, made from the table of actions, and what this program is."""

from importlib.metadata import PackageNotFoundError, version

from PySide6.QtCore import Qt, qVersion
from PySide6.QtGui import QKeySequence
from PySide6.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QHeaderView,
    QLineEdit,
    QMessageBox,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from .actions import TABLE, Actions

FIXED = (
    ("Open the panel, add a panel, edit a heading", "Return"),
    ("Quick Look", "Space"),
    ("Select more", "Shift or Ctrl and click, or draw a frame"),
    ("Larger and smaller panels", "Ctrl and the mouse wheel"),
)


class Shortcuts(QDialog):
    """Searchable."""

    def __init__(self, actions: Actions, parent: QWidget | None = None):
        super().__init__(parent)
        self.setWindowTitle("Keyboard Shortcuts")
        self.search = QLineEdit()
        self.search.setPlaceholderText("Search")
        self.search.setAccessibleName("Search shortcuts")
        self.search.setClearButtonEnabled(True)
        self.search.textChanged.connect(self._filter)
        self.table = QTableWidget(0, 3)
        self.table.setAccessibleName("Shortcuts")
        self.table.setHorizontalHeaderLabels(["Menu", "What", "Keys"])
        self.table.horizontalHeader().setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        self.table.verticalHeader().hide()
        self.table.setShowGrid(False)
        self.table.setEditTriggers(QTableWidget.EditTrigger.NoEditTriggers)
        self.table.setSelectionBehavior(QTableWidget.SelectionBehavior.SelectRows)
        self.table.setTabKeyNavigation(False)
        self.table.horizontalHeader().setSectionResizeMode(1, QHeaderView.ResizeMode.Stretch)
        self._fill(actions)
        self.table.resizeColumnToContents(2)
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        buttons.rejected.connect(self.reject)
        box = QVBoxLayout(self)
        box.setContentsMargins(20, 20, 20, 16)
        box.setSpacing(12)
        box.addWidget(self.search)
        box.addWidget(self.table)
        box.addWidget(buttons)
        self.resize(620, 560)

    def _fill(self, actions: Actions) -> None:
        native = QKeySequence.SequenceFormat.NativeText
        for menu, rows in TABLE.items():
            for row in rows:
                keys = [keys.toString(native) for keys in actions[row.name].shortcuts()] if row else []
                if keys:
                    self._row(menu.replace("&", ""), row.text.replace("…", ""), " or ".join(keys))
        for words, keys in FIXED:
            self._row("Board", words, keys)

    def _row(self, *texts: str) -> None:
        place = self.table.rowCount()
        self.table.insertRow(place)
        for column, text in enumerate(texts):
            self.table.setItem(place, column, QTableWidgetItem(text))

    def _filter(self, text: str) -> None:
        for place in range(self.table.rowCount()):
            words = " ".join(self.table.item(place, column).text() for column in range(3)).lower()
            self.table.setRowHidden(place, text.lower() not in words)


def about(parent: QWidget) -> None:
    """Name, version, licences."""
    try:
        number = version("flux-local-studio")
    except PackageNotFoundError:
        number = "from a checkout"
    box = QMessageBox(parent)
    box.setWindowTitle("About Flux Local")
    box.setTextFormat(Qt.TextFormat.PlainText)
    box.setText(f"Flux Local {number}")
    box.setInformativeText(
        "Storyboards and pictures with Black Forest Labs' FLUX models on your own machine. Nothing leaves it except a "
        "download that you ask for.\n\nApache-2.0. The models have licences of their own: see Models.\n"
        f"Made with Qt {qVersion()} (LGPL-3), MLX, Pillow. Characters of the built-in model: Noto Color Emoji (OFL)."
    )
    box.exec()
