"""Tries a built app: python -m tests.bench.frozen dist/flux-local/flux-local

The command line edits a picture, the worker serves the engine, a language model writes, programs are served, the window
opens without a screen and ends politely.
Nothing of this checkout is used by the app: it runs in a folder of its own, with its own home.
"""

import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client
from PIL import Image
from PySide6.QtCore import QCoreApplication, QEventLoop

from app.engine.engine import Engine, Patience
from app.engine.jobs import Job
from mlx_model.request import Request
from tests.tiny_language import save_language

EXAMPLE = Path(__file__).resolve().parents[2] / "assets" / "examples" / "dog.png"
LIMIT = 300  # seconds for each trial
OPEN = 30  # seconds that the window stays open


def edit(program: str, work: Path) -> None:
    """The command line makes a picture."""
    words = [program, "edit", str(EXAMPLE), "-p", "make it night", "-o", "night.png"]
    subprocess.run(words, cwd=work, check=True, timeout=LIMIT, capture_output=True)
    with Image.open(work / "night.png") as picture, Image.open(EXAMPLE) as given:
        assert picture.size == given.size


def worker(program: str, work: Path) -> None:
    """The engine runs a job in the app's worker."""
    application = QCoreApplication([])
    engine, end = (
        Engine(None, [program, "worker"], Patience(start=LIMIT), work / "worker.log"),
        time.monotonic() + LIMIT,
    )
    engine.submit(Job("one", "1A", Request("mini", "a beach", width=64, height=64, steps=4), "mini"))
    while not engine.job("one").over and time.monotonic() < end:
        application.processEvents(QEventLoop.ProcessEventsFlag.AllEvents, 50)
    state = engine.job("one")
    engine.shutdown()
    assert state.state == "done", f"{state.reason}\n{(work / 'worker.log').read_text()}"


def write(program: str, work: Path) -> None:
    """A language model is opened and writes; with random weights it finds no end, which is told."""
    folder = save_language(work / "writer")
    words = [program, "write", "a fox", "--writer", str(folder)]
    done = subprocess.run(words, cwd=work, timeout=LIMIT, capture_output=True, text=True)
    assert "What the writer made is not used" in done.stderr, done.stderr


def serve(program: str, work: Path) -> None:
    """Programs are told the models that are there."""
    words = [program, "serve", "--port", "0"]
    with subprocess.Popen(words, cwd=work, stdout=subprocess.PIPE, text=True) as process:
        address, token = (process.stdout.readline().split()[-1] for _ in range(2))
        asked = urllib.request.Request(f"{address}/models", headers={"Authorization": f"Bearer {token}"})
        with urllib.request.urlopen(asked, timeout=LIMIT) as answer:
            assert "mini" in [model["id"] for model in json.load(answer)["data"]]
        process.terminate()


def mcp(program: str, work: Path) -> None:
    """A client of the official SDK sees the tools."""

    async def ask() -> tuple[str, set[str]]:
        started = StdioServerParameters(command=program, args=["mcp"], cwd=work, env=dict(os.environ))
        async with stdio_client(started) as streams, ClientSession(*streams) as session:
            server = (await session.initialize()).server_info
            return server.version, {tool.name for tool in (await session.list_tools()).tools}

    version, tools = asyncio.run(asyncio.wait_for(ask(), LIMIT))
    assert version
    assert {"generate", "edit"} <= tools


def window(program: str, work: Path) -> None:
    """The window opens, says nothing, and ends with code 0 when it is asked to."""
    with subprocess.Popen([program], cwd=work, stderr=subprocess.PIPE, text=True) as process:
        time.sleep(OPEN)
        assert process.poll() is None, process.stderr.read()
        process.send_signal(signal.SIGTERM)
        said = process.communicate(timeout=LIMIT)[1]
    assert (process.returncode, said) == (0, "")


def main() -> None:
    program = str(Path(sys.argv[1]).absolute())
    os.environ.update(QT_QPA_PLATFORM="offscreen")
    with tempfile.TemporaryDirectory() as folder:
        os.environ.update(FLUX_LOCAL_HOME=f"{folder}/home", HOME=folder)
        os.environ.pop("PYTHONPATH", None)
        for trial in (edit, worker, write, serve, mcp, window):
            start = time.perf_counter()
            trial(program, Path(folder))
            print(f"{trial.__name__:8} good, {time.perf_counter() - start:.1f} s")


if __name__ == "__main__":
    main()
