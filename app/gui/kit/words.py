"""Numbers and models as people say them."""

import re

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


WORDS = (
    (r"Add it with: flux-local models add \S+", "Add it under Models, or choose another model."),
    (r"Add one, for example: flux-local models add \S+", "Add one under Models."),
    (r"A smaller model would fit: see flux-local models list\.", "A smaller model would fit: see Models."),
    (r"Choose a model that edits: flux-local models list\.", "Choose a model that edits: see Models."),
    (r"flux-local models list shows which models do\.", "Models shows which models do."),
    (r"Give one: flux-local edit .*", "Choose one under Start from, or add a reference."),
    (r"Give --mask M, or --outpaint .*", "Paint a mask on the picture first."),
    (r"Leave --(\S+) out\.", r"Leave \1 at the model's own, under Settings."),
    (r"(?:, )?for example with --size (\S+)\.", r", for example \1 under Settings."),
    (r"Say for example --size \S+\.", "Choose a size under Settings."),
    (r"Say for example --class \d+\.", "Choose a model that reads words."),
    (r"Try --dtype float32, or another seed; .*", "Try another seed; if it stays, remove the model and add it again."),
    (r"See: flux-local convert --help", "Add a model under Models."),
    (r"flux-local board new makes one\.", "File > New makes one."),
    (r"A zipped board: flux-local board import\.", "A zipped board: File > Import."),
)


def in_window(hint: str) -> str:
    """The hint without commands and options."""
    for command, words in WORDS:
        hint = re.sub(command, words, hint)
    return hint
