"""What outlives a single board: settings, the engine, downloads, and which board is open."""

import contextlib
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

import msgspec
from PySide6.QtCore import QObject, QTimer, Signal

from mlx_model.errors import BoardElsewhere, BoardLocked, DiskFull, FluxLocalError, Hint, RequestError, say_reason
from mlx_model.files import make_folders, number_names

from ...base import settings
from ...base.paths import SUFFIX
from ...base.settings import Settings
from ...board.data import Board, new_board
from ...engine.engine import Engine
from ...engine.jobs import JobState
from ...fluxboard import samples
from ...fluxboard.cover import find_cover, keep_thumbnail
from ...fluxboard.file import BoardFile
from ...models import library
from ..document.document import Document
from ..document.open_board import READ_ONLY_HINT
from ..document.storing import in_background
from ..kit.words import is_in_trash
from ..pages.downloads import Downloads

T = TypeVar("T")


class Session(QObject):
    """Opens boards. One document is shown; others stay alive until their jobs are over, so that no take is lost."""

    document_changed = Signal(object)  # Document
    shown_already = Signal()  # the board that was to be opened is the one that is
    message = Signal(str, object, bool)  # as of a document; whether it is no trouble, only good to know
    lasting = Signal(str, object, bool)  # as of a message
    mended = Signal(str)
    locked = Signal(str, str, bool)  # path, who has it, whether it may be opened anyway

    def __init__(self, engine: Engine, parent: QObject | None = None):
        super().__init__(parent)
        self.engine, self.downloads = engine, Downloads(self)
        self.settings = settings.load()
        self.document: Document | None = None
        self._behind: list[Document] = []
        self._titles: dict[str, str] = {}  # of boards that are closed, by the jobs that were theirs
        self._listed, self._closed = "", False  # where the open board was when it joined the recent ones

    # Settings

    def store(self, changed: Settings) -> None:
        """Keep the settings, now and on disk; a disk that refuses is no reason to stop."""
        self.settings = changed
        self._tell_document()
        with contextlib.suppress(DiskFull, RequestError, OSError):
            settings.save(changed)

    def _tell_document(self) -> None:
        if self.document:
            self.document.previews, self.document.model = self.settings.previews, self.settings.model
            self.document.review()

    def default_model(self) -> str | None:
        """The name of the model for new panels; None where none works."""
        return library.name_default(self.settings.model)

    def set_default_model(self, name: str) -> None:
        self.store(msgspec.structs.replace(self.settings, model=name))

    def remember_title(self) -> Settings:
        """The settings, with what the open board is called now and where it is, should somebody have moved it."""
        path, title = self._try_path(), self.document.board.title if self.document else ""
        if path in self.settings.recent and self.settings.titles.get(path) != title:
            self.store(msgspec.structs.replace(self.settings, titles=self.settings.titles | {path: title}))
        elif path not in ("", self._listed, *self.settings.recent) and not is_in_trash(Path(path)):
            self._listed = path
            self.store(settings.with_recent(self.settings, Path(path), title))
        return self.settings

    def _try_path(self) -> str:
        with contextlib.suppress(FluxLocalError):  # its folder is gone
            return str(self.document.file.path) if self.document else ""
        return ""

    def list_boards(self) -> list[tuple[str, str]]:
        """(path, title) of the boards of lately that are still there."""
        return [(path, title) for path, title in settings.name_recent(self.remember_title()) if os.path.isdir(path)]

    find_cover = staticmethod(find_cover)

    # Boards

    def open_named(self, path: str, asked: bool = True) -> bool:
        """See open; a zipped board becomes a new one."""
        return self.import_board(path) if path.casefold().endswith(".zip") else self.open(path, asked=asked)

    def stand_by(self) -> None:
        """Open some board, which Home stands before: the first of lately that can be, else a new copy of a sample."""
        if not any(self.open(one, asked=False) for one in self.settings.recent if os.path.isdir(one)):
            self.open_sample(samples.FIRST, again=True)

    def open(self, path: str | Path, anyway: bool = False, asked: bool = True) -> bool:
        """Show the board; False where it can't be opened, and a message, or `locked` where somebody `asked` for it.

        `anyway`: also where another machine's lock lies in it.
        """
        path = Path(path).absolute()
        known = next((one for one in self._all() if one.is_at(path)), None)
        if known:
            self.show(known)
            return True
        try:
            file = self._try(lambda: BoardFile.open(path, anyway=anyway), BoardLocked)
        except BoardLocked as error:
            if asked:
                self.locked.emit(str(path), error.message, isinstance(error, BoardElsewhere))
            return False
        if file is None:
            return False
        self.show(self._document(file))
        if file.read_only:
            self.message.emit(f"{path.name} is open for reading only.", READ_ONLY_HINT, False)
        if file.recovered:
            self.message.emit(file.recovered, "File > Restore an Earlier State has the others.", False)
        for repair in file.repairs[:3]:
            self.message.emit(repair, "", False)
        return True

    def open_copy(self, path: str) -> bool:
        """What was saved last of a board that is open elsewhere, as a new board."""

        def copy() -> BoardFile:
            with BoardFile.open(path, write=False) as original:
                return original.copy_to(self._free_path(original.board.title))

        return self._show_file(self._try(copy))

    def new(self, board: Board | None = None) -> bool:
        """A new board in the folder of boards, saved from the start, in the shape that the model in use knows."""

        def make() -> BoardFile:
            made = board or new_board(aspect=library.choose_aspect(self.settings.model))
            return BoardFile.create(self._free_path(made.title), made)

        return self._show_file(self._try(make))

    def open_sample(self, name: str, again: bool = False) -> bool:
        """The copy of this story that was made last, while it is there; a fresh one where not, or `again`."""
        path, title = self.settings.stories.get(name, ""), samples.SAMPLES[name].title
        if not again and os.path.isdir(path) and not is_in_trash(Path(path)):
            return self.open(path)
        file = self._try(lambda: samples.create(name, self._free_path(title)))
        if file:
            copies = self.settings.stories | {name: str(file.path)}
            self.settings = msgspec.structs.replace(self.settings, stories=copies)  # stored with what is shown
        return self._show_file(file)

    def import_board(self, path: str) -> bool:
        """A script, timeline, folder of pictures or zipped board as a new board."""
        from ...interchange.formats import import_board

        if Path(path).suffix.lower() == ".zip":
            return self._import_zip(Path(path))

        empty, notes = new_board(Path(path).stem), list[str]()

        def fill(file: BoardFile) -> None:
            shape = library.choose_aspect(self.settings.model)
            made = import_board(path, file.put_picture, aspect=shape)
            file.save(made.board)
            notes.extend(made.notes)

        if not self._show_file(self._try(lambda: BoardFile.create(self._free_path(empty.title), empty, fill))):
            return False
        for note in notes:
            self.message.emit(note, "", True)
        return True

    def import_into(self, path: str, behind: str | None = None) -> list[str]:
        """What a script, timeline or folder of pictures holds joins the open board, one step that undo takes back.

        `behind`: the id of the scene that it follows; None for the end. Returns what was added, in words.
        """
        from ...interchange.formats import import_board
        from ...interchange.joined import join_boards

        document = self.document
        if document is None:
            return []
        put, fps = document.file.put_picture, document.board.fps
        made = self._try(lambda: import_board(path, put, fps=fps))
        joined = self._try(lambda: join_boards(document.board, made.board, behind)) if made else None
        if made is None or joined is None:
            return []
        document.do("Import", joined[0])
        for note in made.notes:
            self.message.emit(note, "", True)
        return joined[1]

    def import_onto(self, path: str) -> bool:
        """An edited timeline back onto the open board: order and lengths, one step that undo takes back."""
        from ...interchange.edited import apply_edit
        from ...interchange.formats import import_timeline

        document = self.document
        if document is None:
            return False
        put, fps = document.file.put_picture, document.board.fps
        edit = self._try(lambda: import_timeline(path, put, fps))
        if edit is None:
            return False
        changed, notes = apply_edit(document.board, edit)
        document.do("Import Timeline", changed)
        for note in notes:
            self.message.emit(note, "", True)
        return True

    def _import_zip(self, path: Path) -> bool:
        from ...fluxboard import archive

        to = self._free_path(path.stem.removesuffix(SUFFIX))
        return self._show_file(self._try(lambda: archive.import_zip(path, to)))

    def open_or_import(self, path: str) -> bool:
        """A board is opened; a script, timeline or folder of pictures becomes a new one."""
        return self.open(path) if Path(path).suffix.lower() == SUFFIX else self.import_board(path)

    def copy_as(self, path: str, original: Document) -> Document | None:
        """A copy of a board under another name, which is shown from now on; None where it can't be made.

        What the original's disk does not take goes on in the copy: its unsaved state, held pictures, jobs.
        """
        saved = original.ensure_saved()
        file = self._try(lambda: original.file.copy_to(path, original.board))
        if file is None:
            return None
        copy = self._document(file)
        if not saved:
            original.hand_over(copy)
        self.show(copy)
        if not saved:
            self._drop(original)
        return copy

    def _drop(self, document: Document) -> None:
        """Close a board that another one goes on for."""
        if document in self._behind:
            self._behind.remove(document)
        document.close(save=False)
        document.deleteLater()

    def close(self) -> None:
        """Save and close everything, stop the model's process and the downloads; does nothing the second time."""
        if self._closed:
            return
        self._closed = True
        self.store(self.remember_title())
        for document in self._all():
            keep_thumbnail(document.file)
            document.close()
        self.downloads.shutdown()
        self.engine.shutdown()

    def list_unsaved(self) -> list[Document]:
        """The boards that are open and not on the disk as they are now, after one more attempt."""
        return [document for document in self._all() if not self._closed and not document.ensure_saved()]

    def trouble(self, job_id: str) -> str:
        """Why the picture of a job that is done is not in its board yet; "" for nothing."""
        return next(filter(None, (document.troubles.texts.get(job_id) for document in self._all())), "")

    def again(self, job_id: str) -> None:
        """Render once more what a job was about, with the panel's settings of now, whichever board it is of."""
        state = self.engine.job(job_id)
        owner = self.owner_of(state) if state else None
        job = state.job if state else None
        if owner and job and job.lesson:
            owner.teaching.again(job)
        elif owner is None or job is None or job.panel is None:
            self.message.emit("The panel of this job is not on a board that is open.", "Open its board first.", False)
        elif job.instruction is not None:
            owner.apply_to_all([job.panel], job.instruction)
        else:
            owner.render([job.panel])

    def busy(self) -> int:
        """How many jobs are not over."""
        return self.engine.busy()

    def count_lessons(self) -> int:
        """How many of them teach somebody."""
        return sum(not job.over and job.job.lesson is not None for job in self.engine.jobs())

    def number_of(self, job: JobState) -> str:
        """What the panel of a job is called now, on whichever board it is."""
        owner = self.owner_of(job)
        return owner.number_of(job) if owner else job.job.label

    def board_of(self, job: JobState) -> str:
        """The title of the board that a job is of; "" for the one that is shown."""
        owner = self.owner_of(job)
        if owner is None:
            return self._titles.get(job.id, "")
        return "" if owner is self.document else owner.board.title

    def has_panel(self, job: JobState) -> bool:
        return bool(job.job.panel) and self.owner_of(job) is not None

    def owner_of(self, job: JobState) -> Document | None:
        """The board that has the panel of a job, whether it is shown or not."""
        return next((one for one in self._all() if one.runs.owns(one.board, job)), None)

    def _all(self) -> list[Document]:
        return [*([self.document] if self.document else []), *self._behind]

    def _document(self, file: BoardFile) -> Document:
        document = Document(file, self.engine, self)
        document.message.connect(partial(self._tell, document))
        document.noted.connect(partial(self._tell, document, good=True))
        document.lasting.connect(lambda text, hint: self.lasting.emit(text, hint, False))
        document.mended.connect(self.mended)
        document.mended.connect(lambda text: self.mended.emit(f"“{document.board.title}”: {text}"))
        document.runs.finished.connect(lambda _: self._let_go())
        return document

    def _tell(self, document: Document, text: str, hint: Hint, good: bool = False) -> None:
        """What another board than the one that is shown says, with its title."""
        mine = self.document in (None, document)
        self.message.emit(text if mine else f"“{document.board.title}”: {text}", hint, good)

    def _show_file(self, file: BoardFile | None) -> bool:
        """Whether there is one, which is shown then."""
        if file:
            self.show(self._document(file))
        return file is not None

    def show(self, document: Document) -> None:
        """This board from now on; what the one before still does goes on behind it."""
        before = self.document
        if document is before:
            self.shown_already.emit()
            return
        self._behind = [one for one in self._behind if one is not document]
        if before:
            before.save() if before.dirty and not before.file.is_gone else None
            self._behind.append(before)
            self.remember_title()
        self.document, self._listed = document, str(document.file.path)
        self.settings = settings.with_recent(self.settings, document.file.path, document.board.title)
        self._tell_document()
        self.document_changed.emit(document)
        self._let_go()
        QTimer.singleShot(0, self, self._store_recent)  # waits for the disk: once the board is seen

    def _store_recent(self) -> None:
        if not self._closed:
            self.store(self.settings)

    def _let_go(self) -> None:
        """Close boards behind the shown one whose jobs are over and which are saved."""
        for document in [one for one in self._behind if not one.runs.busy() and one.ensure_saved()]:
            self._behind.remove(document)
            mine = (job for job in self.engine.jobs() if document.runs.owns(document.board, job))
            self._titles.update({job.id: document.board.title for job in mine})
            keep_thumbnail(document.file)
            document.close()
            document.deleteLater()

    def _free_path(self, title: str) -> Path:
        from ...interchange.files import make_safe_name

        folder = settings.boards_folder(self.settings)
        make_folders(folder)
        wanted = folder / f"{make_safe_name(title)}{SUFFIX}"
        return next(path for path in number_names(wanted) if not path.exists())

    def _try(self, action: Callable[[], T], passed: type[Exception] | tuple[()] = ()) -> T | None:
        """What `action` gives, in another thread: the window goes on painting, keys and clicks wait in line.

        None (and a message) where it fails with anything but `passed`.
        """
        try:
            given: T = in_background(lambda _: action(), [None])[0]
            return given
        except passed:
            raise
        except FluxLocalError as error:
            self.message.emit(error.message, error.hint, False)
        except OSError as error:
            place = os.fsdecode(error.filename) if isinstance(error.filename, str | bytes) else "The folder"
            text = f"{place} can't be used: {say_reason(error)}."
            self.message.emit(text, "Choose another folder in the settings.", False)
        return None
