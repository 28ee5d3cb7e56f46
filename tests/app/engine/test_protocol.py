"""The lines between engine and worker: what goes in comes out, and nothing else is understood."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.engine import protocol
from app.engine.jobs import Job, Queue
from mlx_model.events import Cancelled, Done, Failed, Loaded, Note, Preview, Stage, Step
from mlx_model.request import Reference, Request

TEXTS = st.text(max_size=40)
EVENTS = st.one_of(
    st.builds(Note, TEXTS),
    st.builds(Failed, TEXTS, TEXTS, TEXTS),
    st.builds(Cancelled, TEXTS),
    st.builds(Stage, TEXTS, TEXTS, st.none() | st.integers(0, 200)),
    st.builds(Step, st.integers(1, 200), st.integers(1, 200), st.floats(0, 1e6), st.floats(0, 1e6)),
    st.just(Loaded("mini", 0.5)),
    st.just(Preview(3, "/a/b.png")),
    st.just(Done(1.5, "/a/ü.png", 2**64 - 1)),
)
TO_WORKER = [protocol.Cancel("a", "newer"), protocol.Unload(), protocol.Quit()]
FROM_WORKER = [protocol.Ready(7), protocol.Beat()]


@given(EVENTS)
def test_events_survive(event):
    text = protocol.line(protocol.Happened("job", protocol.raw(event.to_json())))
    assert text.count(b"\n") == 1
    assert protocol.from_worker(text.rstrip(b"\n")).event() == event


@given(TEXTS)
def test_requests_survive(prompt):
    request = Request("mini", prompt, seed=2**64 - 1, references=(Reference("/é\n.png", prompt),))
    text = protocol.raw(request.to_json())
    run = protocol.Run("job", "mini", text, "/tmp/x", False, ahead=(text, text))
    read = protocol.to_worker(protocol.line(run)[:-1])
    assert list(read.look_ahead()) == [request, request]
    assert (read.load_request(), read.job, read.model, read.folder, read.previews) == (
        request,
        "job",
        "mini",
        "/tmp/x",
        False,
    )


@pytest.mark.parametrize("message", TO_WORKER)
def test_messages_to_the_worker(message):
    assert protocol.to_worker(protocol.line(message)[:-1]) == message
    with pytest.raises(protocol.ProtocolError):
        protocol.from_worker(protocol.line(message))


@pytest.mark.parametrize("message", FROM_WORKER)
def test_messages_from_the_worker(message):
    assert protocol.from_worker(protocol.line(message)[:-1]) == message
    with pytest.raises(protocol.ProtocolError):
        protocol.to_worker(protocol.line(message))


@pytest.mark.parametrize(
    "text",
    [b"", b"{", b"[]", b"7", b"\xff\xfe", b'{"is":"ready"}', b'{"is":"ready","pid":"7"}', b'{"is":"beat","x":1}',
     b'{"is":"run"}', b'{"pid":7}', b'{"is":"happened","job":7,"what":{}}'],
)  # fmt: skip
def test_anything_else_is_refused(text):
    with pytest.raises(protocol.ProtocolError):
        protocol.from_worker(text)


@pytest.mark.parametrize(
    "what", [b"{}", b"[]", b"7", b'{"event":"boo"}', b'{"event":"step"}', b'{"event":"note","x":1}']
)
def test_an_event_that_is_none_is_refused(what):
    message = protocol.from_worker(b'{"is":"happened","job":"a","what":' + what + b"}")
    with pytest.raises(protocol.ProtocolError):
        message.event()


@given(st.lists(st.binary(max_size=30).map(lambda data: data.replace(b"\n", b"")), max_size=8), st.integers(1, 7))
def test_lines_come_whole_however_they_are_cut(lines, size):
    data, cutter = b"".join(line + b"\n" for line in lines), protocol.Lines()
    got = [line for start in range(0, len(data), size) for line in cutter.feed(data[start : start + size])]
    assert got == lines
    assert list(cutter.feed(b"rest")) == []
    assert list(cutter.feed(b"\n")) == [b"rest"]


@pytest.mark.parametrize("data", [b"x" * 101, b"x" * 101 + b"\n", b"ok\n" + b"x" * 101])
def test_a_line_without_end_is_refused(data):
    with pytest.raises(protocol.ProtocolError, match="101 bytes"):
        list(protocol.Lines(100).feed(data))


def test_a_job_is_told_what_waits_for_its_model_alone():
    queue = Queue()
    for name, model in (("a", "mini"), ("b", "mini"), ("c", "other"), ("d", "mini")):
        queue.add(Job(name, name, Request(model, name), model))
    first = queue.start_next()
    told = protocol.order(first, Path("/tmp/a"), queue.list_alike(first))
    assert [request.prompt for request in told.look_ahead()] == ["b", "d"]
