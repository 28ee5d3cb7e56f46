"""Depth maps of references: offered, made once, seen in the tray, given to the model, and left where things changed."""

import pytest
from msgspec.structs import replace
from PySide6.QtGui import QAction

from app.board import commands
from app.board.data import list_pictures
from app.board.panel_job import panel_job
from app.gui.prompt.menu import tile_menu
from app.models import helpers
from mlx_model.specs import SPECS
from tests.app.models.made_models import choose
from tests.gui.panel_board import add_references, drawn
from tests.gui.prompt.test_reference_tray import tray  # noqa: F401

TEN = SPECS["flux2-klein-4b"]


@pytest.fixture
def room(tray, document):  # noqa: F811
    """The tray with one photo."""
    add_references(document, tray.panel_id, "room")
    return tray


def act(tray, words):  # noqa: F811
    actions = {action.text(): action for action in tile_menu(tray, tray.tiles[0]).findChildren(QAction)}
    actions[words].trigger()


def request(tray):  # noqa: F811
    choice = choose(tray.board, tray.panel_id, TEN)
    return panel_job(tray.board, tray.panel_id, tray.document.picture_path, choice).request


def make(tray, engine, picture_file, monkeypatch):  # noqa: F811
    monkeypatch.setattr(helpers, "is_there", lambda row: True)
    act(tray, "Make a Depth Map")
    engine.done(picture_file("map.png", "white"))


def test_without_what_makes_maps_its_download_is_offered(room, document, engine, qtbot):
    with qtbot.waitSignal(document.runs.lacking) as asked:
        act(room, "Make a Depth Map")
    assert asked.args == ["depth-anything-v2-small"]
    assert not engine.submitted


def test_the_map_is_seen_given_to_the_model_and_taken_back_by_undo(room, document, engine, picture_file, monkeypatch):
    photo = room.panel.references[0].picture
    make(room, engine, picture_file, monkeypatch)
    (job,) = engine.submitted
    assert (job.request.model, job.request.references[0].sha256) == ("depth-anything-v2-small", photo.sha256)
    made = room.panel.references[0]
    assert (made.role, made.picture) == ("depth", photo)
    assert made.map in list(list_pictures(room.panel))
    assert [one.sha256 for one in request(room).references] == [made.map.sha256]
    assert room.tiles[0].seen.picture == made.map
    assert "depth map" in room.tiles[0].accessibleName()
    act(room, "Look at the Photo")
    assert room.tiles[0].seen.picture == photo
    assert [one.sha256 for one in request(room).references] == [made.map.sha256], "looking changes nothing"
    act(room, "Look at the Depth Map")
    assert room.tiles[0].seen.picture == made.map
    document.undo()
    assert [one.sha256 for one in request(room).references] == [photo.sha256]


def test_with_another_role_the_photo_counts(room, document, engine, picture_file, monkeypatch):
    make(room, engine, picture_file, monkeypatch)
    made = room.panel.references[0]
    room.change_reference(made.id, "Change Role", role="place")
    assert [one.sha256 for one in request(room).references] == [made.picture.sha256]


def test_a_map_of_a_picture_that_has_changed_meanwhile_is_not_used(room, document, engine, picture_file, monkeypatch):
    monkeypatch.setattr(helpers, "is_there", lambda row: True)
    act(room, "Make a Depth Map")
    changed = replace(room.panel.references[0], picture=drawn(document, 77))
    board = commands.set_reference(document.board, room.panel_id, changed.id, picture=changed.picture)
    document.do("Other Picture", board)
    engine.done(picture_file("map.png", "white"))
    assert room.panel.references[0] == changed


def test_a_map_that_could_not_be_made_is_told(room, document, engine, qtbot, monkeypatch):
    monkeypatch.setattr(helpers, "is_there", lambda row: True)
    act(room, "Make a Depth Map")
    with qtbot.waitSignal(document.message) as told:
        engine.fail("No depth was found in this picture.")
    assert told.args[0] == "No depth was found in this picture."
    assert room.panel.references[0].map is None
