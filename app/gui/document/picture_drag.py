"""Pictures on their way in and out: dropped, pasted, copied, dragged to Finder or another panel."""

import atexit
import os
import re
from pathlib import Path

from PySide6.QtCore import QByteArray, QMimeData, Qt, QUrl
from PySide6.QtGui import QDrag, QGuiApplication, QImage, QPixmap
from PySide6.QtWidgets import QWidget

from mlx_model.errors import FluxLocalError
from mlx_model.files import make_scratch_folder, remove_scratch_folder, write_new

from ...board import commands
from ...board.data import Board, Picture, Source, pictures
from ...board.panel_job import import_take
from ...board.picture import Crop
from ...interchange.pictures import list_pictures
from ...pictures.kinds import NAMES, read_bytes
from ...pictures.sharing import clean, cut_part
from .document import Document
from .pixmaps import read

OURS = "application/x-flux-local"
PICTURE = f"{OURS}-picture"  # its data: the sha256 of a picture of this board, in ASCII
DRAGGED_SIDE = 160


def has_pictures(mime: QMimeData | None) -> bool:
    """Whether pictures_in would find something; said while the mouse hovers, so nothing is opened."""
    if mime is None:  # an empty clipboard
        return False
    local = any(url.isLocalFile() for url in mime.urls())
    return mime.hasFormat(PICTURE) or local or mime.hasImage()


def pictures_in(mime: QMimeData | None, document: Document) -> list[Picture]:
    """Every picture that is dropped or pasted; those of this board are found, others imported. Refusals are told."""
    if mime is None:
        return []
    if mime.hasFormat(PICTURE):
        wanted = bytes(mime.data(PICTURE).data()).decode("ascii", "replace")
        found = next((picture for picture in pictures(document.board) if picture.sha256 == wanted), None)
        if found:
            return [found]
    files = [url.toLocalFile() for url in mime.urls() if url.isLocalFile()]
    if files:
        return import_files(files, document)
    image = mime.imageData() if mime.hasImage() else None  # whatever the other program put there
    return document.import_pictures([image], "pasted") if isinstance(image, QImage) and not image.isNull() else []


def fill_panel(document: Document, panel_id: str, found: list[Picture]) -> bool:
    """The pictures become takes of the panel, to be changed from then on; whether there were any.

    A picture that is one of its takes already is chosen: it is no second one.
    """

    def change(board: Board) -> Board:
        for picture in found:
            take = next((one for one in board.panel(panel_id).takes if one.picture.sha256 == picture.sha256), None)
            if take:
                board = commands.choose_take(board, panel_id, take.id)
            else:
                board = commands.add_take(board, panel_id, import_take(picture))
        return commands.set_panel(board, panel_id, source=Source("take"))

    return bool(found) and document.do("Add Picture", change)


def import_files(files: list[str], document: Document) -> list[Picture]:
    """Every picture among files and folders; a folder gives what lies in it, in the order that people count."""
    found: list[str | Path] = []
    for file in files:
        found += _pictures_of_folder(Path(file), document) if os.path.isdir(file) else [file]
    return document.import_pictures(found)


def _pictures_of_folder(folder: Path, document: Document) -> list[Path]:
    try:
        inside = list(list_pictures(folder))
    except FluxLocalError as error:
        document.message.emit(error.message, error.hint)
        return []
    if not inside:
        document.message.emit(f"{folder.name} has no picture in it.", f"Use {NAMES}.")
    return inside


def mime_of(document: Document, picture: Picture, title: str, crop: Crop | None = None) -> QMimeData:
    """The picture for this window by its sha256, for other programs as a file called `title`.

    What is cropped is that file for both: the part, which is a picture of its own where it is dropped.
    """
    mime = QMimeData()
    if crop is None:
        mime.setData(PICTURE, QByteArray(picture.sha256.encode()))
    folder = make_scratch_folder()  # until the program ends: receivers read files late
    atexit.register(remove_scratch_folder, folder)
    name = re.sub(r"[^\w. -]", "_", title).strip() or "picture"
    path = write_clean(document.picture_path(picture.sha256), folder / name, crop)
    mime.setUrls([QUrl.fromLocalFile(str(path))])
    return mime


def write_clean(kept: Path, target: Path, crop: Crop | None = None) -> Path:
    """A picture of the board for others, or the part, at `target` with the ending of its kind; where it is."""
    given = read_bytes(kept)
    data, ending = (cut_part(given, crop.box), ".png") if crop else clean(given)
    path = target.with_name(f"{target.name}{ending}")
    path.write_bytes(data)
    return path


def save_as(document: Document, picture: Picture, path: Path) -> Path:
    """A copy for others; where it is. What is there is replaced, as the dialog asked; the ending is that of its kind.

    Raises RequestError, BoardError, DiskFull.
    """
    data, ending = clean(read_bytes(document.picture_path(picture.sha256)))
    right = path if path.suffix.lower() == ending else path.with_name(f"{path.name}{ending}")
    document.file.require_outside(right)
    return write_new(right, lambda file: file.write(data), force=right == path)


def copy(document: Document, picture: Picture, title: str) -> None:
    """Onto the clipboard, also as pixels, which paint programs paste."""
    mime = mime_of(document, picture, title)
    mime.setImageData(read(str(document.picture_path(picture.sha256)), 0))
    to_clipboard(mime)


def to_clipboard(mime: QMimeData) -> None:
    """Put our own data there, and let go of it in time when the program ends."""
    QGuiApplication.clipboard().setMimeData(mime)
    atexit.unregister(_keep_pixels_only)
    atexit.register(_keep_pixels_only)


def _keep_pixels_only() -> None:
    """Qt deletes what the clipboard holds after Python has ended, and a QMimeData made in Python crashes then."""
    if not QGuiApplication.instance():
        return
    clipboard = QGuiApplication.clipboard()
    mime = clipboard.mimeData()
    if mime and any(name.startswith(OURS) for name in mime.formats()):  # nobody copied since
        clipboard.setImage(clipboard.image())


def drag_out(source: QWidget, document: Document, picture: Picture, title: str, crop: Crop | None = None) -> None:
    """Drag the picture, or the part, until it is dropped somewhere; always as a copy."""
    drag, mime = QDrag(source), mime_of(document, picture, title, crop)
    drag.setMimeData(mime)
    part = QPixmap.fromImage(read(mime.urls()[0].toLocalFile(), DRAGGED_SIDE)) if crop else None
    drag.setPixmap(part or document.pixmap_now(picture.sha256, DRAGGED_SIDE))
    drag.exec(Qt.DropAction.CopyAction)
