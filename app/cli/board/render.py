"""board render: the window's jobs, one after the other in this process; every take is kept as soon as it is made."""

import contextlib
import dataclasses
from collections.abc import Generator, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from app.board import commands, naming
from app.board.data import Board, Panel, numbers
from app.board.panel_job import Choice, further_seed, make_take, panel_job, resolve
from app.engine import jobs, running
from app.fluxboard.composite import compose
from app.fluxboard.file import BoardFile
from app.models import depth
from app.pictures import inputs
from mlx_model.errors import BoardError, FluxLocalError, ModelError, RequestError, WillNotFit
from mlx_model.events import Done, Event, Stage
from mlx_model.files import use_scratch_folder
from mlx_model.request import Request, check, demand
from mlx_model.shortcuts import gains_from_cache
from mlx_model.store.folder import Folder

from ..say import Reporter, echo
from .edit import open_board
from .fleet import Fleet

if TYPE_CHECKING:
    from mlx_model.run.pipeline import Pipeline

Options = dict[str, Any]


class TakeNotKept(BoardError):
    """The board can't be written any more, so that rendering on would be for nothing."""


def render_panels(path: str, options: Options, as_json: bool) -> None:
    """board render. Raises what a run raises; for some of several panels, at the end."""
    report = Reporter(as_json)
    with open_board(path, report=report) as file:
        if file.read_only:
            raise BoardError(f"{file.path} can't be written: no take could be kept.", "Render a copy of it.")
        ids = _select(file, options)
        if not ids:
            report.note("There is nothing to render.")
        run = _Run(file, options, report)
        try:
            with running.awake():
                failed = _render_on(run, ids) if ids and options["machine"] else _render_here(run, ids)
        finally:
            report.clear()
    if failed:
        raise _summary(failed, len(ids))


def _render_on(run: "_Run", ids: list[str]) -> list[FluxLocalError]:
    """With other machines; what failed."""
    options = run.options
    with Fleet(options["machine"], run, run.report, options["cache"], options["low_memory"]) as fleet:
        return fleet.render(ids, options["count"])


def _render_here(run: "_Run", ids: list[str]) -> list[FluxLocalError]:
    """One after the other in this process; what failed of several."""
    failed: list[FluxLocalError] = []
    for place, panel_id in enumerate(ids):
        run.report(Stage("panel", f"{numbers(run.board)[panel_id]} ({place + 1} of {len(ids)})"))
        run.waiting = ids[place + 1 :]
        _try(run, panel_id, failed if len(ids) > 1 else None)
    return failed


def _select(file: BoardFile, options: Options) -> list[str]:
    board = file.board
    ids = [i for i in naming.select(board, options["panels"]) if not (options["missing"] and board.panel(i).take)]
    return naming.render_order(board, ids) if options["instruction"] is None else ids


def _try(run: "_Run", panel_id: str, failed: list[FluxLocalError] | None) -> None:
    """One panel that can't be rendered does not stop the others; a missing model or a board that is gone does."""
    try:
        run.panel(panel_id)
    except (ModelError, WillNotFit, TakeNotKept):
        raise
    except FluxLocalError as error:
        if failed is None:
            raise
        failed.append(error)
        run.report.say_failure(error, numbers(run.board)[panel_id])


def _summary(failed: list[FluxLocalError], count: int) -> FluxLocalError:
    """As the first failure, so that the exit code says what kind it was."""
    hint = "The others have their takes." if len(failed) < count else ""
    return type(failed[0])(f"{len(failed)} of {count} panels could not be rendered.", hint)


class _Run:
    """Renders panels with one model in memory at a time."""

    def __init__(self, file: BoardFile, options: Options, report: Reporter):
        self.file, self.options, self.report = file, options, report
        self.waiting: list[str] = []  # the panels that come after this one
        self._told: set[str] = set()
        self._opened: tuple[Path, str | None] | None = None
        self._pipeline: Pipeline | None = None
        self._maps = depth.Maps()

    @property
    def board(self) -> Board:
        return self.file.board

    def panel(self, panel_id: str) -> None:
        for number in range(self.options["count"]):
            self._job(*self.prepare(panel_id, number))

    def prepare(self, panel_id: str, number: int) -> tuple[jobs.Job, Folder]:
        seed = self.options["seed"]
        board, instruction = self.file.board, self.options["instruction"]
        panel = board.panel(panel_id)
        locked = panel if seed is None else replace(panel, seed=seed, seed_locked=True)
        choice, seed = self._choose(board, panel), further_seed(locked, number)
        job = panel_job(board, panel_id, self.file.picture_path, choice, seed=seed, instruction=instruction,
                        compose=partial(compose, self.file))  # fmt: skip
        return self._set_cache(job), choice.folder

    def _set_cache(self, job: jobs.Job) -> jobs.Job:
        """With --step-cache in place of the panel's own, where the run has so many steps that it gains something."""
        wanted, steps = self.options["step_cache"], demand(job.request.steps)
        if wanted is None:
            return job
        if wanted and not gains_from_cache(steps):
            self._tell_once(f"{job.label}: in {steps} steps a step cache gains nothing, so none is used.")
            wanted = None
        return dataclasses.replace(job, request=dataclasses.replace(job.request, step_cache=wanted or None))

    def _tell_once(self, words: str) -> None:
        if words not in self._told:
            self._told.add(words)
            self.report.note(words)

    def _look_ahead(self, folder: Folder) -> Iterator[Request]:
        """Of the waiting panels those of this model that can be told already: some go on from a take to be made."""
        for panel_id in self.waiting:
            with contextlib.suppress(FluxLocalError):
                job, other = self.prepare(panel_id, 0)
                if other.path == folder.path:
                    yield job.request

    def _choose(self, board: Board, panel: Panel) -> Choice:
        """--model is for this run what the panel's own would be."""
        named = self.options["model"] or panel.settings.model
        try:
            return resolve(board, replace(panel, settings=replace(panel.settings, model=named)))
        except (RequestError, ModelError) as error:
            if not panel.settings.model or self.options["model"]:  # then it is no panel's fault
                raise
            raise type(error)(f"Panel {numbers(board)[panel.id]}: {error.message}", error.hint) from error

    def _job(self, job: jobs.Job, folder: Folder) -> None:
        notes: list[str] = []
        request = check(depth.with_maps(inputs.load(job.request, notes), folder.spec, notes, self._maps), folder.spec)
        for note in notes:
            self.report.note(note)
        running.require_memory(folder, request, self.options["low_memory"])
        with use_scratch_folder() as place, closing(self._events(folder, request, place)) as events:
            for event in events:
                self.report(self.keep(job, event) if isinstance(event, Done) else event)

    def _events(self, folder: Folder, request: Request, place: Path) -> Generator[Event, None, None]:
        options = {key: self.options[key] for key in ("cache", "low_memory")}
        output = running.Output(place / "take.png", paths=False, **options)
        ahead = partial(self._look_ahead, folder)
        yield from running.run_and_save(self._open(folder, request.dtype), request, output, ahead)

    def _open(self, folder: Folder, dtype: str | None) -> "Pipeline":
        if self._pipeline is None or self._opened != (folder.path, dtype):
            self._pipeline = None  # before the next one is loaded: two may not fit
            self._pipeline, self._opened = running.open_pipeline(folder.path, dtype), (folder.path, dtype)
        return self._pipeline

    def keep(self, job: jobs.Job, done: Done) -> Done:
        """The take is in the board and the board on the disk; the event with the place of the picture there."""
        assert done.path  # it was saved
        assert job.panel
        try:
            picture = self.file.put_picture(Path(done.path).read_bytes())
            take = make_take(job, picture, done.seed, done.seconds)
            self.file.save(commands.add_take(self.file.board, job.panel, take))
        except BoardError as error:
            raise TakeNotKept(error.message, error.hint) from error
        done = dataclasses.replace(done, path=str(self.file.picture_path(picture.sha256)))
        if not self.report.as_json:
            self.report.clear()
            echo(f"{job.label}  {done.path}")
        return done
