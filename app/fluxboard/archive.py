"""A board as one zip, for sharing only: board.json and the pictures it uses.

Reading one extracts nothing by the names it holds: board.json and blobs/SHA256.png (.jpg ...) are looked for,
everything is bounded, every picture must have the hash it is named by, and anything strange refuses the whole file.
"""

import hashlib
import os
import re
import shutil
import stat
import struct
import zipfile
import zlib
from pathlib import Path
from typing import BinaryIO

from msgspec.structs import replace

from mlx_model.errors import BoardError, RequestError, say_reason
from mlx_model.files import begin, finish, write_new

from ..base.paths import SUFFIX
from ..board.data import Board, Panel, Sound, blobs
from ..pictures.images import Given
from ..pictures.metadata import hide_path, hide_paths
from ..pictures.sharing import clean
from ..sound import clip
from . import codec, disk
from .file import BLOBS, BOARD, ENDINGS, HISTORY, BoardFile

MAX_ENTRIES, MAX_TOTAL, MAX_RATIO = 20_000, 16 << 30, 200
HARMLESS = 1 << 20  # a small file may shrink as much as it likes: an empty mask does
BLOB = re.compile(rf"{BLOBS}/([0-9a-f]{{64}})({'|'.join(map(re.escape, ENDINGS))})")
IGNORED = re.compile(r"(__MACOSX/.*|(.*/)?\.DS_Store|(.*/)?\._[^/]*|lock|journal|history/.*)")
BROKEN = (zipfile.BadZipFile, NotImplementedError, RuntimeError, ValueError, EOFError, struct.error, zlib.error)
HINT = "Ask for the board again, exported by Flux Local."


def export_zip(file: BoardFile, path: str | Path, force: bool = False) -> Path:
    """Write the saved board and its pictures as a zip; where it is (without `force` numbered where the name is taken).

    Raises BoardError where a picture is missing or damaged, or the zip can't be written; DiskFull.
    """
    path = Path(path).absolute()
    file.require_outside(path)
    with disk.explain_errors(path):
        return write_new(path, lambda handle: _write(file, handle), force)


def _write(file: BoardFile, handle: BinaryIO) -> None:
    """Pictures as others may have them (pictures/sharing); one that says less has another hash in the board too."""
    top, board, written = file.path.name, codec.encode(hide_own(file.board)), set()
    with zipfile.ZipFile(handle, "w", zipfile.ZIP_DEFLATED) as archive:
        for picture in blobs(file.board).values():
            if damage := file.damage(picture):
                raise BoardError(f"The file {picture.sha256[:12]} can't be exported: {damage}.", "See board check.")
            kept = file.picture_path(picture.sha256).name
            data, ending = disk.read(file.path / BLOBS / kept, disk.MAX_BLOB), Path(kept).suffix
            data, ending = (data, ending) if isinstance(picture, Sound) else clean(data)
            sha256 = hashlib.sha256(data).hexdigest()
            name = f"{BLOBS}/{sha256}{ending}"
            board = board.replace(f"{BLOBS}/{kept}".encode(), name.encode())  # in the requests of takes
            board = board.replace(picture.sha256.encode(), sha256.encode())
            if name not in written:
                archive.writestr(f"{top}/{name}", data, zipfile.ZIP_STORED)  # pictures are compressed already
            written.add(name)
        archive.writestr(f"{top}/{BOARD}", board)


def hide_own(board: Board) -> Board:
    """The board without a path of this machine: where somebody keeps boards and models is nobody else's business."""
    scenes = tuple(replace(s, panels=tuple(map(_hide_in_panel, s.panels))) for s in board.scenes)
    return replace(board, model=board.model and hide_path(board.model), scenes=scenes)


def _hide_in_panel(panel: Panel) -> Panel:
    takes = tuple(
        replace(take, model=hide_path(take.model), request=take.request and hide_paths(take.request))
        for take in panel.takes
    )
    model = panel.settings.model
    return replace(panel, settings=replace(panel.settings, model=model and hide_path(model)), takes=takes)


def import_zip(zipped: str | Path, path: str | Path) -> BoardFile:
    """Make a package at `path` from a zip, open. Raises BoardError saying what is wrong with it, DiskFull."""
    zipped, path = Path(zipped), Path(path).absolute()
    path = path if path.suffix.lower() == SUFFIX else path.with_name(path.name + SUFFIX)
    if os.path.lexists(path):
        raise BoardError(f"{path} is there already.", "Choose another name.")
    if zipped.exists() and not zipped.is_file():  # opening a pipe waits for ever
        raise BoardError(f"{zipped} is not a file.", HINT)
    partial = begin(path)
    try:
        with (
            disk.explain_errors(zipped),
            open(zipped, "rb") as handle,
            zipfile.ZipFile(handle) as archive,
            disk.explain_errors(path),
        ):
            _extract(archive, partial)
            partial.rename(path)
            disk.sync_folder(path.parent)
    except BROKEN as error:
        raise BoardError(f"{zipped} is damaged or not a zip: {say_reason(error)}.", HINT) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
        finish(partial)
    return BoardFile.open(path)


def _extract(archive: zipfile.ZipFile, folder: Path) -> None:
    entries = _entries(archive)
    board, _ = codec.decode(_read(archive, entries[BOARD], codec.MAX_BYTES))
    for name in ("", BLOBS, HISTORY):
        (folder / name).mkdir()
    for sha256, kind in blobs(board).items():
        if sha256 not in entries:  # one that is missing is told by board check
            continue
        if isinstance(kind, Sound):
            _extract_sound(archive, entries[sha256], sha256, folder / BLOBS)
        else:
            given = _picture(archive, entries[sha256], sha256)
            disk.write(folder / BLOBS / f"{sha256}{given.ending}", given.data)
    disk.write(folder / BOARD, codec.encode(board))


def _picture(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, sha256: str) -> Given:
    return disk.inspect(_read_whole(archive, entry, sha256))


def _extract_sound(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, sha256: str, folder: Path) -> None:
    """What is no sound goes again with the folder that is begun. Raises BoardError."""
    path = folder / f"{sha256}{Path(entry.filename).suffix}"
    disk.write(path, _read_whole(archive, entry, sha256))
    try:
        clip.look_at(path)
    except RequestError as error:
        raise BoardError(f"{entry.filename} in the zip is no sound that can be used.", HINT) from error


def _read_whole(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, sha256: str) -> bytes:
    data = _read(archive, entry, disk.MAX_BLOB)
    if hashlib.sha256(data).hexdigest() != sha256:
        raise BoardError(f"{entry.filename} in the zip was changed or damaged.", HINT)
    return data


def _entries(archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    """board.json by its name, pictures by their sha256. Raises BoardError for anything strange."""
    found = [entry for entry in archive.infolist() if not entry.is_dir()]
    if len(found) > MAX_ENTRIES or sum(entry.file_size for entry in found) > MAX_TOTAL:
        raise BoardError("The zip is too large to be a board.", HINT)
    top = _top([entry.filename for entry in found])
    entries: dict[str, zipfile.ZipInfo] = {}
    for entry in found:
        name = entry.filename.removeprefix(top)
        if IGNORED.fullmatch(entry.filename) or IGNORED.fullmatch(name):
            continue
        _check(entry, name)
        blob = BLOB.fullmatch(name)
        key = blob[1] if blob else name
        if key in entries:
            raise BoardError(f"The zip holds {entry.filename} twice.", HINT)
        entries[key] = entry
    return entries


def _top(names: list[str]) -> str:
    """The folder that everything is in: "" or "NAME.fluxboard/". Raises BoardError where there is no board."""
    boards = [name for name in names if re.fullmatch(rf"([^/\\]{{1,255}}/)?{re.escape(BOARD)}", name)]
    boards = [name for name in boards if not name.startswith("__MACOSX/")]
    if len(boards) != 1:
        raise BoardError("The zip does not hold one board.", HINT)
    return boards[0].removesuffix(BOARD)


def _check(entry: zipfile.ZipInfo, name: str) -> None:
    """Only the two kinds of names pass, so nothing is written elsewhere and no two names differ in case only."""
    if name != BOARD and not BLOB.fullmatch(name):
        raise BoardError(f"The zip holds {entry.filename[:200]!r}, which is no part of a board.", HINT)
    if stat.S_IFMT(entry.external_attr >> 16) not in (0, stat.S_IFREG):
        raise BoardError(f"{entry.filename} in the zip is not a file.", HINT)
    if entry.flag_bits & 1 or entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise BoardError(f"{entry.filename} in the zip is encrypted or packed in an unknown way.", HINT)
    if entry.file_size > max(HARMLESS, MAX_RATIO * entry.compress_size):
        raise BoardError(f"{entry.filename} in the zip would unpack to {MAX_RATIO} times its size.", HINT)


def _read(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, limit: int) -> bytes:
    """Not more than `limit` bytes, whatever the entry says. Raises BoardError."""
    with archive.open(entry) as packed:
        data = packed.read(min(limit, entry.file_size) + 1)
    if len(data) != entry.file_size:
        raise BoardError(f"{entry.filename} in the zip is not as large as it says, or too large.", HINT)
    return data
