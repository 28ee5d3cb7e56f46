"""What the kinds of adapters add to the matrix of a layer, from the parts that a file holds.

Low rank (LoRA), Kronecker product (LoKr), Hadamard product (LoHa), a whole difference, and what depends on the layer's
own matrix: DoRA (its rows or columns get lengths of their own), GLoRA, IA3.
Sources: the papers; PEFT 0.21 tuners/lora/dora.py, tuners/loha, tuners/lokr; LyCORIS 4.1 modules/*.py, with whose
classes tests/parity/test_lora_kinds.py compares. Axis letters: r rank, i inputs, o rows of the adapter.
"""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import mlx.core as mx

from ..errors import LayoutError
from ..foreign import read_small
from .lora_names import bare

LIMIT = 2**20  # bytes of settings
PATIENCE = 1.0  # seconds for the patterns of one layer: one that takes longer is made to
HEADER_ALPHA = ("lora_alpha", "alpha")
COMPONENTS = ("transformer", "text_encoder_2", "text_encoder")
BESIDE = "adapter_config.json"


@dataclass(frozen=True)
class Settings:
    """Of one file; `configs` by component, "" for settings that name none."""

    configs: dict[str, dict[str, Any]] = field(default_factory=dict)
    alpha: float | None = None  # of the whole file, from its header
    note: str = ""  # where the strength comes from, where that is not in the file

    def scale(self, stem: str, rank: int | None) -> float:
        """alpha / rank of a layer as the file calls it. Raises LayoutError for settings that make no sense."""
        config = self._choose(stem)
        name = bare(stem)
        try:
            rank = rank or find_pattern(config.get("rank_pattern"), name) or config.get("r")
            alpha = find_pattern(config.get("alpha_pattern"), name)
            alpha = config.get("lora_alpha", config.get("alpha", self.alpha)) if alpha is None else alpha
            if alpha is None or not rank:
                return 1.0
            scale = float(alpha) / (math.sqrt(float(rank)) if config.get("use_rslora") else float(rank))
        except (TypeError, ValueError, AttributeError, ArithmeticError) as error:
            raise LayoutError(f"It comes with damaged settings: {error}.") from error
        if not math.isfinite(scale):
            raise LayoutError(f"It comes with damaged settings: alpha is {alpha}.")
        return scale

    def use_dora(self, stem: str) -> bool:
        return bool(self._choose(stem).get("use_dora"))

    def _choose(self, stem: str) -> dict[str, Any]:
        found = next((name for name in COMPONENTS if stem.startswith(f"{name}.") and name in self.configs), None)
        return self.configs.get(found or "transformer") or self.configs.get("", {})


def find_pattern(patterns: Mapping[str, Any] | None, name: str) -> Any:
    """The value of the first pattern that fits a layer's name, as PEFT matches: `(.*\\.)?(PATTERN)$`.

    Raises ValueError for a pattern that is no regular expression, or one that takes too long.
    """
    if not patterns:
        return None
    # re can't be told to stop, and these patterns come with files of strangers
    import regex  # type: ignore[import-untyped]

    for pattern, value in patterns.items():
        try:
            if regex.match(rf"(.*\.)?({pattern})$", name, timeout=PATIENCE):
                return value
        except regex.error as error:
            raise ValueError(f"{pattern!r} is no pattern: {error}") from error
        except TimeoutError as error:
            raise ValueError(f"the pattern {pattern[:60]!r} takes too long") from error
    return None


def read_settings(path: Path, metadata: Mapping[str, str], ranks: Mapping[str, int | None]) -> Settings:
    """What is said of a file; `ranks`: by stem, of its layers that have no alpha of their own.

    Raises LayoutError for settings that are damaged.
    """
    try:
        if told := metadata.get("lora_adapter_metadata"):
            return Settings(_split(_parse(told)))
        alpha = _read_number(metadata, HEADER_ALPHA) if ranks else None
        if (beside := _find_beside(path)) and ranks:
            config = _parse(read_small(beside, LIMIT).decode("utf-8"))
            if beside.name != BESIDE or path.name == "adapter_model.safetensors" or _agrees(config, ranks):
                return Settings({"": config}, note=f"{path.name}: its strength is read from {beside.name} beside it.")
        if alpha is None:
            return Settings()
        return Settings(alpha=alpha, note=f"{path.name}: alpha {alpha:g} is read from its header.")
    except (ValueError, AttributeError, RecursionError, OSError) as error:
        raise LayoutError(f"{path.name} comes with damaged settings: {error}.") from error


def _parse(text: str) -> dict[str, Any]:
    if len(text) > LIMIT:
        raise ValueError("they are too large")
    values = json.loads(text)
    if not isinstance(values, dict):
        raise ValueError("they are no list of settings")
    return values


def _split(values: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """`transformer.r` and the like by component; what names none is the transformer's."""
    configs: dict[str, dict[str, Any]] = {}
    for key, value in values.items():
        component = next((name for name in COMPONENTS if key.startswith(f"{name}.")), "")
        configs.setdefault(component or "transformer", {})[key.removeprefix(f"{component}.")] = value
    return configs


def _find_beside(path: Path) -> Path | None:
    """PEFT's settings: under the file's own name, or under PEFT's where they can be no other file's."""
    own = [path.with_name(f"{path.stem}{mark}{BESIDE}") for mark in "._"]
    shared = path.with_name(BESIDE)
    alone = path.name == "adapter_model.safetensors" or not path.with_name("adapter_model.safetensors").is_file()
    return next((file for file in (*own, *([shared] if alone else [])) if file.is_file()), None)


def _agrees(config: dict[str, Any], ranks: Mapping[str, int | None]) -> bool:
    """Whether settings in a folder can be those of a file of any name: every rank is the one they tell."""
    pattern, usual = config.get("rank_pattern"), config.get("r")
    known = {stem: rank for stem, rank in ranks.items() if rank}
    return bool(known) and all(rank == (find_pattern(pattern, bare(stem)) or usual) for stem, rank in known.items())


def _read_number(metadata: Mapping[str, str], names: tuple[str, ...]) -> float | None:
    text = next((metadata[name] for name in names if name in metadata), None)
    return None if text is None else float(text)


Parts = dict[str, mx.array]  # what the file holds of one layer, by part; float32
ScaleOf = Callable[[int | None], float]  # alpha over rank, of a rank; None: where nothing has one


class LowRank(NamedTuple):
    up: mx.array  # (o, r), alpha in it
    down: mx.array  # (r, i)

    @property
    def shape(self) -> tuple[int, int]:
        return self.up.shape[0], self.down.shape[1]

    def matrix(self, base: mx.array) -> mx.array:
        return self.up @ self.down


class Kronecker(NamedTuple):
    first: mx.array  # (a, b), alpha in it
    second: mx.array  # (c, d): o = ac, i = bd

    @property
    def shape(self) -> tuple[int, int]:
        (a, b), (c, d) = self.first.shape, self.second.shape
        return a * c, b * d

    def matrix(self, base: mx.array) -> mx.array:
        return mx.kron(self.first, self.second)


class Hadamard(NamedTuple):
    """Two matrices of low rank, number by number; they are only multiplied out when the layer is asked."""

    up: mx.array  # (o, r), alpha in it
    down: mx.array  # (r, i)
    second_up: mx.array
    second_down: mx.array

    @property
    def shape(self) -> tuple[int, int]:
        fits = (self.up.shape[0], self.down.shape[1]) == (self.second_up.shape[0], self.second_down.shape[1])
        return (self.up.shape[0], self.down.shape[1]) if fits else (0, 0)

    def matrix(self, base: mx.array) -> mx.array:
        return (self.up @ self.down) * (self.second_up @ self.second_down)


class Whole(NamedTuple):
    difference: mx.array  # (o, i)

    @property
    def shape(self) -> tuple[int, int]:
        return self.difference.shape[0], self.difference.shape[1]

    def matrix(self, base: mx.array) -> mx.array:
        return self.difference


class Generalised(NamedTuple):
    """GLoRA: W a1 a2 + b1 b2."""

    a1: mx.array  # (i, r), alpha in it
    a2: mx.array  # (r, i)
    b1: mx.array  # (o, r), alpha in it
    b2: mx.array  # (r, i)

    @property
    def shape(self) -> tuple[int, int]:
        square = self.a1.shape[0] == self.a2.shape[1] == self.b2.shape[1]
        return (self.b1.shape[0], self.b2.shape[1]) if square else (0, 0)

    def matrix(self, base: mx.array) -> mx.array:
        return base @ self.a1 @ self.a2 + self.b1 @ self.b2


class Scaled(NamedTuple):
    """IA3: every row or every column of W by a factor; `sizes` are those of the layer."""

    factors: mx.array  # (o, 1) or (1, i)
    sizes: tuple[int, int]

    @property
    def shape(self) -> tuple[int, int]:
        whole = [have if have > 1 else own for have, own in zip(self.factors.shape, self.sizes, strict=True)]
        return whole[0], whole[1]

    def matrix(self, base: mx.array) -> mx.array:
        return base * self.factors


class Decomposed(NamedTuple):
    """DoRA: W and an addition together, brought to the lengths in `magnitude`; what that adds to W.

    Lengths of rows (o, 1), as PEFT and LyCORIS since 3.1 have them, or of columns (1, i), as LyCORIS and OneTrainer
    had them before.
    """

    addition: "LowRank | Kronecker | Hadamard"
    magnitude: mx.array

    @property
    def shape(self) -> tuple[int, int]:
        return self.addition.shape

    def matrix(self, base: mx.array) -> mx.array:
        both = base + self.addition.matrix(base)
        axis = 1 if self.magnitude.shape[1] == 1 else 0
        length = mx.maximum(mx.sqrt(mx.square(both).sum(axis=axis, keepdims=True)), 1e-12)
        return both * (self.magnitude / length) - base


Addition = LowRank | Kronecker | Hadamard | Whole | Generalised | Scaled | Decomposed


@dataclass(frozen=True)
class Change:
    """What one file does to one layer, in its own order of rows."""

    addition: Addition | None
    bias: mx.array | None = None  # (o,)

    @property
    def arrays(self) -> list[mx.array]:
        return [*_list_arrays(self.addition), *([] if self.bias is None else [self.bias])]

    @property
    def bias_size(self) -> int:
        return 0 if self.bias is None else self.bias.size


@dataclass(frozen=True)
class Vector:
    """What one file does to a norm's scales: adds `value`, or puts it in their place."""

    value: mx.array  # (n,)
    replaces: bool

    def difference(self, current: mx.array) -> mx.array:
        return self.value - current if self.replaces else self.value


def _list_arrays(addition: Addition | None) -> list[mx.array]:
    if isinstance(addition, Decomposed):
        return [*_list_arrays(addition.addition), addition.magnitude]
    return [part for part in addition or () if isinstance(part, mx.array)]


def make_change(parts: Parts, scale_of: ScaleOf, sizes: tuple[int, int]) -> Change:
    """The change that `parts` are, for a layer or a run of rows of these (o, i); empties `parts` of what it uses.

    Raises KeyError, ValueError, IndexError, TypeError where they are incomplete or don't fit each other.
    """
    magnitude, bias = parts.pop("magnitude", None), parts.pop("diff_b", None)
    up_bias, down_bias = parts.pop("up_bias", None), parts.pop("down_bias", None)
    addition = _make_addition(parts, scale_of, sizes)
    extras = [] if bias is None else [bias.reshape(-1)]
    if up_bias is not None or down_bias is not None:
        if not isinstance(addition, LowRank):
            raise ValueError("a bias without what it belongs to")
        extras += [] if up_bias is None else [up_bias.reshape(-1) * scale_of(addition.down.shape[0])]
        extras += [] if down_bias is None else [addition.up @ down_bias.reshape(-1)]
    bias = sum(extras[1:], extras[0]) if extras else None
    if magnitude is not None:
        if not isinstance(addition, LowRank | Kronecker | Hadamard):
            raise ValueError("lengths without what they belong to")
        addition = Decomposed(addition, _shape_magnitude(magnitude, sizes))
    return Change(addition, bias)


def _make_addition(parts: Parts, scale_of: ScaleOf, sizes: tuple[int, int]) -> Addition | None:
    if "turned_down" in parts:
        parts |= {"down": parts.pop("turned_down").T, "up": parts.pop("turned_up").T}
    if "down" in parts:
        return _make_low_rank(parts, scale_of, sizes)
    if "hada_w1_a" in parts:
        return _make_hadamard(parts, scale_of)
    if "lokr_w1" in parts or "lokr_w1_a" in parts:
        return _make_kronecker(parts, scale_of)
    if "a1" in parts:
        a1, a2, b1, b2 = (_flatten(parts.pop(name)) for name in ("a1", "a2", "b1", "b2"))
        return Generalised(a1 * scale_of(a2.shape[0]), a2, b1 * scale_of(b2.shape[0]), b2)
    if "factors" in parts:
        on_input = bool(parts.pop("on_input").item())
        return Scaled(parts.pop("factors").reshape((1, -1) if on_input else (-1, 1)), sizes)
    return Whole(_flatten(parts.pop("diff"))) if "diff" in parts else None


def _make_low_rank(parts: Parts, scale_of: ScaleOf, sizes: tuple[int, int]) -> LowRank:
    """Also where MLX's programs keep both turned: down (i, r), up (r, o). With a middle: LoCon of a 1 x 1 kernel."""
    down, up = _flatten(parts.pop("down")), _flatten(parts.pop("up"))
    if down.shape[1] != sizes[1] and (down.shape[0], up.shape[1]) == (sizes[1], sizes[0]):
        down, up = down.T, up.T
    middle = parts.pop("mid", None)
    rank = down.shape[0]
    if middle is not None:
        up = up @ _flatten(middle)
    if up.shape[1] != rank:
        raise ValueError("ranks differ")
    return LowRank(up * scale_of(rank), down)


def _make_hadamard(parts: Parts, scale_of: ScaleOf) -> Hadamard:
    pairs = []
    for number in "12":
        up, down = _flatten(parts.pop(f"hada_w{number}_a")), _flatten(parts.pop(f"hada_w{number}_b"))
        core = parts.pop(f"hada_t{number}", None)
        up = up if core is None else up.T @ _flatten(core)
        pairs += [up, down]
    rank = pairs[1].shape[0]
    if any(up.shape[1] != down.shape[0] for up, down in (pairs[:2], pairs[2:])):
        raise ValueError("ranks differ")
    return Hadamard(pairs[0] * scale_of(rank), *pairs[1:])


def _make_kronecker(parts: Parts, scale_of: ScaleOf) -> Kronecker:
    """Alpha counts by the rank of a factor, as in LyCORIS, where one has a rank."""
    (first, rank1), (second, rank2) = _make_factor("lokr_w1", parts), _make_factor("lokr_w2", parts)
    return Kronecker(first * scale_of(rank2 or rank1), second)


def _make_factor(name: str, parts: Parts) -> tuple[mx.array, int | None]:
    """A factor of a LoKr and its rank; None where it is stored whole."""
    if name in parts:
        return _flatten(parts.pop(name)), None
    a, b = _flatten(parts.pop(f"{name}_a")), _flatten(parts.pop(f"{name}_b"))
    core = parts.pop("lokr_t2", None) if name == "lokr_w2" else None
    return (a if core is None else a.T @ _flatten(core)) @ b, b.shape[0]


def _flatten(array: mx.array) -> mx.array:
    """(a, b), also of a 1 x 1 kernel. Raises ValueError for anything else."""
    if array.ndim < 2 or not array.size or array.size != array.shape[0] * array.shape[1]:
        raise ValueError(f"no matrix: {tuple(array.shape)}")
    return array.reshape(array.shape[0], array.shape[1])


def _shape_magnitude(magnitude: mx.array, sizes: tuple[int, int]) -> mx.array:
    """(o, 1) or (1, i). PEFT's has one axis: lengths of rows."""
    shaped = magnitude.reshape(-1, 1) if magnitude.ndim == 1 else _flatten(magnitude)
    if shaped.shape not in ((sizes[0], 1), (1, sizes[1])):
        raise ValueError(f"lengths of another shape: {tuple(magnitude.shape)}")
    return shaped
