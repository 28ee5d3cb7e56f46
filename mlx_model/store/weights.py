"""Weights into a network and back, strictly: every parameter filled with the right shape, nothing left over.

A layer is packed (quantised) where its `scales` are in the file; bits and group size follow from the shapes. It is
rotated where its `rotation` is there: (block,) signs, see PackedLinear.
"""

from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import asdict, is_dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.nn as nn
from mlx.utils import tree_flatten

from ..errors import LayoutError, say_reason
from ..foreign import check_params
from ..memory import STEERING
from .counting import block_of, steers
from .folder import Folder
from .headers import Entry, header
from .shards import SHARD_BYTES, Unmade, load_lazily, unbroken, write_shards

CLASSES = {
    "transformer": "Transformer",
    "text_encoder": "TextEncoder",
    "pooled_encoder": "TextEncoder",
    "image_encoder": "ImageEncoder",
    "image_embedder": "ImageEmbedder",
    "autoencoder": "AutoEncoder",
    "tiny_autoencoder": "AutoEncoder",
}
PACKED_BITS = (2, 3, 4, 5, 6, 8)  # of mx.quantize
FLOATS = ("F32", "F16", "BF16")
DENSE_ROWS = 512  # from here on Apple GPUs are faster with a dequantised matrix (mlx PR 4216: 1.1x to 1.8x)
BLOCKS = (32, 64, 128, 256, 512)  # channels that a rotation may mix
SHOWN = 5  # names in a message

Shapes = dict[str, tuple[int, ...]]


class PackedLinear(nn.Module):
    """y = x W^T + b with W packed in MLX's affine form: weight (out, in * bits / 32) uint32, scales, biases.

    A rotated layer holds W S H in place of W: S are signs, H a Hadamard matrix, both on each block of channels. Their
    product is orthogonal, so y = (x S H) (W S H)^T + b.
    """

    def __init__(self, layer: nn.Linear, group_size: int, bits: int) -> None:
        super().__init__()
        out, width = layer.weight.shape
        self.group_size, self.bits = group_size, bits
        self.weight, self.scales, self.biases = _make_packed(out, width, group_size, bits)
        if "bias" in layer:
            self.bias = layer.bias

    def __call__(self, x: mx.array) -> mx.array:
        return self.run_rows(x, 0, None)

    def run_rows(self, x: mx.array, start: int, stop: int | None) -> mx.array:
        """Some of the outputs alone: (..., in) -> (..., stop - start)."""
        packed = (self.weight[start:stop], self.scales[start:stop], self.biases[start:stop])
        group, bits = self.group_size, self.bits
        if not dense_is_better(rows := x.size // x.shape[-1]):
            y = mx.quantized_matmul(self._rotate(x), *packed, transpose=True, group_size=group, bits=bits)
            return y + self.bias[start:stop] if "bias" in self else y
        matrix = mx.dequantize(*packed, group_size=group, bits=bits).astype(x.dtype)
        if rows < matrix.shape[0] and x.dtype != mx.float16:  # turn what is smaller
            x = self._rotate(x)
        else:
            matrix = self.rotate_back(matrix)
        return mx.addmm(self.bias[start:stop], x, matrix.T) if "bias" in self else x @ matrix.T

    def rotate_back(self, matrix: mx.array) -> mx.array:
        """W S H -> W. In float16 always: the largest numbers of x, turned, could leave its range."""
        if "rotation" not in self:
            return matrix
        rotation: mx.array = self.rotation
        blocks = matrix.reshape(matrix.shape[0], -1, rotation.size)
        return (mx.hadamard_transform(blocks) * rotation).reshape(matrix.shape)

    def _rotate(self, x: mx.array) -> mx.array:
        if "rotation" not in self:
            return x
        blocks = x.reshape(*x.shape[:-1], -1, self.rotation.size) * self.rotation
        return mx.hadamard_transform(blocks).reshape(x.shape).astype(x.dtype)


class PackedEmbedding(nn.Module):
    """Rows of a packed table: ids (...) -> (..., width) in the dtype of the scales."""

    def __init__(self, layer: nn.Embedding, group_size: int, bits: int) -> None:
        super().__init__()
        self.group_size, self.bits = group_size, bits
        out, width = layer.weight.shape
        self.weight, self.scales, self.biases = _make_packed(out, width, group_size, bits)

    def __call__(self, ids: mx.array) -> mx.array:
        rows = (self.weight[ids], self.scales[ids], self.biases[ids])
        return mx.dequantize(*rows, group_size=self.group_size, bits=self.bits)


PACKED: dict[type, Callable[[Any, int, int], nn.Module]] = {nn.Linear: PackedLinear, nn.Embedding: PackedEmbedding}


def _make_packed(out: int, width: int, group_size: int, bits: int) -> tuple[mx.array, mx.array, mx.array]:
    groups = (out, width // group_size)
    return mx.zeros((out, width * bits // 32), mx.uint32), mx.zeros(groups), mx.zeros(groups)


def dense_is_better(rows: int) -> bool:
    """Whether `rows` rows are multiplied faster and truer by the dequantised matrix.

    On CPU always: its quantised product is 20 times slower and adds up in bfloat16 (3.5 % error).
    """
    return rows >= DENSE_ROWS or mx.default_device() == mx.Device(mx.cpu)


def unpack_layers(module: nn.Module) -> None:
    """Dense layers in place of packed ones, with the same numbers."""
    for name, layer in list(module.named_modules()):
        if isinstance(layer, PackedLinear):
            parent, key = locate(module, name)
            parent[key] = unpack_layer(layer)


def unpack_layer(layer: PackedLinear) -> nn.Linear:
    """The same layer with a dense matrix, evaluated."""
    dense = nn.Linear(1, 1, bias="bias" in layer)
    dense.weight = unpack_matrix(layer)
    if "bias" in layer:
        dense.bias = layer.bias
    mx.eval(dense.parameters())
    return dense


def unpack_matrix(layer: PackedLinear) -> mx.array:
    """(o, i) in the dtype of its scales."""
    packed = (layer.weight, layer.scales, layer.biases)
    matrix = mx.dequantize(*packed, group_size=layer.group_size, bits=layer.bits)
    return layer.rotate_back(matrix).astype(layer.scales.dtype)


def build(role: str, family: str, params: Any) -> nn.Module:
    """The network of a component, its parameters lazy; `params`: its Params, or their arguments. Raises LayoutError."""
    with _usable(role):
        network: Callable[[Any], nn.Module] = getattr(import_module(f"mlx_model.nets.{family}"), CLASSES[role])
        return network(params_of(role, family, params))


def params_of(role: str, family: str, params: Any) -> Any:
    """The Params of a component, checked, from themselves or their arguments. Raises LayoutError."""
    with _usable(role):
        params = params if is_dataclass(params) else import_module(f"mlx_model.nets.{family}").Params(**params)
        check_params(params)
        return params


@contextmanager
def _usable(role: str) -> Iterator[None]:
    try:
        yield
    except (TypeError, ValueError, ZeroDivisionError, OverflowError) as error:
        raise LayoutError(f"The sizes of the {role} are not usable: {say_reason(error)}.") from error


def check_components(folder: Folder) -> None:
    """Whether the components can be built and belong together, which model.json might say wrong. Raises LayoutError."""
    params = {role: params_of(role, part.family, part.params) for role, part in folder.components.items()}
    transformer, pairs = params["transformer"], []
    latents = getattr(transformer, "out_channels", transformer.in_channels)
    pairs.append(("autoencoder", 4 * params["autoencoder"].z_channels, latents))  # of 2 x 2 latents, which are a token
    if "text_encoder" in params:
        pairs.append(("text_encoder", params["text_encoder"].width, transformer.context_in_dim))
    if "pooled_encoder" in params:
        pairs.append(("pooled_encoder", params["pooled_encoder"].width, transformer.vec_in_dim))
    for role, gives, takes in pairs:
        if gives != takes:
            raise LayoutError(f"{folder.path.name}: the {role} gives {gives} numbers, the transformer takes {takes}.")


def default_dtype() -> str:
    """bfloat16 on a GPU, Apple's or NVIDIA's; float32 on a CPU, where bfloat16 is slower and rounds its own sums."""
    return "bfloat16" if mx.metal.is_available() or mx.cuda.is_available() else "float32"


def open_component(folder: Folder, role: str, dtype: mx.Dtype) -> nn.Module:
    """Build a component of a folder and fill it; a small one in float32 is unpacked. Raises LayoutError."""
    component = folder.components[role]
    module = build(role, component.family, component.params)
    load(module, folder.files(role), dtype)
    if folder.is_held_dense(role, dtype.size):
        unpack_layers(module)
    if hasattr(module, "join"):
        module.join()
    return module


def open_part(folder: Folder, role: str, dtype: mx.Dtype) -> nn.Module:
    """open_component where a transformer's blocks steer themselves: what that needs is the role STEERING, all else
    "transformer". The rest of either stands for nothing and takes no memory.
    """
    if role not in ("transformer", STEERING):
        return open_component(folder, role, dtype)
    component, steering = folder.components["transformer"], role == STEERING
    module = build("transformer", component.family, component.params)
    wanted = lambda name: steers(name) == steering or (steering and not block_of(name, 2))  # noqa: E731
    load(module, folder.files("transformer"), dtype, wanted)
    return module


def load(
    module: nn.Module, files: list[Path], dtype: mx.Dtype, wanted: Callable[[str], bool] = lambda name: True
) -> None:
    """Fill `module` with the tensors of `files`, evaluated; floating ones in `dtype` (batch-norm statistics: float32).
    Those that aren't `wanted` are not read.

    Replaces layers by packed ones where the files hold scales. Raises LayoutError naming the first offending tensors.
    """
    prepare(module, files)
    for file in files:
        arrays = load_lazily(file)
        for name in filter(wanted, list(arrays)):
            array = in_dtype(name, arrays.pop(name), dtype)
            with unbroken(file.name):
                mx.eval(array)  # here: lazy arrays belong to this thread; one by one: no second copy of the model
            parent, key = locate(module, name)
            parent[key] = array


def prepare(module: nn.Module, files: list[Path]) -> None:
    """Put packed layers where `files` have scales, and check that they fill the module. Raises as `load` does."""
    entries = _entries(files)
    fit(module, {name: shape for name, (_, shape) in entries.items()})
    wrong = [name for name, (kind, _) in entries.items() if (kind != "U32") is _is_packed(name, entries)]
    wrong += [name for name, (kind, _) in entries.items() if kind not in (*FLOATS, "U32")]
    _complain("of a type that can't be used", wrong)


def in_dtype(name: str, array: mx.array, dtype: mx.Dtype, stream: Any = None) -> mx.array:
    """A tensor as a run in `dtype` has it, lazily, on the stream that reads it."""
    wanted = mx.float32 if "bn" in name.split(".") else dtype
    return array if array.dtype in (mx.uint32, wanted) else array.astype(wanted, stream=stream)


def save_component(
    folder_dir: Path, role: str, family: str, params: Any, arrays: dict[str, mx.array], shard_bytes: int = SHARD_BYTES
) -> dict[str, Any]:
    """Write `arrays` as the component `role` of a converted folder; the result is its entry for folder.write_manifest.

    `params` is the Params of the module `family`; `arrays` must fill that network exactly, and is empty afterwards.
    Raises LayoutError, DiskFull.
    """
    steps = write_component(folder_dir, role, family, params, arrays, shard_bytes)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            entry: dict[str, Any] = end.value
            return entry


def write_component(
    folder_dir: Path, role: str, family: str, params: Any, arrays: dict[str, Unmade], shard_bytes: int = SHARD_BYTES
) -> Generator[str, None, dict[str, Any]]:
    """save_component as a generator that yields each tensor's name once it is written."""
    module = build(role, family, params)
    count = sum(array.size for array in dict(tree_flatten(module.parameters())).values())
    fit(module, {name: tuple(array.shape) for name, array in arrays.items()})
    # In the network's order: a block's tensors lie together, and every source layout gives the same bytes.
    ordered = {name: arrays.pop(name) for name in dict(tree_flatten(module.parameters()))}
    files = yield from write_shards(folder_dir, role, ordered, shard_bytes)
    return {"family": family, "params": asdict(params), "parameters": count, "files": files}


def _entries(files: list[Path]) -> dict[str, Entry]:
    entries: dict[str, Entry] = {}
    twice: list[str] = []
    for file in files:
        found = header(file)
        twice += [name for name in found if name in entries]
        entries |= found
    _complain("in two files", twice)
    return entries


def _is_packed(name: str, entries: dict) -> bool:
    stem, _, last = name.rpartition(".")
    return last == "weight" and f"{stem}.scales" in entries


def locate(module: nn.Module, name: str) -> tuple[Any, str | int]:
    """The container (module or list) of the parameter or layer `name`, and its key there."""
    path: list[str | int] = [int(part) if part.isdigit() else part for part in name.split(".")]
    parent: Any = module
    for key in path[:-1]:
        parent = parent[key]
    return parent, path[-1]


def fit(module: nn.Module, shapes: Shapes) -> None:
    """Put packed layers where `shapes` has scales, and check that it fills the module exactly. Raises LayoutError."""
    for name in shapes:
        if name.endswith(".scales"):
            _pack_layer(module, name.removesuffix(".scales"), shapes)
    wanted = {name: tuple(array.shape) for name, array in dict(tree_flatten(module.parameters())).items()}
    _complain("missing", [name for name in wanted if name not in shapes])
    _complain("left over", [name for name in shapes if name not in wanted])
    wrong = [f"{name} {shapes[name]}, not {wanted[name]}" for name in wanted if shapes[name] != wanted[name]]
    _complain("of another shape", wrong)


def _pack_layer(module: nn.Module, name: str, shapes: Shapes) -> None:
    try:
        parent, key = locate(module, name)
        layer = parent[key]
        kind = PACKED[type(layer)]
        width, groups = layer.weight.shape[1], shapes[f"{name}.scales"][-1]
        bits, rest = divmod(shapes[f"{name}.weight"][-1] * 32, width)
        group_size, uneven = divmod(width, groups)
    except (KeyError, IndexError, TypeError, ZeroDivisionError) as error:
        raise LayoutError(f"Scales for {name}, which is no layer that can be packed.") from error
    if rest or uneven or bits not in PACKED_BITS or group_size not in (32, 64, 128):
        raise LayoutError(f"{name} is packed in a way that can't be read: {bits} bits in groups of {group_size}.")
    parent[key] = kind(layer, group_size, bits)
    if kind is PackedLinear and f"{name}.rotation" in shapes:  # an embedding has none: fit finds it left over
        parent[key].rotation = mx.ones((_block(name, width, shapes),))


def _block(name: str, width: int, shapes: Shapes) -> int:
    """How many channels the rotation of a layer mixes, from its shape."""
    shape = shapes[f"{name}.rotation"]
    block = shape[0] if len(shape) == 1 else 0
    if block not in BLOCKS or width % block:
        raise LayoutError(f"{name} is rotated in a way that can't be read: {shape} for {width} channels.")
    return block


def _complain(what: str, names: list[str]) -> None:
    if names:
        more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
        raise LayoutError(f"{len(names)} tensors are {what}: {', '.join(names[:SHOWN])}{more}.")
