"""Who is let in, what is taken, and what is refused, without a socket and without a model."""

import asyncio
import json
import socket

import numpy as np
import pytest
from PIL import Image

from app.models import library
from app.pictures.images import open_mask
from app.serving import web
from app.serving.asked import MOST, Asked, AskedSize, make_jobs, make_size_job
from app.serving.web import HOST, MOST_BYTES, _read_json, _take_fields, _tell_unused, _turn_mask, listen, make_app
from mlx_model.errors import NotInstalled, RequestError

GOOD = {"host": "127.0.0.1:8188", "authorization": "Bearer word"}


def ask(path="/v1/models", headers=GOOD, body=(b"",), method="GET", said=None):
    """(status, JSON) of one request, in the pieces of `body`; the messages go into `said`."""
    said, pieces = [] if said is None else said, list(body)

    async def receive():
        if (piece := pieces.pop(0)) is None:  # whoever asked went away
            return {"type": "http.disconnect"}
        if piece is ...:  # announced, and never sent
            await asyncio.Event().wait()
        return {"type": "http.request", "body": piece, "more_body": bool(pieces)}

    async def send(message):
        said.append(message)

    scope = {"type": "http", "method": method, "path": path, "raw_path": path.encode(), "query_string": b"",
             "headers": [(name.encode(), value.encode()) for name, value in headers.items()]}  # fmt: skip
    asyncio.run(make_app(None, "word", 8188)(scope, receive, send))
    return said[0]["status"], json.loads(said[1]["body"] or b"null")


def test_who_reads_the_address_may_ask_at_once():
    with listen(0) as opened, socket.create_connection(opened.getsockname(), timeout=5):
        pass


def test_who_knows_the_token_and_the_host_is_let_in():
    status, models = ask()
    assert status == 200
    assert "mini" in [model["id"] for model in models["data"]]
    assert ask(headers={**GOOD, "host": "localhost:8188"})[0] == 200


@pytest.mark.parametrize(
    ("changed", "status"),
    [
        ({"host": "evil.example:8188"}, 403),  # a name that somebody has pointed at 127.0.0.1
        ({"host": "127.0.0.1"}, 403),
        ({"host": ""}, 403),
        ({"origin": "http://localhost:3000"}, 403),
        ({"authorization": "Bearer wor"}, 401),
        ({"authorization": "word"}, 401),
        ({"authorization": ""}, 401),
        ({"content-length": str(MOST_BYTES + 1)}, 413),
        ({"content-length": "1e9"}, 413),
        ({"content-length": "-1"}, 413),
    ],
)
def test_nobody_else_is(changed, status):
    found, told = ask(headers={**GOOD, **changed})
    assert found == status
    assert told["error"]["message"]


def test_a_body_without_a_length_is_counted_as_it_comes():
    piece = bytes(2**20)
    status, _ = ask("/v1/images/generations", body=[piece] * 101, method="POST")
    assert status == 413


@pytest.mark.parametrize("path", ["/v1/images/edits", "/v1/write"])
def test_a_body_that_was_announced_and_does_not_come_is_not_waited_for(path, monkeypatch):
    monkeypatch.setattr(web, "PATIENCE", 0.01)
    headers = {**GOOD, "content-type": "multipart/form-data; boundary=edge"}
    status, told = ask(path, headers, [b"--edge", ...], "POST")
    assert (status, "did not come" in told["error"]["message"]) == (408, True)


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"1", b'"a"', b"[" * 100_000, b"\xff", b"null"])
def test_what_is_no_request_is_told(body):
    assert ask("/v1/images/generations", body=[body], method="POST")[0] == 400
    with pytest.raises(RequestError):
        _read_json(body)


@pytest.mark.parametrize(
    "wrong",
    [{"n": "x"}, {"n": None, "seed": []}, {"prompt": 3}, {"stream": True}, {"stream": "true"},
     {"sead": 3}, {"promt": "a"}, {"n": True},
     {"response_format": "url"}, {"output_format": "webp"}, {"seed": float("inf")}, {"model": {}}],
)  # fmt: skip
def test_fields_of_another_kind_are_refused(wrong):
    with pytest.raises(RequestError):
        _take_fields(wrong)


def test_a_field_that_nobody_knows_is_named():
    for path, body, name in (
        ("/v1/images/generations", b'{"prompt": "a dog", "sead": 3}', "sead"),
        ("/v1/write", b'{"prompt": "a dog", "n": 3}', "n"),
    ):
        status, said = ask(path, body=[body], method="POST")
        assert (status, f"no field {name} here" in said["error"]["message"]) == (400, True)


@pytest.mark.parametrize("path", ["/v1/images/generations", "/v1/images/edits", "/v1/images/enlargements", "/v1/write"])
def test_a_body_that_is_cut_off_is_no_fault_of_ours(path):
    """Nothing is raised, which uvicorn would print."""
    headers = {**GOOD, "content-type": "multipart/form-data; boundary=edge"}
    start = b'--edge\r\nContent-Disposition: form-data; name="image"; filename="a.png"\r\n\r\nabc'
    assert ask(path, headers, [start, None], "POST")[0] == 400


@pytest.mark.parametrize(
    ("asked", "status", "said"),
    [
        ({"prompt": ""}, 400, "no words to write out"),
        ({"prompt": "a fox", "references": [1]}, 400, "names"),
        ({"prompt": "a fox", "as_json": True, "change": True}, 400, "JSON"),
        ({"prompt": "a fox", "change": "perhaps"}, 400, "change can't be"),
        ({"prompt": "a fox"}, 404, "writes prompts out. Add flux3-writer in Flux Local first."),
        ({"prompt": "a fox", "model": "nope"}, 400, "nope"),
    ],
)
def test_words_that_can_t_be_written_out_are_told(asked, status, said):
    found, told = ask("/v1/write", body=[json.dumps(asked).encode()], method="POST")
    assert (found, said in told["error"]["message"]) == (status, True), told


def test_enlarging_is_one_job_and_what_it_can_t_do_is_told(tmp_path):
    Image.new("RGB", (96, 64), (9, 9, 99)).save(tmp_path / "a.png")
    job = make_size_job(AskedSize(tmp_path / "a.png", 4, model="mini"))
    assert (job.request.enlarge, job.request.size) == (4, (384, 256))
    for wrong in (AskedSize(tmp_path / "a.png", 3), AskedSize(tmp_path / "a.png", quick=True, model="mini")):
        with pytest.raises(RequestError):
            make_size_job(wrong)
    with pytest.raises(NotInstalled):
        make_size_job(AskedSize(tmp_path / "a.png", quick=True))


def test_a_picture_that_was_sent_is_named_without_our_place_for_it():
    lines = (
        b"--edge",
        b'Content-Disposition: form-data; name="image"; filename="a.png"',
        b"",
        b"hello",
        b"--edge--",
        b"",
    )
    headers = GOOD | {"content-type": "multipart/form-data; boundary=edge"}
    status, said = ask("/v1/images/edits", headers, (b"\r\n".join(lines),), "POST")
    assert status == 400
    assert said["error"]["message"].startswith("image1 is text")


def test_a_model_in_nobody_s_home_is_told():
    headers = GOOD | {"content-type": "application/json"}
    body = b'{"prompt": "x", "model": "~no-such-person/a"}'
    status, said = ask("/v1/images/generations", headers, (body,), "POST")
    assert status >= 400
    assert "begins with ~" in said["error"]["message"]


def test_fields_of_other_services_are_not_used_and_that_is_told():
    given = {"prompt": "a dog", "n": "2", "quality": "hd", "style": "vivid", "user": "me", "size": None}
    assert _take_fields(given) == {"prompt": "a dog", "count": 2}
    assert _tell_unused(given) == ["quality, style, user means nothing here and was not used."]
    assert _tell_unused({"prompt": "a dog", "output_format": "png"}) == []
    assert _take_fields({"negative_prompt": "fog", "guidance": 2}) == {"negative": "fog", "guidance": 2.0}


def test_clear_parts_of_a_mask_change(tmp_path):
    clear = Image.new("RGBA", (64, 64), (255, 255, 255, 255))
    clear.paste((0, 0, 0, 0), (0, 0, 32, 64))
    clear.save(tmp_path / "clear.png")
    Image.new("L", (64, 64), 255).save(tmp_path / "white.png")
    turned = open_mask(_turn_mask(tmp_path / "clear.png"))
    assert np.array_equal(turned > 0.5, np.arange(64)[None] < np.full((64, 1), 32))
    assert _turn_mask(tmp_path / "white.png") == tmp_path / "white.png"


def test_one_request_is_as_many_jobs():
    jobs = make_jobs(Asked("a dog", "mini", size="64x64", count=3, seed=2**64 - 1, steps=1))
    assert [job.request.seed for job in jobs] == [2**64 - 1, 0, 1]
    assert len({job.id for job in jobs}) == 3
    for wrong in (Asked("a dog", count=MOST + 1), Asked("a dog", count=0), Asked("", "mini"), Asked("x", size="7")):
        with pytest.raises(RequestError):
            make_jobs(wrong)
    with pytest.raises(NotInstalled):
        make_jobs(Asked("a dog", "flux2-dev"))


def test_it_listens_on_this_machine_alone():
    with listen(0) as opened:
        host, port = opened.getsockname()
        assert host == HOST == "127.0.0.1"
        opened.listen()
        with pytest.raises(RequestError, match="can't be used"):
            listen(port)


@pytest.mark.parametrize(
    ("path", "method", "status"),
    [
        ("/", "GET", 404),
        ("/v1/chat/completions", "POST", 404),
        ("/v1/models", "DELETE", 405),
        ("/v1/images/edits", "GET", 405),
    ],
)
def test_an_address_that_is_not_there_is_told_as_all_else(path, method, status):
    found, told = ask(path, method=method)
    assert found == status
    assert "/v1" in told["error"]["message"] or "POST" in told["error"]["message"]
    assert told["error"]["type"] == "invalid_request_error"


def test_a_fault_of_ours_is_told_in_that_form_too(monkeypatch):
    def fail():
        raise ZeroDivisionError

    monkeypatch.setattr(library, "list_installed", fail)
    said = []
    with pytest.raises(ZeroDivisionError):  # for the log
        ask(said=said)
    assert said[0]["status"] == 500
    assert json.loads(said[1]["body"])["error"]["type"] == "server_error"
