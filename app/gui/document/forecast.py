"""Which model renders a panel, how large, and whether that fits: what the panel view says before a run."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from mlx_model import memory
from mlx_model.errors import FluxLocalError, WillNotFit
from mlx_model.specs import SPECS, ModelSpec

from ...base.shapes import size_of_shape
from ...board.data import Board, Panel
from ...board.panel_job import panel_job
from ...board.seen import seen
from ...models import library
from ..kit.words import model_title


@dataclass(frozen=True)
class PanelModel:
    """The model of a panel. Without `spec`, `problem` and `hint` say why it can't be used."""

    name: str = ""  # as shown
    spec: ModelSpec | None = None
    weights: dict[str, int] | None = None
    problem: str = ""
    hint: str = ""

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


@dataclass(frozen=True)
class Forecast:
    """One line about memory; `fits` is None where nothing is known.

    `predicted` misfits are forecasts, which may be too dark: a run can be tried all the same.
    """

    text: str = ""
    hint: str = ""
    fits: bool | None = None
    predicted: bool = False


def model_of(board: Board, panel: Panel, default: str | None) -> PanelModel:
    """The panel's own model, else the board's, else the default one."""
    wanted = panel.settings.model or board.model or default
    try:
        found = library.inspect(library.resolve(wanted))
    except FluxLocalError as error:
        return PanelModel(wanted or "", problem=error.message, hint=error.hint)
    if found.problem or found.name not in SPECS:
        return PanelModel(found.name, problem=found.problem or f"{found.name} is not a model this version knows.")
    return PanelModel(found.name, SPECS[found.name], found.weights)


def size_of(board: Board, panel: Panel, spec: ModelSpec) -> tuple[int, int]:
    """(width, height) that a run of the panel makes, as app.jobs decides it."""
    settings = panel.settings
    if settings.width and settings.height:
        return settings.width, settings.height
    return size_of_shape(*board.aspect, spec)


def forecast(board: Board, panel: Panel, model: PanelModel) -> Forecast:
    """What a run will need of this machine's memory, predicted."""
    if model.spec is None:
        return Forecast(model.problem, model.hint, False)
    pictures = [one.picture for one in seen(board, panel) if one.picture]
    sizes = [(picture.width, picture.height) for picture in pictures]
    try:
        size = size_of(board, panel, model.spec)
        needed = memory.require(model.spec, _machine(), size, sizes, weights=model.weights)
    except WillNotFit as error:
        return Forecast(f"Will not fit. {error.message}", error.hint, False, predicted=True)
    except FluxLocalError as error:
        return Forecast(error.message, error.hint, False)
    return Forecast(f"Needs about {memory.gib(needed.peak)} of {memory.gib(_machine().usable)} memory", "", True)


def obstacle(
    board: Board, panel: Panel, model: PanelModel, picture_path: Callable[[str], Path]
) -> FluxLocalError | None:
    """Why a run of the panel would be refused before it starts, apart from memory; None where it would not."""
    if model.spec is None:
        return None  # the forecast says it
    try:
        panel_job(board, panel.id, picture_path, model.spec)
    except FluxLocalError as error:
        return error
    return None


@cache
def _machine() -> memory.Machine:
    return memory.machine()
