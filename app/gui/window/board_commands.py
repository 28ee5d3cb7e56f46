"""Actions on the open board, its file and its panels, from the menus, the keyboard and the board's own buttons."""

from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import QMimeData, QObject, Signal
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QMainWindow

from mlx_model.errors import FluxLocalError
from mlx_model.memory import say_bytes

from ...base.paths import SUFFIX
from ...base.settings import boards_folder
from ...base.words import say_count
from ...board import commands
from ...board.data import Board
from ..board import drop
from ..board.model import PANELS
from ..board.view import BoardView, wanting
from ..document import picture_drag
from ..document.document import Document
from ..kit.links import show_folder
from ..kit.messages import ask, sure
from ..panel.pen import ScenePen
from .session import Session

MANY = 24  # panels: more are rendered only after a question


class BoardCommands(QObject):
    """Acts on the panels that are selected in `view`, or on the panel that `opened` says is open."""

    said = Signal(str, object, bool)  # what happened; what to do, a Hint; whether it is good news
    undoable = Signal(str)  # what happened and may be taken back at once
    panel_wanted = Signal(str)  # id
    board_wanted = Signal()

    def __init__(
        self,
        session: Session,
        view: BoardView,
        opened: Callable[[], str | None],
        window: QMainWindow,
        ask_copy: Callable[[Document], Document | None],
    ):
        super().__init__(view)
        self._ask_copy = ask_copy
        self.session, self.view, self.opened, self.window = session, view, opened, window
        self.document = view.document
        self.scene_pen = ScenePen(self.document, view.grid)
        view.put_beside_style(*self.scene_pen.parts())
        QGuiApplication.clipboard().dataChanged.connect(self.document.claims.review)

    def list_chosen(self) -> tuple[str, ...]:
        """The panels an action is about: what can be seen to be chosen, so none on the other pages."""
        opened = self.opened()
        if opened:
            return (opened,)
        return () if self.view.isHidden() else self.view.grid.list_selected()

    # The file

    def export(self) -> None:
        from . import exchange

        exchange.export(self.document, self.list_chosen(), self.window, self.said.emit)

    def import_into(self) -> None:
        """A script or timeline, behind the scene of the chosen panel."""
        from . import exchange

        self._add(exchange.ask_into(self.window))

    def import_folder_into(self) -> None:
        from . import exchange

        self._add(exchange.ask_folder(self.window))

    def _add(self, path: str) -> None:
        before, ids = {panel.id for panel in self.document.board.panels()}, self.list_chosen()
        behind = self.document.board.scene_of(ids[-1]).id if ids else None
        if path and (added := self.session.import_into(path, behind)):
            self.said.emit(" ".join(added), "", True)
            self.board_wanted.emit()
            self._select_new(before)

    def copy_as(self) -> None:
        was_gone = self.document.file.is_gone
        copy = self._ask_copy(self.document)
        if copy is None:
            return
        gone = copy.file.missing()
        if gone:
            self.said.emit("This is the copy now.", f"{say_count(gone, 'picture')} could not be copied: gone.", False)
        else:
            other = "The other board is no longer there." if was_gone else "The other board stays as it was."
            self.said.emit("This is the copy now.", other, True)

    def share(self) -> None:
        """The saved board with all its pictures as one file for mail and messages."""
        from ...fluxboard.archive import export_zip
        from ...interchange.formats import ZIPPED
        from . import exchange

        folder = boards_folder(self.session.settings)
        title = f"{self.document.board.title}{SUFFIX}"  # by such a name desktops know it
        place = exchange.ask_file(self.window, "Save as Zip", folder, title, ZIPPED)
        if not place or not self.document.ensure_saved():  # why not, it has said
            return

        def tell(made: Path) -> None:
            self.said.emit(f"Saved {made.name}.", "File > Import opens it again, here or on another computer.", True)

        task = exchange.Task("Saving the Zip", lambda progress: export_zip(self.document.file, *place), tell)
        exchange.run(task, self.window, self.said.emit)

    def tidy(self) -> None:
        """Pictures that nothing uses any more to the Trash, after a question."""
        unused = self.document.list_unused_pictures()
        if not unused:
            self.said.emit("Every picture of this board is in use.", "By the board, undo or an earlier state.", True)
            return
        taken = say_bytes(sum(path.stat().st_size for path in unused))
        verb, them = ("is", "it") if len(unused) == 1 else ("are", "them")
        text = f"{say_count(len(unused), 'file')} of this board ({taken}) {verb} not used any more."
        more = f"Neither undo nor an earlier state needs {them}."
        if not sure(self.window, "Unused Pictures", text, more, "Move to Trash", "Cancel"):
            return
        try:
            self.document.move_unused_to_trash()
        except FluxLocalError as error:
            self.said.emit(error.message, error.hint, False)

    def reveal(self) -> None:
        """Show the folder that the board lies in."""
        show_folder(self.document.file.path.parent, self.window)

    def restore(self) -> None:
        from .dialogs import RestoreDialog

        self.document.save()
        RestoreDialog(self.document, self.window).exec()

    def settings(self) -> None:
        from .dialogs import BoardSettings

        BoardSettings(self.document, self.window).exec()

    def undo(self) -> None:
        self.document.undo()

    def redo(self) -> None:
        self.document.redo()

    # Looking

    def open_panel(self) -> None:
        """The chosen panel, or where none is, such as on a heading, the first of the scene that the keys stand in."""
        board, here = self.document.board, self.view.grid.current_scene()
        near = (panel.id for scene in board.scenes if scene.id == here for panel in scene.panels)
        for panel in [*self.list_chosen(), *near, *(panel.id for panel in board.panels())][:1]:
            self.panel_wanted.emit(panel)

    def peek(self) -> None:
        for panel in self.list_chosen()[:1]:
            self.peek_at(panel)

    def peek_at(self, panel_id: str) -> None:
        """Quick Look of a panel."""
        from ..pages.peek import Peek

        look = Peek(self.document, panel_id, self.window.centralWidget() or self.window)
        self.view.destroyed.connect(look.deleteLater)
        look.looked.connect(lambda shown: self.view.grid.select((shown,)))
        look.closed.connect(self._select_unless_open)
        look.opened.connect(self.panel_wanted)

    def _select_unless_open(self, panel_id: str) -> None:
        if not self.opened():
            self.view.grid.select((panel_id,))
            self.view.grid.setFocus()

    def play(self) -> None:
        from ..pages.animatic import Animatic

        chosen = self.list_chosen()
        animatic = Animatic(self.document, chosen[0] if chosen else None, self.window)
        self.view.destroyed.connect(animatic.close)  # with the board's pages
        animatic.show()
        animatic.toggle()

    def zoom_in(self) -> None:
        self.view.grid.set_cell(round(self.view.grid.least * 1.2))

    def zoom_out(self) -> None:
        self.view.grid.set_cell(round(self.view.grid.least / 1.2))

    # Rendering

    def render(self) -> None:
        """One more take of each chosen panel and of no other; where none is, all that wait for their first picture."""
        ids = self.list_chosen() or wanting(self.document)
        words = ("Render", f"Render {len(ids)} panels?", "They are put in the queue.", "Render", "Cancel")
        if len(ids) > MANY and ask(self.window, *words) != "Render":
            return
        self.document.render(ids)

    def render_four(self) -> None:
        """Four more takes of each chosen panel."""
        self.document.render(self.list_chosen(), count=4)

    def cancel(self) -> None:
        for panel in self.list_chosen():
            self.document.cancel(panel)

    def apply_to_all(self) -> None:
        """One instruction over the several panels that are chosen, or over all: one is chosen nearly always."""
        chosen = self.list_chosen()
        wanted = chosen if len(chosen) > 1 else tuple(panel.id for panel in self.document.board.panels())
        ids = _list_filled(self.document.board, wanted)
        if not ids:
            text = "None of these panels has a picture to change yet."
            self.document.say(text, "Render them first.", lambda: not _list_filled(self.document.board, wanted))
            return
        from .dialogs import InstructionDialog

        if text := InstructionDialog(self.document, wanted, self.window).ask():
            self.document.apply_to_all(ids, text)

    # Panels and scenes

    def add_panel(self) -> None:
        self.add_panel_to(self._scene())

    def add_panel_to(self, scene_id: str) -> None:
        """A panel at the end of a scene, selected."""
        before = {panel.id for panel in self.document.board.panels()}
        self.document.do("Add Panel", lambda board: commands.add_panel(board, scene_id))
        self._select_new(before)

    def add_scene(self) -> None:
        def change(board: Board) -> Board:
            board = commands.add_scene(board)
            return commands.add_panel(board, board.scenes[-1].id)

        if self.document.do("Add Scene", change):
            self.view.grid.select((self.document.board.scenes[-1].panels[-1].id,))

    def remove_scene(self) -> None:
        """The scene of the chosen panel, after a question where it has pictures."""
        scene = next(scene for scene in self.document.board.scenes if scene.id == self._scene())
        filled = any(panel.takes for panel in scene.panels)
        text = f"Delete the scene {scene.heading!r} and its panels?"
        if not filled or sure(self.window, "Delete Scene", text, "Undo brings it back.", "Delete"):
            self.document.do("Delete Scene", lambda board: commands.remove_scene(board, scene.id))

    def write_scene(self) -> None:
        """The panels of the chosen panel's scene, by a language model."""
        wanted = self._scene()
        self.scene_pen.ask(next(scene for scene in self.document.board.scenes if scene.id == wanted))

    def move_scene_earlier(self) -> None:
        self._shift_scene(-1)

    def move_scene_later(self) -> None:
        self._shift_scene(1)

    def _shift_scene(self, way: int) -> None:
        """The scene of the chosen panel one place on."""
        wanted, ids = self._scene(), [scene.id for scene in self.document.board.scenes]
        at = ids.index(wanted) + way
        if 0 <= at < len(ids):
            chosen = self.view.grid.list_selected()
            self.document.do("Move Scene", lambda board: commands.move_scene(board, wanted, at))
            self.view.grid.select(chosen)

    def duplicate(self) -> None:
        if ids := self.list_chosen():
            before = {panel.id for panel in self.document.board.panels()}
            label = "Duplicate Panel" if len(ids) == 1 else "Duplicate Panels"
            self.document.do(label, lambda board: commands.duplicate_panels(board, ids))
            self._select_new(before)

    def continue_from(self) -> None:
        """A panel behind the last chosen one that starts from its picture, opened to say what changes in it."""
        ids = self.list_chosen()
        if ids and (new := self.document.continue_from(ids[-1])):
            self.panel_wanted.emit(new)

    def delete(self) -> None:
        """The panels selected on the board, where they can be seen."""
        if not self.view.isHidden() and (ids := self.view.grid.list_selected()):
            label = "Delete Panel" if len(ids) == 1 else f"Delete {len(ids)} Panels"
            self.document.do(label, lambda board: commands.remove_panels(board, ids))
            self.undoable.emit(f"{say_count(len(ids), 'panel')} deleted.")

    def move_earlier(self) -> None:
        self._shift(-1)

    def move_later(self) -> None:
        self._shift(1)

    def _shift(self, way: int) -> None:
        """The chosen panels one place on, over the borders of scenes."""
        ids, scenes = self.view.grid.list_selected(), self.document.board.scenes
        if not ids:
            return
        place = next(i for i, scene in enumerate(scenes) if any(panel.id in ids for panel in scene.panels))
        at = next(i for i, panel in enumerate(scenes[place].panels) if panel.id in ids) + way
        others = sum(panel.id not in ids for panel in scenes[place].panels)
        if at < 0 and place:
            place, at = place - 1, sum(panel.id not in ids for panel in scenes[place - 1].panels)
        elif at > others and place + 1 < len(scenes):
            place, at = place + 1, 0
        if 0 <= at <= sum(panel.id not in ids for panel in scenes[place].panels):
            label = "Move Panel" if len(ids) == 1 else "Move Panels"
            self.document.do(label, lambda board: commands.move_panels(board, ids, scenes[place].id, at))
            self.view.grid.select(ids)

    def rename(self) -> None:
        self.view.grid.edit(self.view.grid.currentIndex())

    def find(self) -> None:
        """On the board, from wherever one is."""
        self.board_wanted.emit()
        self.view.rail.ask()

    def select_all(self) -> None:
        self.view.grid.select(tuple(panel.id for panel in self.document.board.panels()))

    # Clipboard

    def copy(self) -> None:
        """The chosen panels: their files, and the first picture for programs that paste pictures."""
        if ids := self.list_chosen():
            mime = self.view.grid.dropping.mime(ids)
            take = self.document.board.panel(ids[0]).take
            if take:
                mime.setImageData(self.document.pixmap_now(take.picture.sha256).toImage())
            picture_drag.to_clipboard(mime)

    def paste(self) -> None:
        """Panels of this board are duplicated; pictures become panels behind the chosen one."""
        mime = QGuiApplication.clipboard().mimeData() or QMimeData()  # None where it is empty
        if mime.hasFormat(PANELS):
            there = {panel.id for panel in self.document.board.panels()}
            if ids := drop.panels_in(mime, self.document.board):
                self.document.do("Paste", lambda board: commands.duplicate_panels(board, ids))
                self._select_new(there)
                return
        pictures = picture_drag.pictures_in(mime, self.document)
        if pictures:
            scene, at = self._behind()
            self.view.grid.select(drop.add_pictures(self.document, scene, at, pictures))
        elif not _has_picture(mime):
            none, hint = "There is no picture on the clipboard.", "Copy one in another program first."
            self.document.say(none, hint, lambda: not _has_picture(QGuiApplication.clipboard().mimeData()))

    def _scene(self) -> str:
        """That of the chosen panel, else where the keys or the mouse were last, else the last one; made where there is
        none."""
        if not self.document.board.scenes:
            self.document.do("Add Scene", commands.add_scene)
        ids = self.list_chosen()
        if ids:
            return self.document.board.scene_of(ids[-1]).id
        here = "" if self.view.isHidden() else self.view.grid.current_scene()
        return here or self.document.board.scenes[-1].id

    def _behind(self) -> tuple[str, int]:
        scene_id, ids = self._scene(), self.list_chosen()
        panels = next(scene.panels for scene in self.document.board.scenes if scene.id == scene_id)
        places = [place for place, panel in enumerate(panels) if panel.id in ids]
        return scene_id, places[-1] + 1 if places else len(panels)

    def _select_new(self, before: set[str]) -> None:
        new = tuple(panel.id for panel in self.document.board.panels() if panel.id not in before)
        self.view.grid.select(new)
        self.view.grid.setFocus()


def _has_picture(mime: QMimeData | None) -> bool:
    return mime is not None and (mime.hasImage() or mime.hasUrls())


def _list_filled(board: Board, ids: tuple[str, ...]) -> tuple[str, ...]:
    """Those that are there and have a picture."""
    return tuple(panel.id for panel in board.panels() if panel.id in ids and panel.take)
