"""board write: panels written out by a language model on this disk, scene by scene."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from app.base import blas
from app.base.words import say_count
from app.board import naming
from app.board.data import Board, numbers
from app.board.drafts import SceneDraft, draft_scene, put_written
from app.cli.write import find_spec
from app.fluxboard.file import BoardFile
from app.models import writers
from mlx_model.errors import RequestError
from mlx_model.memory import machine

from ..say import Reporter, echo, say_json
from .edit import open_board

if TYPE_CHECKING:
    from mlx_model.run.write import Writer


def write_out_panels(path: str, panels: str | None, options: dict[str, Any], as_json: bool) -> None:
    """board write. Raises RequestError, at the end, for panels whose text could not be used."""
    report = Reporter(as_json)
    with open_board(path, report=report) as file:
        drafts = _draft(file.board, panels, options["scene"])
        count = sum(len(draft.lines) for draft in drafts)
        if not count:
            raise RequestError("No panel here has a few words to write out.", "Give it some: board set.")
        writer = _open(file.board, options, report, count)
        refused = [one for draft in drafts for one in _write(writer, file, draft, options["seed"], report)]
        if len(refused) < count:
            writers.keep_first(options["writer"])
    if refused:
        again = f"Try again with another --seed: board write BOARD {','.join(refused)}."
        raise RequestError(f"{len(refused)} of {say_count(count, 'panel')} could not be written out.", again)


def _draft(board: Board, panels: str | None, scene: str | None) -> list[SceneDraft]:
    """What is to be written, by scene. Raises RequestError, BoardError."""
    if panels is None:
        return [draft_scene(board, naming.scene(board, scene))]
    if scene is not None:
        raise RequestError("Panels were named, and a scene.", "Leave --scene out: panels say which scene they are of.")
    named = set(naming.select(board, panels))
    return [draft for one in board.scenes if (draft := draft_scene(board, one, named)).lines]


def _open(board: Board, options: dict[str, Any], report: Reporter, count: int) -> "Writer":
    model = options["model"] or board.model
    here = machine().usable
    place = writers.pick(options["writer"], find_spec(model) if model else None, here)
    report.note(f"{place.name} writes {say_count(count, 'panel')} out.")
    blas.preload()
    from mlx_model.run.write import Writer

    return Writer.open(place, here)


def _write(writer: "Writer", file: BoardFile, draft: SceneDraft, seed: int, report: Reporter) -> Iterator[str]:
    """One scene, which is saved once it is written; the numbers of the panels whose text can't be used."""
    made = dict(zip(draft.lines, _ask(writer, draft, seed, report), strict=True))
    file.save(put_written(file.board, draft.lines, {panel_id: text for panel_id, (text, _) in made.items()}))
    label = numbers(file.board)
    for panel_id, (text, why) in made.items():
        if why:
            report.say_failure(RequestError(f"{label[panel_id]}: {why}", "Its own words stay."))
            yield label[panel_id]
        elif report.as_json:
            say_json({"panel": label[panel_id], "text": text})
        else:
            echo(f"{label[panel_id]}  {text}")


def _ask(writer: "Writer", draft: SceneDraft, seed: int, report: Reporter) -> list[tuple[str, str]]:
    """By panel of the scene: its text, "" where it can't be used; why."""
    events = writer.write_scene(list(draft.lines.values()), draft.about, seed)
    try:
        while True:
            report(next(events))
    except StopIteration as end:
        result: list[tuple[str, str]] = end.value
        return result
    finally:
        events.close()
        report.clear()
