"""The worker on another machine, which `flux-local board render --machine` starts there through ssh.

It is the worker of app/engine/worker.py but for the files: those that a job needs come in pieces before it, once each,
and its picture goes back in pieces before Done. Nothing else of either disk is read or written.
"""

import dataclasses
import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from mlx_model import files
from mlx_model.errors import ModelError, RequestError
from mlx_model.events import Done, Event
from mlx_model.request import Lora, Mask, Reference, Request
from mlx_model.store.folder import Folder, open_folder, sha256_of

from ..models import library
from .protocol import Message, Piece, ProtocolError, Run, Teach, Write, cut_file
from .worker import Worker

BLOBS = "blobs"  # a board's pictures lie in a folder of this name, which is what a picture's own request says of them
File = TypeVar("File", Reference, Mask, Lora)


class Arrivals:
    """Files that come in pieces, in a folder of ours; each is kept by its sha256 until the end."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.whole: dict[str, Path] = {}
        self.failed: dict[str, OSError] = {}  # what could not be stored
        self._part: tuple[str, Path] | None = None

    def add(self, piece: Piece) -> None:
        """Raises ProtocolError for a piece of another file in between, a name with folders, other bytes than said."""
        if self._part is None:
            self._part = (piece.sha256, self._place(piece))
        digest, path = self._part
        if digest != piece.sha256:
            raise ProtocolError(f"a piece of {piece.name} among those of {path.name}")
        if digest not in self.failed:
            self._store(piece, path)
        if piece.last:
            self._part = None
            if digest not in self.failed:
                self._keep(digest, path)

    def _store(self, piece: Piece, path: Path) -> None:
        """A full disk is told when a job needs the file."""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with open(path, "ab") as out:
                out.write(piece.data)
        except OSError as error:
            self.failed[piece.sha256] = error
            shutil.rmtree(path.parent, ignore_errors=True)

    def _place(self, piece: Piece) -> Path:
        if piece.name in ("", ".", "..") or "/" in piece.name or "\0" in piece.name:
            raise ProtocolError(f"{piece.name!r} is no name of a file")
        return self.folder / hashlib.sha256(piece.sha256.encode()).hexdigest() / BLOBS / piece.name

    def _keep(self, digest: str, path: Path) -> None:
        if sha256_of(path) != digest:
            raise ProtocolError(f"{path.name} did not arrive as it was sent")
        self.whole[digest] = path

    def find(self, file: File) -> File:
        """The same with its path here. Raises RequestError for what has not come, OSError where it had no room."""
        if file.sha256 in self.failed:
            raise self.failed[file.sha256]
        if file.sha256 not in self.whole:
            raise RequestError(f"{Path(file.path).name} has not arrived.")
        return dataclasses.replace(file, path=str(self.whole[file.sha256]))


class FarWorker(Worker):
    """One on a machine that shares no disk with who asks."""

    def __init__(self, source: int, out: BinaryIO, teach: Callable[..., Any]):
        super().__init__(source, out, teach)
        self.scratch = files.make_scratch_folder()
        self.arrivals = Arrivals(self.scratch)

    def serve(self) -> None:
        try:
            super().serve()
        finally:
            files.remove_scratch_folder(self.scratch)

    def _receive(self, message: Message) -> None:
        if isinstance(message, Piece):
            self.arrivals.add(message)
        else:
            super()._receive(message)

    def _find(self, message: Run) -> tuple[Folder, Request, Path]:
        folder = open_folder(library.resolve(message.model))
        if folder.identity != message.weights:
            raise ModelError(
                f"Its weights of {message.model} are others ({folder.plan or 'as published'}).",
                "Add the model there in the same form.",
            )
        request = message.load_request()
        references = tuple(map(self.arrivals.find, request.references))
        mask = self.arrivals.find(request.mask) if request.mask else None
        loras = tuple(map(self.arrivals.find, request.loras))
        return folder, dataclasses.replace(request, references=references, mask=mask, loras=loras), self.scratch / "out"

    def _events(self, message: Run | Teach | Write) -> Event:
        """The same; the picture goes ahead of Done, and is not kept."""
        last = super()._events(message)
        if isinstance(last, Done) and last.path:
            path = Path(last.path)
            for piece in cut_file(path, sha256_of(path)):
                self.say(piece)
            last = dataclasses.replace(last, path=path.name)
        shutil.rmtree(self.scratch / "out", ignore_errors=True)
        return last
