"""flux-local serve and flux-local mcp: the same engine for programs."""

import importlib.util
import os
import secrets
from functools import partial

import click

from mlx_model.errors import Advice, RequestError

from .say import echo

TOKEN = "FLUX_LOCAL_TOKEN"


def _require(*packages: str) -> None:
    """Raises RequestError where the extra `serve` is not installed."""
    if not all(importlib.util.find_spec(name) for name in packages):
        raise RequestError(
            "Serving programs needs packages that are not installed.", Advice("install_part", {"name": "serve"})
        )


@click.command()
@click.option("--port", type=click.IntRange(0, 65535), default=8188, show_default=True, help="0 takes any free one.")
def serve(port: int) -> None:
    """Answer programs on this machine that speak OpenAI's images API, until Ctrl-C.

    It listens on 127.0.0.1 alone and wants a token: that in FLUX_LOCAL_TOKEN, else a new one, which is printed. Give it
    to the client as its API key. It makes pictures (images/generations) and edits them (images/edits, several `image`;
    a `mask`, clear or white where the picture changes). seed, steps, guidance, strength and negative_prompt are taken
    too. POST /v1/write has words written out, POST /v1/images/enlargements makes a picture larger. Jobs run one after
    the other, as in the window.

    \b
    Example:
      flux-local serve
      OPENAI_BASE_URL=http://127.0.0.1:8188/v1 OPENAI_API_KEY=TOKEN python program.py
    """
    _require("starlette", "uvicorn", "python_multipart")
    from app.serving.runner import serve as run
    from app.serving.web import HOST, answer_forever, listen

    token = os.environ.get(TOKEN) or secrets.token_urlsafe(24)
    opened = listen(port)
    echo(f"http://{HOST}:{opened.getsockname()[1]}/v1")
    if not os.environ.get(TOKEN):
        echo(f"Token: {token}")
    run(partial(answer_forever, token=token, opened=opened))


@click.command()
def mcp() -> None:
    """Give programs that speak MCP (the Model Context Protocol) tools to make pictures, over stdin and stdout.

    The program starts it itself: its settings want the command `flux-local mcp`. It can generate, edit, write words
    out, enlarge, list the panels of a board and render them; it reads pictures at any path that it is given and writes
    new files only.

    \b
    Example:
      flux-local mcp
    """
    _require("mcp")
    from app.serving.runner import serve as run
    from app.serving.tools import answer_stdio

    run(answer_stdio)
    os._exit(0)  # a thread may still wait in stdin, which would abort Python at exit
