"""The autoencoders that draw previews, as Core ML packages; the only file that imports coremltools.

A package is one side of an autoencoder, built from its MLX weights with coremltools' MIL builder. It takes and gives
what the network does: a picture (1, 3, H, W) in [-1, 1], or model latents (1, 4z, H/16p, W/16p). Everything is float16
but norms: in float16 their sums overflow, and what comes out is finite and wrong. The maps between the blocks of the
large autoencoders overflow too (2.4e5 in the built-in model's); nothing but norms ever looks at them, so they are made
SMALL times their size.
Axis letters as in nets/autoencoder.py; inside a package maps are (1, c, H, W).
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import logging
import os
import shutil
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import numpy as np

from mlx_model.errors import ConvertError, RequestError
from mlx_model.events import Done, Event, Note, Stage, Step
from mlx_model.files import begin, finish, number_names
from mlx_model.geometry import Size
from mlx_model.nets import autoencoder as kl
from mlx_model.nets import tiny_autoencoder as tiny
from mlx_model.request import size_of_shape
from mlx_model.run.previews import DrawBeside
from mlx_model.specs import ModelSpec
from mlx_model.store.folder import Folder, list_packages, open_folder
from mlx_model.store.shards import disk_full
from mlx_model.store.weights import open_component
from mlx_model.unfinished import take_place

from .convert import check_out, find_place, make_partial

log = logging.getLogger(__name__)

Network = kl.AutoEncoder | tiny.AutoEncoder
Shape = tuple[int, ...]
Var = Any  # a value of a MIL program
NORM = "norm"  # how the names of operations begin that stay in float32
SMALL = 1 / 64
ACTIVE: Any = nn.SiLU()  # type: ignore[no-untyped-call]
PICTURE, LATENTS = "picture", "latents"
SIDES = {"decoder": LATENTS, "encoder": PICTURE}  # of an autoencoder, and what each takes
ASPECTS = ((1, 1), (4, 3), (3, 4), (3, 2), (2, 3), (16, 9), (9, 16), (185, 100), (239, 100))
SCALES = (1.0, 0.75, 0.5)  # of the sides of the model's own size


# ---- packages of a model's folder


def add_packages(path: Path, out: Path | None = None) -> Generator[Event, None, None]:
    """Give a converted model's folder, or with `out` a copy of it, what draws its previews through Core ML.

    Yields Stage, Step, Notes, Done. The packages lie in `coreml`, listed in model.json. A folder that has some keeps
    them. Raises RequestError (no coremltools, no such place), ConvertError (no network that is small enough),
    DiskFull, and what open_folder does.
    """
    start, folder = time.monotonic(), open_folder(path)
    role = find_network(folder)
    if role is None:
        message = f"{folder.path.name} has no tiny autoencoder, and its own is too large for previews."
        raise ConvertError(message, "Adding the model fetches one with it.")
    load_tools()
    if out is None:
        yield from _fill(folder, folder.path, role)
    else:
        yield from _fill_copy(folder, find_place(out.expanduser().absolute()), role)
    yield Done(time.monotonic() - start, str(out or path))


def find_network(folder: Folder) -> str | None:
    """The role of the autoencoder that draws the model's previews, None where there is no small one."""
    small = {"tiny_autoencoder": "tiny_autoencoder" in folder.components, "autoencoder": folder.spec.cheap_decode}
    return next((role for role, there in small.items() if there), None)


def open_decoder(folder: Folder) -> DrawBeside | None:
    """What draws the previews of a model through Core ML, on the Neural Engine where it can be; None where it can't.

    Opening compiles the package, which takes seconds, in a thread of its own. Why it can't is said in the log.
    `folder` must have packages.
    """
    package = folder.path / next(iter(folder.packages["decoder"])).partition("/decoder.mlpackage/")[0]
    try:
        ct = load_tools()
    except RequestError as error:
        log.warning("%s", error.message)
        return None
    opening = ThreadPoolExecutor(1).submit(_open_package, package / "decoder.mlpackage", ct)

    def draw(latents: np.ndarray) -> np.ndarray | None:
        model, shapes = opening.result()
        given = np.ascontiguousarray(latents.transpose(0, 3, 1, 2))
        if given.shape not in shapes:
            return None
        made = model.predict({LATENTS: given.astype(np.float16)})[PICTURE].astype(np.float32)
        pixels: np.ndarray = np.clip(np.rint(made[0].transpose(1, 2, 0) * 127.5 + 127.5), 0, 255).astype(np.uint8)
        return pixels

    return draw


def _open_package(package: Path, ct: Any) -> tuple[Any, set[Shape]]:
    """The model, compiled, and the shapes that it takes."""
    model = ct.models.MLModel(str(package), compute_units=ct.ComputeUnit.CPU_AND_NE)
    kind = model.get_spec().description.input[0].type.multiArrayType
    return model, {tuple(one.shape) for one in kind.enumeratedShapes.shapes}


def _fill_copy(folder: Folder, out: Path, role: str) -> Iterator[Event]:
    check_out(out, force=False)
    partial = make_partial(out)
    try:
        with disk_full(out):
            shutil.copytree(folder.path, partial, dirs_exist_ok=True)
            yield from _fill(open_folder(partial), partial, role)
            take_place(partial, out)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
        finish(partial)


def _fill(folder: Folder, place: Path, role: str) -> Iterator[Event]:
    """The packages appear in `place` under one name at once, then model.json lists them."""
    if folder.packages:
        yield Note(f"{folder.path.name} has its Core ML packages already.")
        return
    final = next(name for name in number_names(place / "coreml") if not os.path.lexists(name))
    partial = begin(final)
    try:
        with disk_full(place):
            partial.mkdir()
            yield from _save(folder, role, partial)
            os.rename(partial, final)
            list_packages(place, {side: final / f"{side}.mlpackage" for side in SIDES})
    except PermissionError as error:
        raise RequestError(f"{place} can't be written to.", "Choose another place with -o.") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
        finish(partial)


def _save(folder: Folder, role: str, place: Path) -> Iterator[Event]:
    network: Any = open_component(folder, role, mx.float32)
    start = time.monotonic()
    yield Stage("write", "coreml", len(SIDES))
    for number, side in enumerate(SIDES, 1):
        with silence():
            build_package(network, side, list_shapes(network, side, folder.spec)).save(str(place / f"{side}.mlpackage"))
        seconds = time.monotonic() - start
        yield Step(number, len(SIDES), seconds, seconds / number * (len(SIDES) - number))


def list_shapes(network: Network, side: str, spec: ModelSpec) -> list[Shape]:
    """Of the input of one side, for every size in which the program is likely to show a picture of this model."""
    scaled = [Size(int(scale * spec.size.width), int(scale * spec.size.height)) for scale in SCALES]
    sizes = {size_of_shape(*aspect, dataclasses.replace(spec, size=size)) for size in scaled for aspect in ASPECTS}
    first = sorted(sizes, key=lambda size: (size != spec.size, size))
    if side == "encoder":
        return [(1, 3, size.height, size.width) for size in first]
    return [(1, 4 * network.params.z_channels, *size.grid(spec.size_multiple)) for size in first]


@contextlib.contextmanager
def silence() -> Iterator[None]:
    """coremltools draws bars of its own on stderr."""
    with contextlib.redirect_stderr(io.StringIO()):
        yield


# ---- networks as programs


@cache
def load_tools() -> Any:
    """coremltools, without what it logs where Core ML itself is missing. Raises RequestError where it is missing."""
    logging.getLogger("coremltools").setLevel(logging.CRITICAL)
    try:
        with silence():
            import coremltools
    except ImportError as error:
        hint = 'An installation with pip has it after: pip install "flux-local-studio[coreml]"'
        raise RequestError("Packages for Core ML need coremltools, which is not installed.", hint) from error
    return coremltools


@cache
def mil() -> Any:
    """The builder of MIL's operations."""
    load_tools()
    from coremltools.converters.mil import Builder

    return Builder


def build_package(network: Network, side: str, shapes: list[Shape]) -> Any:
    """The "decoder" or "encoder" of `network` as an MLModel for macOS 14 that takes any of the `shapes` of its input.

    At least two shapes. Raises RequestError where coremltools is missing.
    """
    ct, name = load_tools(), LATENTS if side == "decoder" else PICTURE
    return ct.convert(
        _trace(network, side, shapes[0][1]),
        convert_to="mlprogram",
        minimum_deployment_target=ct.target.macOS14,
        compute_precision=ct.transform.FP16ComputePrecision(op_selector=lambda op: not op.name.startswith(NORM)),
        inputs=[ct.TensorType(name=name, shape=ct.EnumeratedShapes(shapes=shapes), dtype=np.float16)],
        outputs=[ct.TensorType(dtype=np.float16)],
        skip_model_load=True,
    )


def _trace(network: Network, side: str, channels: int) -> Any:
    """The program for an input of unknown height and width."""
    from coremltools.converters.mil.mil import get_new_symbol

    spec, program = mil().TensorSpec(shape=(1, channels, get_new_symbol(), get_new_symbol())), mil().program
    make = program(input_specs=[spec], opset_version=load_tools().target.macOS14)
    # The names of the arguments become those of the inputs.
    if side == "decoder":
        return make(lambda latents: mil().identity(x=decode(network, latents), name=PICTURE))
    return make(lambda picture: mil().identity(x=encode(network, picture), name=LATENTS))


# ---- the two sides


def encode(network: Network, x: Var) -> Var:
    """As AutoEncoder.encode."""
    if isinstance(network, tiny.AutoEncoder):
        x = run(network.encoder, mil().mul(x=mil().add(x=x, y=1.0), y=0.5))
        return mil().pixel_unshuffle(x=x, downscale_factor=np.uint32(2))
    part = network.encoder
    x = _conv(part.conv_in, _unshuffle(x, part.patch), SMALL)
    x = run([*part.down, part.mid], x)
    x = run([ACTIVE, part.conv_out], _norm(part.norm_out, x, SMALL))
    x = run([part.quant_conv], x) if "quant_conv" in part else x
    x = mil().slice_by_size(x=x, begin=(0, 0, 0, 0), size=(1, network.params.z_channels, -1, -1))
    mean, deviation = _statistics(network)
    x = mil().sub(x=_unshuffle(x, 2), y=mean, name=f"{NORM}_latents_centred")
    return mil().mul(x=x, y=1 / deviation, name=f"{NORM}_latents")


def decode(network: Network, x: Var) -> Var:
    """As AutoEncoder.decode."""
    if isinstance(network, tiny.AutoEncoder):
        x = run(network.decoder, _shuffle(x, 2))
        return mil().sub(x=mil().mul(x=x, y=2.0), y=1.0)
    mean, deviation = _statistics(network)
    part, x = network.decoder, mil().mul(x=x, y=deviation, name=f"{NORM}_latents_scaled")
    x = _shuffle(mil().add(x=x, y=mean, name=f"{NORM}_latents"), 2)
    x = run([part.post_quant_conv], x) if "post_quant_conv" in part else x
    x = _conv(part.conv_in, x, SMALL)
    x = run([part.mid, *reversed(part.up)], x)
    x = run([ACTIVE, part.conv_out], _norm(part.norm_out, x, SMALL))
    return _shuffle(x, part.patch)


def _statistics(network: kl.AutoEncoder) -> tuple[np.ndarray, ...]:
    """Mean and deviation of model latents, (1, 4z, 1, 1) or (1, 1, 1, 1)."""
    if not network.params.packed_norm:
        return tuple(_column(mx.array([part])) for part in (network.params.shift, 1 / network.params.scale))
    return _column(network.bn.running_mean), _column(network.bn.deviation())


def _shuffle(x: Var, side: int) -> Var:
    return x if side == 1 else mil().pixel_shuffle(x=x, upscale_factor=side)


def _unshuffle(x: Var, side: int) -> Var:
    return x if side == 1 else mil().pixel_unshuffle(x=x, downscale_factor=np.uint32(side))


def _array(x: mx.array) -> np.ndarray:
    return np.array(x.astype(mx.float32))


def _column(x: mx.array) -> np.ndarray:
    return _array(x).reshape(1, -1, 1, 1)


# ---- layers


def run(layers: Iterable[Any], x: Var) -> Var:
    """One after the other, as ops.run_layers. Raises KeyError for a layer that previews don't need."""
    for layer in layers:
        x = LAYERS[type(layer)](layer, x)
    return x


def _conv(layer: Any, x: Var, made: float = 1.0, given: float = 1.0, pad: Sequence[int] = ()) -> Var:
    """`made`, `given`: the sizes of the map that it makes and of `x`; `pad`: rows above and below, columns beside."""
    (down, across), bias = layer.padding, {"bias": made * _array(layer.bias)} if "bias" in layer else {}
    weight = np.ascontiguousarray(made / given * _array(layer.weight).transpose(0, 3, 1, 2))
    pads = pad or (down, down, across, across)
    return mil().conv(x=x, weight=weight, strides=layer.stride, pad_type="custom", pad=pads, **bias)


def _norm(layer: nn.GroupNorm, x: Var, given: float = 1.0) -> Var:
    """By means of channels and then of groups, so that no shape in it depends on the picture's size."""
    name = f"{NORM}_{x.name}"
    x = mil().sub(x=x, y=_group_mean(layer, x, name), name=f"{name}_centred")
    square = mil().mul(x=x, y=x, name=f"{name}_square")
    scale = mil().rsqrt(
        x=_group_mean(layer, square, f"{name}_spread"), epsilon=given**2 * layer.eps, name=f"{name}_rsqrt"
    )
    scale = mil().mul(x=scale, y=_column(layer.weight), name=f"{name}_scale")
    x = mil().mul(x=x, y=scale, name=f"{name}_scaled")
    return mil().add(x=x, y=_column(layer.bias), name=f"{name}_out")


def _group_mean(layer: nn.GroupNorm, x: Var, name: str) -> Var:
    """(1, c, H, W) -> (1, c, 1, 1): for each channel the mean of its group."""
    channels, groups = layer.dims, layer.num_groups
    x = mil().reduce_mean(x=x, axes=(2, 3), keep_dims=True, name=f"{name}_channels")
    x = mil().reshape(x=x, shape=(1, groups, channels // groups, 1), name=f"{name}_grouped")
    x = mil().reduce_mean(x=x, axes=(2,), keep_dims=True, name=f"{name}_groups")
    x = mil().tile(x=x, reps=(1, 1, channels // groups, 1), name=f"{name}_tiled")
    return mil().reshape(x=x, shape=(1, channels, 1, 1), name=f"{name}_mean")


def _double(_: nn.Module, x: Var) -> Var:
    return mil().upsample_nearest_neighbor(x=x, scale_factor_height=2, scale_factor_width=2)


def _clamp(_: tiny.Clamp, x: Var) -> Var:
    return mil().mul(x=mil().tanh(x=mil().mul(x=x, y=1 / tiny.LIMIT)), y=tiny.LIMIT)


def _tiny_block(layer: tiny.Block, x: Var) -> Var:
    x = mil().add(x=x, y=run(layer.pool, x)) if "pool" in layer else x
    return mil().relu(x=mil().add(x=run(layer.conv, x), y=x))


def _resnet(layer: kl.ResnetBlock, x: Var) -> Var:
    y = _conv(layer.conv1, mil().silu(x=_norm(layer.norm1, x, SMALL)), SMALL)
    y = _conv(layer.conv2, mil().silu(x=_norm(layer.norm2, y, SMALL)), SMALL)
    return mil().add(x=y, y=_conv(layer.nin_shortcut, x, SMALL, SMALL) if "nin_shortcut" in layer else x)


def _attention(layer: kl.AttnBlock, x: Var) -> Var:
    y, width = _norm(layer.norm, x, SMALL), x.shape[1]
    q, k, v = (mil().reshape(x=_conv(part, y), shape=(1, width, -1)) for part in (layer.q, layer.k, layer.v))
    scores = mil().matmul(x=mil().mul(x=q, y=width**-0.5), y=k, transpose_x=True)  # (1, queries, keys)
    seen = mil().matmul(x=v, y=mil().softmax(x=scores, axis=-1), transpose_y=True)
    return mil().add(x=x, y=_conv(layer.proj_out, mil().reshape(x=seen, shape=mil().shape(x=x)), SMALL))


LAYERS: dict[type, Callable[[Any, Var], Var]] = {
    nn.Conv2d: _conv,
    nn.GroupNorm: _norm,
    nn.ReLU: lambda _, x: mil().relu(x=x),
    nn.SiLU: lambda _, x: mil().silu(x=x),
    tiny.Clamp: _clamp,
    tiny.Upsample: _double,
    tiny.Block: _tiny_block,
    kl.ResnetBlock: _resnet,
    kl.AttnBlock: _attention,
    kl.Downsample: lambda layer, x: _conv(layer.conv, x, SMALL, SMALL, (0, 1, 0, 1)),  # right and bottom, as there
    kl.Upsample: lambda layer, x: _conv(layer.conv, _double(layer, x), SMALL, SMALL),
    kl.Level: lambda layer, x: run(layer.steps, x),
    kl.Middle: lambda layer, x: run(layer.steps, x),
}
