"""What tests of the panel view start from: takes, references and members made of small pictures."""

from PIL import Image, ImageDraw

from app.board import commands
from app.board.data import Member, PanelReference, Take, new_id
from app.gui.panel.view import PanelView
from mlx_model.request import Reference, Request


def drawn(document, number: int, size=(192, 108)):
    """A picture of the board that no other number gives."""
    image = Image.new("RGB", size, ((number * 67) % 256, (number * 131) % 256, (number * 29) % 256))
    ImageDraw.Draw(image).ellipse((10, 10, 10 + number * 3, 60), fill="white")
    path = document.file.path.parent / f"drawn-{number}-{size[0]}.png"
    image.save(path)
    return document.import_picture(path)


def add_take(document, panel_id, number: int, size=(192, 108), made_from=()):
    """A take whose request names the pictures `made_from`; the Take."""
    references = tuple(Reference(sha256=picture.sha256, name="start") for picture in made_from)
    request = Request("mini", "words", size[0], size[1], 16, 1.0, number, references=references)
    picture = drawn(document, number, size)
    take = Take(new_id(), picture, request.to_json(), "mini", "2026-11-25T09:00:00+00:00", number, 2.5)
    document.do("Add Take", commands.add_take(document.board, panel_id, take))
    return document.panel(panel_id).takes[-1]


def add_references(document, panel_id, *names, role="prop"):
    """References with these names."""
    board = document.board
    for place, name in enumerate(names, 20):
        reference = PanelReference(new_id(), drawn(document, place), role, name)
        board = commands.add_reference(board, panel_id, reference)
    document.do("Add References", board)


def add_member(document, name: str, number: int = 50):
    """A member of the cast with one picture; the Member."""
    member = Member(new_id(), name, "character", "#7F5FC0", (drawn(document, number),))
    document.do("Add Member", commands.add_member(document.board, member))
    return member


def shown_panel(document, panel_id, qtbot) -> PanelView:
    """The panel page in a window of a small laptop's size, its picture still on its way."""
    view = PanelView(document)
    qtbot.addWidget(view)
    view.resize(1280, 800)
    view.show()
    view.show_panel(panel_id)
    return view
