"""What models are called."""

from mlx_model.specs import SPECS


def model_title(name: str | None, start: str = "Built-in model") -> str:
    """What a model is called in the window: the built-in one by what it is, others by their makers' names.

    `start` is for a sentence that begins with it: "The built-in model".
    """
    spec = SPECS.get(name or "")
    if spec is None:
        return name or "No model"
    return start if spec.repo is None else spec.title
