"""One member of the cast: name, role, colour, pictures, notes, and where it is used."""

from collections.abc import Sequence
from functools import partial

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QColor, QDragEnterEvent, QDragMoveEvent, QDropEvent, QIcon, QKeyEvent, QPixmap
from PySide6.QtWidgets import (
    QButtonGroup,
    QListView,
    QListWidget,
    QListWidgetItem,
    QVBoxLayout,
    QWidget,
)

from ...base.words import say_count
from ...board import commands
from ...board.data import COLOUR_NAMES, COLOURS, ROLES, Board, Member, Panel, Picture, numbers
from ...pictures.kinds import FILTER
from ..document import picture_drag
from ..document.document import Document
from ..kit.dialog import make_form
from ..kit.fields import ChoiceField
from ..kit.measures import GAP, HAIR, MARGIN, WIDE
from ..kit.messages import choose_files, sure
from ..kit.text_field import BoardText
from ..kit.widgets import LeftButton, OneLineEdit, ToolButton, as_line, as_tip, button, label, row
from .teach import TaughtBox

ACROSS = 3  # pictures beside each other
WIDTH = 330  # pixels, least
NOTES = 96  # pixels: notes taller than the pictures read as the main thing


def accept_pictures(event: QDragEnterEvent) -> None:
    """Whatever files or pixels are dragged in: what they are is looked at when they are dropped."""
    if event.mimeData().hasUrls() or event.mimeData().hasImage():
        event.acceptProposedAction()


class PictureList(QListWidget):
    """Pictures of the member: the first is the one that a mention shows to the model. Delete removes one."""

    def __init__(self, panel: "MemberPanel"):
        super().__init__()
        self.panel = panel
        self.setAccessibleName("Pictures of this member")
        self.setToolTip("The first picture is what a mention shows to the model. Drop more here; Delete removes one.")
        self.setViewMode(QListView.ViewMode.IconMode)
        self.setIconSize(QSize(84, 84))
        self.setGridSize(QSize(96, 96))
        self.setResizeMode(QListView.ResizeMode.Adjust)
        self.setMovement(QListView.Movement.Static)
        LeftButton(self)
        self.show_rows(1)
        self.setAcceptDrops(True)

    def show_rows(self, count: int) -> None:
        """As high as one row of pictures, or two where there are more."""
        self.setFixedHeight(114 if count <= ACROSS else 210)

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        accept_pictures(event)

    def dragMoveEvent(self, event: QDragMoveEvent) -> None:
        event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:
        event.acceptProposedAction()
        self.panel.add(picture_drag.pictures_in(event.mimeData(), self.panel.document))

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() in (Qt.Key.Key_Delete, Qt.Key.Key_Backspace) and self.currentRow() >= 0:
            self.panel.remove_picture(self.currentRow())
        else:
            super().keyPressEvent(event)


class MemberPanel(QWidget):
    """Edits the member whose id was given to show_member; each change is one step of undo."""

    def __init__(self, document: Document, parent: QWidget | None = None):
        super().__init__(parent)
        self.document = document
        self.member_id: str | None = None
        self.name = OneLineEdit()
        self.name.setAccessibleName("Name")
        self.name.setToolTip("One word. Prompts that mention it follow when it changes.")
        self.name.editingFinished.connect(self._rename)
        self.role = ChoiceField()
        self.role.setAccessibleName("Role")
        self.role.addItems([role.capitalize() for role in ROLES])
        self.role.activated.connect(lambda place: self._change("Change Role", role=ROLES[place]))
        self.colours = QButtonGroup(self)
        self.pictures = PictureList(self)
        self.notes = BoardText("Notes")
        self.notes.setPlaceholderText("Notes for yourself")
        self.notes.edited.connect(self._note)
        self.notes.undo_asked.connect(document.undo)
        self.notes.redo_asked.connect(document.redo)
        self.taught = TaughtBox(document)
        self.used, self.panels = label(tone="muted", wrap=True), UsedIn(document)
        self._lay_out()
        document.changed.connect(self.refresh)
        document.picture_ready.connect(self.refresh)

    def _lay_out(self) -> None:
        form = make_form()
        form.addRow("Name", self.name)
        form.addRow("Role", self.role)
        form.addRow("Colour", self._swatches())
        box = QVBoxLayout(self)
        box.setContentsMargins(MARGIN, MARGIN, MARGIN, MARGIN)
        box.setSpacing(WIDE)
        box.addLayout(form)
        box.addWidget(label("Pictures", "muted"))
        box.addWidget(self.pictures)
        self.first = button("Make First", self._first, kind="quiet")
        self.first.setToolTip("Make the chosen picture the one that a mention shows")
        self.pictures.currentRowChanged.connect(lambda place: self.first.setEnabled(place > 0))
        box.addLayout(row(button("Add…", self._add_files, "plus"), self.first, None, spacing=GAP))
        box.addWidget(self.taught)
        box.addWidget(self.notes, 3)
        self.notes.setMaximumHeight(NOTES)
        box.addWidget(self.used)
        box.addWidget(self.panels, 2)
        box.addStretch(1)
        self.setMinimumWidth(WIDTH)

    def _swatches(self) -> QWidget:
        box = QWidget()
        inside = row(spacing=HAIR)
        inside.setContentsMargins(0, 0, 0, 0)
        for place, (colour, name) in enumerate(COLOUR_NAMES.items()):
            swatch = ToolButton()
            swatch.setCheckable(True)
            swatch.setAccessibleName(f"Colour {name}")
            swatch.setToolTip(name.capitalize())
            swatch.setIcon(_dot(colour))
            swatch.setIconSize(QSize(12, 12))
            swatch.setFixedSize(22, 24)
            swatch.setProperty("kind", "swatch")
            swatch.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
            self.colours.addButton(swatch, place)
            inside.addWidget(swatch)
        inside.addStretch(1)
        self.colours.idClicked.connect(lambda place: self._change("Change Colour", colour=COLOURS[place]))
        box.setLayout(inside)
        return box

    @property
    def member(self) -> Member | None:
        return next((one for one in self.document.board.cast if one.id == self.member_id), None)

    def show_member(self, member_id: str | None) -> None:
        """The member to edit; None for none."""
        self.member_id = member_id
        self.notes.set_text(self.member.notes if self.member else "")
        self.refresh()

    def refresh(self) -> None:
        """Show the member as the board has it now."""
        member = self.member
        self.setEnabled(member is not None)
        if member is None:
            return
        if not self.name.hasFocus() or not self.name.isModified():
            self.name.setText(member.name)
        self.role.setCurrentIndex(ROLES.index(member.role))
        if member.colour in COLOURS:
            self.colours.button(COLOURS.index(member.colour)).setChecked(True)
        self.notes.set_text(member.notes)
        self.taught.show_member(member)
        self._show_pictures(member)
        count = uses(self.document.board, member)
        self.used.setText(f"Used in {say_count(count, 'panel')}" if count else "Not used in any panel yet")
        self.panels.show_member(member)
        self.panels.setVisible(count > 0)

    def _show_pictures(self, member: Member) -> None:
        row_now = self.pictures.currentRow()
        self.pictures.clear()
        for place, picture in enumerate(member.pictures, 1):
            pixmap = self.document.pixmap(picture.sha256, 192)
            item = QListWidgetItem(QIcon(pixmap) if not pixmap.isNull() else QIcon(), "")
            item.setData(Qt.ItemDataRole.AccessibleTextRole, f"Picture {place} {picture.name}")
            item.setToolTip(as_tip(picture.name))
            self.pictures.addItem(item)
        self.pictures.setCurrentRow(min(row_now, len(member.pictures) - 1))
        self.pictures.show_rows(len(member.pictures))
        self.first.setEnabled(self.pictures.currentRow() > 0)

    def add(self, pictures: Sequence[Picture]) -> None:
        """More pictures of the member."""
        member = self.member
        if member and pictures:
            self._change("Add Picture", pictures=(*member.pictures, *pictures))

    def remove_picture(self, place: int) -> None:
        """The picture at `place` from the member; the board keeps the file."""
        member = self.member
        if member:
            kept = tuple(one for i, one in enumerate(member.pictures) if i != place)
            self._change("Remove Picture", pictures=kept)

    def remove(self) -> None:
        """The member from the cast; panels keep the pictures they have."""
        member = self.member
        if member is None:
            return
        count = uses(self.document.board, member)
        text = f"Remove @{member.name} from the cast?"
        keep = "1 panel keeps the pictures it has" if count == 1 else f"{count} panels keep the pictures they have"
        more = f"{keep}. Undo brings it back."
        if not count or sure(self, "Remove from Cast", text, more, "Remove"):
            self.document.do("Remove from Cast", lambda board: commands.remove_member(board, member.id))

    def _add_files(self) -> None:
        paths = choose_files(self, "Pictures", FILTER)
        self.add(self.document.import_pictures(paths))

    def _first(self) -> None:
        place, member = self.pictures.currentRow(), self.member
        if member and place > 0:
            rest = [one for i, one in enumerate(member.pictures) if i != place]
            self._change("Change First Picture", pictures=(member.pictures[place], *rest))

    def _rename(self) -> None:
        wanted, member = self.name.text().strip().lstrip("@"), self.member
        self.name.setModified(False)
        if member is None or wanted == member.name or not wanted:
            self.refresh()
            return
        others = [other.name for other in self.document.board.cast if other.id != member.id]
        self._change("Rename Member", name=commands.free_name(wanted, others))

    def _note(self, text: str) -> None:
        if self.member:
            note = partial(commands.set_member, member_id=self.member.id, notes=text)
            self.document.do("Edit Notes", note, f"notes {self.member.id}")

    def _change(self, label: str, **fields: object) -> None:
        member = self.member
        if member:
            done = self.document.do(label, lambda board: commands.set_member(board, member.id, **fields))
            if not done:
                self.refresh()


def uses(board: Board, member: Member) -> int:
    """How many panels have a picture of the member or mention it."""
    return len(panels_with(board, member))


def _dot(colour: str) -> QIcon:
    pixmap = QPixmap(24, 24)
    pixmap.fill(QColor(colour))
    return QIcon(pixmap)


ICON = QSize(72, 54)
TALL, COLUMNS = ICON.height() + 26, 3  # height of a row; panels beside each other at the least width


class UsedIn(QListWidget):
    """Return, Space or a double click opens a panel."""

    opened = Signal(str)  # panel id

    def __init__(self, document: Document):
        super().__init__()
        self.document = document
        self._shown: list[tuple[str, str, int]] | None = None
        self.setAccessibleName("Panels with this member")
        self.setToolTip("Double-click opens the panel")
        self.setViewMode(QListView.ViewMode.IconMode)
        self.setIconSize(ICON)
        self.setGridSize(QSize(ICON.width() + 14, TALL))
        self.setResizeMode(QListView.ResizeMode.Adjust)
        self.setMovement(QListView.Movement.Static)
        self.setMinimumHeight(TALL + 12)
        LeftButton(self)
        self.itemActivated.connect(lambda item: self.opened.emit(item.data(Qt.ItemDataRole.UserRole)))

    def show_member(self, member: Member) -> None:
        """The panels with the member; read again only where something of them changed."""
        board = self.document.board
        panels, number = panels_with(board, member), numbers(board)
        pixmaps = [self.document.pixmap(p.take.picture.sha256, 2 * ICON.width()) if p.take else None for p in panels]
        wanted = [(p.id, number[p.id], one.cacheKey() if one else 0) for p, one in zip(panels, pixmaps, strict=True)]
        if wanted == self._shown:
            return
        self._shown = wanted
        self.setMaximumHeight(TALL * -(-max(1, len(panels)) // COLUMNS) + 12)
        self.clear()
        for panel, pixmap in zip(panels, pixmaps, strict=True):
            item = QListWidgetItem(QIcon(pixmap) if pixmap else QIcon(), as_line(number[panel.id]))
            item.setData(Qt.ItemDataRole.UserRole, panel.id)
            item.setData(Qt.ItemDataRole.AccessibleTextRole, f"Panel {number[panel.id]}")
            item.setToolTip(as_tip(panel.words or panel.caption))
            self.addItem(item)


def panels_with(board: Board, member: Member) -> list[Panel]:
    """The panels that have a picture of the member or mention it."""
    mention = f"@{member.name}".lower()
    return [
        panel
        for panel in board.panels()
        if any(reference.member == member.id for reference in panel.references)
        or any(
            mention in text.lower() and member in commands.find_members(board, text)
            for text in (panel.prompt, panel.instruction)
        )
    ]
