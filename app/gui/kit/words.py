"""Numbers and models as people say them."""

from mlx_model.specs import SPECS


def duration(seconds: float | None) -> str:
    """Such as 8 s, 2 min 5 s, 1 h 20 min; empty for None."""
    if seconds is None:
        return ""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s" if whole else "under 1 s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def plural(count: int, one: str, many: str = "") -> str:
    """Such as 1 panel, 3 panels."""
    return f"{count} {one if count == 1 else many or one + 's'}"


def model_title(name: str | None, start: str = "Built-in model") -> str:
    """What a model is called in the window: the built-in one by what it is, others by their makers' names.

    `start` is for a sentence that begins with it: "The built-in model".
    """
    spec = SPECS.get(name or "")
    if spec is None:
        return name or "No model"
    return start if spec.repo is None else spec.title
