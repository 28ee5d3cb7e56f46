"""Models on their way: each is `flux-local models add NAME --json` in a process of its own, so the window never waits.

A download that was paused, cancelled or cut off goes on where it stopped.
"""

from dataclasses import dataclass, replace
from typing import Any, Literal

from PySide6.QtCore import QObject, QProcess, QProcessEnvironment, Signal
from PySide6.QtWidgets import QCheckBox, QDialog, QWidget

from mlx_model import memory
from mlx_model.events import Done, Event, Failed, Note, Stage, Step, from_json

from ...base import paths
from ...base.faults import say_plainly
from ...base.words import say_left, say_stage
from ...engine.protocol import command_line, environment
from ...models import access
from ..kit.dialog import Buttons, fill_dialog
from ..kit.links import open_page
from ..kit.measures import GAP
from ..kit.widgets import button, label, row
from ..kit.words import in_window

ARGUMENTS = ("models", "add")
State = Literal["running", "paused", "failed", "cancelled", "done"]
GRACE = 4000  # ms for the process to stop by itself


@dataclass(frozen=True)
class Download:
    """`share` is how much is done, None where that is not known; `words` are for the person."""

    name: str
    bits: int
    state: State = "running"
    share: float | None = None
    words: str = "Starting"
    stage: str = ""
    source: str = ""  # the folder that it is made of; "" for a download

    @property
    def over(self) -> bool:
        return self.state in ("failed", "cancelled", "done")


class Fetch(QProcess):
    """One run of the command line."""

    said = Signal(str, object)  # name, Event
    ended = Signal(str, int, str)  # name, exit code, the last line of its log

    def __init__(self, name: str, parent: QObject):
        super().__init__(parent)
        self.name = name
        self.setProcessEnvironment(make_environment(access.add_token(environment())))
        self.readyReadStandardOutput.connect(self._read)
        self.finished.connect(self._over)
        self.errorOccurred.connect(self._fail)

    def _read(self) -> None:
        while self.canReadLine():
            line = bytes(self.readLine().data()).decode("utf-8", "replace").strip()
            try:
                event = from_json(line)
            except ValueError:
                continue
            self.said.emit(self.name, event)

    def _over(self, code: int, status: QProcess.ExitStatus) -> None:
        self._read()
        log = bytes(self.readAllStandardError().data()).decode("utf-8", "replace").strip().splitlines()
        self.ended.emit(self.name, code, log[-1] if log else "")

    def _fail(self, error: QProcess.ProcessError) -> None:
        if error == QProcess.ProcessError.FailedToStart:
            self.ended.emit(self.name, -1, "The download could not be started.")


class Downloads(QObject):
    """All downloads of this session by the model's name."""

    changed = Signal(str)  # name
    installed = Signal(str)  # name

    def __init__(self, parent: QObject | None = None, program: tuple[str, ...] | None = None):
        super().__init__(parent)
        self._program = tuple(program or command_line())
        self._known: dict[str, Download] = {}
        self._running: dict[str, Fetch] = {}
        self._again: set[str] = set()  # of what was told to go on while its process was ending

    def get(self, name: str) -> Download | None:
        return self._known.get(name)

    @property
    def busy(self) -> bool:
        """Whether a process runs still."""
        return bool(self._running)

    def start(self, name: str, bits: int, source: str = "") -> None:
        """Begin, or go on, as soon as the process that was paused has ended. The person has agreed to the licence.

        `source`: a folder that holds the model, of which only what is missing there is fetched.
        """
        if name in self._running:
            if self._known[name].state != "running":
                self._set(Download(name, bits, source=source))
                self._again.add(name)
            return
        fetch = Fetch(name, self)
        fetch.said.connect(self._hear)
        fetch.ended.connect(self._finish)
        self._running[name] = fetch
        self._set(Download(name, bits, source=source))
        arguments = [*self._program[1:], *ARGUMENTS, name, "--bits", str(bits), "--accept-licence", "--json"]
        arguments += ["--from", source, "--download-missing"] if source else []
        fetch.start(self._program[0], arguments)

    def pause(self, name: str) -> None:
        """Stop, to be started again."""
        self._stop(name, "paused", "Paused")

    def cancel(self, name: str) -> None:
        """Stop; what was fetched stays on the disk for another time."""
        known = self._known.get(name)
        kept = " What was downloaded is kept for the next time." if known and known.share else ""
        self._stop(name, "cancelled", f"Cancelled.{kept}")

    def shutdown(self) -> None:
        """Stop all and wait for it."""
        for name, fetch in list(self._running.items()):
            self.pause(name)
            if not fetch.waitForFinished(GRACE):
                fetch.kill()
                fetch.waitForFinished(GRACE)

    def _stop(self, name: str, state: State, words: str) -> None:
        self._again.discard(name)
        download = self._known.get(name)
        if download and not download.over:
            self._set(replace(download, state=state, words=words))
        if name in self._running:
            self._running[name].terminate()

    def _hear(self, name: str, event: Event) -> None:
        download = self._known[name]
        if download.state == "running" and name not in self._again:
            self._set(after(download, event))

    def _finish(self, name: str, code: int, log: str) -> None:
        if name not in self._running:
            return
        self._running.pop(name).deleteLater()
        download, again = self._known[name], name in self._again
        self._again.discard(name)
        if code == 0:  # also where it was done before it heard that it should stop
            self._set(replace(download, state="done", share=1.0, words="Installed"))
            self.installed.emit(name)
        elif again:
            self.start(name, download.bits, download.source)
        elif download.state == "running":
            self._set(replace(download, state="failed", words=say_plainly(log) or "The download ended by itself."))

    def _set(self, download: Download) -> None:
        self._known[download.name] = download
        self.changed.emit(download.name)


def after(download: Download, event: Event) -> Download:
    """The download once `event` has happened."""
    match event:
        case Stage():
            return replace(download, stage=event.name, share=None, words=say_stage(event.name))
        case Step() if event.total:
            words = f"{say_stage(download.stage or 'working')}: {100 * event.step // event.total} %"
            words = ", ".join(part for part in (words, say_left(event.left)) if part)
            return replace(download, share=event.step / event.total, words=words)
        case Failed():
            return replace(download, state="failed", words=f"{event.message} {in_window(event.what_to_do)}".strip())
        case Note():  # such as that the server asked to wait
            return replace(download, words=event.text) if download.stage in ("ask", "download") else download
        case Done():
            return download
    return download


def make_environment(given: dict[str, str] | None = None) -> QProcessEnvironment:
    """What a process of ours is given, with the token of who is logged in only where it downloads."""
    made = QProcessEnvironment()
    for name, value in (given or environment()).items():
        made.insert(name, value)
    return made


GATED = "Its page on Hugging Face asks you to agree there too; then choose “Log In” above the models, once."


class Consent(QDialog):
    """What a download takes and where it goes, the licence in words, and a box to tick where that asks for consent.

    `bits` None: nothing is downloaded, only the licence is asked about.
    """

    def __init__(self, entry: dict[str, Any], parent: QWidget, bits: int | None = 8):
        super().__init__(parent)
        licence = entry["licence"]
        self.setWindowTitle(f"{'Download' if bits else 'Licence of'} {entry['title']}")
        agree = QCheckBox("I have read the licence and agree to it")
        asks = licence["consent"] or licence["gated"]
        agree.setVisible(asks)
        buttons = Buttons(self, "Download" if bits else "Agree")
        buttons.main.setEnabled(not asks)
        agree.toggled.connect(buttons.main.setEnabled)
        box = fill_dialog(self)
        for words, tone in say_download(entry, bits) if bits else ():
            box.addWidget(label(words, tone, wrap=True))
        box.addSpacing(GAP)
        box.addWidget(label(f"Licence: {licence['name']}", name="subheading"))
        box.addWidget(label(f"{licence['summary'][:1].upper()}{licence['summary'][1:]}.", wrap=True))
        if licence["gated"]:
            box.addWidget(label(GATED, "muted", wrap=True))
        box.addLayout(row(button("Read the Licence", lambda: open_page(licence["url"], self)), None))
        box.addWidget(agree)
        box.addWidget(buttons)
        self.setMinimumWidth(460)


def say_download(entry: dict[str, Any], bits: int) -> list[tuple[str, str]]:
    """Sizes, room and destination, each with its tone."""
    size, later = entry["download_bytes"], entry["disk_bytes"][str(bits)]
    does, name = entry["does"], entry["name"]
    place = paths.writers() if does.get("writes") else paths.helpers() if does.get("helps") else paths.models()
    free = paths.free_bytes(paths.models())
    say, how = memory.say_bytes, "" if does.get("helps") else f" at {bits} bits"
    lines = [
        (f"{say(size)} are downloaded from Hugging Face; {say(later)} stay on this disk{how}.", ""),
        (f"{say(free)} are free. It goes to {place / name}.", "muted"),
    ]
    if free < size + later:
        lines.append((f"That may be too little: {say(size + later)} are needed meanwhile.", "danger"))
    return lines
