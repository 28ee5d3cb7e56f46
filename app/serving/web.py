"""The images endpoints that OpenAI's clients speak, on this machine alone: generations and edits.

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
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mlx_model.errors import Advice, FluxLocalError, ModelError, NotInstalled, RequestError
from mlx_model.files import use_scratch_folder

from ..base import faults
from ..models import library
from .asked import Asked, make_jobs
from .runner import JobEnded, Made, Runner

HOST = "127.0.0.1"
MOST_BYTES = 100 * 2**20  # of a request, with all its pictures
MOST_JSON = 2**20
MOST_PICTURES = 16
LOOK = 0.3  # seconds between two looks whether somebody still waits
NUMBERS = {"n": int, "seed": int, "steps": int, "guidance": float, "strength": float}
FIELDS = {"n": "count", "negative_prompt": "negative"}  # where we call it otherwise
TAKEN = ("prompt", "model", "size", "negative_prompt", *NUMBERS)
HTTP = {
    404: "There is no such address here: it has /v1/images/generations, /v1/images/edits and /v1/models.",
    405: "This address takes another method: POST for pictures, GET for the list of models.",
}  # instead of starlette's words


def make_app(runner: Runner, token: str, port: int) -> ASGIApp:
    """The web application; requests to other hosts than this one at `port`, or without the token, are refused."""

    async def generate(request: Request) -> Response:
        values = _read_json(await request.body())
        return await _answer(runner, request, Asked(**_take_fields(values)), values)

    async def edit(request: Request) -> Response:
        with use_scratch_folder() as folder, _hide_folder(folder):
            async with request.form(max_files=MOST_PICTURES + 1, max_part_size=MOST_JSON) as form:
                pictures = await _store(form.getlist("image") + form.getlist("image[]"), folder)
                if not pictures:
                    raise RequestError("There is no picture to edit.", "Send it as `image`.")
                masks = await _store(form.getlist("mask"), folder, "mask")
                values = {key: value for key, value in form.items() if isinstance(value, str)}
            mask = _turn_mask(masks[0]) if masks else None
            asked = Asked(**_take_fields(values), pictures=tuple(pictures), mask=mask)
            return await _answer(runner, request, asked, values)

    async def models(_: Request) -> Response:
        there = [{"id": one.name, "object": "model", "created": 0, "owned_by": "local"}
                 for one in library.list_installed() if not one.problem]  # fmt: skip
        return JSONResponse({"object": "list", "data": there})

    routes = [
        Route("/v1/images/generations", generate, methods=["POST"]),
        Route("/v1/images/edits", edit, methods=["POST"]),
        Route("/v1/models", models),
    ]
    told: dict[Any, Any] = dict.fromkeys((HTTPException, FluxLocalError, OSError, RuntimeError), _tell)
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
    """What comes without its length is counted as it comes."""
    left = MOST_BYTES

    async def receive_counted() -> Message:
        nonlocal left
        message = await receive()
        left -= len(message.get("body", b""))
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
        return _say(499 if error.cancelled else 500, _words(error), error.code)
    if isinstance(error, NotInstalled):
        return _say(404, _words(error), "model_not_found")
    if isinstance(error, FluxLocalError):
        return _say(500 if isinstance(error, ModelError) else 400, _words(error), error.code)
    if (known := faults.tell(error)) is None and not isinstance(error, OSError):
        raise error
    return _say(500, known.message if known else faults.WRONG, type(error).__name__)


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


def _words(error: FluxLocalError) -> str:
    """Advice that names buttons or options of ours is no use to a program."""
    return error.message if isinstance(error.hint, Advice) else f"{error.message} {error.hint}".strip()


def _read_json(body: bytes) -> dict[str, Any]:
    """Raises RequestError for what is no object."""
    try:
        values = json.loads(body) if len(body) <= MOST_JSON else None
    except (ValueError, RecursionError):
        values = None
    if not isinstance(values, dict):
        raise RequestError("The request is no JSON object, or too long.")
    return values


def _take_fields(values: dict[str, Any]) -> dict[str, Any]:
    """What we know of the fields, as Asked calls them. Raises RequestError for a value of another kind.

    What says how other services make pictures (quality, style, background ...) means nothing here and is passed over.
    """
    if str(values.get("stream", "false")).lower() == "true" or values.get("response_format") == "url":
        raise RequestError("Pictures come as b64_json, each when it is done.", "Leave stream and url out.")
    if str(values.get("output_format") or "png") != "png":
        raise RequestError("Pictures come as PNG.", "Leave output_format out.")
    fields: dict[str, Any] = {}
    for name in TAKEN:
        value = values.get(name)
        if value is None:
            continue
        try:
            fields[FIELDS.get(name, name)] = NUMBERS[name](value) if name in NUMBERS else _demand_text(value)
        except (ValueError, TypeError, OverflowError) as error:
            raise RequestError(f"{name} can't be {str(value)[:60]!r}.") from error
    return fields


def _demand_text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("not text")
    return value


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


async def _answer(runner: Runner, request: Request, asked: Asked, values: dict[str, Any]) -> Response:
    """The pictures; where nobody waits any more the jobs are cancelled."""
    jobs = await asyncio.to_thread(make_jobs, asked)
    futures = [asyncio.wrap_future(runner.run(job)) for job in jobs]
    try:
        while waiting := [future for future in futures if not future.done()]:
            await asyncio.wait(waiting, timeout=LOOK)
            if await request.is_disconnected():
                break
            if any(future.done() and future.exception() for future in futures):
                break
        made: list[Made] = [await future for future in futures if future.done()]
    finally:
        for job, future in zip(jobs, futures, strict=True):
            if not future.done():
                runner.cancel(job.id)
            future.add_done_callback(_forget)
    data = [{"b64_json": base64.b64encode(one.data).decode(), "seed": one.state.seed} for one in made]
    return JSONResponse({"created": int(time.time()), "data": data, "output_format": "png"})


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
