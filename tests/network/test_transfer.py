"""One file against a hub with faults: cut, stalled, ranges ignored or refused, another file meanwhile, too much."""

import errno
import os
import shutil
import subprocess
import time

import pytest

from app.cli.say import on_command_line
from converters import transfer
from converters.hub import Remote
from mlx_model.errors import ConvertError, DiskFull, LicenceNotAccepted, Unreachable
from mlx_model.events import Note
from tests.network.hub_server import COMMIT, PIECE, Hub, git_hash, sha256

NAME, REPO = "part/weights.safetensors", "someone/model"
CONTENT = os.urandom(40 * PIECE + 77)


@pytest.fixture
def hub():
    made = Hub({REPO: {NAME: CONTENT, "config.json": b'{"a": 1}', "empty.json": b""}})
    yield made
    made.close()


FILE = Remote(NAME, len(CONTENT), sha256=sha256(CONTENT), repo=REPO, commit=COMMIT)


def fetch(into, file=FILE):
    said = list(transfer.fetch(file, into))
    assert (into / file.path).read_bytes() == (CONTENT if file is FILE else b'{"a": 1}')
    assert not list((into / transfer.FOLDER).iterdir())
    return said


SMALL = Remote("config.json", 8, git=git_hash(b'{"a": 1}'), repo=REPO, commit=COMMIT)
TAG = f'"{FILE.sha256}"'


def put(into, content, tag=TAG, file=FILE):
    """What an earlier run has left."""
    part = transfer.Partial(into, file)
    part.path.parent.mkdir(parents=True)
    part.path.write_bytes(content)
    part.path.with_name(file.blob + transfer.TAG).write_text(tag)
    return part.path


def ranges(hub):
    return [asked.range for asked in hub.files(NAME)]


def test_a_file_comes_whole(hub, here):
    said = fetch(here)
    assert ranges(hub) == [None]
    assert sorted(said) == said


def test_small_files_are_not_zipped(hub, here):
    fetch(here, SMALL)
    assert hub.asked[0].headers["accept-encoding"] == "identity"


def test_an_empty_file_needs_no_request(hub, here):
    list(transfer.fetch(Remote("empty.json", 0, git=git_hash(b""), repo=REPO, commit=COMMIT), here))
    assert (here / "empty.json").read_bytes() == b""


def test_cut_off_at_1_50_and_99_percent(hub, here):
    """More often than it is tried without success."""
    hub.faults.cuts[NAME] = [0.01, 0.5, 0.5, 0.99, 0.99]
    fetch(here)
    whole = len(CONTENT)
    places = [int(share * whole) for share in (0.01, 0.5, 0.5, 0.99, 0.99)]
    assert ranges(hub) == [None, *(f"bytes={place}-" for place in places)]
    assert sum(asked.sent for asked in hub.files(NAME)) == whole


def test_cut_off_for_ever(hub, here):
    hub.faults.cuts[NAME] = [0.5] * 99
    with pytest.raises(Unreachable, match="can't be reached") as error:
        fetch(here)
    assert "try again" in error.value.hint  # that it goes on is said by the download, which knows what is there
    assert transfer.Partial(here, FILE).size == len(CONTENT) // 2
    assert len(ranges(hub)) == transfer.TRIES


def test_a_stall_is_a_cut(hub, here):
    hub.faults.stalls[NAME] = 0.5
    with pytest.raises(Unreachable):
        fetch(here)
    assert len(ranges(hub)) == transfer.TRIES
    assert transfer.Partial(here, FILE).size >= len(CONTENT) // 2


def test_it_goes_on_by_the_servers_own_tag(hub, here):
    put(here, CONTENT[:1000])
    fetch(here)
    (asked,) = hub.files(NAME)
    assert (asked.range, asked.headers["if-range"]) == ("bytes=1000-", f'"{sha256(CONTENT)}"')
    assert asked.sent == len(CONTENT) - 1000


@pytest.mark.parametrize("tag", ["", 'W/"weak"', '"a\r\nHost: evil"', '"' + "x" * 9000 + '"'])
def test_a_tag_that_promises_nothing_is_not_sent(hub, here, tag):
    put(here, CONTENT[:1000], tag)
    fetch(here)
    assert hub.files(NAME)[0].range == "bytes=1000-"
    assert "if-range" not in hub.files(NAME)[0].headers


def test_another_tag_starts_anew(hub, here):
    put(here, b"?" * 1000, '"before"')
    fetch(here)
    assert ranges(hub) == ["bytes=1000-"]
    assert hub.files(NAME)[0].sent == len(CONTENT)


def test_another_tag_starts_anew_where_the_server_does_not_compare(hub, here):
    hub.faults.compares = False
    put(here, b"?" * 1000, '"before"')
    fetch(here)
    assert ranges(hub) == ["bytes=1000-", None]


def test_another_file_under_the_same_tag_starts_anew(hub, here):
    put(here, b"?" * 1000)
    fetch(here)
    assert ranges(hub) == ["bytes=1000-", None]


@pytest.mark.parametrize(
    ("fault", "asked"),
    [
        ("ignores_ranges", ["bytes=1000-"]),
        ("refuses_ranges", ["bytes=1000-", None]),
        ("wrong_start", ["bytes=1000-", None]),
    ],
)
def test_a_server_without_proper_ranges(hub, here, fault, asked):
    setattr(hub.faults, fault, True)
    put(here, CONTENT[:1000])
    fetch(here)
    assert ranges(hub) == asked


def test_a_server_that_refuses_everything(hub, here):
    hub.faults.answers[NAME] = [(416, {})]
    with pytest.raises(ConvertError, match="416"):
        fetch(here)


@pytest.mark.parametrize("more", [b"", b"x", b"x" * 10**6])
def test_a_partial_file_that_is_long_enough(hub, here, more):
    put(here, CONTENT + more)
    fetch(here)
    assert ranges(hub) == ([None] if more else [])


def test_damaged_once(hub, here):
    hub.faults.damages[NAME] = 1
    fetch(here)
    assert ranges(hub) == [None, None]


@pytest.mark.parametrize("fault", ["damages", "longer", "sizes"])
def test_damaged_always(hub, here, fault):
    file = FILE
    if fault == "damages":
        hub.faults.damages[NAME] = 99
    elif fault == "longer":
        hub.faults.longer.add(NAME)
    else:
        file = Remote(NAME, len(CONTENT) + 5, sha256=sha256(CONTENT), repo=REPO, commit=COMMIT)
    with pytest.raises(ConvertError, match=r"arrived damaged|as promised|was promised"):
        list(transfer.fetch(file, here))
    assert not [path for path in here.rglob("*") if path.is_file()]
    assert len(ranges(hub)) == 2


def test_closing_keeps_what_has_come(hub, here):
    hub.faults.rate = 300_000
    events = transfer.fetch(FILE, here)
    while next(events) < 3 * PIECE:
        pass
    events.close()
    part = transfer.Partial(here, FILE)
    size = part.size
    assert CONTENT.startswith(part.path.read_bytes())
    time.sleep(0.2)
    assert part.size == size  # nobody writes any more
    hub.faults.rate = 0
    fetch(here)
    assert ranges(hub)[-1] == f"bytes={size}-"


def test_two_at_once_write_the_same_bytes(hub, here):
    """As on a file system without locks."""
    hub.faults.rate = 2_000_000
    pair = [transfer.fetch(FILE, here) for _ in range(2)]
    for steps in zip(*pair, strict=False):
        assert all(step <= len(CONTENT) for step in steps)
    for one in pair:
        list(one)
    assert (here / NAME).read_bytes() == CONTENT


@pytest.mark.parametrize("what", ["soft", "hard", "folder", "place"])
def test_nothing_is_written_through_a_link(hub, here, tmp_path, what):
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "diary").write_text("dear diary")
    part = transfer.Partial(here, FILE).path
    here.mkdir()
    if what == "folder":
        part.parent.symlink_to(mine)
    elif what == "place":
        (here / "part").symlink_to(mine)
    else:
        part.parent.mkdir()
        part.symlink_to(mine / "diary") if what == "soft" else os.link(mine / "diary", part)
    fetch(here)
    assert [(path.name, path.read_text()) for path in mine.iterdir()] == [("diary", "dear diary")]


def test_a_full_disk_keeps_what_has_come(hub, here, monkeypatch):
    real, left = os.pwrite, [200_000]

    def write(descriptor, data, place):
        if len(data) > left[0]:
            data = data[: left[0]]
        if not data:
            raise OSError(errno.ENOSPC, "No space left on device")
        left[0] -= len(data)
        return real(descriptor, data, place)

    monkeypatch.setattr(os, "pwrite", write)
    with pytest.raises(DiskFull, match=r"200 kB.* are kept") as error:
        fetch(here)
    assert "try again" in error.value.hint
    left[0] = 10**9
    fetch(here)
    assert ranges(hub)[-1].startswith("bytes=1999")


def test_a_disk_that_fails_is_named(hub, here, monkeypatch):
    def write(*_):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "pwrite", write)
    with pytest.raises(OSError, match="Input/output error") as error:
        fetch(here)
    assert error.value.filename == str(transfer.Partial(here, FILE).path)
    assert len(ranges(hub)) == 1


@pytest.mark.parametrize("proxy", ["socks5://127.0.0.1:9", "nonsense://127.0.0.1:9"])
def test_a_proxy_that_can_not_be_used_is_told(hub, here, monkeypatch, proxy):
    from huggingface_hub import utils

    utils.close_session()
    monkeypatch.setenv("ALL_PROXY", proxy)
    with pytest.raises(ConvertError, match="proxy") as error:
        fetch(here)
    assert "ALL_PROXY" in error.value.hint


def test_a_proxy_is_used(hub, here, monkeypatch):
    """It is asked by the whole address; this one has the file itself."""
    from huggingface_hub import constants, utils

    utils.close_session()
    monkeypatch.setenv("HTTP_PROXY", hub.endpoint)
    far = "http://hub.example"
    monkeypatch.setattr(constants, "ENDPOINT", far)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", far + "/{repo_id}/resolve/{revision}/{filename}")
    fetch(here, SMALL)
    assert hub.asked[0].headers["host"] == "hub.example"


def test_a_mirror_that_sends_us_on_to_a_hub_that_refuses(hub, here):
    hub.faults.mirror = True
    hub.faults.answers[NAME] = [(403, GATED)]
    with pytest.raises(LicenceNotAccepted):
        fetch(here)


GATED = {"X-Error-Code": "GatedRepo"}


@pytest.mark.parametrize(
    ("status", "headers", "kind", "message", "hint"),
    [
        (401, {}, LicenceNotAccepted, "only to accounts", "hf auth login"),
        (401, GATED, LicenceNotAccepted, "only to accounts", "accept the licence"),
        (403, GATED, LicenceNotAccepted, "only to accounts", "fine-grained token"),
        (404, {"X-Error-Code": "EntryNotFound"}, ConvertError, "is not at http", "renamed"),
        (429, {"Retry-After": "900"}, Unreachable, "no more requests", "in 900 s"),
        (429, {}, Unreachable, "no more requests", "later"),
        (500, {}, Unreachable, "error 500", "try again"),
        (503, {}, Unreachable, "error 503", "try again"),
        (451, {}, ConvertError, "error 451", ""),
    ],
)
def test_each_refusal_says_what_to_do(hub, here, status, headers, kind, message, hint):
    hub.faults.answers[NAME] = [(status, headers)]
    put(here, CONTENT[:5])
    with pytest.raises(kind, match=message) as error:
        fetch(here)
    assert hint in on_command_line(error.value.hint)
    assert error.value.exit_code == 3
    assert transfer.Partial(here, FILE).size == 5


def test_a_token_that_is_too_old(hub, here, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_old")
    hub.faults.answers[NAME] = [(401, {})]
    with pytest.raises(LicenceNotAccepted, match="does not let this account") as error:
        fetch(here)
    assert "token" in on_command_line(error.value.hint)


def test_a_token_that_is_none_is_not_shown(hub, here, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_ü")
    with pytest.raises(ConvertError, match="token") as error:
        fetch(here)
    assert "hf_" not in str(error.value)


def test_a_gated_file_with_the_token(hub, here, monkeypatch):
    hub.faults.token = "hf_secret"
    with pytest.raises(LicenceNotAccepted):
        fetch(here)
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    fetch(here)
    assert {asked.headers.get("authorization") for asked in hub.asked if asked.host == "cdn"} == {None}


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504, 408])
def test_what_passes_is_waited_for(hub, here, status):
    hub.faults.answers[NAME] = [(status, {}), (status, {}), (200, {})]
    notes = [said for said in fetch(here) if isinstance(said, Note)]
    assert [f"error {status}" in note.text for note in notes] == [True, True]


def measure_wait(here):
    start = time.monotonic()
    notes = [said.text for said in transfer.fetch(FILE, here) if isinstance(said, Note)]
    return time.monotonic() - start, notes[0]


def test_the_server_says_how_long(hub, here):
    hub.faults.answers[NAME] = [(429, {"Retry-After": "2"}), (200, {})]
    seconds, note = measure_wait(here)
    assert 2 <= seconds < 10
    assert "in 2 s" in note


@pytest.mark.sweep
def test_the_server_says_until_when_by_its_own_clock(hub, here):
    """A computer whose clock is years off neither waits for years nor hammers the server."""
    hub.faults.date = "Wed, 21 Oct 2015 07:28:00 GMT"
    hub.faults.answers[NAME] = [(503, {"Retry-After": "Wed, 21 Oct 2015 07:28:02 GMT"}), (200, {})]
    seconds, note = measure_wait(here)
    assert 2 <= seconds < 10
    assert "in 2 s" in note


def test_the_limits_own_header(hub, here):
    hub.faults.answers[NAME] = [(429, {"RateLimit": '"api";r=0;t=1'}), (200, {})]
    assert "in 1 s" in measure_wait(here)[1]


@pytest.mark.skipif(not shutil.which("openssl"), reason="makes the certificate")
def test_a_certificate_that_is_not_accepted_speaks_of_the_clock(hub, here, tmp_path, monkeypatch):
    import ssl

    from huggingface_hub import constants

    key, made = tmp_path / "key.pem", tmp_path / "cert.pem"
    subject = ["-subj", "/CN=localhost", "-days", "1", "-nodes", "-keyout", key, "-out", made]
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", *subject], check=True, capture_output=True)
    secret = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    secret.load_cert_chain(made, key)
    server = hub._servers[0]
    server.socket = secret.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    address = hub.endpoint.replace("http:", "https:")
    monkeypatch.setattr(constants, "ENDPOINT", address)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", address + "/{repo_id}/resolve/{revision}/{filename}")
    with pytest.raises(Unreachable, match="certificate") as error:
        fetch(here)
    assert "date and the time" in error.value.hint
