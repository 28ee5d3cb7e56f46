"""Golden vectors: outputs of the reference classes on tiny networks whose weights come from a recipe.

Made once with torch 2.13 on a CPU in float32 from black-forest-labs' own classes (and transformers' for the text
encoders), weights and inputs by the recipe below; kept as tests/data/golden/*.json.
"""

import json
import math
from pathlib import Path

import mlx.core as mx
import numpy as np

FOLDER = Path(__file__).parent / "data" / "golden"


def vectors(name: str) -> dict:
    """A file's contents, arrays as float32."""
    values = json.loads((FOLDER / f"{name}.json").read_text())
    return {key: array(value) if _is_array(value) else value for key, value in values.items()}


def array(value: dict) -> np.ndarray:
    return np.array(value["data"], np.float32).reshape(value["shape"])


def _is_array(value) -> bool:
    return isinstance(value, dict) and set(value) == {"shape", "data"}


def recipe_weights(shapes: dict[str, tuple[int, ...]]) -> dict[str, np.ndarray]:
    """Tensor k of the sorted names from RandomState(1000 + k), scaled by what its name says it is."""
    return {name: _weight(name, shapes[name], k) for k, name in enumerate(sorted(shapes))}


def _weight(name: str, shape: tuple[int, ...], k: int) -> np.ndarray:
    x = np.random.RandomState(1000 + k).standard_normal(shape)
    if name.endswith("running_mean"):
        x = 0.1 * x
    elif name.endswith("running_var"):
        x = 0.5 + np.abs(x)
    elif len(shape) > 1:
        x = x / math.sqrt(math.prod(shape[1:]))
    elif name.rsplit(".", 1)[-1] in ("scale", "weight"):
        x = 1 + 0.1 * x
    else:
        x = 0.05 * x
    return x.astype(np.float32)


def inp(i: int, shape: tuple[int, ...]) -> mx.array:
    """Input i of the recipe."""
    return mx.array(np.random.RandomState(5000 + i).standard_normal(shape).astype(np.float32))
