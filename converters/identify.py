"""Which row of SPECS a checkpoint is, from sizes, model_index.json and, where these leave a tie, its file name."""

import re
from collections.abc import Collection
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from typing import Any

from mlx_model.errors import Advice, RequestError
from mlx_model.specs import SPECS, ModelSpec


def identify(
    path: Path,
    family: str,
    params: Any,
    index: dict[str, Any],
    model: str | None = None,
    roles: Collection[str] = (),
) -> tuple[ModelSpec, bool]:
    """The row, and whether its published sizes are those of `params` (a test model may be of another size).

    `roles`: the components that were found; a row whose further encoders are there is preferred.
    Raises RequestError: an unknown or contradicted `model`, or a tie, naming the rows to choose from.
    """
    rows = [row for row in SPECS.values() if row.family == family and _are_alike(_make_published(row), params)]
    same = [row for row in rows if asdict(_make_published(row)) == asdict(params)]
    fitting = [row for row in same or rows if _agrees(row, index)]
    if model is not None:
        return _choose_asked(path, model, fitting), bool(same)
    fitting = _choose_by_roles(roles, fitting)
    if len(fitting) > 1:
        fitting = _choose_by_name(path, fitting)
    if not fitting or (len(fitting) > 1 and same):
        names = ", ".join(row.name for row in fitting or rows)
        raise RequestError(f"{path.name} could be one of: {names}.", Advice("name_model"))
    published = [row for row in fitting if row.repo]
    return (published or fitting)[0], bool(same)


def _make_published(row: ModelSpec) -> Any:
    return import_module(f"mlx_model.nets.{row.family}").Params(**row.transformer)


def _are_alike(published: Any, params: Any) -> bool:
    """The same kind of network, whatever its size: what is there or not, and what is given beside the latents."""
    theirs, ours = asdict(published), asdict(params)
    switches = all(ours[name] == value for name, value in theirs.items() if isinstance(value, bool))
    return switches and _count_inputs(published) == _count_inputs(params)


def _count_inputs(params: Any) -> int:
    """1: latents alone, 2: a second picture's beside them, 3: a mask too."""
    return min(3, int(params.in_channels // getattr(params, "out_channels", params.in_channels)))


def _agrees(row: ModelSpec, index: dict[str, Any]) -> bool:
    """Whether model_index.json allows the row."""
    kind = index.get("_class_name")
    known = any(kind in other.pipelines for other in SPECS.values())
    if known and row.pipelines and kind not in row.pipelines:
        return False
    distilled = index.get("is_distilled")
    return not isinstance(distilled, bool) or row.guidance_kind == ("none" if distilled else "cfg")


def _choose_by_roles(roles: Collection[str], rows: list[ModelSpec]) -> list[ModelSpec]:
    """Rows with the most further encoders, all of which were found; all rows where nothing is known of that."""
    complete = [row for row in rows if set(row.extras) <= set(roles)]
    most = max((len(row.extras) for row in complete), default=0)
    return [row for row in complete if len(row.extras) == most] or rows


def _choose_asked(path: Path, model: str, fitting: list[ModelSpec]) -> ModelSpec:
    if model not in SPECS:
        raise RequestError(f"There is no model {model!r}.", f"Choose one of: {', '.join(SPECS)}.")
    if SPECS[model] not in fitting:
        names = ", ".join(row.name for row in fitting) or "none that is known"
        raise RequestError(f"{path.name} is not {model}: its sizes and settings fit {names}.")
    return SPECS[model]


def _choose_by_name(path: Path, rows: list[ModelSpec]) -> list[ModelSpec]:
    """The row with the longest name that occurs in the file's name, or else in one of the folders above it."""
    for part in (path.stem if path.is_file() else path.name, *[parent.name for parent in path.absolute().parents[:3]]):
        named = [row for row in rows if _simplify(row.name) in _simplify(part)]
        if named:
            return [max(named, key=lambda row: len(row.name))]
    return rows


def _simplify(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())
