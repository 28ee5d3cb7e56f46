"""What is wrong with a board: everything that would stop a panel from rendering, or that got lost."""

import unicodedata
from collections.abc import Iterator
from typing import NamedTuple

from msgspec.structs import replace

from mlx_model.errors import Advice, FluxLocalError, Hint
from mlx_model.specs import ModelSpec

from ..board import mentions
from ..board.data import Board, Panel, Sound, blobs, list_pictures, numbers
from ..board.panel_job import name_model
from ..board.seen import fits_mask, look, names
from ..models import library
from .file import BoardFile

STYLE = "The board's style: "


class Problem(NamedTuple):
    """`where` is a panel's number, a cast member's name, or "" for the board."""

    where: str
    what: str
    hint: Hint = ""


def problems(file: BoardFile, model: str | None = None) -> list[Problem]:
    """All of them, in the board's order; `model` stands in for the board's own. Reads every picture's file."""
    board = file.board
    found = [Problem("", text) for text in (*filter(None, [file.recovered]), *file.repairs)]
    found += [Problem(member.name, "has no picture.") for member in board.cast if not member.pictures]
    found += _pictures(file)
    models, label, view = _Models(replace(board, model=model or board.model)), numbers(board), _View(board)
    for panel in board.panels():
        told = {problem[0]: problem for problem in view.examine(panel, models.spec(panel))}  # each once
        found += [Problem(label[panel.id], *problem) for problem in told.values()]
    return [*models.missing, *found]


def _pictures(file: BoardFile) -> Iterator[Problem]:
    """Each damaged file once, with all who use it."""
    users: dict[str, list[str]] = {}
    for where, sha256 in _uses(file.board):
        users.setdefault(sha256, []).append(where)
    whole = blobs(file.board)
    for sha256, places in users.items():
        damage = file.damage(whole[sha256])
        if damage:
            hint = f"Put it back from a backup: blobs/{sha256} with its ending, in the board's folder."
            lost = "sound" if isinstance(whole[sha256], Sound) else "picture"
            yield Problem(", ".join(dict.fromkeys(places)), f"A {lost} is lost: {damage}.", hint)


def _uses(board: Board) -> Iterator[tuple[str, str]]:
    label = numbers(board)
    yield from (("", sound.sha256) for sound in [board.sound] if sound)
    for member in board.cast:
        yield from ((f"@{member.name}", picture.sha256) for picture in member.pictures)
    for panel in board.panels():
        yield from ((label[panel.id], picture.sha256) for picture in list_pictures(panel))


class _View:
    """What is wrong with single panels. `told`: of the style, which is the same for all; the first panel tells it."""

    def __init__(self, board: Board):
        self.board, self.sight = board, look(board)
        self.rounds: dict[str, bool] = {}  # id -> whether the way back from that panel comes round
        self.told: set[str] = set()

    def examine(self, panel: Panel, spec: ModelSpec | None) -> Iterator[tuple[str, Hint]]:
        shown = self.sight.see(panel)
        if not panel.words.strip():
            what = ("prompt", "show") if panel.source.kind == "blank" else ("instruction", "change to")
            yield f"has no {what[0]}.", f"Say what the picture should {what[1]}."
        called = mentions.Names(names(shown), offered=[member.name for member in self.board.cast])
        for text, whose in ((unicodedata.normalize("NFC", panel.words), ""), (self.sight.style, STYLE)):
            for mention in mentions.find(text, called):
                if mention.error and not (whose and mention.error.message in self.told):
                    self.told.update([mention.error.message] if whose else [])
                    yield whose + mention.error.message, mention.error.hint
        if any(one.kind == "cast" and one.picture is None for one in shown):
            yield "mentions a cast member that has no picture.", Advice("give_member_a_picture")
        if panel.source.kind == "take" and not panel.take:
            yield "edits its own take but has none.", "Render it from nothing first."
        yield from self._examine_source(panel)
        if spec and len(shown) > spec.max_references:
            most = f"{spec.name} takes up to {spec.max_references}"
            yield f"{len(shown)} pictures are too many: {most}.", "Leave some out, or choose another model."

    def _examine_source(self, panel: Panel) -> Iterator[tuple[str, str]]:
        source, hint = self.sight.find_source(panel), "Render one of them from nothing."
        if panel.source.kind == "panel" and source is None and self._comes_round(panel):
            yield "starts from a panel that starts from this one, and none has a take.", hint
        if panel.mask and source and not fits_mask(panel.mask, source):
            yield "The mask was painted on a picture of another size and is not used.", "Paint it again."
        if panel.mask and panel.source.kind == "blank":
            yield "The mask has no picture to repaint and is not used.", "Start from a take."

    def _comes_round(self, panel: Panel) -> bool:
        """Whether the way back through sources comes round without passing a take."""
        way, here = set[str](), self._go_back(panel)
        while here is not None and here.id not in self.rounds and here.id not in way:
            way.add(here.id)
            here = self._go_back(here)
        comes_round = here is not None and self.rounds.get(here.id, True)
        self.rounds.update(dict.fromkeys(way, comes_round))
        return comes_round

    def _go_back(self, panel: Panel) -> Panel | None:
        """The panel that this one waits for; None where it waits for none."""
        origin = self.sight.panels.get(panel.source.panel or "") if panel.source.kind == "panel" else None
        return origin if origin and not origin.take else None


class _Models:
    """The specs of the models that panels ask for, each looked up once; `missing` are the problems of doing that."""

    def __init__(self, board: Board):
        self.board = board
        self.missing: list[Problem] = []
        self._specs: dict[str | None, ModelSpec | None] = {}

    def spec(self, panel: Panel) -> ModelSpec | None:
        name = name_model(self.board, panel)
        if name not in self._specs:
            self._specs[name] = None
            try:
                self._specs[name] = library.find(name).folder.spec
            except FluxLocalError as error:
                users = [one for one in self.board.panels() if one.settings.model == name] if name else []
                where = ", ".join(numbers(self.board)[one.id] for one in users)
                self.missing.append(Problem(where, error.message, error.hint))
        return self._specs[name]
