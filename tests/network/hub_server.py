"""A small Hugging Face hub on this machine: the listing, files with ranges, a second host for the large ones, faults.

What it answers is what the real one does for `GET /api/models/REPO?blobs=true` and `GET /REPO/resolve/COMMIT/FILE`:
small files itself (zipped for who accepts that), large ones by a redirect to another host.
"""

import gzip
import hashlib
import json
import re
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

COMMIT = "c0ffee" + "0" * 34
PIECE = 16384


@dataclass
class Asked:
    """One request as it came in. `host`: "hub", or "cdn" for the host of the large files."""

    host: str
    method: str
    path: str
    headers: dict[str, str]
    sent: int = 0

    @property
    def range(self) -> str | None:
        return self.headers.get("range")


@dataclass
class Faults:
    """What goes wrong. Names are those of files, `""` stands for the listing; numbers are how often it happens yet."""

    mute: bool = False  # takes connections and never says a word
    mute_cdn: bool = False
    answers: dict[str, list[tuple[int, dict[str, str]]]] = field(default_factory=dict)  # name: statuses, the last stays
    cuts: dict[str, list[float]] = field(default_factory=dict)  # name: shares after which the connection ends
    stalls: dict[str, float] = field(default_factory=dict)  # name: share after which nothing more comes
    ignores_ranges: bool = False
    refuses_ranges: bool = False  # 416 for each
    compares: bool = True  # If-Range
    wrong_start: bool = False  # 206 from the first byte whatever was asked
    damages: dict[str, int] = field(default_factory=dict)
    longer: set[str] = field(default_factory=set)  # more comes than was promised
    etag: str = ""  # instead of the hash, "-" for none
    rate: float = 0  # bytes a second, 0 for all there is
    token: str = ""  # needed for files of gated repositories
    gone: set[str] = field(default_factory=set)  # repositories
    date: str = ""  # what the server's clock says
    mirror: bool = False  # the hub sends everything on to the other host, which is the real hub then
    portal: bytes | None = None  # a page that answers everything
    sizes: dict[str, int] = field(default_factory=dict)  # as the listing has them


class Hub:
    """`repos`: repository -> file -> content. Serves until close(); `asked` is every request so far."""

    def __init__(self, repos: dict[str, dict[str, bytes]]):
        self.repos, self.asked, self.faults = repos, [], Faults()
        self.commit, self.prefix = COMMIT, ""
        self._servers = [_serve(self, "hub"), _serve(self, "cdn")]
        self.endpoint, self.cdn = (f"http://127.0.0.1:{server.server_address[1]}" for server in self._servers)

    def close(self) -> None:
        for server in self._servers:
            server.shutdown()
            server.server_close()

    def files(self, name: str) -> list[Asked]:
        """The requests that asked for the content of a file, where it is served from."""
        return [
            asked
            for asked in self.asked
            if asked.path.endswith(f"/{name}") and (asked.host == "cdn" or not is_large(name))
        ]

    def find(self, name: str) -> bytes:
        return next(content[name] for content in self.repos.values() if name in content)


def is_large(name: str) -> bool:
    return name.endswith((".safetensors", ".pt"))


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def git_hash(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def blob(name: str, content: bytes) -> str:
    """What the hub calls a file's content, and so does the cache on the disk."""
    return sha256(content) if is_large(name) else git_hash(content)


def _sibling(name: str, content: bytes, size: int) -> dict:
    large = {"lfs": {"sha256": sha256(content), "size": size, "pointerSize": 134}} if is_large(name) else {}
    return {"rfilename": name, "size": size, "blobId": git_hash(content), **large}


def _entry(name: str, content: bytes) -> dict:
    large = {"lfs": {"oid": sha256(content), "size": len(content), "pointerSize": 134}} if is_large(name) else {}
    return {"type": "file", "path": name, "size": len(content), "oid": git_hash(content), **large}


def _serve(hub: Hub, host: str) -> ThreadingHTTPServer:
    handler = type("Handler", (_Handler,), {"hub": hub, "host": host})
    server = _Server(("127.0.0.1", 0), handler)
    server.daemon_threads, server.block_on_close = True, False
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    return server


class _Server(ThreadingHTTPServer):
    def handle_error(self, request, client_address):
        """A client that breaks off is what the tests are about."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: Hub
    host: str

    def log_message(self, *_):
        pass

    def date_time_string(self, timestamp=None):
        return self.hub.faults.date or super().date_time_string(timestamp)

    def do_HEAD(self):
        self._answer()

    def do_GET(self):
        self._answer()

    def _answer(self):
        path = unquote(urlsplit(self.path).path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.seen = Asked(self.host, self.command, path, headers)
        self.hub.asked.append(self.seen)
        if self.hub.faults.mute or (self.hub.faults.mute_cdn and self.host == "cdn"):
            self._wait_for_ever()
            return
        with suppress(OSError):  # the other side has gone
            self._route(path)

    def _wait_for_ever(self):
        while self.hub.faults.mute or self.hub.faults.mute_cdn:
            time.sleep(0.05)
        self.close_connection = True

    def _route(self, path: str):
        if self.hub.faults.portal is not None:
            self._say(200, {"Content-Type": "text/html"}, self.hub.faults.portal)
            return
        path = path.removeprefix(self.hub.prefix)
        if self.hub.faults.mirror and self.host == "hub":
            self._say(307, {"Location": f"{self.hub.cdn}{self.path}"})
            return
        tree = re.fullmatch(r"/api/models/(.+?)/tree/[^/]+", path)  # for the library's own snapshot_download
        listing = re.fullmatch(r"/api/models/(.+?)(?:/revision/[^/]+)?", path)
        file = re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path)
        if tree:
            entries = [_entry(name, content) for name, content in self.hub.repos[tree[1]].items()]
            self._say(200, {"Content-Type": "application/json"}, json.dumps(entries).encode())
        elif listing:
            self._list(listing[1])
        elif file and (self.host == "hub" or self.hub.faults.mirror):
            self._resolve(file[1], file[3])
        elif self.host == "cdn":
            repo, name = re.fullmatch(r"/([^/]+/[^/]+)/(.+)", path).groups()
            self._file(name, self.hub.repos[repo][name])
        else:
            self._say(404)

    def _list(self, repo: str):
        if repo in self.hub.faults.gone or repo not in self.hub.repos:
            self._say(404, {"X-Error-Code": "RepoNotFound", "X-Error-Message": "Repository not found"})
        elif not self._fails("", repo):
            sizes = self.hub.faults.sizes
            files = self.hub.repos[repo].items()
            siblings = [_sibling(name, content, sizes.get(name, len(content))) for name, content in files]
            about = {"_id": "1", "id": repo, "modelId": repo, "sha": self.hub.commit, "private": False, "tags": []}
            self._say(200, {"Content-Type": "application/json"}, json.dumps({**about, "siblings": siblings}).encode())

    def _fails(self, name: str, repo: str) -> bool:
        """Whether this request was answered with the error that is due."""
        due = self.hub.faults.answers.get(name) or self.hub.faults.answers.get(repo)
        if not due:
            return False
        status, headers = due.pop(0) if len(due) > 1 else due[0]
        if status != 200:
            self._say(status, headers)
        return status != 200

    def _resolve(self, repo: str, name: str):
        token = self.hub.faults.token
        if token and self.headers.get("Authorization") != f"Bearer {token}":
            gated = {"X-Error-Code": "GatedRepo", "X-Error-Message": f"Access to model {repo} is restricted."}
            self._say(403 if self.headers.get("Authorization") else 401, gated)
        elif self._fails(name, repo):
            pass
        elif name not in self.hub.repos.get(repo, {}):
            self._say(404, {"X-Error-Code": "EntryNotFound"})
        elif is_large(name):
            content = self.hub.repos[repo][name]
            facts = {"X-Linked-Size": str(len(content)), "X-Linked-ETag": f'"{sha256(content)}"'}
            place = {"Location": f"{self.hub.cdn}/{repo}/{name}", "X-Repo-Commit": self.hub.commit}
            self._say(302, {**place, **facts})
        else:
            self._file(name, self.hub.repos[repo][name])

    def _say(self, status: int, headers: dict[str, str] | None = None, body: bytes = b""):
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def _file(self, name: str, content: bytes):
        faults = self.hub.faults
        tag = f'"{faults.etag or blob(name, content)}"'
        if "gzip" in self.headers.get("Accept-Encoding", "") and not is_large(name):
            zipped = {"Content-Encoding": "gzip", "ETag": f"W/{tag}", "X-Repo-Commit": self.hub.commit}
            self._say(200, zipped, gzip.compress(content))
            return
        start = self._start(content, tag)
        if (start is not None and faults.refuses_ranges) or (start or 0) >= len(content) > 0:
            self._say(416, {"Content-Range": f"bytes */{len(content)}"})
            return
        if start is None:
            self.send_response(200)
        else:
            start = 0 if faults.wrong_start else start
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        if faults.etag != "-":
            self.send_header("ETag", tag)
        self._send(name, content, start or 0)

    def _start(self, content: bytes, tag: str) -> int | None:
        """Where the range begins that is asked for and due; None for the whole file."""
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range") or "")
        changed = self.headers.get("If-Range") not in (None, tag) and self.hub.faults.compares
        return None if not asked or changed or self.hub.faults.ignores_ranges else int(asked[1])

    def _send(self, name: str, content: bytes, start: int):
        faults, length = self.hub.faults, len(content)
        if faults.damages.get(name):
            faults.damages[name] -= 1
            content = content[:-1] + bytes([content[-1] ^ 1])
        content += b"more" * 1000 if name in faults.longer else b""
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("X-Repo-Commit", self.hub.commit)
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        if self.command == "HEAD":
            return
        cuts = faults.cuts.get(name)
        end = int(cuts.pop(0) * length) if cuts else len(content)
        stall = int(faults.stalls[name] * length) if name in faults.stalls else None
        for place in range(start, end, PIECE):
            piece = content[place : min(end, place + PIECE)]
            if stall is not None and place >= stall:
                time.sleep(3600)
            self.wfile.write(piece)
            self.seen.sent += len(piece)
            if faults.rate:
                time.sleep(len(piece) / faults.rate)
        if end < len(content):
            self.wfile.flush()
            self.close_connection = True
