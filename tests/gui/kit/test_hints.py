"""No message in the window tells an illustrator to type a command."""

import ast
from pathlib import Path

import pytest

from app.gui.kit.words import in_window
from app.gui.pages.queue_view import job_words
from app.models import library

ROOT = Path(__file__).parents[3]
SAID_IN_THE_WINDOW = (
    "mlx_model/request.py", "mlx_model/memory.py", "mlx_model/run/sampler.py", "mlx_model/store/folder.py",
    "app/models/library.py",
    "app/fluxboard/disk.py", "app/fluxboard/file.py", "app/board/panel_job.py",
)  # fmt: skip


def hints(path: str):
    """Every text of the file that is no docstring, with 7x9 where a value stands."""
    tree = ast.parse((ROOT / path).read_text("utf-8"))
    docs = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    inside = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield "".join(part.value if isinstance(part, ast.Constant) else "7x9" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and not {id(node)} & (docs | inside):
            yield node.value


@pytest.mark.parametrize("path", SAID_IN_THE_WINDOW)
def test_hints_name_places_of_the_window(path):
    for text in hints(path):
        shown = in_window(text)
        assert "flux-local " not in shown, text
        assert " --" not in shown, text
        assert not shown.startswith("--"), text


def test_what_is_shown_is_translated(window, engine):
    hint = library.how_to_add("flux2-klein-4b")
    shown = "Add it under Models, or choose another model."
    window.say("It is not installed.", hint)
    assert window.toasts.hint.text() == shown
    first = next(window.document.board.panels()).id
    window.open_panel(first)
    window.document.render([first])
    engine.fail("It is not installed.", hint)
    assert window.pages["panel"].stage.card.hint.text() == shown
    assert job_words(engine.jobs()[-1]).endswith(shown)
