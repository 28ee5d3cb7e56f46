"""What a run says while it works: every event is one JSON line; pictures travel as files, arrays stay here."""

import dataclasses
import json
from dataclasses import dataclass, field

import numpy as np

from .errors import Advice, FluxLocalError, Hint

# A field for this process only: left out of the JSON line.
LOCAL = {"local": True}


@dataclass(frozen=True)
class Event:
    def to_json(self) -> str:
        """One line of ASCII, with the event's class name under "event"; local fields are left out."""
        kept = {f.name: getattr(self, f.name) for f in dataclasses.fields(self) if not f.metadata.get("local")}
        return json.dumps({"event": type(self).__name__.lower(), **kept}, default=dataclasses.asdict)


@dataclass(frozen=True)
class Loaded(Event):
    """The weights of a model are open."""

    model: str
    seconds: float


@dataclass(frozen=True)
class Stage(Event):
    """A phase began: "text", "references", "denoise", "decode", "download" ...; `total` of its steps if known."""

    name: str
    detail: str = ""
    total: int | None = None


@dataclass(frozen=True)
class Step(Event):
    """`step` of `total` is done (from 1); `left` is the forecast of the seconds still to go."""

    step: int
    total: int
    seconds: float
    left: float


@dataclass(frozen=True)
class Learned(Event):
    """What a step of training ended with: the velocity's error, and under Self-Flow the cosine to the teacher."""

    step: int
    loss: float
    likeness: float | None = None


@dataclass(frozen=True)
class Preview(Event):
    """The estimate of the finished picture after `step`; `pixels` (H, W, 3) uint8."""

    step: int
    path: str | None = None
    pixels: np.ndarray | None = field(default=None, repr=False, compare=False, metadata=LOCAL)


@dataclass(frozen=True)
class Note(Event):
    """Something the user should know, such as a reference that was resized."""

    text: str


@dataclass(frozen=True)
class Done(Event):
    """The run is finished: where the result is, and here `pixels` (H, W, 3) uint8 and `latents` (N, C) float32."""

    seconds: float
    path: str | None = None
    seed: int | None = None
    pixels: np.ndarray | None = field(default=None, repr=False, compare=False, metadata=LOCAL)
    latents: np.ndarray | None = field(default=None, repr=False, compare=False, metadata=LOCAL)


@dataclass(frozen=True)
class Cancelled(Event):
    reason: str = ""


@dataclass(frozen=True)
class Failed(Event):
    """`code` is the error's class name (see errors.py).

    What to do is in `hint`, in the words of who says it, or in `advice` for who shows it; see `what_to_do`.
    """

    code: str
    message: str
    hint: str = ""
    advice: Advice | None = None

    @classmethod
    def of(cls, error: FluxLocalError, words: str = "") -> "Failed":
        """The event of `error`; `words` are its advice as the one who says it words it."""
        if isinstance(error.hint, Advice):
            return cls(error.code, error.message, words, error.hint)
        return cls(error.code, error.message, error.hint)

    @property
    def what_to_do(self) -> Hint:
        """The hint of the error."""
        return self.advice or self.hint


KINDS = {kind.__name__.lower(): kind for kind in (Loaded, Stage, Step, Learned, Preview, Note, Done, Cancelled, Failed)}


def from_json(line: str) -> Event:
    """Inverse of to_json. Raises ValueError for anything that is not a line of an event."""
    try:
        values = json.loads(line)
        if values.get("advice"):
            values["advice"] = Advice(**values["advice"])
        return KINDS[values.pop("event")](**values)
    except (TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"not an event: {line[:200]!r}") from error
