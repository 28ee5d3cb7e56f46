"""One model in full: what it does, its licence, what it needs here, getting it, using it, removing it."""

from pathlib import Path
from typing import Any

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QDialog, QFrame, QHBoxLayout, QProgressBar, QPushButton, QVBoxLayout

from mlx_model import memory
from mlx_model.errors import FluxLocalError
from mlx_model.spec_parts import BITS
from mlx_model.specs import SPECS

from ...base.words import SHOW_IN_FILES
from ...models import helpers, library, writers
from ..kit.fields import ChoiceField
from ..kit.links import open_page, show_folder
from ..kit.measures import GAP, MARGIN, WIDE
from ..kit.menus import Entry, offer_menu, press
from ..kit.messages import sure, tell
from ..kit.widgets import button, label, row, set_tone
from ..kit.words import in_window, model_title
from .downloads import Consent, Download, Downloads

SLOW = 600  # seconds of a picture: beyond that nobody waits for it, and the page says so


class ModelCard(QFrame):
    """One model. `entry` is a row of app.catalogue."""

    default_wanted = Signal(str)  # name
    changed = Signal()  # installed, removed, made the default

    def __init__(self, entry: dict[str, Any], downloads: Downloads, default: str | None):
        super().__init__()
        self.setObjectName("card")
        self.entry, self.downloads = entry, downloads
        self.bits = ChoiceField()
        self.bits.setAccessibleName(f"Precision of {entry['title']}")
        self.bits.currentIndexChanged.connect(lambda _: self._needs())
        self.needs = label(tone="muted", wrap=True)
        self.progress = QProgressBar()
        self.progress.setTextVisible(False)
        self.progress.setAccessibleName(f"Download of {entry['title']}")
        self.words = label(tone="muted", wrap=True)
        self.get = button("Download…", self._start, "download")
        self.pause = button("Pause", self._pause, "pause")
        self.cancel = button("Cancel", lambda: downloads.cancel(entry["name"]), "close", "quiet")
        self._acts: list[QPushButton] = []
        self._fill_bits()
        self._lay_out(default)
        offer_menu(self, lambda _: self.list_entries())
        self.show_download()

    @property
    def installed(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.entry["installed"]
        return found

    def _fill_bits(self) -> None:
        best = library.best_bits(self.entry)
        for bits in BITS:
            quality = {16: "as published", 8: "nearly the same", 6: "good", 5: "", 4: "smallest"}[bits]
            self.bits.addItem(f"{bits} bits" + (f", {quality}" if quality else ""), bits)
        wanted = min(8, best) if best else 4
        self.bits.setCurrentIndex(BITS.index(wanted))
        self._needs()

    def _lay_out(self, default: str | None) -> None:
        entry = self.entry
        title = label(say_title(entry), name="subheading", wrap=True)
        badges = [label(text, "badge") for text in list_badges(entry, default)]
        box = QVBoxLayout(self)
        box.setContentsMargins(MARGIN, WIDE, MARGIN, WIDE)
        box.setSpacing(GAP)
        box.addWidget(title)
        if badges:
            box.addLayout(row(*badges, None))
        box.addWidget(label(_does(entry), wrap=True))
        if entry["advice"]:
            box.addWidget(label(entry["advice"], "muted", wrap=True))
        if not self._is_built_in():
            box.addLayout(self._licence())
        self._problem(box)
        box.addWidget(self.needs)
        box.addWidget(self.progress)
        box.addWidget(self.words)
        box.addLayout(self._buttons(default))

    def _licence(self) -> QHBoxLayout:
        licence = self.entry["licence"]
        name = licence["name"][:1].upper() + licence["name"][1:]
        words = label(f"{name}: {licence['summary']}", "muted", wrap=True)
        read = button("Read Licence", self._read_licence, kind="quiet")
        read.setAccessibleName(f"Read the licence of {self.entry['title']}")
        box = QHBoxLayout()
        box.addWidget(words, 1)
        box.addWidget(read)
        return box

    def _problem(self, box: QVBoxLayout) -> None:
        for one in self.installed:
            if one["problem"]:
                box.addWidget(label(f"Can't be used: {one['problem']}", "danger", wrap=True))

    def _buttons(self, default: str | None) -> QHBoxLayout:
        usable = self.installed and not self.installed[0]["problem"]
        box = row(self.bits, self.get, self.pause, self.cancel, None, spacing=GAP)
        self._acts = [self.get, self.pause, self.cancel]
        if usable and self.entry["name"] != default and not (self._writes() or self._helps()):
            use = button("Use for New Panels", lambda: self._use(self.entry["name"]), "check")
            box.insertWidget(0, use)
            self._acts.insert(0, use)
        if self.installed and not self._is_built_in():
            self._acts.append(button("Remove…", self._remove, "trash", "quiet"))
            box.addWidget(self._acts[-1])
        return box

    def list_entries(self) -> list[Entry | None]:
        """What can be done with it, as its buttons do."""
        found: list[Entry | None] = [*press(*self._acts)]
        if self.installed and not self._is_built_in():
            found.append(Entry(SHOW_IN_FILES, lambda: show_folder(Path(self.installed[0]["path"]).parent, self)))
        if not self._is_built_in():
            found += [None, Entry("Read Licence", self._read_licence)]
        return found

    def _read_licence(self) -> None:
        open_page(self.entry["licence"]["url"], self)

    def use(self) -> None:
        """For new panels."""
        self._use(self.entry["name"])

    def _use(self, name: str) -> None:
        self.default_wanted.emit(name)
        self.changed.emit()

    def _writes(self) -> bool:
        """Whether it is a language model, which is used by itself."""
        return bool(self.entry["does"].get("writes"))

    def _helps(self) -> bool:
        """Whether it is a small network that others use, always as it was published."""
        return bool(self.entry["does"].get("helps"))

    def _is_built_in(self) -> bool:
        return any(one["built_in"] for one in self.installed) or self.entry["repo"] is None

    def _needs(self) -> None:
        if self._is_built_in():
            self.needs.setText("Part of the app: nothing to download.")
            return
        if self.installed:
            self.needs.setText(f"{memory.say_bytes(self.installed[0]['bytes'])} on this disk.")
            return
        bits = str(self.bits.currentData())
        whole = self.entry["fits"][bits]
        peak, fits = self.entry["memory_bytes" if whole else "streamed_bytes"][bits], self.entry["runs"][bits]
        download, disk = (
            memory.say_bytes(count) for count in (self.entry["download_bytes"], self.entry["disk_bytes"][bits])
        )
        words = f"Download {download}, then {disk} on disk. "
        words += f"Needs about {memory.gib(peak)} of memory"
        words += "" if whole else ", read from the disk while it works"
        seconds = self.entry["seconds_per_step"]
        if not fits:
            words += ": more than this machine can give."
        elif is_slow(self.entry):
            words += f". Much slower here: {say_time(self.entry)} for one picture (predicted)."
        elif seconds:
            words += f"; a picture takes {say_time(self.entry)} here (predicted)."
        self.needs.setText(words)
        set_tone(self.needs, "warning" if not fits or is_slow(self.entry) else "muted")

    def show_download(self) -> None:
        """Bring buttons and progress up to date."""
        download = self.downloads.get(self.entry["name"])
        idle = download is None or download.over
        offered = idle and not self.installed and not self._is_built_in()
        self.bits.setVisible(offered and not self._helps())
        self.get.setVisible(offered)
        self.pause.setVisible(not idle)
        self.cancel.setVisible(not idle)
        self.progress.setVisible(not idle)
        self.words.setVisible(download is not None and download.state != "done")
        if download:
            self._show_progress(download)

    def _show_progress(self, download: Download) -> None:
        paused = download.state == "paused"
        self.pause.setText("Continue" if paused else "Pause")
        self.pause.setAccessibleName("Continue" if paused else "Pause")
        self.progress.setRange(0, 1000 if download.share is not None else 0)
        self.progress.setValue(round(1000 * (download.share or 0)))
        self.words.setText(download.words)
        set_tone(self.words, "danger" if download.state == "failed" else "muted")
        self.get.setText("Continue Download" if self._has_begun() else "Download…")
        self.get.setAccessibleName(self.get.text())

    def _start(self) -> None:
        """Ask, unless a download that was agreed to goes on."""
        if self._has_begun() or self.agree(self.bits.currentData()):
            self.downloads.start(self.entry["name"], self.bits.currentData())

    def agree(self, bits: int | None = None) -> bool:
        """Whether the person agrees to the licence, where it asks for that, and with `bits` to a download."""
        if bits is None and not (self.entry["licence"]["consent"] or self.entry["licence"]["gated"]):
            return True
        dialog = Consent(self.entry, self, bits)
        agreed = dialog.exec() == QDialog.DialogCode.Accepted
        dialog.deleteLater()
        return agreed

    def _has_begun(self) -> bool:
        """Whether there is something on the disk to go on with."""
        download = self.downloads.get(self.entry["name"])
        return download is not None and download.state in ("failed", "cancelled") and bool(download.share)

    def _pause(self) -> None:
        download = self.downloads.get(self.entry["name"])
        if download and download.state == "paused":
            self.downloads.start(self.entry["name"], download.bits, download.source)
        else:
            self.downloads.pause(self.entry["name"])

    def _remove(self) -> None:
        title = self.entry["title"]
        more = "Panels that name it can't be rendered until it is added again."
        more = "The pen then asks for another." if self._writes() else "" if self._helps() else more
        if not sure(self, "Remove Model", f"Move {title} to the Trash?", more, "Move to Trash"):
            return
        try:
            (writers if self._writes() else helpers if self._helps() else library).remove(self.entry["name"])
        except FluxLocalError as error:
            tell(self, "Remove Model", error.message, in_window(error.hint))
        self.changed.emit()


def say_title(entry: dict[str, Any]) -> str:
    """What a model, a writer or a helper is called in the window."""
    return model_title(entry["name"]) if entry["name"] in SPECS else str(entry["title"])


def picture_seconds(entry: dict[str, Any]) -> float:
    """Predicted for a picture of the model's own size and steps; 0.0 where nothing is known."""
    return float((entry["seconds_per_step"] or 0.0) * entry["steps"])


def say_time(entry: dict[str, Any]) -> str:
    """How long a picture takes here, roughly; "" where that is not known."""
    seconds = picture_seconds(entry)
    if not seconds:
        return ""
    for unit, word in ((3600, "h"), (60, "min"), (1, "s")):
        if seconds >= 1.5 * unit:
            return f"about {round(seconds / unit)} {word}"
    return "about a second"


def is_slow(entry: dict[str, Any]) -> bool:
    """Whether a picture takes longer here than anybody waits for."""
    return picture_seconds(entry) > SLOW


def list_badges(entry: dict[str, Any], default: str | None) -> list[str]:
    badges = []
    if entry["repo"] is None:
        badges.append("Built in")
    elif entry["installed"]:
        badges.append("Installed")
    if default == entry["name"]:
        badges.append("Used for new panels")
    if not entry["installed"] and library.best_bits(entry, "runs") is None:
        badges.append("Does not fit this machine")
    elif not entry["installed"] and is_slow(entry):
        badges.append("Very slow here")
    return badges


def _does(entry: dict[str, Any]) -> str:
    does = entry["does"]
    if does.get("writes"):
        return "Writes prompts out: press the pen beside the words."
    if does.get("helps"):
        return f"Makes {does['helps']}."
    parts = ["pictures from words"] if does["generate"] else []
    if does["classes"]:
        parts = [f"pictures of {does['classes']} numbered classes, without words"]
    if does["edit"]:
        count = does["references"]
        parts.append(f"edits with up to {count} pictures" if count > 1 else "edits of one picture")
    if does["mask"]:
        parts.append("repaints under a mask")
    if does["negative"]:
        parts.append("negative prompts")
    text = ", ".join(parts)
    return f"{text[:1].upper()}{text[1:]}."
