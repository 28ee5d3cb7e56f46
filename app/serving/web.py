"""The images endpoints that OpenAI's clients speak, on this machine alone: generations and edits. Two more are ours:
words are written out, and pictures enlarged.

Source: the openai Python package (resources/images.py, types/images_response.py). Whoever asks must know the token and
call this machine by its own name, which keeps web pages out: they can reach 127.0.0.1 through a browser.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hmac
import json
import os
import socket
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import uvicorn
from PIL import Image
from starlette.applications import Starlette
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mlx_model.errors import FluxLocalError, ModelError, NotInstalled, RequestError
from mlx_model.files import use_scratch_folder

from ..base import faults
from ..engine.jobs import Job
from ..models import library
from .asked import Asked, AskedSize, AskedWords, make_jobs, make_size_job, make_words_job, say_error
from .runner import JobEnded, Made, Runner

Kinds = dict[str, type]  # what a field of a request holds
HOST = "127.0.0.1"
MOST_BYTES = 100 * 2**20  # of a request, with all its pictures
MOST_JSON = 2**20
MOST_PICTURES = 16
PATIENCE = 60.0  # seconds between two pieces of a request
LOOK = 0.3  # seconds between two looks whether somebody still waits
FIELDS = {"n": "count", "negative_prompt": "negative"}  # where we call it otherwise
PICTURE: Kinds = {
    "prompt": str, "model": str, "size": str, "negative_prompt": str, "own_words": str, "n": int, "seed": int,
    "steps": int, "guidance": float, "strength": float,
}  # fmt: skip
WORDS: Kinds = {"prompt": str, "model": str, "change": bool, "references": list, "seed": int, "as_json": bool}
SIZE: Kinds = {"by": int, "quick": bool, "model": str, "prompt": str, "strength": float, "steps": int, "seed": int}
# What OpenAI's client can send that says how its own service makes pictures: told, and not used.
UNUSED = (
    "background", "complexity", "frame_count", "frame_duration_ms", "input_fidelity", "markup", "moderation",
    "output_compression", "output_format", "partial_images", "quality", "response_format", "safety_identifier",
    "stream", "style", "svg", "user",
)  # fmt: skip
MEANT = ("stream", "response_format", "output_format")  # of those: refused where they ask for what can't be
HTTP = {
    404: "There is no such address here: it has /v1/images/generations, /v1/images/edits, /v1/images/enlargements, "
    "/v1/write and /v1/models.",
    405: "This address takes another method: POST for pictures, GET for the list of models.",
}  # instead of starlette's words


def make_app(runner: Runner, token: str, port: int) -> ASGIApp:
    """The web application; requests to other hosts than this one at `port`, or without the token, are refused."""

    async def generate(request: Request) -> Response:
        values = _read_json(await request.body())
        asked = Asked(**_take_fields(values))
        return await _answer(runner, request, await asyncio.to_thread(make_jobs, asked), _tell_unused(values))

    async def edit(request: Request) -> Response:
        with use_scratch_folder() as folder, _hide_folder(folder):
            pictures, masks, values = await _read_form(request, folder)
            mask = _turn_mask(masks[0]) if masks else None
            asked = Asked(**_take_fields(values), pictures=tuple(pictures), mask=mask)
            return await _answer(runner, request, await asyncio.to_thread(make_jobs, asked), _tell_unused(values))

    async def enlarge(request: Request) -> Response:
        with use_scratch_folder() as folder, _hide_folder(folder):
            pictures, masks, values = await _read_form(request, folder)
            if len(pictures) != 1 or masks:
                raise RequestError("Enlarging takes one picture and no mask.")
            asked = AskedSize(pictures[0], **_take_fields(values, SIZE))
            return await _answer(runner, request, [await asyncio.to_thread(make_size_job, asked)], _tell_unused(values))

    async def write(request: Request) -> Response:
        fields = _take_fields(_read_json(await request.body()), WORDS)
        if not all(isinstance(one, str) for one in fields.get("references", ())):
            raise RequestError("references can't be other than names.")
        fields["references"] = tuple(fields.get("references", ()))
        job = await asyncio.to_thread(make_words_job, AskedWords(**fields))
        made = await _wait(runner, request, [job])
        return JSONResponse({"text": made[0].data.decode()} if made else {})

    async def models(_: Request) -> Response:
        there = [{"id": one.name, "object": "model", "created": 0, "owned_by": "local"}
                 for one in library.list_installed() if not one.problem]  # fmt: skip
        return JSONResponse({"object": "list", "data": there})

    routes = [
        Route("/v1/images/generations", generate, methods=["POST"]),
        Route("/v1/images/edits", edit, methods=["POST"]),
        Route("/v1/images/enlargements", enlarge, methods=["POST"]),
        Route("/v1/write", write, methods=["POST"]),
        Route("/v1/models", models),
    ]
    told: dict[Any, Any] = dict.fromkeys((HTTPException, FluxLocalError, OSError, RuntimeError), _tell)
    told[ClientDisconnect] = _tell_nobody
    told[Exception] = _tell_fault
    return Guard(Starlette(routes=routes, exception_handlers=told), token, {f"{HOST}:{port}", f"localhost:{port}"})


class Guard:
    """Lets only those in who know the token and call this host by its name, with bodies that are not too large."""

    def __init__(self, app: ASGIApp, token: str, hosts: set[str]):
        self.app, self.hosts, self.wanted = app, hosts, f"Bearer {token}".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and (refused := self._refuse(dict(scope["headers"]))):
            await refused(scope, receive, send)
        elif scope["type"] == "http":
            await self.app(scope, _limit(receive), send)
        elif scope["type"] == "lifespan":
            await self.app(scope, receive, send)

    def _refuse(self, headers: dict[bytes, bytes]) -> Response | None:
        if headers.get(b"host", b"").decode("latin-1") not in self.hosts or b"origin" in headers:
            return _say(403, "This server answers programs on this machine only.", "wrong_host")
        if not hmac.compare_digest(headers.get(b"authorization", b""), self.wanted):
            return _say(401, "The token is missing or wrong.", "invalid_api_key")
        length = headers.get(b"content-length", b"0")
        if not length.isdigit() or len(length) > 12 or int(length) > MOST_BYTES:
            return _say(413, f"A request may have {MOST_BYTES // 2**20} MiB.", "too_large")
        return None


def _limit(receive: Receive) -> Receive:
    """What comes without its length is counted as it comes; what was announced, and doesn't come, is not waited for."""
    left, more = MOST_BYTES, True

    async def receive_counted() -> Message:
        nonlocal left, more
        try:
            message = await asyncio.wait_for(receive(), PATIENCE if more else None)
        except TimeoutError:
            raise HTTPException(408, "The rest of the request did not come.") from None
        left, more = left - len(message.get("body", b"")), bool(message.get("more_body"))
        if left < 0:
            raise HTTPException(413, "The request is too large.")
        return message

    return receive_counted


def _say(status: int, message: str, code: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """An error as OpenAI's clients read it."""
    kind = "invalid_request_error" if status < 500 else "server_error"
    return JSONResponse({"error": {"message": message, "type": kind, "code": code, "param": None}}, status, headers)


def _tell(_: Request, error: Exception) -> Response:
    """What went wrong, also in starlette itself, in that form. Raises a fault of ours again, for _tell_fault."""
    if isinstance(error, HTTPException):
        return _say(error.status_code, HTTP.get(error.status_code, error.detail), "bad_request", error.headers)
    if isinstance(error, JobEnded):
        return _say(499 if error.cancelled else 400 if error.asked else 500, say_error(error), error.code)
    if isinstance(error, NotInstalled):
        return _say(404, say_error(error), "model_not_found")
    if isinstance(error, FluxLocalError):
        return _say(500 if isinstance(error, ModelError) else 400, say_error(error), error.code)
    if (known := faults.tell(error)) is None and not isinstance(error, OSError):
        raise error
    return _say(500, known.message if known else faults.WRONG, type(error).__name__)


def _tell_nobody(_: Request, error: Exception) -> Response:
    """Whoever asked went away before all was sent, and hears no answer."""
    return _say(400, "The request was cut off.", type(error).__name__)


def _tell_fault(_: Request, error: Exception) -> Response:
    """What starlette then raises once more, for the log."""
    return _say(500, faults.WRONG, type(error).__name__)


@contextlib.contextmanager
def _hide_folder(folder: Path) -> Iterator[None]:
    """A picture that was sent is called image1, not by our place for it."""
    try:
        yield
    except FluxLocalError as error:
        error.message = error.message.replace(f"{folder}{os.sep}", "")
        raise


def _read_json(body: bytes) -> dict[str, Any]:
    """Raises RequestError for what is no object."""
    try:
        values = json.loads(body) if len(body) <= MOST_JSON else None
    except (ValueError, RecursionError):
        values = None
    if not isinstance(values, dict):
        raise RequestError("The request is no JSON object, or too long.")
    return values


def _take_fields(values: dict[str, Any], kinds: Kinds = PICTURE) -> dict[str, Any]:
    """What the request says, as Asked and its like call it. Raises RequestError for a value of another kind and a field
    that nobody knows.

    What says how another service makes pictures (quality, style, background ...) means nothing here: _tell_unused.
    """
    if strange := sorted(set(values) - set(kinds) - set(UNUSED)):
        raise RequestError(f"There is no field {', '.join(strange)[:80]} here.", f"There are {', '.join(kinds)}.")
    if str(values.get("stream", "false")).lower() == "true" or values.get("response_format") == "url":
        raise RequestError("Pictures come as b64_json, each when it is done.", "Leave stream and url out.")
    if str(values.get("output_format") or "png") != "png":
        raise RequestError("Pictures come as PNG.", "Leave output_format out.")
    fields: dict[str, Any] = {}
    for name, kind in kinds.items():
        if (value := values.get(name)) is None:
            continue
        try:
            fields[FIELDS.get(name, name)] = _convert(value, kind)
        except (ValueError, TypeError, OverflowError) as error:
            raise RequestError(f"{name} can't be {str(value)[:60]!r}.") from error
    return fields


def _convert(value: Any, kind: type) -> Any:
    """Forms have everything as text. Raises ValueError, TypeError, OverflowError."""
    if kind is bool and str(value).lower() in ("true", "false"):
        return str(value).lower() == "true"
    if isinstance(value, bool):
        raise TypeError("yes or no")
    if kind in (int, float):
        return kind(value)
    if not isinstance(value, kind):
        raise TypeError(f"no {kind.__name__}")
    return value


def _tell_unused(values: dict[str, Any]) -> list[str]:
    """What was sent and is not used, as sentences."""
    unused = [name for name in UNUSED if values.get(name) is not None and name not in MEANT]
    return [f"{', '.join(unused)} means nothing here and was not used."] if unused else []


async def _read_form(request: Request, folder: Path) -> tuple[list[Path], list[Path], dict[str, Any]]:
    """Pictures and masks of a form, and all else that it says. Raises RequestError for none, and for other files."""
    async with request.form(max_files=MOST_PICTURES + 1, max_part_size=MOST_JSON) as form:
        pictures = await _store(form.getlist("image") + form.getlist("image[]"), folder)
        if not pictures:
            raise RequestError("There is no picture.", "Send it as `image`.")
        masks = await _store(form.getlist("mask"), folder, "mask")
        values = {key: value for key, value in form.items() if key not in ("image", "image[]", "mask")}
    return pictures, masks, values


async def _store(parts: list[UploadFile | str], folder: Path, name: str = "image") -> list[Path]:
    """The uploaded files in `folder`, under names of our own: prompts call them @image1, @image2."""
    stored = []
    for number, part in enumerate((part for part in parts if isinstance(part, UploadFile)), 1):
        stored.append(folder / f"{name}{number}")
        stored[-1].write_bytes(await part.read())
    return stored


def _turn_mask(path: Path) -> Path:
    """There a mask is clear where the picture changes; a mask without clear parts is taken as ours: white changes."""
    try:
        with Image.open(path) as opened:
            alpha = opened.getchannel("A") if "A" in opened.getbands() else None
            if alpha is None or alpha.getextrema()[0] == 255:
                return path
            turned = path.with_name("turned.png")
            alpha.point(lambda value: 255 - value).save(turned)
            return turned
    except (OSError, ValueError, Image.DecompressionBombError):
        return path  # opening it will say what it is


async def _answer(runner: Runner, request: Request, jobs: list[Job], told: list[str]) -> Response:
    """The pictures, and what else is to be told."""
    made = await _wait(runner, request, jobs)
    data = [{"b64_json": base64.b64encode(one.data).decode(), "seed": one.state.seed} for one in made]
    answer = {"created": int(time.time()), "data": data, "output_format": "png"}
    return JSONResponse(answer | ({"warnings": told} if told else {}))


async def _wait(runner: Runner, request: Request, jobs: list[Job]) -> list[Made]:
    """What the jobs made; where nobody waits any more they are cancelled."""
    futures = [asyncio.wrap_future(runner.run(job)) for job in jobs]
    try:
        while waiting := [future for future in futures if not future.done()]:
            await asyncio.wait(waiting, timeout=LOOK)
            if await request.is_disconnected():
                break
            if any(future.done() and future.exception() for future in futures):
                break
        return [await future for future in futures if future.done()]
    finally:
        for job, future in zip(jobs, futures, strict=True):
            if not future.done():
                runner.cancel(job.id)
            future.add_done_callback(_forget)


def _forget(future: asyncio.Future[Made]) -> None:
    """Look at the end of a job that nobody waits for, which asyncio would print."""
    if not future.cancelled():
        future.exception()


def listen(port: int) -> socket.socket:
    """A socket on 127.0.0.1; port 0 is any free one. Raises RequestError where it is taken."""
    opened = socket.socket()
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.bind((HOST, port))
        opened.listen()  # who reads the address may ask at once: it waits until there is an answer
    except OSError as error:
        opened.close()
        raise RequestError(f"Port {port} can't be used: {error.strerror}.", "Choose another port.") from error
    return opened


def answer_forever(runner: Runner, token: str, opened: socket.socket) -> None:
    """Serve on that socket until the process ends."""
    app = make_app(runner, token, opened.getsockname()[1])
    config = uvicorn.Config(app, log_level="warning", access_log=False, server_header=False, timeout_keep_alive=30)
    uvicorn.Server(config).run(sockets=[opened])
