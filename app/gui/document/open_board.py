"""A board that is open: its file, its history, its pictures, what is told of it. A view-model: no widgets."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from PySide6.QtCore import QObject, QTimer, Signal
from PySide6.QtGui import QImage, QPixmap

from mlx_model.errors import FluxLocalError, Hint, Refused

from ...board.data import Board, Panel, Picture, no_longer
from ...board.history import History
from ...fluxboard.file import COPY_HINT, BoardFile
from ..kit import portrait
from ..kit.words import is_in_trash, say_moved
from .pixmaps import Pixmaps, is_small, read
from .storing import AGAIN, ReadPicture, Storing, in_background, keep_picture, read_picture
from .telling import SAVING, Claims, Holds, Troubles

AUTOSAVE, JOURNAL = 1500, 200  # ms after a change: it is saved (the product promises 2 s); what was typed is noted
READ_ONLY_HINT = "File > Save a Copy makes a board that keeps them."
LOST = 256  # device pixels: what stands for a picture, as large as it is, that can't be read
SMALL_MASK = 512 * 512  # pixels: stored within a frame or so, without a thread


class OpenBoard(QObject):
    """What a document is without its runs."""

    changed = Signal(object, object)  # old board, new board
    turned = Signal()  # undone or done again: news of what was done is old
    dirty_changed = Signal(bool)
    picture_ready = Signal(str)  # sha256: a pixmap that was asked for has come
    preview_read = Signal(int, QImage)  # by read_preview; null where the file can't be read
    message, noted = Signal(str, object), Signal(str, object)  # trouble, news: what happened; what to do, a Hint
    lasting = Signal(str, object)  # the same, of what stays so until `mended` says the words again
    mended = Signal(str)  # what was said, and is no longer so

    def __init__(self, file: BoardFile, parent: QObject | None = None):
        super().__init__(parent)
        self.file, self.history = file, History(file.board)
        self._dirty = self._closed = self._told_read_only = False
        self.troubles, self._place = Troubles(self), file.path
        self.troubles.lasting.connect(self.lasting)
        self.troubles.mended.connect(self.mended)
        self.claims = Claims(self)
        self.claims.over.connect(self.mended)
        self._index: tuple[Board | None, dict[str, Panel]] = (None, {})
        self._pixmaps = Pixmaps(self.picture_path, self)
        self._pixmaps.ready.connect(self.picture_ready)
        self._storing = Storing(self)
        self.compose = partial(self._storing.compose, file)
        self._autosave = QTimer(self, singleShot=True, interval=AUTOSAVE)
        self._autosave.timeout.connect(self.save)
        self._again = QTimer(self, singleShot=True, interval=AGAIN)
        self._again.timeout.connect(self.look_around)
        self._journal = QTimer(self, singleShot=True, interval=JOURNAL)
        self._journal.timeout.connect(lambda: self.file.note(self.board))

    @property
    def board(self) -> Board:
        return self.history.board

    def panel(self, panel_id: str) -> Panel:
        """A panel of the board, found without looking through all of them. Raises Refused where it is gone."""
        if self._index[0] is not self.board:
            self._index = (self.board, {panel.id: panel for panel in self.board.panels()})
        if panel_id not in self._index[1]:
            raise no_longer("panel")
        return self._index[1][panel_id]

    @property
    def dirty(self) -> bool:
        return self._dirty

    # Changes

    def do(self, label: str, change: Board | Callable[[Board], Board], merge: str | None = None) -> bool:
        """Make a board, or what `change` makes of the present one, the present one; `label` is what undo calls it.

        Changes with the same `merge` are one step. What a command of the board refuses is told here, and nowhere else;
        False then.
        """
        old = self.board
        try:
            board = change(old) if callable(change) else change
        except Refused as error:
            self.say(error.message, error.hint, partial(_is_refused, self, change, error.message))
            return False
        if board != old:
            self.history.do(label, board, merge)
            self._now(old)
        return True

    def tell(self, error: FluxLocalError) -> None:
        self.message.emit(error.message, error.hint)

    def say(self, text: str, hint: Hint, holds: Holds, good: bool = False) -> None:
        """Trouble, or news, that is taken away as soon as it no longer `holds`."""
        self.claims.add(text, holds)
        (self.noted if good else self.message).emit(text, hint)

    def undo(self) -> None:
        self.settle()
        if self.history.can_undo:
            self._turn(self.history.undo)

    def redo(self) -> None:
        self.settle()
        if self.history.can_redo:
            self._turn(self.history.redo)

    def _turn(self, turn: Callable[[], str]) -> None:
        old = self.board
        turn()
        self._now(old)
        self.turned.emit()

    def _now(self, old: Board) -> None:
        if self.board is not old:
            self._set_dirty(True)
            self._journal.start()
            self.changed.emit(old, self.board)

    # The file

    def save(self) -> bool:
        """Write the board; False (and a message) where that failed, which is tried again after the next change.

        A board that is open for reading only is never written; its changes live until it is closed, which is told once.
        """
        self._autosave.stop()
        self._journal.stop()
        if self.file.read_only:
            self._tell_read_only()
            return False
        try:
            self.file.save(self.board)
        except FluxLocalError as error:
            self.troubles.tell(SAVING, error.message, error.hint)
            self._again.start()
            return False
        self.troubles.mend(SAVING)
        self._tell_moved()
        self._set_dirty(False)
        return True

    def _tell_moved(self) -> None:
        """A folder that was moved is followed, which nobody may notice who threw it away."""
        if self.file.path != self._place:
            self._place = self.file.path
            (self.message if is_in_trash(self._place) else self.noted).emit(*say_moved(self._place))

    def _tell_read_only(self) -> None:
        if not self._told_read_only:
            self._told_read_only = True
            self.message.emit(f"{self.file.path.name} is open for reading only: changes are not saved.", READ_ONLY_HINT)

    def look_around(self) -> None:
        """Tell where the board is now, where somebody moved or removed it meanwhile."""
        if self.file.is_gone:
            self.troubles.tell(SAVING, f"{self._place.name} is no longer there.", COPY_HINT)
            self._again.start()
        elif SAVING in self.troubles.texts and not self.file.read_only:
            self.save()  # it is back, or there is room again
        else:
            self.troubles.mend(SAVING)
            self._tell_moved()

    def close(self, save: bool = True) -> None:
        """Save what is unsaved and let go of the file and the threads; does nothing the second time."""
        if self._closed:
            return
        self._closed = True
        self._storing.close()
        if self._dirty and save:
            self.save()
        for timer in (self._autosave, self._journal, self._again):
            timer.stop()
        self.troubles.end()
        self.claims.end()
        self._pixmaps.close()
        self.file.close()

    def list_unused_pictures(self) -> list[Path]:
        """Files of pictures that neither the board nor anything that undo or a restore point reaches uses."""
        self.settle()
        self.save()
        return self.file.list_unused_blobs(self.history.boards())

    def move_unused_to_trash(self) -> None:
        """Raises BoardError where the Trash won't take one."""
        self.file.move_unused_to_trash(self.history.boards())

    def _set_dirty(self, dirty: bool) -> None:
        if dirty and not self._autosave.isActive():
            self._autosave.start()
        if dirty != self._dirty:
            self._dirty = dirty
            self.dirty_changed.emit(dirty)

    # Pictures

    def picture_path(self, sha256: str) -> Path:
        """Where the file of a picture of this board is. Raises BoardError where it is missing."""
        return self.file.picture_path(sha256, self.board)

    def is_lost(self, picture: Picture) -> bool:
        """Whether it was to be shown, and its file is missing or can't be read."""
        return picture.sha256 in self._pixmaps.lost

    def pixmap(self, sha256: str, max_side: int = 0) -> QPixmap:
        """The picture no larger than `max_side` device pixels (0: as it is).

        Null, or another size, where it is still being decoded: `picture_ready` tells when to ask again. A sign where
        its file is missing or can't be read.
        """
        made = self._pixmaps.get(sha256, max_side)
        return portrait.draw_lost(max_side or LOST) if sha256 in self._pixmaps.lost else made

    def pixmap_now(self, sha256: str, max_side: int = 0) -> QPixmap:
        """The picture, waited for."""
        return self._pixmaps.get_now(sha256, max_side)

    def import_picture(self, source: str | Path | QImage | bytes, name: str = "") -> Picture | None:
        """Take a picture into the board's blobs, as it is; None (and a message) where it is refused."""
        return self._tell_read(read_picture(self.file, source, name))

    def import_pictures(self, sources: Sequence[str | Path | QImage], name: str = "") -> list[Picture]:
        """Those of `sources` that are accepted, read by other threads while the window goes on painting.

        Keys and clicks wait until it is done. The board may have changed when this returns: read it afterwards.
        """
        read = in_background(lambda one: read_picture(self.file, one, name), sources)
        if len(read) < len(sources):
            self.noted.emit(f"Stopped after {len(read)} of {len(sources)} pictures.", "Undo takes them away too.")
        self._tell_read(*read)
        return [taken.picture for taken in read if taken.picture]

    def store(self, pixels: np.ndarray, name: str, then: Callable[[Picture | None], None]) -> None:
        """Keep pixels as put_picture does, by another thread where that takes a while.

        `then` gets the picture, or None where it was refused, which is told.
        """
        task = partial(keep_picture, self.file, pixels, name)
        self._storing.add(task, lambda read: then(self._tell_read(read)), short=pixels.size <= SMALL_MASK)

    def read_preview(self, path: str, number: int) -> None:
        """`preview_read` brings the picture of a file and `number`; another thread reads where that takes a while."""
        self._storing.add(partial(read, path, 0), partial(self.preview_read.emit, number), is_small(path))

    def settle(self) -> None:
        """Wait for the pictures that are being stored: what is asked for next is about them too."""
        self._storing.settle()

    def _tell_read(self, *read: ReadPicture) -> Picture | None:
        for message, hint, good in ReadPicture.list_messages(read):
            (self.noted if good else self.message).emit(message, hint)
        return read[0].picture if read else None


def _is_refused(document: OpenBoard, change: Board | Callable[[Board], Board], message: str) -> bool:
    """Whether the board would still not take a change, for the same reason."""
    try:
        change(document.board) if callable(change) else change
    except Refused as error:
        return error.message == message
    except ValueError:
        pass
    return False
