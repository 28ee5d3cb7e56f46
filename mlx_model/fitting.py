"""How a run fits this machine: whole, with its weights read from the disk as it runs, or not; and what would fit.

Weights that are read as a run goes cost no time where the disk is as quick as the work, and little memory: they are
chosen where a model does not fit whole, or on request.
"""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

from . import memory
from .errors import Advice, WillNotFit
from .geometry import Size
from .memory import STEERING, Forecast, Machine, Streamed, bank_bytes, count_streamed, fits, forecast, gib
from .spec_parts import BITS
from .specs import PACKED_ROLES, ModelSpec


class Weights(NamedTuple):
    """Bytes in memory by component: whole, and of those whose blocks can be read as they run."""

    whole: dict[str, int]
    streamed: dict[str, Streamed]

    def add(self, count: int) -> "Weights":
        """With so many bytes beside the transformer, as adapters take them."""
        transformer = self.streamed["transformer"]
        more = {"transformer": transformer._replace(resting=transformer.resting + count)}
        return Weights(self.whole | {"transformer": self.whole["transformer"] + count}, self.streamed | more)

    def share(self, machines: int) -> "Weights":
        """Of each of several machines that share the transformer's blocks, all of which stay."""
        resting = self.streamed["transformer"].resting
        own = resting + -(-(self.whole["transformer"] + self.whole.get(STEERING, 0) - resting) // machines)
        whole = {role: count for role, count in self.whole.items() if role != STEERING} | {"transformer": own}
        return Weights(whole, {role: parts for role, parts in self.streamed.items() if role != "transformer"})


def weigh(folder: Any, number_bytes: int) -> Weights:
    """Packed codes as on disk, all else in the dtype of the run."""
    whole = {role: folder.count_held(role, number_bytes) for role in folder.components}
    if folder.spec.steers_apart:
        whole[STEERING] = folder.count_steering(number_bytes)
        whole["transformer"] -= whole[STEERING]
    return Weights(whole, {role: folder.count_streamed(role, number_bytes) for role in PACKED_ROLES if role in whole})


class Wanted(NamedTuple):
    """A run that a machine is asked for."""

    spec: ModelSpec
    size: Size
    references: Sequence[Size] = ()
    weights: Weights | None = None  # None: as a plan of so many bits makes them
    low: bool = False  # whether all that can be is read from the disk as it runs
    bits: int = 16


def choose(wanted: Wanted, here: Machine) -> Forecast:
    """The forecast of a run as it would be done here: whole where that fits, else the transformer's blocks are read as
    it runs, else those of the text encoder too. It may be more than the machine has.
    """
    spec, size, references, weights, low, bits = wanted
    whole = weights.whole if weights else None
    tell = partial(forecast, spec, size, references, bits, weights=whole, gpu=here.gpu, usable=here.usable)
    needed = tell()
    light = weights.streamed if weights else count_streamed(spec, bits, here.number_bytes)
    ways = [role for role in PACKED_ROLES if role in light]
    for count in range(1, len(ways) + 1):
        if (low and count == len(ways)) or (not low and not fits(needed, here)):
            needed = tell(streamed={role: light[role] for role in ways[:count]})
    return needed


def expect(
    folder: Any,
    size: Size,
    references: Sequence[Size],
    number_bytes: int,
    low: bool = False,
    seen_at: int | None = None,
    beside: int = 0,
    machines: int = 1,
) -> tuple[Forecast, int]:
    """The forecast of a run on this machine with what stays loaded, and the bytes that banks may take.

    `seen_at`: as Request.reference_size; `beside`: bytes of adapters; `machines`: how many share the transformer.

    Banks of other references than the run's get half of what nothing else needs.
    """
    here, spec = memory.machine(), folder.spec.limit_references(seen_at)
    weights = weigh(folder, number_bytes).add(beside)
    shared = weights.share(machines) if machines > 1 else weights
    needed = choose(Wanted(spec, size, references, shared, low), here)
    bank = bank_bytes(spec, references, number_bytes)
    return needed, bank + max(0, here.usable - needed.peak) // 2


def require(wanted: Wanted, here: Machine) -> Forecast:
    """The forecast of a run. Raises WillNotFit, naming what would fit, where this machine can't hold it."""
    needed = choose(wanted, here)
    if fits(needed, here):
        return needed
    ways = list(_ways_out(wanted, here))
    how = ", even with its weights read from the disk as it runs," if needed.streamed else ""
    raise WillNotFit(
        f"{wanted.spec.subject} at {wanted.size} with {len(wanted.references)} references{how} needs about "
        f"{gib(needed.peak)} of memory (predicted); this machine can give {gib(here.usable)}.",
        f"What would fit: {'; '.join(ways)}." if ways else Advice("choose_smaller_model"),
    )


def _ways_out(wanted: Wanted, here: Machine) -> Iterator[str]:
    """In few words each. Those with other bits would not be read from the disk on request."""
    spec, size, references = wanted[:3]

    def would(count: int = len(references), **other: Any) -> bool:
        asked = wanted._replace(references=references[:count], low=False, **other)
        return fits(choose(asked, here), here)

    fewer = next((count for count in range(len(references) - 1, -1, -1) if would(count=count)), None)
    if fewer is not None and references:
        yield f"{fewer} references"
    smaller = next((s for s in _smaller(spec, size) if would(size=s)), None)
    if smaller:
        yield f"a size of {smaller}"
    bits = next((bits for bits in reversed(BITS[:-1]) if spec.parameters and would(bits=bits, weights=None)), None)
    if bits:
        yield f"the model at {bits} bits"
    if not (smaller or bits or (fewer is not None and references)):
        pairs = ((b, s) for b in reversed(BITS) for s in _smaller(spec, size) if spec.parameters)
        both = next((pair for pair in pairs if would(size=pair[1], count=0, bits=pair[0], weights=None)), None)
        if both:
            yield f"the model at {both[0]} bits, {both[1]} and no references"


def _smaller(spec: ModelSpec, size: Size) -> Iterator[Size]:
    for factor in (0.75, 0.5, 0.375, 0.25):
        smaller = Size(*(int(side * factor) // spec.size_multiple * spec.size_multiple for side in size))
        if min(smaller) >= spec.min_side:
            yield smaller
