"""Which row of SPECS a checkpoint is, from sizes, model_index.json and, where these leave a tie, its file name."""

import re
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from typing import Any

from mlx_model.errors import RequestError
from mlx_model.specs import SPECS, ModelSpec

# What the class in model_index.json says about fields of ModelSpec.
PIPELINES: dict[str, dict[str, Any]] = {
    "Flux2Pipeline": {"guidance_kind": "embedded"},
    "Flux2KleinPipeline": {"reference_bank": False},
    "Flux2KleinInpaintPipeline": {"reference_bank": False},
    "Flux2KleinKVPipeline": {"reference_bank": True, "guidance_kind": "none"},
}


def identify(
    path: Path, family: str, params: Any, index: dict[str, Any], model: str | None = None
) -> tuple[ModelSpec, bool]:
    """The row, and whether its published sizes are those of `params` (a test model may be of another size).

    Raises RequestError: an unknown or contradicted `model`, or a tie, naming the rows to choose from.
    """
    rows = [row for row in SPECS.values() if row.family == family and _guided_alike(row, params)]
    same = [
        row for row in rows if asdict(import_module(f"mlx_model.{family}").Params(**row.transformer)) == asdict(params)
    ]
    fitting = [row for row in same or rows if _agrees(row, index)]
    if model is not None:
        return _asked(path, model, fitting), bool(same)
    if len(fitting) > 1 and same:
        fitting = _by_name(path, fitting)
    if not fitting or (len(fitting) > 1 and same):
        names = ", ".join(row.name for row in fitting or rows)
        raise RequestError(f"{path.name} could be one of: {names}.", "Say which with --model NAME.")
    published = [row for row in fitting if row.repo]
    return (published or fitting)[0], bool(same)


def _guided_alike(row: ModelSpec, params: Any) -> bool:
    """A guidance embedding is there or not, whatever the size."""
    return bool(row.transformer.get("guidance_embed")) == bool(getattr(params, "guidance_embed", False))


def _agrees(row: ModelSpec, index: dict[str, Any]) -> bool:
    facts = dict(PIPELINES.get(str(index.get("_class_name")), {}))
    if isinstance(index.get("is_distilled"), bool):
        facts["guidance_kind"] = "none" if index["is_distilled"] else "cfg"
    return all(getattr(row, name) == value for name, value in facts.items())


def _asked(path: Path, model: str, fitting: list[ModelSpec]) -> ModelSpec:
    if model not in SPECS:
        raise RequestError(f"There is no model {model!r}.", f"Choose one of: {', '.join(SPECS)}.")
    if SPECS[model] not in fitting:
        names = ", ".join(row.name for row in fitting) or "none that is known"
        raise RequestError(f"{path.name} is not {model}: its sizes and settings fit {names}.")
    return SPECS[model]


def _by_name(path: Path, rows: list[ModelSpec]) -> list[ModelSpec]:
    """The row with the longest name that occurs in the file's name, or else in one of the folders above it."""
    for part in (path.stem if path.is_file() else path.name, *[parent.name for parent in path.absolute().parents[:3]]):
        named = [row for row in rows if _plain(row.name) in _plain(part)]
        if named:
            return [max(named, key=lambda row: len(row.name))]
    return rows


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())
