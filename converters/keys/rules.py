"""Rules that carry a checkpoint's tensors to the names of this repository: every source key used once, none left over.

A pattern is a name in which `#` stands for one number and a final `*` for the rest. The first rule whose first source
matches decides. That every target is filled is checked against the network itself (mlx_model.weights.fit).
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import mlx.core as mx

from mlx_model.errors import LayoutError

SHOWN = 5
Shapes = dict[str, tuple[int, ...]]


@dataclass(frozen=True)
class Rule:
    """`sources` become `target` by the change of that name; a target of "" drops them."""

    target: str
    sources: tuple[str, ...]
    change: str = "same"


@dataclass(frozen=True)
class Layout:
    """One way in which one component is stored; recognised by a key that only it has, its `signature`."""

    role: str
    family: str
    name: str
    signature: str
    rules: Callable[[Shapes], list[Rule]]  # from the source's names and shapes


@dataclass(frozen=True)
class Inferred:
    """A field of a network's Params that is read from which tensors are there: what is cut off makes it less.

    `prefix`: of those tensors, by our names; `read`: what config.json says of it, None where it says nothing;
    `numbered`: the field counts them (its value or its length), else it says whether there are any.
    """

    field: str
    prefix: str
    read: Callable[[dict[str, Any]], Any]
    numbered: bool = True


def rename(source: str, target: str, change: str = "same") -> Rule:
    return Rule(target, (source,), change)


def drop(source: str) -> Rule:
    return Rule("", (source,))


def swap_halves(x: mx.array) -> mx.array:
    first, second = mx.split(x, 2, axis=0)
    return mx.concatenate([second, first], axis=0)


def join_rows(*parts: mx.array) -> mx.array:
    return mx.concatenate(list(parts), axis=0)


CHANGES: dict[str, Callable[..., mx.array]] = {
    "same": lambda x: x,
    "join": join_rows,  # q, k, v
    "swap_halves": swap_halves,  # rows: scale, shift -> shift, scale
    "conv": lambda x: x.transpose(0, 2, 3, 1) if x.ndim == 4 else x,  # OIHW -> OHWI; biases and norms as they are
    "pointwise": lambda x: x[:, None, None, :],  # (out, in) -> (out, 1, 1, in)
}


@lru_cache(maxsize=4096)
def compile_pattern(pattern: str) -> re.Pattern[str]:
    """An expression with a group for each `#` and `*`."""
    return re.compile(re.escape(pattern).replace(r"\#", r"(\d+)").replace(r"\*", r"(.+)"))


def fill_pattern(pattern: str, parts: tuple[str, ...]) -> str:
    """`pattern` with its `#` and `*` replaced by `parts`, in order."""
    waiting = iter(parts)
    return re.sub(r"[#*]", lambda match: next(waiting, match[0]), pattern)


def apply(rules: list[Rule], arrays: Mapping[str, mx.array]) -> dict[str, mx.array]:
    """The targets, lazily, in the order of their first sources. Raises LayoutError naming keys.

    Works on unread arrays, so it also checks the shapes of a model that doesn't fit into memory.
    """
    targets: dict[str, mx.array] = {}
    used: set[str] = set()
    for name in arrays:
        found = _find_rule(rules, name)
        if found is None:
            continue
        rule, sources, target = found
        _claim(sources, arrays, used)
        if target in targets:
            raise LayoutError(f"Two tensors want to become {target}: {name} is one of them.")
        if target:
            targets[target] = _change(rule, [arrays[source] for source in sources], name)
    unknown = [name for name in arrays if name not in used]
    if unknown:
        raise LayoutError(f"{len(unknown)} tensors belong nowhere: {_name_some(unknown)}.")
    return targets


def _find_rule(rules: list[Rule], name: str) -> tuple[Rule, list[str], str] | None:
    for rule in rules:
        match = compile_pattern(rule.sources[0]).fullmatch(name)
        if match:
            return (
                rule,
                [fill_pattern(source, match.groups()) for source in rule.sources],
                fill_pattern(rule.target, match.groups()),
            )
    return None


def _claim(sources: list[str], arrays: Mapping[str, Any], used: set[str]) -> None:
    missing = [source for source in sources if source not in arrays]
    if missing:
        raise LayoutError(f"{sources[0]} needs {_name_some(missing)}, missing in the source.")
    used.update(sources)


def _change(rule: Rule, sources: list[mx.array], name: str) -> mx.array:
    try:
        return CHANGES[rule.change](*sources)
    except ValueError as error:
        shapes = ", ".join(str(tuple(source.shape)) for source in sources)
        raise LayoutError(f"{name} has a shape that can't be used: {shapes}.") from error


def _name_some(names: list[str]) -> str:
    return ", ".join(names[:SHOWN]) + (" ..." if len(names) > SHOWN else "")
