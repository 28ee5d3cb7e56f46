"""Pages of the web and folders, opened by the system's own programs; where it has none they can be copied."""

from pathlib import Path

from PySide6.QtCore import QUrl
from PySide6.QtGui import QDesktopServices
from PySide6.QtWidgets import QApplication, QWidget

from .messages import ask


def open_page(address: str, parent: QWidget) -> None:
    """In the browser."""
    if not QDesktopServices.openUrl(QUrl(address)):
        offer_copy(parent, "Web Page", "No browser could be opened here. The page is:", address)


def show_folder(folder: Path, parent: QWidget) -> None:
    """In the system's program for files."""
    if not open_folder(folder):
        offer_copy(parent, "Folder", "No program for files could be opened here. The folder is:", str(folder))


def open_folder(folder: Path) -> bool:
    """The same where its place is told anyway; whether it could be."""
    return QDesktopServices.openUrl(QUrl.fromLocalFile(str(folder)))


def offer_copy(parent: QWidget, title: str, text: str, place: str) -> None:
    """Say where it is, to be opened by hand."""
    if ask(parent, title, text, place, "Copy", "Close") == "Copy":
        QApplication.clipboard().setText(place)
