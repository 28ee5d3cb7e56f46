"""The app's own icons: SVG drawn on a 24-unit grid in one stroke colour, recoloured when the theme changes."""

import weakref
from collections.abc import Iterable
from functools import cache

from PySide6.QtCore import QByteArray, QRectF, QSize, Qt
from PySide6.QtGui import QGuiApplication, QIcon, QPainter, QPixmap
from PySide6.QtSvg import QSvgRenderer
from PySide6.QtWidgets import (
    QAbstractButton,
    QDialogButtonBox,
    QProxyStyle,
    QPushButton,
    QStyle,
    QStyleHintReturn,
    QStyleOption,
    QWidget,
)

from ...base.paths import ASSETS

FOLDER = ASSETS / "icons"
GAP = 0.35
SIZES = (16, 20, 24)  # of lists and views; a button has the size that it shows
Standard = QStyle.StandardPixmap
FOLDERS = (Standard.SP_DirIcon, Standard.SP_DirOpenIcon, Standard.SP_DirClosedIcon, Standard.SP_DirLinkIcon)
DISKS = (Standard.SP_DriveHDIcon, Standard.SP_DriveFDIcon, Standard.SP_DriveCDIcon, Standard.SP_DriveDVDIcon,
         Standard.SP_DriveNetIcon, Standard.SP_ComputerIcon, Standard.SP_DesktopIcon)  # fmt: skip
OURS = {
    **dict.fromkeys(FOLDERS, "folder"),
    **dict.fromkeys(DISKS, "computer"),
    **dict.fromkeys((Standard.SP_FileIcon, Standard.SP_FileLinkIcon), "file"),
    Standard.SP_DirHomeIcon: "home",
    Standard.SP_ArrowBack: "back",
    Standard.SP_ArrowForward: "forward",
    Standard.SP_ArrowLeft: "back",
    Standard.SP_ArrowRight: "forward",
    Standard.SP_FileDialogToParent: "up",
    Standard.SP_FileDialogNewFolder: "folder_new",
    Standard.SP_FileDialogDetailedView: "list",
    Standard.SP_FileDialogListView: "board",
    Standard.SP_MessageBoxQuestion: "question",
    Standard.SP_MessageBoxWarning: "warning",
    Standard.SP_MessageBoxCritical: "warning",
    Standard.SP_MessageBoxInformation: "info",
    Standard.SP_LineEditClearButton: "close",
    Standard.SP_TrashIcon: "trash",
}
_colours = {"normal": "#1b1b1d", "dim": "#88888c", "on": "#1b1b1d", "primary": "#ffffff"}
_dressed: "weakref.WeakKeyDictionary[QAbstractButton, tuple[str, str]]" = weakref.WeakKeyDictionary()


def icon(name: str, tone: str = "normal", gap: float = 0.0, sizes: Iterable[int] = SIZES) -> QIcon:
    """assets/icons/<name>.svg in the theme's colours; "primary" is for buttons in the accent colour.

    `gap` is the empty space behind it, as a share of its side; `sizes` are logical pixels. Each is drawn for the screen
    that the program runs on, no more: the first panel of a session spent most of its time on sizes nobody saw.
    """
    made, screen = QIcon(), QGuiApplication.primaryScreen()
    for size in {round(size * screen.devicePixelRatio()) for size in sizes}:
        made.addPixmap(_draw(name, _colours[tone], size, gap), QIcon.Mode.Normal)
        made.addPixmap(_draw(name, _colours["dim"], size, gap), QIcon.Mode.Disabled)
    return made


def dress(target: QAbstractButton, name: str, tone: str = "normal") -> None:
    """Give a button its icon, now and after every change of theme."""
    _dressed[target] = (name, tone)
    if isinstance(target, QPushButton):  # it has words: style sheets can't set them apart from the icon
        height = target.iconSize().height()
        target.setIconSize(QSize(round(height * (1 + GAP)), height))
    _put_on(target, name, tone)


def wear(target: QAbstractButton, own: QIcon) -> None:
    """Give a button an icon that no theme changes, such as a colour to choose."""
    _dressed.pop(target, None)
    target.setIcon(own)


def _put_on(target: QAbstractButton, name: str, tone: str) -> None:
    gap = GAP if isinstance(target, QPushButton) else 0.0
    target.setIcon(icon(name, tone, gap, [target.iconSize().height()]))


def pixmap(name: str, side: int, colour: str) -> QPixmap:
    """The icon as a square pixmap of `side` device pixels in any colour, for views that paint by hand."""
    return _draw(name, colour, side)


def recolour(normal: str, dim: str, on: str, primary: str) -> None:
    """Take the theme's colours, also of icons that are off, on, or on a primary button; redraw all that still live."""
    _colours.update(normal=normal, dim=dim, on=on, primary=primary)
    for target, (name, tone) in list(_dressed.items()):
        try:
            _put_on(target, name, tone)
        except RuntimeError:  # Qt deleted it, and something in Python still holds its shell
            del _dressed[target]


@cache
def _renderer(name: str, colour: str) -> QSvgRenderer:
    source = (FOLDER / f"{name}.svg").read_text("utf-8").replace("currentColor", colour)
    return QSvgRenderer(QByteArray(source.encode()))


@cache
def _draw(name: str, colour: str, side: int, gap: float = 0.0) -> QPixmap:
    made = QPixmap(round(side * (1 + gap)), side)
    made.fill(Qt.GlobalColor.transparent)
    painter = QPainter(made)
    _renderer(name, colour).render(painter, QRectF(0, 0, side, side))
    painter.end()
    return made


class Style(QProxyStyle):
    """Fusion draws alike on every system. Qt's dialogs for files, colours and questions have our icons too, and their
    buttons in our order: the main one at the right end.
    """

    def __init__(self) -> None:
        super().__init__("fusion")

    def standardIcon(
        self, which: QStyle.StandardPixmap, option: QStyleOption | None = None, widget: QWidget | None = None
    ) -> QIcon:
        return icon(OURS[which]) if which in OURS else super().standardIcon(which, option, widget)

    def styleHint(
        self,
        hint: QStyle.StyleHint,
        option: QStyleOption | None = None,
        widget: QWidget | None = None,
        returnData: QStyleHintReturn | None = None,
    ) -> int:
        if hint == QStyle.StyleHint.SH_DialogButtonLayout:
            return QDialogButtonBox.ButtonLayout.GnomeLayout.value
        return super().styleHint(hint, option, widget, returnData)
