"""`flux-local serve` and `flux-local mcp` as processes, asked by the clients that programs use."""

import asyncio
import base64
import io
import os
import signal
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest
from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client
from PIL import Image

from app.board.data import Board, Panel, Scene, Settings
from app.fluxboard.file import BoardFile
from app.pictures.images import read_request
from tests.tiny_language import save_parrot

openai = pytest.importorskip("openai", reason="the extra `clients` brings it")
pytestmark = [pytest.mark.network, pytest.mark.filterwarnings("ignore::DeprecationWarning")]
ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "assets" / "examples"
WORDS = [sys.executable, "-P", "-m", "app"]


@pytest.fixture(scope="module")
def surroundings(tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    (home / "writer.txt").write_text(
        str(save_parrot(tmp_path_factory.mktemp("parrot"), ["Sure: ", "A fox ", "rests."]))
    )
    return {**os.environ, "FLUX_LOCAL_HOME": str(home), "PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1"}


@pytest.fixture(scope="module")
def server(surroundings):
    """(address, token) of a server that runs."""
    process = subprocess.Popen([*WORDS, "serve", "--port", "0"], env=surroundings, stdout=subprocess.PIPE, text=True)
    address, token = process.stdout.readline().strip(), process.stdout.readline().strip()
    yield address, token.removeprefix("Token: ")
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=60) == 0
    process.stdout.close()


@pytest.fixture(scope="module")
def client(server):
    address, token = server
    with openai.OpenAI(base_url=address, api_key=token, max_retries=0, timeout=300) as made:
        yield made


def pixels(one):
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(one.b64_json))).convert("RGB"))


def test_openai_s_client_makes_pictures(client):
    made = client.images.generate(
        prompt="a panda on the beach", model="mini", n=2, size="64x64", extra_body={"seed": 5, "steps": 1}
    )
    first, second = map(pixels, made.data)
    assert first.shape == second.shape == (64, 64, 3)
    assert not np.array_equal(first, second)
    again = client.images.generate(
        prompt="a panda on the beach", model="mini", size="64x64", extra_body={"seed": 6, "steps": 1}
    )
    assert np.array_equal(pixels(again.data[0]), second)


def test_openai_s_client_edits_several_pictures(client):
    dog, robot = (EXAMPLES / "dog.png").open("rb"), (EXAMPLES / "robot.png").open("rb")
    with dog, robot:
        made = client.images.edit(
            image=[dog, robot], prompt="@image1 and @image2 on the beach", model="mini", size="64x64",
            extra_body={"steps": 1},
        )  # fmt: skip
    assert pixels(made.data[0]).shape == (64, 64, 3)


def test_what_a_mask_leaves_stays(client):
    mask = Image.new("RGBA", (256, 256), (0, 0, 0, 255))
    mask.paste((0, 0, 0, 0), (128, 0, 256, 256))
    clear = io.BytesIO()
    mask.save(clear, "PNG")
    with (EXAMPLES / "dog.png").open("rb") as dog:
        made = client.images.edit(
            image=dog, mask=("mask.png", clear.getvalue()), prompt="make it night", extra_body={"steps": 1}
        )
    dog = np.asarray(Image.open(EXAMPLES / "dog.png").convert("RGB"))
    changed = np.abs(pixels(made.data[0]).astype(int) - dog).sum(axis=2)
    assert changed[:, :120].max() == 0
    assert changed[:, 136:].max() > 0


def test_words_are_written_out_and_a_picture_enlarged_through_openai_s_client(client):
    text = client.post("/write", cast_to=object, body={"prompt": "a fox", "model": "mini"})["text"]
    assert text == "A fox rests."
    made = client.images.generate(
        prompt=text, size="64x64", user="me", quality="high", extra_body={"steps": 1, "own_words": "a fox"}
    )
    assert made.model_extra["warnings"] == ["quality, user means nothing here and was not used."]
    large = client.post(
        "/images/enlargements", cast_to=object, body={"by": "2", "model": "mini", "steps": "1"},
        files={"image": ("a.png", base64.b64decode(made.data[0].b64_json))},
        options={"headers": {"Content-Type": "multipart/form-data"}},
    )  # fmt: skip
    assert Image.open(io.BytesIO(base64.b64decode(large["data"][0]["b64_json"]))).size == (128, 128)
    with pytest.raises(openai.BadRequestError, match="no field sead"):
        client.images.generate(prompt="a dog", extra_body={"sead": 3})


def test_models_are_listed_and_errors_are_its_own(client, server):
    assert [model.id for model in client.models.list()] == ["mini"]
    with pytest.raises(openai.NotFoundError):
        client.images.generate(prompt="a dog", model="flux2-dev")
    with pytest.raises(openai.BadRequestError, match="not a size"):
        client.images.generate(prompt="a dog", size="large")
    with pytest.raises(openai.AuthenticationError):
        openai.OpenAI(base_url=server[0], api_key="wrong", max_retries=0).models.list()


def test_who_hangs_up_leaves_nothing_running(client):
    with pytest.raises(openai.APITimeoutError):
        client.with_options(timeout=1).images.generate(prompt="a dog", n=10, extra_body={"steps": 100})
    soon = client.images.generate(prompt="a dog", size="64x64", extra_body={"steps": 1})  # not behind ten others
    assert pixels(soon.data[0]).shape == (64, 64, 3)


def test_mcp_s_client_makes_edits_and_renders(surroundings, tmp_path):
    panel = Panel("p1", "a panda on the beach", settings=Settings(steps=1, width=64, height=64))
    BoardFile.create(tmp_path / "day.fluxboard", Board("day", scenes=(Scene("s", panels=(panel,)),))).close()
    found = asyncio.run(_use_tools(surroundings, tmp_path))
    assert found["tools"] == {"generate", "edit", "write", "enlarge", "board_list", "board_render"}
    assert found["written"] == "A fox rests."
    assert found["version"] == metadata.version("flux-local-studio")
    assert Image.open(io.BytesIO(base64.b64decode(found["made"]))).size == (64, 64)
    assert sorted(path.name for path in tmp_path.glob("*.png")) == ["dog-2.png", "dog.png", "large.png"]
    with Image.open(tmp_path / "large.png") as large:
        assert large.size == (128, 128)
    assert read_request(tmp_path / "dog.png").own_words == "a wolf"
    assert "not installed" in found["refused"]
    with BoardFile.open(tmp_path / "day.fluxboard", write=False) as file:
        assert len(file.board.panel("p1").takes) == 1


async def _use_tools(surroundings, place):
    server = StdioServerParameters(command=WORDS[0], args=[*WORDS[1:], "mcp"], env=surroundings)
    found = {}
    async with stdio_client(server) as streams, ClientSession(*streams) as session:
        found["version"] = (await session.initialize()).server_info.version
        found["tools"] = {tool.name for tool in (await session.list_tools()).tools}
        asked = {
            "prompt": "a dog",
            "size": "64x64",
            "seed": 1,
            "save_to": str(place / "dog.png"),
            "own_words": "a wolf",
        }
        found["written"] = (await session.call_tool("write", {"words": "a fox"})).content[0].text
        made = await session.call_tool("generate", asked)
        assert not made.is_error, made
        found["made"] = next(part.data for part in made.content if part.type == "image")
        edited = await session.call_tool(
            "edit", {**asked, "pictures": [str(place / "dog.png")], "prompt": "make it night"}
        )
        assert not edited.is_error, edited
        given = {"picture": str(place / "dog.png"), "save_to": str(place / "large.png"), "model": "mini"}
        enlarged = await session.call_tool("enlarge", given)
        assert not enlarged.is_error, enlarged
        refused = await session.call_tool("generate", {"prompt": "a dog", "model": "flux2-dev"})
        assert refused.is_error
        found["refused"] = refused.content[0].text
        board = {"board": str(place / "day.fluxboard")}
        rendered = await session.call_tool("board_render", board)
        assert not rendered.is_error, rendered
        listed = await session.call_tool("board_list", board)
        assert '"takes": 1' in listed.content[0].text
    return found
