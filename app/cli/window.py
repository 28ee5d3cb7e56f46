"""Opening the window, and saying what is missing where Qt can't: Qt itself would abort the process without a word."""

import importlib.util
import os
import sys
from collections.abc import Mapping
from pathlib import Path

import click

from mlx_model.errors import Advice, BoardError, FluxLocalError

PACKAGES = (
    "libegl1 libgl1 libfontconfig1 libdbus-1-3 libxkbcommon-x11-0 libxcb-cursor0 libxcb-icccm4 libxcb-image0 "
    "libxcb-keysyms1 libxcb-randr0 libxcb-render-util0 libxcb-shape0 libxcb-xinerama0"
)
HINT = f"On Debian: apt-get install {PACKAGES}"


class NoWindow(FluxLocalError):
    """The window can't be opened here."""

    exit_code = 3


@click.command()
@click.argument("path", type=click.Path(path_type=Path))
def window(path: Path) -> None:
    """Open the window with the board at PATH, or with a new one from a zipped board."""
    path = path.expanduser().absolute()
    if path.is_file() and path.suffix.casefold() != ".zip":
        raise BoardError(
            f"{path} is a file; a board is a folder.", "Give one that ends in .fluxboard, or a zipped board."
        )
    if not path.is_dir() and not path.is_file():
        raise BoardError(f"There is no board {path}.", Advice("make_board"))
    click.get_current_context().exit(open_window(str(path)))


def open_window(path: str | None = None) -> int:
    """Run the app until it is closed; its exit code. Raises NoWindow where Qt or a display is missing."""
    check(os.environ)
    try:
        from ..gui.window.start import main
    except ImportError as error:
        raise NoWindow(f"The window can't be opened: {error}.", HINT) from error
    return main(path)


def check(environment: Mapping[str, str]) -> None:
    """Raises NoWindow where Qt would abort: no display, or a library that its display plugin needs is missing."""
    if importlib.util.find_spec("PySide6") is None:
        raise NoWindow("PySide6 is not installed.", "Install Flux Local again: pip install flux-local-studio")
    if sys.platform != "linux" or environment.get("QT_QPA_PLATFORM"):
        return
    if not (environment.get("DISPLAY") or environment.get("WAYLAND_DISPLAY")):
        raise NoWindow("There is no display to open a window on.", "The commands work without one: flux-local --help")
    if environment.get("DISPLAY"):
        _load(plugin())


def plugin() -> Path:
    """The library with which Qt talks to X11."""
    package = importlib.util.find_spec("PySide6")
    assert package is not None  # `check` has asked
    return Path(package.origin or "").parent / "Qt" / "plugins" / "platforms" / "libqxcb.so"


def _load(library: Path) -> None:
    import ctypes

    try:
        ctypes.CDLL(str(library))
    except OSError as error:
        raise NoWindow(f"The window can't be opened: {error}.", HINT) from error
