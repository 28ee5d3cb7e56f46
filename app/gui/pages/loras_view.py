"""The LoRA page: the library with pictures, trigger words and the models they fit; which ones the whole board uses."""

from functools import lru_cache, partial
from pathlib import Path

from PySide6.QtCore import QObject, Qt, Signal
from PySide6.QtGui import QDragEnterEvent, QDragMoveEvent, QDropEvent, QGuiApplication, QImage, QPixmap, QShowEvent
from PySide6.QtWidgets import (
    QCheckBox,
    QFrame,
    QHBoxLayout,
    QStackedLayout,
    QVBoxLayout,
    QWidget,
)

from mlx_model import memory
from mlx_model.errors import FluxLocalError, Hint

from ...base.words import SHOW_IN_FILES, say_count
from ...board import commands
from ...board.data import Adapter, Board
from ...models import loras
from ...pictures.images import open_picture
from ..document.document import Document
from ..document.forecast import Library
from ..kit.fields import StrengthField
from ..kit.lazy_column import LazyColumn
from ..kit.links import show_folder
from ..kit.measures import MARGIN, TIGHT, WIDE
from ..kit.menus import Entry, offer_menu
from ..kit.messages import choose_files, sure
from ..kit.turns import beside
from ..kit.widgets import Empty, Plain, bar, button, describe, fill_page, label, row, set_tone

SIDE, CARD = 108, 150  # points of a picture; px: the usual height of a card
FILTER = "LoRAs (*.safetensors *.sft)"
FEW_TITLES, FEW_REFUSED = 3, 3


class Adding(QObject):
    """Copies files into the library on a thread of its own: they may be large."""

    added = Signal(str)  # name
    refused = Signal(str, object)  # message, hint

    def start(self, files: list[Path], refused: int = 0) -> None:
        """One after the other, also where the page is left; of refusals the first few are told one by one."""
        if files:
            beside().do(self, partial(_add, files[0]), partial(self._end_one, files[1:], refused))
        elif refused > FEW_REFUSED:
            self.refused.emit(f"{say_count(refused - FEW_REFUSED, 'more file')} could not be added.", "")

    def _end_one(self, rest: list[Path], refused: int, done: str | FluxLocalError) -> None:
        if isinstance(done, str):
            self.added.emit(done)
        else:
            refused += 1
            if refused <= FEW_REFUSED:
                self.refused.emit(done.message, done.hint)
        self.start(rest, refused)


def _add(file: Path) -> str | FluxLocalError:
    """Its name in the library, or why it was refused."""
    try:
        return loras.add(file).stem
    except FluxLocalError as error:
        return error


class LoraCard(QFrame):
    """One file of the library."""

    removed = Signal(str)

    def __init__(self, entry: loras.Entry, document: Document):
        super().__init__()
        self.setObjectName("card")
        self.entry, self.document = entry, document
        self.use = QCheckBox("Whole board")
        describe(self.use, f"Use {entry.name} for the whole board", "Panels can choose others under Settings")
        self.use.clicked.connect(self._toggle)
        self.strength = StrengthField(f"Strength of {entry.name}")
        self.strength.chosen.connect(self._set_strength)
        self._lay_out()
        self.refresh(document.board)
        offer_menu(self, lambda _: self.list_entries())

    def list_entries(self) -> list[Entry]:
        """What can be done with it."""
        words = "Take Off the Board" if self.use.isChecked() else "Use for the Whole Board"
        use = [] if self.use.isHidden() else [Entry(words, self.use.click)]
        show = Entry(SHOW_IN_FILES, lambda: show_folder(self.entry.path.parent, self))
        return [*use, show, Entry("Remove…", self._remove)]

    def _lay_out(self) -> None:
        entry = self.entry
        words = QVBoxLayout()
        words.setSpacing(TIGHT)
        words.addLayout(row(label(entry.name, name="subheading"), None, label(memory.say_bytes(entry.bytes), "muted")))
        if entry.problem:
            words.addWidget(label(f"Can't be used: {entry.problem}", "danger", wrap=True))
        else:
            words.addWidget(label(f"For {say_models(entry)}", wrap=True))
        if entry.description:
            words.addWidget(label(entry.description, "muted", wrap=True))
        if entry.triggers:
            words.addLayout(self._triggers())
        words.addStretch(1)
        words.addLayout(self._buttons())
        box = QHBoxLayout(self)
        box.setContentsMargins(WIDE, WIDE, MARGIN, WIDE)
        box.setSpacing(MARGIN)
        box.addWidget(Portrait(entry), 0, Qt.AlignmentFlag.AlignTop)
        box.addLayout(words, 1)

    def _triggers(self) -> QHBoxLayout:
        told = ", ".join(self.entry.triggers)
        copy = button("Copy", lambda: QGuiApplication.clipboard().setText(told), kind="quiet")
        describe(copy, f"Copy the trigger words of {self.entry.name}", "To paste them into a prompt")
        found = label(f"Trigger words: {told}", "muted", wrap=True)
        found.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        box = QHBoxLayout()
        box.addWidget(found, 1)
        box.addWidget(copy)
        return box

    def _buttons(self) -> QHBoxLayout:
        gone = button("Remove…", self._remove, "trash", "quiet")
        gone.setAccessibleName(f"Remove {self.entry.name}")
        self.use.setVisible(not self.entry.problem)
        return row(self.use, self.strength, None, gone)

    def refresh(self, board: Board) -> None:
        """What the board uses."""
        used = next((one for one in board.loras if one.name == self.entry.name), None)
        self.use.setChecked(used is not None)
        self.strength.setVisible(used is not None)
        self.strength.show_value(used.strength if used else 1.0)

    def _toggle(self) -> None:
        name = self.entry.name
        left = [one for one in self.document.board.loras if one.name != name]
        kept = (*left, Adapter(name)) if self.use.isChecked() else tuple(left)
        if not self.document.do("Choose LoRAs", lambda board: commands.set_board(board, loras=tuple(kept))):
            self.refresh(self.document.board)

    def _set_strength(self, strength: float) -> None:
        changed = tuple(
            Adapter(one.name, strength) if one.name == self.entry.name else one for one in self.document.board.loras
        )
        self.document.do(
            "Change Strength", lambda board: commands.set_board(board, loras=changed), f"strength {self.entry.name}"
        )

    def _remove(self) -> None:
        name = self.entry.name
        more = "Panels that use it can't be rendered until it is added again, or taken off."
        if not sure(self, "Remove LoRA", f"Move {name} to the Trash?", more, "Move to Trash"):
            return
        try:
            loras.remove(self.entry.path.name)
        except FluxLocalError as error:
            self.document.tell(error)
        self.removed.emit(name)


class LorasView(QWidget):
    """Cards of the library, by name."""

    def __init__(self, document: Document, parent: QWidget | None = None):
        super().__init__(parent)
        self.document = document
        self.adding, self.library = Adding(document), Library(self)
        self.library.read.connect(self._show)
        self.adding.added.connect(self._tell_added)
        self.adding.refused.connect(self._tell_refused)
        self.body = QWidget()
        self._entries: dict[str, loras.Entry] = {}  # by the file's path
        self._lay_out()
        document.changed.connect(self._follow)
        self.setAcceptDrops(True)
        self.refresh()

    def _lay_out(self) -> None:
        add = button("Add LoRA…", self.choose_files, "plus", "primary")
        top = bar(label("LoRAs", name="heading"), None, add)
        self.column = LazyColumn("LoRAs", self._make_card, CARD, 10)
        self.stack = QStackedLayout(self.body)
        self.stack.addWidget(self.column)
        choose = button("Choose Files…", self.choose_files, "plus", "primary")
        text = "Small files that teach a model a style, a face or a thing. Drop .safetensors files here."
        self.stack.addWidget(Empty("loras", "No LoRAs yet", text, choose))
        fill_page(self, top, self.body)

    def showEvent(self, event: QShowEvent) -> None:
        """Files come and go in the folder by other hands too."""
        super().showEvent(event)
        self.refresh()

    def refresh(self) -> None:
        """Read the library again, in a thread of its own: it may have hundreds of files."""
        self.library.ask()

    def _show(self, found: list[loras.Entry]) -> None:
        entries = {str(entry.path): entry for entry in found}
        self.stack.setCurrentIndex(0 if entries else 1)
        if entries != self._entries:
            self._entries = entries
            self.column.forget()
            self.column.show_keys(list(entries))

    @property
    def cards(self) -> list[LoraCard]:
        """Those that exist: near what is seen."""
        return [card for card in self.column.made.values() if isinstance(card, LoraCard)]

    def _make_card(self, path: str) -> LoraCard:
        card = LoraCard(self._entries[path], self.document)
        card.removed.connect(lambda _: self.refresh())
        return card

    def _follow(self, old: Board, new: Board) -> None:
        if old.loras != new.loras:
            for card in self.cards:
                card.refresh(new)

    def choose_files(self) -> None:
        """A file dialog; each file is copied into the library."""
        files = choose_files(self, "Add LoRAs", FILTER)
        self.add([Path(file) for file in files])

    def add(self, files: list[Path]) -> None:
        """Copy files into the library; what is refused is told."""
        if files:
            self.adding.start(files)

    def _tell_added(self, name: str) -> None:
        self.refresh()

    def _tell_refused(self, message: str, hint: Hint) -> None:
        self.document.message.emit(message, hint)

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        if any(url.isLocalFile() for url in event.mimeData().urls()):
            event.acceptProposedAction()

    def dragMoveEvent(self, event: QDragMoveEvent) -> None:
        event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:
        event.acceptProposedAction()
        self.add([Path(url.toLocalFile()) for url in event.mimeData().urls() if url.isLocalFile()])


def say_models(entry: loras.Entry) -> str:
    """The models that it fits; the first few where there are many."""
    if not entry.fits:
        return "a model that the file does not name"
    more = len(entry.fits) - FEW_TITLES
    return ", ".join(entry.fits[:FEW_TITLES]) + (f" and {more} more" if more > 0 else "")


class Portrait(Plain):
    """A file's picture, read in a thread of its own, or an empty square."""

    def __init__(self, entry: loras.Entry):
        super().__init__()
        self.entry = entry
        self.setObjectName("portrait")
        self.setFixedSize(SIDE, SIDE)
        self.setAlignment(Qt.AlignmentFlag.AlignCenter)
        if entry.problem:
            self._show(QImage())
        else:
            beside().do(self, partial(_read_image, entry.path, entry.bytes), self._show)

    def _show(self, image: QImage) -> None:
        if image.isNull():
            self.setText("No picture")
            set_tone(self, "muted")
            return
        pixmap = QPixmap.fromImage(image)
        pixmap.setDevicePixelRatio(2)
        self.setPixmap(pixmap)
        self.setAccessibleName(f"Picture of {self.entry.name}")


@lru_cache(maxsize=256)
def _read_image(path: Path, size: int) -> QImage:
    """Twice as large as it is shown, for screens with two pixels a point; decoded as strangers' pictures are."""
    data = loras.read_picture(path)
    if data is None:
        return QImage()
    try:
        pixels = open_picture(path, [], data)
    except FluxLocalError:
        return QImage()
    height, width, _ = pixels.shape
    image = QImage(pixels.tobytes(), width, height, 3 * width, QImage.Format.Format_RGB888)
    side, smooth = 2 * SIDE, Qt.TransformationMode.SmoothTransformation
    return image.scaled(side, side, Qt.AspectRatioMode.KeepAspectRatio, smooth)
