"""The panel view in its states, for tests.screenshots: empty, three and ten pictures, a mask, running, failed."""

import time

from msgspec.structs import replace
from PIL import Image, ImageDraw
from PySide6.QtCore import QPointF
from PySide6.QtWidgets import QApplication

from app.board import commands
from app.board.data import PanelReference, Source, new_id

NAMES = ("hat", "coat", "chair", "pirate", "lamp", "boots", "scarf", "door", "boat", "sign")
ROLES = ("prop", "style", "place", "character", "prop", "prop", "prop", "composition", "pose", "prop")


def panel_scenes(window, shot) -> None:
    """Grab the panel view of the window's board in every state."""
    document, engine = window.session.document, window.session.engine
    panel_id = [panel.id for panel in document.board.panels()][1]
    window.open_panel(panel_id)
    page = window.page("panel")
    settle()
    shot("panel")
    references(document, panel_id, 3)
    words = "@hat on the @chair, in the light of @2. Nothing of @nobody."
    document.do("Edit", commands.set_panel(document.board, panel_id, prompt=words, source=Source("blank")))
    settle()
    shot("panel-three-references")
    page.side.tabs.setCurrentIndex(2)
    shot("panel-take")
    page.side.tabs.setCurrentIndex(0)
    runs(document, engine, panel_id, shot)
    masked(page)
    shot("panel-mask")
    page.stage.set_tool("move")
    page.side.settings.fold.setChecked(True)
    shot("panel-settings")
    page.side.settings.fold.setChecked(False)
    page.stage.bar.compare.setChecked(True)
    settle()
    shot("panel-compare")
    page.side.tabs.setCurrentIndex(1)
    shot("panel-shot")
    page.side.tabs.setCurrentIndex(0)
    references(document, panel_id, 9)
    settle()
    shot("panel-ten-references")
    empty_panel(window, shot)


def runs(document, engine, panel_id: str, shot) -> None:
    """A run that fails, and one that makes a second take."""
    references(document, panel_id, 2)
    document.do(
        "Edit", commands.set_panel(document.board, panel_id, instruction="make it night", source=Source("take"))
    )
    document.render([panel_id])
    engine.step(5, 16, left=9)
    shot("panel-running")
    engine.fail("The machine ran out of memory.", "Try a smaller size, or fewer references.")
    shot("panel-failed")
    document.render([panel_id])
    path = document.picture_path(document.board.panel(panel_id).take.picture.sha256)
    night = document.file.path.parent / "night.png"
    Image.eval(Image.open(path), lambda value: value * 2 // 5).save(night)
    engine.done(night)
    settle()


def empty_panel(window, shot) -> None:
    document = window.session.document
    board = commands.add_panel(document.board, document.board.scenes[0].id)
    document.do("Add Panel", board)
    window.open_panel(document.board.scenes[0].panels[-1].id)
    settle()
    shot("panel-empty")
    window.go("board")


def masked(page) -> None:
    """A stroke over the middle of the picture."""
    page.stage.set_tool("brush")
    painter, picture = page.stage.canvas.painter, page.stage.canvas.view.picture
    across, down = picture.width(), picture.height()
    painter.begin(QPointF(0.4 * across, 0.4 * down))
    painter.move(QPointF(0.6 * across, 0.5 * down))
    painter.finish()


def references(document, panel_id: str, count: int) -> None:
    """So many references, drawn."""
    board = commands.set_panel(document.board, panel_id, references=())
    for place in range(count):
        path = document.file.path.parent / f"reference-{place}.png"
        image = Image.new("RGB", (160, 120), ((place * 67 + 60) % 256, (place * 131 + 90) % 256, (place * 29) % 256))
        ImageDraw.Draw(image).ellipse((40, 20, 120, 100), fill="white")
        image.save(path)
        picture = replace(document.import_picture(path), name=NAMES[place])
        board = commands.add_reference(board, panel_id, PanelReference(new_id(), picture, ROLES[place], NAMES[place]))
    document.do("Add References", board)


def settle() -> None:
    """Pictures are read in other threads."""
    for _ in range(40):
        QApplication.processEvents()
        time.sleep(0.02)
