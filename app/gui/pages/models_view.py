"""The models page: the best one for this computer, a table of all to search in, and the chosen one in full."""

from typing import Any

from PySide6.QtCore import QEvent, Qt, Signal
from PySide6.QtGui import QKeyEvent, QKeySequence, QResizeEvent
from PySide6.QtWidgets import (
    QAbstractItemView,
    QDialog,
    QHeaderView,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from mlx_model import memory

from ...base import paths
from ...models import access, helpers, library, writers
from ..kit.measures import MARGIN, WIDE
from ..kit.menus import offer_menu
from ..kit.messages import choose_folder
from ..kit.turns import beside
from ..kit.widgets import OneLine, OneLineEdit, as_tip, bar, button, describe, label, row, scroll_column
from .best_card import BestCard, say_memory
from .downloads import Downloads
from .found import FoundDialog
from .log_in import LogIn
from .model_card import SLOW, ModelCard, is_slow, list_badges, picture_seconds, say_time, say_title

FIRST_LINE = "The built-in model is small and for trying the app. The models that artists use are below."
LOGGED_OUT = "Logged out."
STILL_KNOWN = f"This computer's keychain did not let go of the token: remove “{access.SERVICE}” from it there."
COLUMNS = ("Model", "Works from", "One picture", "Memory", "Download", "")
CARD, NARROW = 400, 380  # px: width of the chosen model; in a narrow page
ROOMY, WIDE_PAGE = 1050, 1300  # px: of a page that has room for nearly all columns; for all
NAME = Qt.ItemDataRole.UserRole
STATES = {
    "Used for new panels": "In use", "Built in": "Built in", "Installed": "Installed",
    "Does not fit this machine": "Too large", "Very slow here": "Very slow",
}  # fmt: skip


class ModelsView(QWidget):
    """Installed ones come first in the table, then what fits this machine, then the rest."""

    default_chosen = Signal(str)

    def __init__(self, downloads: Downloads, default: str | None, here: memory.Machine, parent: QWidget | None = None):
        super().__init__(parent)
        self.downloads, self.default, self.here = downloads, default, here
        self._logged_in = False
        self.entries: dict[str, dict[str, Any]] = {}
        self._cards: dict[str, ModelCard] = {}
        self.disk = label(tone="muted")
        self.line, self.slow = label(tone="muted", wrap=True), label(tone="warning", wrap=True)
        self.search = OneLineEdit()
        self.search.setPlaceholderText("Search models: a name, a licence, what they do")
        describe(self.search, "Search models")
        self.search.textChanged.connect(self._filter)
        self.none = label("No model is like that.", "muted")
        self.table = self._make_table()
        self.log_in = button("Log In…", self._log_in, "key")
        self.said = OneLine(tone="good")
        self.said.hide()
        self._lay_out()
        downloads.changed.connect(self._download)
        downloads.installed.connect(self.refresh)
        self.refresh()

    def _make_table(self) -> QTableWidget:
        made = QTableWidget(0, len(COLUMNS))
        made.setAccessibleName("Models")
        made.setHorizontalHeaderLabels(COLUMNS)
        made.horizontalHeader().setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        made.horizontalHeader().setHighlightSections(False)  # bold words are wider than their column was made for
        made.verticalHeader().hide()
        made.verticalHeader().setDefaultSectionSize(38)
        made.setShowGrid(False)
        made.setWordWrap(False)
        made.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        made.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        made.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        made.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        made.setTabKeyNavigation(False)
        made.currentCellChanged.connect(lambda *_: self._show_chosen())
        offer_menu(made, lambda at: self.card(self.find_chosen()).list_entries() if made.rowAt(at.y()) >= 0 else [])
        return made

    def _lay_out(self) -> None:
        have = button("I Have ComfyUI, mflux or Hugging Face Files…", self.add_from_folder, "folder")
        top = bar(label("Models", name="heading"), self.disk, None, self.log_in, have)
        self.best = QVBoxLayout()
        left = QVBoxLayout()
        left.setContentsMargins(MARGIN, MARGIN, 0, MARGIN)
        left.setSpacing(WIDE)
        for part in (self.line, self.slow):
            left.addWidget(part)
        left.addLayout(self.best)
        left.addWidget(self.search)
        left.addWidget(self.said)
        left.addWidget(self.none)
        left.addWidget(self.table, 1)
        self.area, self.column = scroll_column("Chosen model", WIDE)
        self.column.addStretch(1)
        self.area.setFixedWidth(CARD)
        self.area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        body = QWidget()
        middle = row(spacing=0)
        middle.setContentsMargins(0, 0, 0, 0)
        middle.addLayout(left, 1)
        middle.addWidget(self.area)
        body.setLayout(middle)
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(0)
        box.addWidget(top)
        box.addWidget(body, 1)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Where there is little room the chosen model says the rest."""
        super().resizeEvent(event)
        self._suit()

    def _suit(self) -> None:
        narrow = self.width() < ROOMY
        self.area.setFixedWidth(NARROW if narrow else CARD)
        self.disk.setVisible(not narrow)
        for column, room in ((1, ROOMY), (3, ROOMY), (4, WIDE_PAGE)):
            self.table.setColumnHidden(column, self.width() < room)
        self._fit_columns()
        card = self.best.itemAt(0)
        if card and isinstance(best := card.widget(), BestCard):
            best.suit(narrow)

    def refresh(self) -> None:
        """Read again what is installed."""
        chosen = self.find_chosen()
        for card in self._cards.values():
            self.column.removeWidget(card)
            card.hide()
            card.deleteLater()
        self._cards = {}
        listed = [entry for room in (library, writers, helpers) for entry in room.catalogue(self.here)]
        listed.sort(key=_order)
        self.entries = {entry["name"]: entry for entry in listed}
        real = any(entry["installed"] and entry["repo"] and _paints(entry) for entry in listed)
        self.line.setText(FIRST_LINE if not real else _machine_line(self.here))
        self.slow.setText(slow_line(listed, self.here.gpu))
        self.slow.setVisible(bool(self.slow.text()))
        self._show_best(find_best(listed))
        self._fill(listed)
        self.choose(chosen if chosen in self.entries else listed[0]["name"])
        taken = sum(one["bytes"] for entry in listed for one in entry["installed"])
        free = paths.free_bytes(paths.models())
        self.disk.setText(f"Models take {memory.say_bytes(taken)} · {memory.say_bytes(free)} free on this disk")
        self._show_log_in()

    def _show_best(self, entry: dict[str, Any]) -> None:
        while item := self.best.takeAt(0):
            if widget := item.widget():
                widget.hide()
                widget.deleteLater()
        self.best.addWidget(BestCard(entry, self.default, lambda: self._take_best(entry["name"])))
        self._suit()

    def _take_best(self, name: str) -> None:
        self.choose(name)
        card = self.card(name)
        card.get.click() if not self.entries[name]["installed"] and self.entries[name]["repo"] else card.use()

    def _fill(self, listed: list[dict[str, Any]]) -> None:
        self.table.blockSignals(True)
        self.table.setRowCount(len(listed))
        for place, entry in enumerate(listed):
            for column, text in enumerate(self._list_cells(entry)):
                item = QTableWidgetItem(text)
                item.setData(NAME, entry["name"])
                item.setToolTip(as_tip(text))
                self.table.setItem(place, column, item)
        self._fit_columns()
        self.table.blockSignals(False)
        self._filter()

    def _fit_columns(self) -> None:
        """Names stand whole, and what they work from gives way; in a narrow table, where that is hidden, names do.

        Also after the table was narrow: its stretched column would push the last ones out of sight, and columns that
        were hidden did not ask for their headings' width.
        """
        header, gives = self.table.horizontalHeader(), 0 if self.table.isColumnHidden(1) else 1
        for column in range(len(COLUMNS)):
            mode = QHeaderView.ResizeMode.Stretch if column == gives else QHeaderView.ResizeMode.Interactive
            header.setSectionResizeMode(column, mode)
            if column != gives:
                self.table.resizeColumnToContents(column)

    def _list_cells(self, entry: dict[str, Any]) -> tuple[str, ...]:
        title, made, took, state = (
            say_title(entry),
            say_short(entry),
            say_time(entry).removeprefix("about "),  # all of them are, and names need the room
            self._say_state(entry),
        )
        download = memory.say_bytes(entry["download_bytes"]) if entry["repo"] else "none"
        return title, made, took, say_memory(entry), download, state

    def _say_state(self, entry: dict[str, Any]) -> str:
        download = self.downloads.get(entry["name"])
        if download and not download.over:
            return "Paused" if download.state == "paused" else f"{100 * (download.share or 0):.0f} % downloaded"
        return STATES.get(next(reversed(list_badges(entry, self.default)), ""), "")

    def _filter(self) -> None:
        """Rows that have all the words, in their cells or their licence."""
        words = self.search.text().casefold().split()
        for place in range(self.table.rowCount()):
            entry = self.entries[self._name_at(place)]
            cells = " ".join(self._list_cells(entry))
            said = f"{entry['name']} {cells} {entry['licence']['name']} {entry['advice']}"
            said = f"{said} {'writer' if _writes(entry) else ''}".casefold()
            self.table.setRowHidden(place, not all(word in said for word in words))
        shown = [place for place in range(self.table.rowCount()) if not self.table.isRowHidden(place)]
        self.none.setVisible(not shown)
        if shown and self.table.currentRow() not in shown:
            self.table.setCurrentCell(shown[0], 0)

    def _name_at(self, place: int) -> str:
        item = self.table.item(place, 0)
        return str(item.data(NAME)) if item else ""

    def event(self, event: QEvent) -> bool:
        """The keys that find a panel elsewhere find a model here."""
        finds = isinstance(event, QKeyEvent) and event.matches(QKeySequence.StandardKey.Find)
        if finds and event.type() == QEvent.Type.ShortcutOverride:
            event.accept()
        elif finds and event.type() == QEvent.Type.KeyPress:
            self.search.setFocus(Qt.FocusReason.ShortcutFocusReason)
            self.search.selectAll()
        else:
            return super().event(event)
        return True

    def offer(self, name: str) -> None:
        """Show it, and ask whether it is to be downloaded."""
        self.search.clear()
        self.choose(name)
        if not self.entries[name]["installed"]:
            self.card(name).get.click()

    def find_chosen(self) -> str:
        """The name of the model that is shown in full."""
        return self._name_at(self.table.currentRow())

    def choose(self, name: str) -> None:
        """Show a model in full."""
        place = next((one for one in range(self.table.rowCount()) if self._name_at(one) == name), 0)
        self.table.setCurrentCell(place, 0)
        self._show_chosen()

    def _show_chosen(self) -> None:
        if name := self.find_chosen():
            shown = self.card(name)
            for card in self._cards.values():
                card.setVisible(card is shown)

    def card(self, name: str) -> ModelCard:
        """Of a model, made when it is first wanted."""
        if name not in self._cards:
            card = self._cards[name] = ModelCard(self.entries[name], self.downloads, self.default)
            card.default_wanted.connect(self._set_default)
            card.changed.connect(self.refresh)
            card.hide()
            self.column.insertWidget(0, card)
        return self._cards[name]

    @property
    def cards(self) -> dict[str, ModelCard]:
        """By the model's name, all of them."""
        return {name: self.card(name) for name in self.entries}

    def _log_in(self) -> None:
        """Ask for a token, or log out."""
        if self._logged_in:
            self.said.setText(LOGGED_OUT if access.forget_token() else STILL_KNOWN)
        else:
            dialog = LogIn(self)
            dialog.exec()
            self.said.setText(dialog.said)
            dialog.deleteLater()
        self.said.setVisible(bool(self.said.text()))
        self._show_log_in()

    def _show_log_in(self) -> None:
        """A keychain may take its time, or ask the person."""
        beside().do(self, access.find_token, self._show_token)

    def _show_token(self, token: str) -> None:
        self._logged_in = bool(token)
        words = "Log Out" if token else "Log In…"
        self.log_in.setText(words)
        describe(self.log_in, words, "At Hugging Face, for models that ask you to agree on their page")

    def add_from_folder(self) -> None:
        """Ask for a folder, show what it holds, and add what is chosen of it."""
        place = choose_folder(self, "Folder of ComfyUI, mflux or Hugging Face")
        if not place:
            return
        installed = {name for name, entry in self.entries.items() if entry["installed"]}
        dialog = FoundDialog(place, installed, self)
        if dialog.exec() != QDialog.DialogCode.Accepted or dialog.chosen is None:
            return
        self.choose(dialog.chosen["name"])
        card = self.card(dialog.chosen["name"])
        if card.agree():
            self.downloads.start(dialog.chosen["name"], dialog.bits, place)

    def _set_default(self, name: str) -> None:
        self.default = name
        self.default_chosen.emit(name)

    def _download(self, name: str) -> None:
        if name in self._cards:
            self._cards[name].show_download()
        for place in range(self.table.rowCount()):
            item = self.table.item(place, len(COLUMNS) - 1)
            if item and self._name_at(place) == name:
                item.setText(self._say_state(self.entries[name]))


def find_best(entries: list[dict[str, Any]]) -> dict[str, Any]:
    """The quickest that fits here and takes several pictures; where all of them are slow, the built-in model."""
    real = [one for one in entries if one["repo"] and one["does"]["references"] > 1 and library.best_bits(one)]
    quick = [one for one in real if picture_seconds(one) and not is_slow(one)]
    return min(quick, key=picture_seconds) if quick else next(one for one in entries if one["repo"] is None)


def say_short(entry: dict[str, Any]) -> str:
    """What it makes pictures from, for a cell."""
    does = entry["does"]
    if _writes(entry):
        return "writes prompts out"
    if does.get("helps"):
        return str(does["helps"])
    kinds = (
        ("a class", does["classes"]), ("words", does["generate"] and not does["classes"]),
        ("pictures", does["edit"]), ("masks", does["mask"]),
    )  # fmt: skip
    return ", ".join(word for word, true in kinds if true)


def slow_line(entries: list[dict[str, Any]], gpu: bool) -> str:
    """What to do instead, where every model that can be added is slow here; "" elsewhere."""
    real = [one for one in entries if one["repo"] and one["does"]["references"] > 1 and library.best_bits(one)]
    if not real or not all(is_slow(entry) for entry in real):
        return ""
    quickest = min(real, key=picture_seconds)
    why = "" if gpu else "They want a Mac with an Apple chip or an NVIDIA card, and there is none here. "
    return (
        f"These models are slow here: more than {SLOW // 60} minutes for a picture. {why}Quick here is the built-in "
        f"model; the quickest of the others is {quickest['title']}, sooner still at a smaller size."
    )


def _machine_line(here: memory.Machine) -> str:
    return f"{here.chip}, {memory.gib(here.total)} of memory. Speed and memory are predicted, not measured."


def _order(entry: dict[str, Any]) -> tuple:
    """Installed ones, then those that fit this machine; those that take several pictures first, then the quickest."""
    few = entry["does"]["references"] < 2
    unfit = library.best_bits(entry, "runs") is None
    return not entry["installed"], unfit, not _paints(entry), few, picture_seconds(entry)


def _writes(entry: dict[str, Any]) -> bool:
    """Whether it is a language model."""
    return bool(entry["does"].get("writes"))


def _paints(entry: dict[str, Any]) -> bool:
    """Whether it makes pictures, rather than to write or to help."""
    return not (_writes(entry) or entry["does"].get("helps"))
