"""No message in the window tells an illustrator to type a command: it words what to do itself."""

import re
from pathlib import Path

import pytest

import app.gui
from app.board import commands
from app.board.data import Settings
from app.gui.pages.downloads import Download, after
from app.gui.pages.queue_view import job_words
from app.gui.window.actions import TABLE
from mlx_model.errors import Advice, NotInstalled
from mlx_model.events import Failed

ERROR = NotInstalled("It is not installed.", Advice("add_model", {"name": "flux2-klein-4b"}))
SHOWN = "Add it under Models, or choose another model."


def test_messages_and_failures_are_in_the_window_s_words(window, engine):
    window.say(ERROR.message, ERROR.hint)
    assert window.toasts.hint.text() == SHOWN
    first = next(window.document.board.panels()).id
    window.open_panel(first)
    window.document.render([first])
    engine.say(Failed.of(ERROR))
    assert window.pages["panel"].stage.card.hint.text() == SHOWN
    assert job_words(engine.jobs()[-1]) == f"{ERROR.message} {SHOWN}"


def test_a_failure_of_another_panel_is_told_in_them_too(window, engine):
    first = next(window.document.board.panels()).id
    window.document.render([first])
    engine.say(Failed.of(ERROR))
    assert window.toasts.hint.text() == SHOWN


def test_what_the_command_line_says_of_a_download_is_worded_again():
    failed = after(Download("flux2-dev", 4), Failed.of(ERROR, "Add it with: flux-local models add flux2-klein-4b"))
    assert failed.words == f"{ERROR.message} {SHOWN}"


@pytest.mark.first_case
@pytest.mark.parametrize(
    ("settings", "said"),
    [(Settings(model="flux2-klein-4b"), SHOWN), (Settings(width=1024, height=1024), "under Settings.")],
)
def test_what_stands_in_the_way_of_a_run_is_said_in_them(window, settings, said):
    panel = next(window.document.board.panels())
    window.document.do("Change", commands.set_panel(window.document.board, panel.id, settings=settings))
    window.open_panel(panel.id)
    edit = window.pages["panel"].edit
    assert (edit.misfit.text() or edit.hint.text()).endswith(said)


def test_words_that_lead_to_a_menu_name_what_is_in_it():
    titles = tuple(row.text.rstrip("…") for row in TABLE["&File"] if row)
    for file in Path(app.gui.__file__).parent.rglob("*.py"):
        for found in re.finditer(r"File > (.{1,40})", file.read_text("utf-8")):
            assert found[1].startswith(titles), f"{file.name}: {found[0]}"
