"""The tools of `flux-local mcp`, over stdin and stdout: generate, edit, write, enlarge, board_list and
board_render."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any

from mcp.server.mcpserver import Image, MCPServer
from mcp.server.mcpserver.exceptions import ToolError

from mlx_model import files
from mlx_model.errors import BoardError, FluxLocalError, RequestError

from ..base import credits, faults, paths
from ..board import commands, naming
from ..board.data import Board, numbers
from ..board.panel_job import further_seed, make_take, panel_job, resolve
from ..engine.jobs import Job
from ..fluxboard.composite import compose
from ..fluxboard.file import BoardFile
from .asked import Asked, AskedSize, AskedWords, make_jobs, make_size_job, make_words_job, say_error
from .runner import Made, Runner

INSTRUCTIONS = (
    "Makes and edits pictures with FLUX models on this machine. Paths are those of this machine. In an edit the first "
    "picture is changed, the others are references; the prompt calls them @1, @2 or by their file's name."
)


class Server(MCPServer[Any]):
    """One that refuses arguments which a tool doesn't know, and says in plain words what is wrong with the others."""

    async def call_tool(self, name: str, arguments: dict[str, Any], context: Any = None) -> Any:
        takes = {tool.name: list(tool.input_schema["properties"]) for tool in await self.list_tools()}.get(name)
        if takes and (strange := sorted(set(arguments) - set(takes))):
            raise ToolError(f"{name} does not take {', '.join(strange)}, but {', '.join(takes)}.")
        try:
            return await super().call_tool(name, arguments, context)
        except ToolError as error:
            if (list_wrong := getattr(error.__cause__, "errors", None)) is None:  # pydantic's, which mcp brings along
                raise
            raise ToolError(" ".join(map(_say_wrong, list_wrong()))) from error


def _say_wrong(found: Mapping[str, Any]) -> str:
    """An argument that pydantic refuses."""
    name = ".".join(map(str, found["loc"]))
    return f"{name} is lacking." if found["type"] == "missing" else f"{name} can't be {str(found['input'])[:60]!r}."


def make_server(runner: Runner) -> MCPServer[Any]:
    """The server with its tools."""
    server = Server("flux-local", instructions=INSTRUCTIONS, version=metadata.version(credits.OURS))

    async def generate(
        prompt: str,
        model: str = "",
        size: str = "auto",
        seed: int | None = None,
        save_to: str = "",
        own_words: str = "",
    ) -> list[Any]:
        """Make a picture from words. size: 1024x1024 or a shape such as 16:9. save_to: a new PNG file. own_words:
        what the prompt was written out of, to be recorded in the picture."""
        return await _make(runner, Asked(prompt, model or None, size=size, seed=seed, own_words=own_words), save_to)

    async def edit(
        pictures: list[str],
        prompt: str,
        model: str = "",
        size: str = "auto",
        seed: int | None = None,
        save_to: str = "",
        own_words: str = "",
    ) -> list[Any]:
        """Change the first picture by an instruction; the others are references. save_to: a new PNG file. own_words:
        what the prompt was written out of, to be recorded in the picture."""
        given = _tell_errors(_name_pictures)(pictures)
        asked = Asked(prompt, model or None, given, size=size, seed=seed, own_words=own_words)
        return await _make(runner, asked, save_to)

    async def write(
        words: str, model: str = "", change: bool = False, references: list[str] | None = None, seed: int = 0,
        as_json: bool = False,
    ) -> str:  # fmt: skip
        """Write a few words out into the long description that a model wants, by a language model on this machine.
        model: what they are for. change: the words are an instruction for an edit, references what its pictures are
        called. Another seed, other words. Mentions (@name) stay."""
        asked = AskedWords(words, model or None, change, tuple(references or ()), seed, as_json)
        made = await _run(runner, await asyncio.to_thread(_tell_errors(make_words_job), asked))
        return made.data.decode()

    async def enlarge(
        picture: str, save_to: str, by: int = 2, quick: bool = False, model: str = "", prompt: str = "", seed: int = 0
    ) -> str:
        """Make a picture 2 or 4 times as wide and high, into the new PNG file save_to, with detail that a model that
        edits adds; quick: sharper edges only, nothing new drawn."""
        (path,) = _tell_errors(_name_pictures)([picture])
        place = _tell_errors(_check_place)(save_to)
        asked = AskedSize(path, by, quick, model or None, prompt, seed=seed)
        job = await asyncio.to_thread(_tell_errors(make_size_job), asked)
        made = await _run(runner, job)
        saved = _tell_errors(_save)(made, place, (path,))
        return " ".join([f"{job.request.model}, {job.request.size}, saved as {saved}.", *made.state.notes])

    for tool in (generate, edit, write, enlarge):
        server.add_tool(tool, structured_output=False)
    _add_board_tools(server, runner)
    return server


def _add_board_tools(server: MCPServer[Any], runner: Runner) -> None:
    async def board_list(board: str) -> list[dict[str, Any]]:
        """The panels of a board (a .fluxboard folder): number, words, whether there is a picture and where."""
        return await asyncio.to_thread(_tell_errors(list_panels), board)

    async def board_render(board: str, panels: str = "") -> list[dict[str, Any]]:
        """Make a new take of each of the panels, such as 1A,2B-3A; of those without a picture where none is named."""
        return await asyncio.to_thread(_tell_errors(partial(render_panels, runner)), board, panels)

    for tool in (board_list, board_render):
        server.add_tool(tool, structured_output=False)


def _tell_errors(work: Any) -> Any:
    """Errors of ours become what the program is told."""

    def attempt(*given: Any) -> Any:
        try:
            return work(*given)
        except Exception as error:
            if (known := faults.tell(error)) is None:
                raise
            raise ToolError(say_error(known)) from error

    return attempt


async def _make(runner: Runner, asked: Asked, save_to: str) -> list[Any]:
    """The picture, and in words how it was made."""
    place = _tell_errors(_check_place)(save_to) if save_to else None
    (job,) = await asyncio.to_thread(_tell_errors(make_jobs), asked)
    made = await _run(runner, job)
    words = f"{job.request.model}, seed {made.state.seed}, {made.state.seconds:.1f} s"
    if place:
        words += f", saved as {_tell_errors(_save)(made, place, asked.pictures)}"
    return [words, *made.state.notes, Image(data=made.data, format="png")]


async def _run(runner: Runner, job: Job) -> Made:
    """Cancelled where the program no longer waits. Raises ToolError."""
    try:
        return await asyncio.wrap_future(runner.run(job))
    except asyncio.CancelledError:
        runner.cancel(job.id)
        raise
    except FluxLocalError as error:
        raise ToolError(say_error(error)) from error


def _name_pictures(pictures: list[str]) -> tuple[Path, ...]:
    """Raises RequestError where there is none."""
    if not pictures:
        raise RequestError("There is no picture to edit.", "Name it in `pictures`.")
    return tuple(Path(path).expanduser() for path in pictures)


def _check_place(save_to: str) -> Path:
    """Raises RequestError for what is no place for a new PNG file."""
    place = Path(save_to).expanduser().absolute()
    if place.suffix.lower() != ".png":
        raise RequestError(f"{place.name} is no name of a PNG file.", "End it in .png.")
    paths.require_free(place)
    files.check_writable(place)
    return place


def _save(made: Made, place: Path, given: tuple[Path, ...]) -> Path:
    """Under a number where the name is taken: nothing is overwritten."""
    return files.write_new(place, lambda handle: handle.write(made.data), given=tuple(map(str, given)))


def list_panels(path: str) -> list[dict[str, Any]]:
    """What board_list tells. Raises BoardError."""
    with BoardFile.open(Path(path).expanduser(), write=False) as file:
        label = numbers(file.board)
        return [
            {
                "panel": label[panel.id],
                "words": panel.words,
                **({"own_words": panel.own_words} if panel.written_out else {}),
                "takes": len(panel.takes),
                "picture": str(file.picture_path(panel.take.picture.sha256)) if panel.take else None,
            }
            for panel in file.board.panels()
        ]


def render_panels(runner: Runner, path: str, panels: str) -> list[dict[str, Any]]:
    """What board_render tells; each take is kept as soon as it is made. Raises BoardError and what a run raises."""
    with BoardFile.open(Path(path).expanduser()) as file:
        if file.read_only:
            raise BoardError(f"{file.path} is open elsewhere, so no take could be kept.", "Close it there first.")
        ids = naming.render_order(file.board, naming.select(file.board, panels or None))
        wanted = [panel_id for panel_id in ids if panels or not file.board.panel(panel_id).take]
        return [_render(runner, file, panel_id) for panel_id in wanted]


def _render(runner: Runner, file: BoardFile, panel_id: str) -> dict[str, Any]:
    board: Board = file.board
    panel = board.panel(panel_id)
    choice = resolve(board, panel)
    job = panel_job(
        board, panel_id, file.picture_path, choice, seed=further_seed(panel, 0), compose=partial(compose, file)
    )
    made = runner.run(job).result()
    picture = file.put_picture(made.data)
    take = make_take(job, picture, made.state.seed, made.state.seconds)
    file.save(commands.add_take(file.board, panel_id, take))
    return {"panel": job.label, "seed": take.seed, "picture": str(file.picture_path(picture.sha256))}


def answer_stdio(runner: Runner) -> None:
    """Serve on stdin and stdout until the program closes them."""
    asyncio.run(make_server(runner).run_stdio_async())
