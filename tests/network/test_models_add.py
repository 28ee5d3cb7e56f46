"""`flux-local models add` as a process against a hub on this machine: what a person sees of a bad connection."""

import os
import signal
import socket
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest

from mlx_model.memory import say_bytes
from tests.network.conftest import MODEL, REPO
from tests.network.hub_server import blob, sha256

pytestmark = pytest.mark.network

LARGE = "transformer/diffusion_pytorch_model.safetensors"


def wait_until(true, seconds=60):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.01)


def count_sent(hub, name):
    return sum(asked.sent for asked in hub.files(name))


def partial(home, content):
    return home / "downloads" / MODEL / ".partial" / sha256(content)


def test_what_the_guide_says_adds_a_model(flux_local, home):
    run = flux_local.run("add", MODEL, "--bits", "8")
    assert run.code == 0, run.err
    assert (home / "models" / MODEL / "model.json").is_file()


def test_a_model_is_added(flux_local, hub, home):
    run = flux_local.add()
    assert run.code == 0, run.err
    assert (home / "models" / MODEL / "model.json").is_file()
    assert not (home / "downloads" / MODEL).exists()
    steps = [event for event in run.events if event["event"] == "step"]
    assert steps[0]["total"] == 4  # megabytes
    assert run.events[0] == {"event": "stage", "name": "ask", "detail": f"for {REPO}", "total": None}


def test_a_mirror_may_lie_in_a_folder(flux_local, hub, home):
    hub.prefix = "/mirrors/hf"
    assert flux_local.add(HF_ENDPOINT=f"{hub.endpoint}/mirrors/hf/").code == 0
    assert all(asked.path.startswith("/mirrors/hf/") for asked in hub.asked if asked.host == "hub")


def expect_refusal(run, words, code=3):
    """One line that says what is wrong, one what to do, no traceback."""
    assert run.code == code, run.err
    assert words in run.err
    assert "Traceback" not in run.err
    assert "fault in Flux Local" not in run.err
    assert len(run.err.strip().splitlines()) <= 3
    failed = run.events[-1]
    assert failed["event"] == "failed"
    assert words in failed["message"]
    return failed


def test_no_network(flux_local, hub, home):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{closed.getsockname()[1]}"
    failed = expect_refusal(flux_local.add(HF_ENDPOINT=address), f"{address} can't be reached.")
    assert "connection" in failed["hint"]


def test_an_unknown_host(flux_local):
    expect_refusal(flux_local.add(HF_ENDPOINT="http://no-such-host.invalid"), "can't be reached")


def test_no_address(flux_local):
    expect_refusal(flux_local.add(HF_ENDPOINT="hub"), "is no address")


@pytest.mark.parametrize("which", ["mute", "mute_cdn"])
def test_a_server_that_never_answers(flux_local, hub, which):
    setattr(hub.faults, which, True)
    start = time.monotonic()
    expect_refusal(flux_local.add(), "can't be reached")
    assert time.monotonic() - start < 20  # patience is five times HF_HUB_DOWNLOAD_TIMEOUT, which is 1 s here


def test_a_network_that_asks_for_a_login_first(flux_local, hub):
    hub.faults.portal = b"<html>Welcome to our hotel</html>"
    assert "login" in expect_refusal(flux_local.add(), "something else than a list")["hint"]


def test_the_hub_is_asked_before_room_is_judged(flux_local, hub, home):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        nobody = f"http://127.0.0.1:{closed.getsockname()[1]}"
    hub.faults.sizes[LARGE] = 10**15
    failed = expect_refusal(flux_local.add(), "are free", code=4)
    assert failed["code"] == "DiskFull"
    assert say_bytes(10**15) in failed["message"]
    expect_refusal(flux_local.add(HF_ENDPOINT=nobody), "can't be reached")
    assert not hub.files(LARGE)


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_an_interrupted_download_goes_on_where_it_stopped(flux_local, hub, home, stop):
    hub.faults.rate = 800_000
    process = flux_local.start("add", MODEL, "--accept-licence", "--json")
    wait_until(lambda: count_sent(hub, LARGE) > 500_000)
    flux_local.end(process, stop)
    content = hub.find(LARGE)
    came = partial(home, content).stat().st_size
    assert 400_000 < came < len(content)
    assert partial(home, content).read_bytes() == content[:came]
    hub.faults.rate = 0
    before = len(hub.asked)
    run = flux_local.add()
    assert run.code == 0, run.err
    asked = [one for one in hub.files(LARGE) if one in hub.asked[before:]]
    assert [one.range for one in asked] == [f"bytes={came}-"]
    assert asked[0].headers["if-range"] == f'"{sha256(content)}"'
    assert not [one for one in hub.files("text_encoder/model.safetensors") if one in hub.asked[before:]]
    first = next(event for event in run.events if event["event"] == "step")
    assert first["step"] >= came // 1_000_000
    assert not (home / "downloads" / MODEL).exists()


def test_a_download_goes_on_by_itself_after_the_machine_slept(flux_local, hub):
    """Longer than a silent server is waited for."""
    hub.faults.rate = 800_000
    process = flux_local.start("add", MODEL, "--accept-licence", "--json")
    wait_until(lambda: count_sent(hub, LARGE) > 300_000)
    process.send_signal(signal.SIGSTOP)
    time.sleep(8)
    hub.faults.rate = 0
    process.send_signal(signal.SIGCONT)
    run = flux_local.end(process)
    assert run.code == 0, run.err


def test_what_is_here_already_is_no_part_of_the_download(flux_local, hub, home):
    content = hub.find(LARGE)
    whole = sum(map(len, hub.repos[REPO].values()))
    partial(home, content).parent.mkdir(parents=True)
    partial(home, content).write_bytes(content[:1_000_000])
    old = home / "downloads" / MODEL / ".cache" / "huggingface" / "download" / "x.incomplete"
    dead = [partial(home, content).with_name("0" * 64), old]
    for file in dead:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(bytes(2_000_000))
    hub.faults.answers[LARGE] = [(404, {})]
    run = flux_local.add()
    assert f"Download {say_bytes(whole - 1_000_000)};" in run.notes()
    assert not [file for file in dead if file.exists()]
    assert sum(asked.sent for asked in hub.asked) < whole - 1_000_000


def test_removing_clears_what_was_begun(flux_local, hub, home):
    hub.faults.answers[LARGE] = [(404, {})]
    flux_local.add()
    folder = home / "downloads" / MODEL
    assert (folder / "text_encoder").is_dir()
    run = flux_local.run("remove", MODEL, "--yes")
    assert run.code == 0, run.err
    assert "is deleted" in run.out
    assert not folder.exists()
    assert flux_local.run("remove", MODEL, "--yes").code == 3


def test_two_at_once(flux_local, hub, home):
    """The second one is refused, and the first one's partial file is whole."""
    hub.faults.rate = 800_000
    first = flux_local.start("add", MODEL, "--accept-licence", "--json")
    wait_until(lambda: count_sent(hub, LARGE) > 200_000)
    expect_refusal(flux_local.add(), "is being downloaded already")
    assert flux_local.run("remove", MODEL, "--yes").code == 3
    hub.faults.rate = 0
    assert flux_local.end(first).code == 0
    assert [one.range for one in hub.files(LARGE)] == [None]


def test_a_disk_that_fills_up(flux_local, hub, home):
    """A limit on the size of files stands for the disk; what has come is kept."""
    import resource

    content = hub.find(LARGE)
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_400_000, old[1]))
    try:
        process = flux_local.start("add", MODEL, "--accept-licence", "--json")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
    failed = expect_refusal(flux_local.end(process), "The disk is full", code=4)
    assert "kept" in failed["message"]
    assert "where it stopped" in failed["hint"]
    assert partial(home, content).stat().st_size == 1_400_000
    assert flux_local.add().code == 0
    assert hub.files(LARGE)[-1].range == "bytes=1400000-"


def test_offline_makes_no_connection(flux_local, hub, home):
    expect_refusal(flux_local.add(HF_HUB_OFFLINE="1"), "HF_HUB_OFFLINE is set")
    assert hub.asked == []


def cache(root: Path, files: dict[str, bytes], commit: str, linked=True) -> Path:
    """A Hugging Face cache with these files of REPO, as huggingface-hub lays it out."""
    folder = root / "hub" / f"models--{REPO.replace('/', '--')}"
    for name, content in files.items():
        place, snapshot = folder / "blobs" / blob(name, content), folder / "snapshots" / commit / name
        for path in (place, snapshot):
            path.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
        if linked:
            snapshot.symlink_to(os.path.relpath(place, snapshot.parent))
        else:
            place.rename(snapshot)
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text(commit)
    return folder


def seal(folder: Path) -> dict[str, tuple]:
    """Take away the right to write; names, sizes and times of all."""
    for path in [folder, *folder.rglob("*")]:
        if not path.is_symlink():
            path.chmod(0o555 if path.is_dir() else 0o444)
    return {str(path): (path.lstat().st_size, path.lstat().st_mtime_ns) for path in folder.rglob("*")}


@pytest.mark.parametrize("commit", ["same", "older", "copied"])
def test_what_the_cache_has_is_not_downloaded(flux_local, hub, home, tmp_path, commit):
    files = hub.repos[REPO]
    folder = cache(tmp_path / "hf", files, "a" * 40 if commit == "older" else hub.commit, linked=commit != "copied")
    before = seal(folder)
    run = flux_local.add()
    assert run.code == 0, run.err
    assert [asked.path for asked in hub.asked] == [f"/api/models/{REPO}"]
    assert "in the Hugging Face cache already" in run.notes()
    assert "Download 0 " in run.notes()
    assert seal(folder) == before


def test_what_the_cache_lacks_or_has_damaged_is_downloaded(flux_local, hub, home, tmp_path):
    files = dict(hub.repos[REPO])
    del files["tokenizer/tokenizer.json"]
    folder = cache(tmp_path / "elsewhere", files, hub.commit)
    (folder / "blobs" / sha256(files[LARGE])).write_bytes(files[LARGE][:-1] + b"?")
    before = seal(folder)
    run = flux_local.add("--keep-source", HF_HUB_CACHE=str(tmp_path / "elsewhere" / "hub"))
    assert run.code == 0, run.err
    asked = {one.path.split("/", 5)[-1] for one in hub.asked if "/resolve/" in one.path}
    assert asked == {"tokenizer/tokenizer.json", LARGE}
    assert seal(folder) == before
    assert (home / "downloads" / MODEL / LARGE).read_bytes() == files[LARGE]


def test_offline_the_cache_serves(flux_local, hub, home, tmp_path):
    cache(tmp_path / "hf", hub.repos[REPO], "b" * 40)
    run = flux_local.add(HF_HUB_OFFLINE="1")
    assert run.code == 0, run.err
    assert hub.asked == []


def test_offline_a_cache_that_lacks_something_is_told(flux_local, hub, home, tmp_path):
    cache(tmp_path / "hf", {name: content for name, content in hub.repos[REPO].items() if name != LARGE}, "b" * 40)
    run = flux_local.add(HF_HUB_OFFLINE="1")
    assert run.code == 3, run.err
    assert "transformer" in run.events[-1]["message"]
    assert hub.asked == []
    assert flux_local.add().code == 0  # what it linked to is no download of its own


@pytest.mark.parametrize("where", ["file", "nowhere"])
def test_a_cache_that_is_none(flux_local, hub, home, tmp_path, where):
    (tmp_path / "file").write_text("")
    assert flux_local.add(HF_HUB_CACHE=str(tmp_path / where / "hub")).code == 0


def test_a_download_that_is_a_link_elsewhere_is_not_emptied(flux_local, hub, home, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "diary").write_text("dear diary")
    (home / "downloads").mkdir(parents=True)
    (home / "downloads" / MODEL).symlink_to(tmp_path / "mine")
    run = flux_local.run("remove", MODEL, "--yes")
    assert run.code == 0, run.err
    assert (tmp_path / "mine" / "diary").read_text() == "dear diary"
    assert not (home / "downloads" / MODEL).exists()


def test_without_a_hub_a_whole_download_serves(flux_local, hub, home):
    assert flux_local.add("--keep-source").code == 0
    hub.faults.answers[""] = [(503, {})]
    run = flux_local.add("--force")
    assert run.code == 0, run.err
    assert "What was downloaded before is whole" in run.notes()


def test_nothing_is_sent_but_what_is_asked_for(flux_local, hub, tmp_path):
    (tmp_path / "hf").mkdir()
    (tmp_path / "hf" / "token").write_text("hf_secret")
    assert flux_local.add(AI_AGENT="somebody").code == 0
    wanted = {f"/api/models/{REPO}", *(f"/{REPO}/resolve/{hub.commit}/{name}" for name in hub.repos[REPO])}
    assert {asked.path for asked in hub.asked if asked.host == "hub"} == wanted
    for asked in hub.asked:
        assert (asked.headers.get("authorization") == "Bearer hf_secret") == (asked.host == "hub")
        assert asked.headers["user-agent"] == "flux-local"
        assert not [name for name in asked.headers if "cookie" in name]


def test_a_folder_that_cannot_be_written(flux_local, home):
    """A file stands where the folder has to be; root may write everywhere else."""
    home.mkdir()
    (home / "downloads").write_text("")
    run = flux_local.add()
    assert run.code == 2
    assert "can't be used" in run.err
    assert "Traceback" not in run.err


def test_ctrl_c_while_the_hub_is_silent(flux_local, hub):
    hub.faults.mute = True
    process = flux_local.start("add", MODEL, "--accept-licence", HF_HUB_DOWNLOAD_TIMEOUT="60")
    wait_until(lambda: hub.asked)
    start = time.monotonic()
    run = flux_local.end(process, signal.SIGINT)
    assert run.code == 130
    assert time.monotonic() - start < 5
    assert "Traceback" not in run.err


def test_a_server_whose_answer_never_ends(flux_local):
    """Each byte is a sign of life to a socket's own time limit; looking up a name has none at all."""

    def drip(listener):
        with suppress(OSError), listener.accept()[0] as taken:
            while True:
                taken.sendall(b"H")
                time.sleep(0.2)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=drip, args=(listener,))
        thread.start()
        start = time.monotonic()
        expect_refusal(flux_local.add(HF_ENDPOINT=f"http://127.0.0.1:{listener.getsockname()[1]}"), "can't be reached")
        assert time.monotonic() - start < 20
        thread.join()
