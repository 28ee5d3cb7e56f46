"""What makes a run shorter and its picture a little different. None of it is used unless it is asked for."""

from .errors import RequestError
from .specs import ModelSpec

MOST_CHANGE = 1.0  # of a step cache: beyond it nothing is too different
LEAST_STEPS = 8  # in fewer no two are alike


def check_shortcuts(spec: ModelSpec, steps: int, threshold: float | None, region: bool, repaints: bool) -> None:
    """Of a step cache and of a region, for a request that `repaints` a part. Raises RequestError for what makes no
    sense, or would gain nothing."""
    if threshold is not None:
        _check_step_cache(threshold, steps)
    if region:
        _check_region(repaints, spec)


def _check_step_cache(threshold: float, steps: int) -> None:
    if not 0 < threshold <= MOST_CHANGE:  # nan too
        raise RequestError(
            f"A step cache of {threshold:g} is out of range.",
            f"Choose above 0, such as 0.1, up to {MOST_CHANGE:g}: more saves more, and changes more.",
        )
    if not gains_from_cache(steps):
        message = f"In {steps} steps a step cache gains nothing: it takes {LEAST_STEPS} or more."
        raise RequestError(message, "Take more steps, or set the step cache to 0, which is off.")


def gains_from_cache(steps: int) -> bool:
    """Whether a step cache is of use in so many steps."""
    return steps >= LEAST_STEPS


def computes_regions(spec: ModelSpec) -> bool:
    """Whether the model sees the rest of the picture as a reference, so that a part can be computed alone."""
    return spec.pictures == "tokens"


def _check_region(repaints: bool, spec: ModelSpec) -> None:
    if not repaints:
        raise RequestError("There is no region without a mask.", "Say with a mask where to repaint, or take it off.")
    if not computes_regions(spec):
        raise RequestError(f"{spec.subject} needs the whole picture around the mask.", "Choose a model that edits.")
