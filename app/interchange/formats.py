"""All formats, for the command line and the window: what there is, with which options, and the two ways through it.

A format's file is loaded when it is used. Its functions are `export(job, **options) -> Path` and
`load(source, **options) -> Board`.
"""

from collections.abc import Callable, Collection
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from mlx_model.errors import Advice, Refused, RequestError

if TYPE_CHECKING:
    from ..board.data import Board, Picture

FOLDER = ""  # the extension of a format that writes or reads a folder


class Option(NamedTuple):
    """`default` gives the type (bool, int or str); numbers have a range, words have choices."""

    name: str
    default: bool | int | str
    help: str
    choices: tuple[str, ...] = ()
    low: int = 0
    high: int = 0


class Extra(NamedTuple):
    """An optional dependency: `name` is the extra of flux-local-studio, `module` what it brings."""

    name: str
    module: str


class Format(NamedTuple):
    """`export` and `load` are "file:function" below this package, "" where that way is closed.

    `single`: a file holds one panel, so that several are a folder.
    """

    title: str
    extensions: tuple[str, ...]
    export: str = ""
    load: str = ""
    options: tuple[Option, ...] = ()
    extra: Extra | None = None
    single: bool = False

    def makes_folder(self, panels: int) -> bool:
        """Whether an export of so many panels is a folder."""
        return self.extensions[0] == FOLDER or (self.single and panels > 1)

    @property
    def available(self) -> bool:
        """Whether the extra it needs is installed."""
        return self.extra is None or find_spec(self.extra.module) is not None

    @property
    def pattern(self) -> str:
        """For a file dialog: "*.fountain *.txt"; "" for a folder."""
        return " ".join(f"*{ending}" for ending in self.extensions if ending)

    @property
    def filter(self) -> str:
        """The line of a file dialog."""
        return f"{self.title} ({self.pattern})"


class Exported(NamedTuple):
    """Where it is (the name may have got a number) and what the person should know."""

    path: Path
    notes: list[str]


class Imported(NamedTuple):
    """Of a timeline: id of a panel -> what its clip is called, and which notes are about its picture."""

    board: "Board"
    notes: list[str]
    names: dict[str, tuple[str, ...]]
    lost: dict[str, tuple[str, ...]]


WIDTH = Option("width", 1280, "length of the picture's longer side in pixels", low=64, high=4096)
GIF_WIDTH = WIDTH._replace(default=640)
MEDIA = Option("media", True, "copy the pictures into a folder next to the timeline")
TAKES = Option("takes", "current", "only each panel's current take, or all", ("current", "all"))
SHEET = (
    Option("paper", "A4", "size of the page", ("A4", "A3", "A5", "Letter", "Legal", "Tabloid")),
    Option("orientation", "landscape", "which way the page lies", ("landscape", "portrait")),
    Option("columns", 0, "panels across; 0 chooses by the shape of the pictures", low=0, high=8),
    Option("rows", 0, "rows a page; 0 chooses by the shape of the pictures", low=0, high=8),
    Option("action", True, "print the action"),
    Option("dialogue", True, "print the dialogue"),
    Option("notes", True, "print the notes"),
    Option("camera", True, "print shot size, angle and move"),
    Option("duration", True, "print how long each panel lasts"),
    Option("headings", True, "print the scenes' headings, each scene on a new row"),
)
SHOT = Option(
    "shots", "continued", "what a shot is: panels that continue each other, every two neighbours, or a scene",
    ("continued", "pairs", "scenes"),
)  # fmt: skip
VIDEO, LAYERS = Extra("video", "av"), Extra("layers", "psd_tools")
FORMATS: dict[str, Format] = {
    "pdf": Format("PDF sheets", (".pdf",), "pdf:export", options=SHEET),
    "png": Format("PNG sequence", (FOLDER,), "frames:export_png", options=(TAKES,)),
    "shots": Format("First and last frames for video models", (FOLDER,), "frames:export_shots", options=(SHOT,)),
    "gif": Format("Animated GIF", (".gif",), "animatic:export_gif", options=(GIF_WIDTH,)),
    "webp": Format("Animated WebP", (".webp",), "animatic:export_webp", options=(WIDTH,)),
    "mp4": Format(
        "MP4 animatic", (".mp4",), "animatic:export",
        options=(WIDTH, Option("captions", True, "burn number, action and dialogue in")), extra=VIDEO,
    ),
    "otio": Format("OpenTimelineIO", (".otio",), "timeline:export_otio", "timeline_in:load", (MEDIA,)),
    "fcpxml": Format("Final Cut Pro XML", (".fcpxml",), "fcpxml:export", "fcpxml:load", (MEDIA,)),
    "xml": Format(
        "Premiere and Resolve XML (Final Cut 7)", (".xml",), "timeline:export_fcp7", "timeline_in:load_fcp7", (MEDIA,)
    ),
    "edl": Format("Edit decision list (CMX 3600)", (".edl",), "timeline:export_edl", "edl:load", (MEDIA,)),
    "csv": Format("Shot list (CSV)", (".csv", ".tsv"), "shot_list:export", "shot_list:load"),
    "psd": Format("Photoshop layers", (".psd",), "layers:export_psd", extra=LAYERS, single=True),
    "ora": Format("OpenRaster layers (Krita, GIMP)", (".ora",), "layers:export_ora", single=True),
    "fountain": Format("Fountain script", (".fountain", ".spmd", ".txt", ".md", ".markdown"), load="fountain:load"),
    "fdx": Format("Final Draft script", (".fdx",), load="fdx:load"),
    "storyboarder": Format("Storyboarder", (".storyboarder",), load="storyboarder:load"),
    "pictures": Format("Folder of pictures", (FOLDER,), load="pictures:load"),
}  # fmt: skip
BUNDLES = {".fcpxmld": "Info.fcpxml", ".otiod": "content.otio"}  # folders that are one document -> what is read
FROM_EDITOR = "Export OpenTimelineIO, an EDL or Final Cut Pro XML from the editor."
FROM_WRITER = "Export Fountain, Final Draft (.fdx) or plain text from the program that wrote it."
FROM_TABLE = "Save the sheet as CSV."
REFUSED = {  # ending -> what it is, what to do
    ".aaf": ("an Avid AAF", FROM_EDITOR), ".avb": ("an Avid bin", FROM_EDITOR), ".ale": ("an Avid log", FROM_EDITOR),
    ".prproj": ("a Premiere project", FROM_EDITOR), ".drp": ("a DaVinci Resolve project", FROM_EDITOR),
    ".drt": ("a DaVinci Resolve timeline", FROM_EDITOR), ".fcpbundle": ("a Final Cut Pro library", FROM_EDITOR),
    ".kdenlive": ("a Kdenlive project", FROM_EDITOR), ".mlt": ("a Shotcut project", FROM_EDITOR),
    ".aep": ("an After Effects project", FROM_EDITOR), ".veg": ("a Vegas project", FROM_EDITOR),
    ".blend": ("a Blender file", FROM_EDITOR), ".sbpz": ("a Toon Boom storyboard", FROM_EDITOR),
    ".otioz": ("a zipped OpenTimelineIO bundle", "Unzip it and choose the content.otio inside."),
    ".celtx": ("a Celtx project", FROM_WRITER), ".fadein": ("a Fade In script", FROM_WRITER),
    ".highland": ("a Highland script", FROM_WRITER), ".fdr": ("a script of Final Draft before 8", FROM_WRITER),
    ".kitsp": ("a KIT Scenarist script", FROM_WRITER), ".starc": ("a Story Architect project", FROM_WRITER),
    ".trelby": ("a Trelby script", FROM_WRITER), ".wdz": ("a WriterDuet script", FROM_WRITER),
    ".scriv": ("a Scrivener project", FROM_WRITER), ".pages": ("a Pages document", FROM_WRITER),
    ".docx": ("a Word document", FROM_WRITER), ".doc": ("a Word document", FROM_WRITER),
    ".odt": ("an OpenDocument text", FROM_WRITER), ".rtf": ("a Rich Text document", FROM_WRITER),
    ".pdf": ("a PDF", FROM_WRITER), ".xlsx": ("an Excel sheet", FROM_TABLE), ".xls": ("an Excel sheet", FROM_TABLE),
    ".ods": ("an OpenDocument sheet", FROM_TABLE), ".numbers": ("a Numbers sheet", FROM_TABLE),
}  # fmt: skip
ZIPPED = Format("Zipped board", (".zip",))  # the board itself: app/fluxboard/archive.py writes and reads it
EXPORTS = tuple(name for name, format in FORMATS.items() if format.export)
TIMELINES = ("otio", "fcpxml", "xml", "edl")
IMPORTS = tuple(name for name, format in FORMATS.items() if format.load)


def export_board(
    name: str,
    board: "Board",
    picture_path: Callable[[str], Path],
    out: str | Path,
    *,
    panels: Collection[str] | None = None,
    force: bool = False,
    progress: Callable[[float], object] = lambda share: None,
    **options: bool | int | str,
) -> Exported:
    """Write `board`, or its `panels` (ids), in the format `name`. What `progress` raises ends it, with nothing left.

    Raises RequestError for an unknown format or option, no panels, or a place that can't be written; DiskFull.
    """
    from .job import Job

    format = _find(name, EXPORTS)
    values = _check_options(format, options)
    job = Job(board, picture_path, add_extension(Path(out).absolute(), format), panels, force, progress)
    path = _load_function(format.export, format)(job, **values)
    return Exported(path, job.list_warnings())


def import_board(
    path: str | Path,
    put_picture: "Callable[[Any], Picture]",
    name: str | None = None,
    fps: float | None = None,
    aspect: tuple[int, int] = (16, 9),
) -> Imported:
    """The file or folder as a new board; `name` of the format, None decides by the extension.

    `fps` is the rate of what comes back, `aspect` the shape, for a format that does not say its own.

    Raises RequestError, naming the file, for whatever can't be read.
    """
    from ..fluxboard.codec import check
    from .files import Source

    path = _look_inside(Path(path).absolute())
    format = _find(name or guess(path), IMPORTS)
    source = Source(path, put_picture, [], fps, aspect)
    board = _load_function(format.load, format)(source)
    try:
        check(board)
    except Refused as error:
        raise RequestError(f"{path} does not fit a board. {error.message}", "Import it in parts.") from error
    return Imported(board, list(dict.fromkeys(source.notes)), source.names, source.lost)


def import_timeline(
    path: str | Path, put_picture: "Callable[[Any], Picture]", fps: float, name: str | None = None
) -> Imported:
    """An edited timeline that is to go back onto its board, of `fps`: see edited.py. Raises RequestError."""
    made = import_board(path, put_picture, name, fps)
    if not made.names:
        raise RequestError(f"{path} is no timeline.", "Only an edited timeline can be brought back onto a board.")
    return made


def list_import_filters(names: Collection[str] = ()) -> str:
    """What the file dialog of an import offers, as Qt takes it: all at once, then each; folders are not in it.

    `names`: of the formats; all and a board's zip where there are none.
    """
    wanted = [FORMATS[name] for name in names] or [*(FORMATS[name] for name in IMPORTS), ZIPPED]
    offered = [format for format in wanted if format.pattern]
    together = " ".join(format.pattern for format in offered)
    return ";;".join([f"All that can be imported ({together})", *(format.filter for format in offered)])


def _look_inside(path: Path) -> Path:
    """The document of a bundle, with its media beside it."""
    inside = BUNDLES.get(path.suffix.lower())
    return path / inside if inside and path.is_dir() else path


def guess(path: Path) -> str:
    """The name of the format that reads `path`. Raises RequestError, by its name where it has one, where none does."""
    path = _look_inside(path)
    if known := REFUSED.get(path.suffix.lower()):
        raise RequestError(f"{path} is {known[0]}, which can't be imported.", known[1])
    ending = FOLDER if path.is_dir() and path.suffix.lower() != ".storyboarder" else path.suffix.lower()
    found = next((name for name in IMPORTS if ending in FORMATS[name].extensions), None)
    if found is None or (ending == FOLDER and not path.is_dir()):
        endings = ", ".join(ending for name in IMPORTS for ending in FORMATS[name].extensions if ending)
        raise RequestError(
            f"{path} can't be imported.", f"These can: {endings}, the .zip of a board, or a folder of pictures."
        )
    return found


def add_extension(out: Path, format: Format) -> Path:
    """`out` with the format's extension where it has none of its own."""
    if format.extensions[0] == FOLDER or out.suffix.lower() in format.extensions:
        return out
    return out.with_name(out.name + format.extensions[0])


def _find(name: str, names: tuple[str, ...]) -> Format:
    if name not in names:
        raise RequestError(f"{name} is not a format for that.", f"Choose one of {', '.join(names)}.")
    return FORMATS[name]


def _load_function(where: str, format: Format) -> Callable[..., Any]:
    if format.extra and not format.available:
        raise RequestError(
            f"{format.title} needs an optional part of Flux Local.",
            Advice("install_part", {"name": format.extra.name}),
        )
    file, _, function = where.partition(":")
    found: Callable[..., Any] = getattr(import_module(f".{file}", __package__), function)
    return found


def _check_options(format: Format, given: dict[str, bool | int | str]) -> dict[str, bool | int | str]:
    """Every option with its value. Raises RequestError for an unknown name or an impossible value."""
    known = {option.name: option for option in format.options}
    for name in given.keys() - known.keys():
        have = ", ".join(known) or "none"
        raise RequestError(f"{format.title} has no option {name}.", f"Its options: {have}.")
    return {name: _check_value(option, given.get(name, option.default)) for name, option in known.items()}


def _check_value(option: Option, value: bool | int | str) -> bool | int | str:
    if type(value) is not type(option.default):
        raise RequestError(f"{option.name}={value!r} is not a value of that option.", f"It is {option.help}.")
    if option.choices and value not in option.choices:
        raise RequestError(f"{option.name}={value} is not possible.", f"Choose one of {', '.join(option.choices)}.")
    if option.high and not option.low <= int(value) <= option.high:
        raise RequestError(f"{option.name}={value} is not possible.", f"From {option.low} to {option.high}.")
    return value
