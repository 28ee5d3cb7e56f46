"""Which row of SPECS a checkpoint is, from sizes, model_index.json and, where these leave a tie, its file name."""

import re
from collections.abc import Collection
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from typing import Any

from mlx_model.errors import Advice, ConvertError, RequestError
from mlx_model.specs import SPECS, ModelSpec

from .keys.families import INFERRED

DOUBT = "It has no {}, so it is taken for {}. If it is {}, the file is incomplete: download it again."


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
    rows, same = list_rows(family, params)
    fitting = [row for row in rows if agrees(row, index)]
    if model is not None:
        return _choose_asked(path, model, fitting), same
    _check_name(path, family, params)
    fitting = _choose_by_roles(roles, fitting)
    if len(fitting) > 1:
        named = name_row(path, fitting, index.get("_name", ""))
        fitting = [named] if named else fitting
    if not fitting or (len(fitting) > 1 and same):
        names = ", ".join(row.name for row in fitting or rows)
        raise RequestError(f"{path.name} could be one of: {names}.", Advice("name_model"))
    published = [row for row in fitting if row.repo]
    return (published or fitting)[0], same


def list_rows(family: str, params: Any) -> tuple[list[ModelSpec], bool]:
    """The rows of this size and True, else those of the same kind of network and False."""
    rows = [row for row in SPECS.values() if row.family == family and _are_alike(make_published(row), params)]
    same = [row for row in rows if asdict(make_published(row)) == asdict(params)]
    return same or rows, bool(same)


def make_published(row: ModelSpec) -> Any:
    """The Params of its published transformer."""
    return import_module(f"mlx_model.nets.{row.family}").Params(**row.transformer)


def _are_alike(published: Any, params: Any) -> bool:
    """The same kind of network, whatever its size: what is there or not, and what is given beside the latents."""
    theirs, ours = asdict(published), asdict(params)
    switches = all(ours[name] == value for name, value in theirs.items() if isinstance(value, bool))
    return switches and _count_inputs(published) == _count_inputs(params)


def _count_inputs(params: Any) -> int:
    """1: latents alone, 2: a second picture's beside them, 3: a mask too."""
    return min(3, int(params.in_channels // getattr(params, "out_channels", params.in_channels)))


def agrees(row: ModelSpec, index: dict[str, Any]) -> bool:
    """Whether model_index.json allows the row."""
    kind = index.get("_class_name")
    known = any(kind in other.pipelines for other in SPECS.values())
    if known and row.pipelines and kind not in row.pipelines:
        return False
    distilled = index.get("is_distilled")
    return not isinstance(distilled, bool) or row.guidance_kind == ("none" if distilled else "cfg")


def _list_lacks(row: ModelSpec, params: Any) -> list[str]:
    """Prefixes of the tensors that the row's network has and this one has not, of those that it could do without."""
    switches = [one for one in INFERRED[row.family] if not one.numbered]
    return [
        f"{one.prefix}*" for one in switches if getattr(make_published(row), one.field) > getattr(params, one.field)
    ]


def _check_name(path: Path, family: str, params: Any) -> None:
    """Without guidance FLUX.1 dev would be schnell, which its name may deny. Raises RequestError."""
    rows = [row for row in SPECS.values() if row.family == family]
    named = name_row(path, rows)
    lacks = _list_lacks(named, params) if named else []
    if named and lacks:
        other = next(row.name for row in rows if not _list_lacks(row, params))
        what = f"{path.name} is called {named.title}, but its tensors {', '.join(lacks)} are missing."
        raise ConvertError(what, Advice("name_other_model", {"name": other}))


def list_doubts(path: Path, spec: ModelSpec, params: Any, told: dict[str, Any]) -> list[str]:
    """What to tell of a row that was chosen because something is not there, where neither name nor config.json says so.

    `told`: the transformer's config.json.
    """
    family = [row for row in SPECS.values() if row.family == spec.family]
    if name_row(path, family) or any(one.read(told) is not None for one in INFERRED[spec.family] if not one.numbered):
        return []
    others = {row.title: lacks for row in family if (lacks := _list_lacks(row, params)) and _is_alike(row, spec)}
    return [DOUBT.format(lacks[0], spec.title, title) for title, lacks in list(others.items())[:1]]


def _is_alike(row: ModelSpec, other: ModelSpec) -> bool:
    """The same network but for what it could do without."""
    ignored = {one.field for one in INFERRED[row.family] if not one.numbered}
    first, second = (asdict(make_published(one)) for one in (row, other))
    return all(first[name] == second[name] for name in first.keys() - ignored)


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


def name_row(path: Path, rows: Collection[ModelSpec], said: str = "") -> ModelSpec | None:
    """The row that `said` names, else the file's name, else one of the folders above it; None where none does.

    A name says a row with the words that tell it from the others ("flux1-dev-kontext_fp8" is Kontext, not dev); a row
    without such words by all of its own.
    """
    stem = path.stem if path.is_file() else path.name
    for part in (said.rpartition("/")[2], stem, *[parent.name for parent in path.absolute().parents[:4]]):
        counts = {row.name: count for row in rows if (count := _count_said(row, rows, part)) is not None}
        best = [row for row in rows if row.name in counts and counts[row.name] == max(counts.values())]
        if len(best) == 1:
            return best[0]
    return None


def _count_said(row: ModelSpec, rows: Collection[ModelSpec], part: str) -> int | None:
    """How many of the words that tell `row` from the others are in a name; None where one is missing."""
    family, *words = row.name.split("-")
    own = {word for word in words if not all(word in other.name.split("-") for other in rows)}
    if _simplify(row.name) in _simplify(part):
        return len(own)
    simple, there = _simplify(part), _split(part)
    said = {word for word in words if word in there or (len(word) > 4 and word in simple)}
    whole = own <= said if own else set(words) <= said
    return len(own) if whole and family.rstrip("123") in simple else None


def _split(name: str) -> list[str]:
    return re.findall("[a-z0-9]+", re.sub("([a-z0-9])([A-Z])", r"\1 \2", name).lower())


def _simplify(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())
