"""Our steps, traced as a run makes them: what stays the same over all steps is there before."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import mlx.core as mx
import mlx.nn as nn

from mlx_model.nets import flux1, flux2, flux3, joined, ops
from mlx_model.store import weights
from tests.bench.step import graph
from tests.bench.step.cases import IMAGE, REFERENCE, Case

NETWORKS = (flux1, flux2, flux3)


def trace(case: Case, dtype: Any = mx.bfloat16, bits: int = 16) -> graph.Step:
    with as_on_metal():
        network = build(case, dtype, bits)
        return STEPS[case.family](network, case)


def build(case: Case, dtype: Any, bits: int = 16) -> Any:
    """With lazy weights, packed as a plan of so many bits does it: the matrices of the blocks."""
    sizes = {"hidden_size": case.hidden, "num_heads": case.heads, "depth": case.double}
    sizes |= {"depth_single_blocks": case.single, "context_in_dim": case.context}
    if case.family == "flux1":
        network: Any = flux1.Transformer(flux1.Params(**sizes, guidance_embed=True))
    elif case.family == "flux2":
        network = flux2.Transformer(flux2.Params(**sizes))
    else:
        network = flux3.Transformer(flux3.Params(**sizes, flow_map=not case.base))
    if bits < 16:
        _pack(network, bits)
    network.set_dtype(dtype)
    return network


def _pack(network: nn.Module, bits: int) -> None:
    for name, layer in network.named_modules():
        if isinstance(layer, nn.Linear) and "blocks" in name:
            parent, key = weights.locate(network, name)
            parent[key] = weights.PackedLinear(layer, 64, bits)


def _zeros(case: Case, count: int, width: int, dtype: Any) -> mx.array:
    return mx.zeros((1, count, width), dtype)


def _rope(count: int, width: int = 64) -> mx.array:
    return mx.zeros((count, width), mx.complex64)


def _trace_flux1(network: Any, case: Case) -> graph.Step:
    seen, dtype, h = case.references * REFERENCE, network.dtype, case.hidden
    references = _zeros(case, seen, h, dtype) if seen else None
    vec = mx.zeros((1, 1, h), dtype)
    steering, text = _steer_flux1(network, vec), _zeros(case, case.text, h, dtype)

    def step(latents: mx.array, text: mx.array, rope: mx.array, *rest: mx.array) -> mx.array:
        given = flux1.Condition(text, vec, rest[0] if references is not None else None, None, rope)
        velocity: mx.array = ops.finish(network.walk(latents, steering, given))[0]
        return velocity

    rope = _rope(case.text + IMAGE + seen)
    rest = () if references is None else (references,)
    return graph.trace(network, step, mx.zeros((1, IMAGE, 64)), text, rope, *rest)


def _mods(h: int, dtype: Any, count: int) -> list[ops.ModulationOut]:
    return [ops.ModulationOut(*(mx.zeros((1, 1, h), dtype) for _ in range(3))) for _ in range(count)]


def _last(h: int, dtype: Any) -> tuple[mx.array, mx.array]:
    return mx.zeros((1, 1, h), dtype), mx.zeros((1, 1, h), dtype)


def _steer_flux1(network: Any, vec: mx.array) -> flux1.Steering:
    h, dtype = vec.shape[-1], vec.dtype
    double = [(_mods(h, dtype, 2), _mods(h, dtype, 2)) for _ in network.double_blocks]
    return flux1.Steering(double, _mods(h, dtype, len(network.single_blocks)), _last(h, dtype))


def _trace_flux2(network: Any, case: Case) -> graph.Step:
    seen, dtype, h = case.references * REFERENCE, network.dtype, case.hidden
    steering = flux2.Steering(_mods(h, dtype, 2), _mods(h, dtype, 2), _mods(h, dtype, 1)[0], _last(h, dtype))
    rope = _rope(case.text + IMAGE + (0 if case.banked else seen))
    shape = (1, case.heads, seen, h // case.heads)
    bank = [mx.zeros(shape, dtype) for _ in range(2 * (case.double + case.single))] if case.banked else []
    references = [_zeros(case, seen, h, dtype)] if seen and not case.banked else []

    def step(latents: mx.array, text: mx.array, rope: mx.array, *rest: mx.array) -> mx.array:
        pairs = list(zip(rest[::2], rest[1::2], strict=True)) if bank else None
        given = flux2.Condition(text, rest[0] if references else None, pairs, rope)
        velocity: mx.array = ops.finish(network.walk(latents, steering, given))[0]
        return velocity

    text = _zeros(case, case.text, h, dtype)
    return graph.trace(network, step, mx.zeros((1, IMAGE, 128)), text, rope, *references, *bank)


def _join(network: Any) -> tuple[list[mx.array], Callable[[list[mx.array]], None]]:
    """The matrices that blocks make one product of, and what puts others in their place: a run has them beforehand."""
    kept = [block._joined for block in network.modules() if isinstance(block, flux3.Block)]
    layers = [joined.join(block._seeing) for block in network.modules() if isinstance(block, flux3.Block)]
    places = [(layer, name) for layer in layers for name in joined.ARRAYS if name in layer]

    def put(arrays: list[mx.array]) -> None:
        for (layer, name), array in zip(places, arrays, strict=True):
            layer[name] = array
        for one, layer in zip(kept, layers, strict=True):
            one.find = lambda _, layer=layer: layer

    return [layer[name] for layer, name in places], put


def _trace_flux3(network: Any, case: Case) -> graph.Step:
    seen, dtype, h = case.references * REFERENCE, network.dtype, case.hidden
    modes = (flux3.IMAGE, flux3.REFERENCES, flux3.TEXT)
    early = {mode: _mods(h, dtype, 1) for mode in modes}
    steering = flux3.Steering(early, {mode: _mods(h, dtype, 1)[0] for mode in modes}, _last(h, dtype))
    references = [_zeros(case, seen, h, dtype)] if seen else []
    matrices, put = _join(network)
    made = [mx.zeros(matrix.shape, matrix.dtype) for matrix in matrices]

    def step(latents: mx.array, text: mx.array, rope: mx.array, *rest: mx.array) -> mx.array:
        put(list(rest[: len(made)]))
        given = flux3.Condition(text, rest[-1] if references else None, rope)
        velocity: mx.array = ops.finish(network.walk(network.begin(latents, steering, given), steering, given))[0]
        return velocity

    text, rope = _zeros(case, case.text, h, dtype), _rope(case.text + IMAGE + seen)
    return graph.trace(network, step, mx.zeros((1, IMAGE, 128)), text, rope, *made, *references)


STEPS = {"flux1": _trace_flux1, "flux2": _trace_flux2, "flux3": _trace_flux3}


@contextmanager
def as_on_metal() -> Iterator[None]:
    """What networks decide by the device, as on a GPU; what has a gradient of its own can't be traced."""
    kept = [(ops, "on_cpu", ops.on_cpu), (weights, "dense_is_better", weights.dense_is_better)]
    kept += [(ops, "_fuse_gate", ops._fuse_gate), (ops, "_fuse_add", ops._fuse_add)]
    kept += [(network, "rotate_pairs", network.rotate_pairs) for network in NETWORKS]
    try:
        ops.on_cpu = lambda: False
        weights.dense_is_better = lambda rows: rows >= weights.DENSE_ROWS
        ops._fuse_gate, ops._fuse_add = graph.like_first("gate"), graph.like_first("add")
        for network in NETWORKS:
            network.rotate_pairs = ops.turn_pairs
        yield
    finally:
        for holder, name, function in kept:
            setattr(holder, name, function)
