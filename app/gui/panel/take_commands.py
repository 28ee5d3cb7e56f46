"""What a take's menu does with one take of the panel that is shown."""

from functools import partial
from pathlib import Path

from msgspec.structs import replace
from PySide6.QtCore import QObject, Signal
from PySide6.QtWidgets import QFileDialog, QInputDialog, QWidget

from mlx_model.errors import FluxLocalError

from ...board import commands
from ...board.data import Board, Member, Source, Take, find_id, free_colour, free_name, new_id
from ..document import picture_drag
from ..document.document import Document
from ..document.panel_part import PanelPart
from ..kit.links import show_folder
from .branches import name_file
from .take_details import settings_of


class TakeCommands(PanelPart, QObject):
    """By the id of a take. `page` is what dialogs stand on."""

    started = Signal()  # the next change starts from another picture
    taken_up = Signal()  # what was placed can be moved again
    said = Signal(str, object, bool)  # what happened; what to do, a Hint; whether it is good news

    def __init__(self, document: Document, page: QWidget):
        super().__init__(page)
        self.document, self.page = document, page

    def _take(self, take_id: str) -> Take:
        return find_id(self.panel.takes, take_id, "take")

    def start_from(self, take_id: str) -> None:
        """Whatever lies on another start goes."""

        def start(board: Board) -> Board:
            board = commands.choose_take(board, self.panel_id, take_id)
            return commands.set_panel(board, self.panel_id, source=Source("take"))

        self.document.do("Start from Take", start)
        self.started.emit()

    def take_up_placed(self, take_id: str) -> None:
        """Back to what lay on the picture that a take was made from, to be moved and rendered once more."""
        change = partial(commands.take_up_placed, panel_id=self.panel_id, take_id=take_id)
        if self.document.do("Edit What Was Placed", change):
            self.taken_up.emit()

    def add_to_cast(self, take_id: str) -> None:
        """Under a name that prompts can mention from now on."""
        cast, take = self.document.board.cast, self._take(take_id)
        free = free_name("character", [member.name for member in cast])
        name, agreed = QInputDialog.getText(self.page, "Add to Cast", "What prompts call it, behind an @:", text=free)
        if not agreed or not name.strip():
            return
        member = Member(new_id(), name.strip().lstrip("@"), colour=free_colour(one.colour for one in cast),
                        pictures=(take.picture,))  # fmt: skip
        if self.document.do("Add to Cast", lambda board: commands.add_member(board, member)):
            text, there = f"@{member.name} is in the cast.", partial(_is_called, self.document, member)
            self.document.say(text, "Any prompt of this board can mention it.", there, good=True)

    def save_picture(self, take_id: str) -> None:
        """A copy for others, where the artist says."""
        document, take = self.document, self._take(take_id)
        title = name_file(document.board, self.panel, take).replace("/", "-")
        suggested = document.file.path.parent / f"{title}{document.picture_path(take.picture.sha256).suffix}"
        chosen, _ = QFileDialog.getSaveFileName(self.page, "Save Picture As", str(suggested))
        if not chosen:
            return
        try:
            made = picture_drag.save_as(document, take.picture, Path(chosen))
        except FluxLocalError as error:
            document.tell(error)
            return
        self.said.emit(f"Saved {made.name}.", f"In {made.parent}.", True)

    def use_settings(self, take_id: str) -> None:
        """The seed and numbers of a take for the panel; its words and pictures stay as they are."""
        take = self._take(take_id)
        settings = replace(self.panel.settings, model=take.model, **settings_of(take))
        self.change("Use Settings", settings=settings, seed=take.seed, seed_locked=True)

    def reveal(self, take_id: str) -> None:
        """Show the folder of its file."""
        show_folder(self.document.picture_path(self._take(take_id).picture.sha256).parent, self.page)


def _is_called(document: Document, member: Member) -> bool:
    return any((one.id, one.name) == (member.id, member.name) for one in document.board.cast)
