"""board write: a scene's panels written out by a language model on this disk."""

from typing import Any

from app.base import blas
from app.board import naming
from app.board.data import numbers
from app.board.drafts import draft_scene, put_written
from app.cli.write import find_spec
from app.models import writers
from mlx_model.errors import RequestError
from mlx_model.memory import machine

from ..say import Reporter, echo, say_json
from .edit import open_board


def write_scene(path: str, options: dict[str, Any], as_json: bool) -> None:
    """board write"""
    report = Reporter(as_json)
    with open_board(path, report=report) as file:
        board = file.board
        scene = naming.scene(board, options["scene"])
        draft, label = draft_scene(board, scene), numbers(board)
        if not draft.lines:
            raise RequestError("No panel of this scene has a few words to write out.", "Give it some: board set.")
        model = options["model"] or board.model
        place = writers.pick(options["writer"], find_spec(model) if model else None, machine().usable)
        report.note(f"{place.name} writes {len(draft.lines)} panels out.")
        made = dict(zip(draft.lines, _write(place, draft, options["seed"], report), strict=True))
        written = {panel_id: text for panel_id, (text, _) in made.items()}
        file.save(put_written(board, draft.lines, written))
    for panel_id, (text, why) in made.items():
        if why:
            report.note(f"{label[panel_id]}: {why} Its own words stay.")
        elif as_json:
            say_json({"panel": label[panel_id], "text": text})
        else:
            echo(f"{label[panel_id]}  {text}")


def _write(place: Any, draft: Any, seed: int, report: Reporter) -> list[tuple[str, str]]:
    blas.preload()
    from mlx_model.run.write import Writer

    events = Writer.open(place, machine().usable).write_scene(list(draft.lines.values()), draft.about, seed)
    try:
        while True:
            report(next(events))
    except StopIteration as end:
        result: list[tuple[str, str]] = end.value
        return result
    finally:
        events.close()
        report.clear()
