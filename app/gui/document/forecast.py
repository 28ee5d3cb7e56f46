"""Which model renders a panel and whether that fits, in the window's words, and which LoRAs there are to choose from:
what the panel view says before a run.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from PySide6.QtCore import QObject, Signal

from mlx_model import memory
from mlx_model.errors import FluxLocalError, Hint, NotInstalled, WillNotFit
from mlx_model.specs import ModelSpec

from ...board.data import Board, Panel
from ...board.panel_job import Choice, choose_size, name_model, panel_job, require_memory
from ...engine.jobs import Job
from ...models import library, loras
from ..kit.turns import beside
from ..kit.words import model_title


@dataclass(frozen=True)
class PanelModel:
    """The model of a panel, opened. Without one `problem` and `hint` say why it can't be used."""

    found: library.Model | None = None
    wanted: str = ""
    problem: str = ""
    hint: Hint = ""

    @property
    def name(self) -> str:
        """As boards and requests have it."""
        return self.found.folder.spec.name if self.found else self.wanted

    @property
    def spec(self) -> ModelSpec | None:
        return self.found.folder.spec if self.found else None

    @property
    def title(self) -> str:
        """What the window calls it."""
        return model_title(self.name)

    @property
    def subject(self) -> str:
        """What a sentence about it begins with."""
        return model_title(self.name, "The built-in model")

    @property
    def limit(self) -> int:
        """How many pictures it looks at."""
        return self.spec.max_references if self.spec else 0

    def choose(self, board: Board, panel: Panel) -> Choice:
        """What a run of the panel goes by. Raises NotInstalled without a model, RequestError for a shape past 8:1."""
        if self.found is None:
            raise NotInstalled(self.problem, self.hint)
        return choose_size(board, panel, self.found)


@dataclass(frozen=True)
class Forecast:
    """One line about memory; `fits` is None where nothing is known.

    `predicted` misfits are forecasts, which may be too dark: a run can be tried all the same.
    """

    text: str = ""
    hint: Hint = ""
    fits: bool | None = None
    predicted: bool = False


def find_model(board: Board, panel: Panel, default: str | None) -> PanelModel:
    """The model that a run of the panel would load."""
    wanted = name_model(board, panel, default)
    try:
        return PanelModel(library.find(wanted))
    except FluxLocalError as error:
        return PanelModel(None, wanted or "", error.message, error.hint)


def forecast(board: Board, panel: Panel, model: PanelModel) -> Forecast:
    """What a run will need of this machine's memory, predicted."""
    try:
        needed = require_memory(board, panel, model.choose(board, panel))
    except WillNotFit as error:
        return Forecast(f"Will not fit. {error.message}", error.hint, False, predicted=True)
    except FluxLocalError as error:
        return Forecast(error.message, error.hint, False)
    how = ", read from the disk as it runs" if needed.streamed else ""
    room = memory.gib(memory.machine().usable)
    return Forecast(f"Needs about {memory.gib(needed.peak)} of {room} memory{how}", "", True)


def attempt(
    board: Board, panel: Panel, model: PanelModel, picture_path: Callable[[str], Path]
) -> Job | FluxLocalError | None:
    """The job that a run of the panel would be, or why it would be refused before it starts, apart from memory; None
    without a model, of which the forecast says it. What is placed is not in it: it takes a while to put together."""
    if model.found is None:
        return None
    try:
        return panel_job(board, panel.id, picture_path, model.choose(board, panel))
    except FluxLocalError as error:
        return error


class Library(QObject):
    """The library of LoRAs, read in a thread of its own: it may have hundreds of files."""

    read = Signal(object)  # list[loras.Entry]

    def __init__(self, parent: QObject):
        super().__init__(parent)
        self._busy = self._again = False

    def ask(self) -> None:
        """`read` follows; what is asked for meanwhile is read once more."""
        self._again = self._busy
        if not self._busy:
            self._busy = True
            beside().do(self, loras.list_loras, self._take)

    def _take(self, found: list[loras.Entry]) -> None:
        self._busy = False
        self.read.emit(found)
        if self._again:
            self.ask()
