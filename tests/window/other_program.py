"""Another program with a window: python other_program.py FOLDER PICTURE

What is dropped on it is noted in FOLDER/dropped.json, with a copy of each file; PICTURE can be dragged out.
"""

import json
import shutil
import sys
from pathlib import Path

from PySide6.QtCore import QMimeData, Qt, QUrl
from PySide6.QtGui import QDrag
from PySide6.QtWidgets import QApplication, QLabel

PLACE = (1000, 560, 200, 200)  # on the screen


class Other(QLabel):
    def __init__(self, folder: Path, picture: str):
        super().__init__("Another program")
        self.folder, self.picture = folder, picture
        self.setAcceptDrops(True)
        self.setWindowFlag(Qt.WindowType.WindowStaysOnTopHint)
        self.setGeometry(*PLACE)

    def dragEnterEvent(self, event):
        event.acceptProposedAction()

    def dragMoveEvent(self, event):
        event.acceptProposedAction()

    def dropEvent(self, event):
        event.acceptProposedAction()
        files = [Path(url.toLocalFile()) for url in event.mimeData().urls()]
        for file in files:
            shutil.copy(file, self.folder)
        told = {"files": [file.name for file in files], "formats": event.mimeData().formats()}
        (self.folder / "half.json").write_text(json.dumps(told))
        (self.folder / "half.json").rename(self.folder / "dropped.json")  # there only once it is whole

    def mousePressEvent(self, event):
        data = QMimeData()
        data.setUrls([QUrl.fromLocalFile(self.picture)])
        drag = QDrag(self)
        drag.setMimeData(data)
        drag.exec(Qt.DropAction.CopyAction)


if __name__ == "__main__":
    app = QApplication([])
    shown = Other(Path(sys.argv[1]), sys.argv[2])
    shown.show()
    (shown.folder / "ready").touch()
    app.exec()
