"""What makes a run shorter and its picture a little different. None of it is used unless it is asked for."""

from .errors import RequestError

MOST_CHANGE = 1.0  # of a step cache: beyond it nothing is too different
LEAST_STEPS = 8  # in fewer no two are alike


def check_step_cache(threshold: float, steps: int) -> None:
    """Raises RequestError for what makes no sense, or would gain nothing."""
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
