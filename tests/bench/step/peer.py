"""mflux's steps of the same cases, traced in its own environment: python -m tests.bench.step.peer prints them as JSON.

Built from mflux 0.24.0's classes, called as its generators call them.
"""

import json
from typing import Any

import mlx.core as mx
import mlx.nn as nn
from mlx.utils import tree_flatten

from tests.bench.step import graph
from tests.bench.step.cases import BITS, CASES, IMAGE, REFERENCE, Case

SIDE = 64  # tokens of a picture and of a reference on each side


def trace(case: Case) -> graph.Step:
    return STEPS[case.family](BUILDERS[case.family](case), case)


def weigh(case: Case) -> dict[int, int]:
    """Bytes of the transformer by its bits: mflux packs every layer that can be."""
    found = {}
    for bits in BITS:
        network = BUILDERS[case.family](case)
        if bits < 16:
            nn.quantize(network, 64, bits)
        found[bits] = sum(array.nbytes for _, array in tree_flatten(network.parameters()))
    return found


def _zeros(count: int, width: int, dtype: Any = mx.bfloat16) -> mx.array:
    return mx.zeros((1, count, width), dtype)


def _build_flux1(case: Case) -> Any:
    from mflux.models.common.config.model_config import ModelConfig
    from mflux.models.flux.model.flux_transformer.transformer import Transformer

    return _halve(Transformer(ModelConfig.dev_kontext() if case.references else ModelConfig.dev()))


def _build_flux2(case: Case) -> Any:
    from mflux.models.flux2.model.flux2_transformer.transformer import Flux2Transformer

    return _halve(Flux2Transformer(**_sizes(case)))


def _build_flux3(case: Case) -> Any:
    from mflux.models.flux3.model.flux3_transformer.flux3_transformer import Flux3Transformer

    return _halve(Flux3Transformer(**_sizes(case), flow_map=not case.base))


def _sizes(case: Case) -> dict[str, int]:
    return {
        "num_layers": case.double,
        "num_single_layers": case.single,
        "num_attention_heads": case.heads,
        "joint_attention_dim": case.context,
    }


def _halve(network: Any) -> Any:
    network.set_dtype(mx.bfloat16)
    return network


def _trace_flux1(network: Any, case: Case) -> graph.Step:
    """It makes its noise in float32, and so all that follows."""
    from mflux.models.common.config.config import Config
    from mflux.models.common.config.model_config import ModelConfig
    from mflux.models.flux.variants.kontext.kontext_util import KontextUtil

    config = Config(
        model_config=ModelConfig.dev(), num_inference_steps=28, height=1024, width=1024, guidance=3.5
    )  # fmt: skip
    ids = KontextUtil._create_image_ids(1024, 1024) if case.references else None

    def step(latents: mx.array, text: mx.array, pooled: mx.array) -> mx.array:
        given = {"prompt_embeds": text, "pooled_prompt_embeds": pooled, "kontext_image_ids": ids}
        made: mx.array = network(t=3, config=config, hidden_states=latents, **given)
        return made

    latents = _zeros(IMAGE + case.references * REFERENCE, 64, mx.float32)
    return graph.trace(network, step, latents, _zeros(case.text, 4096), mx.zeros((1, 768), mx.bfloat16))


def _trace_flux2(network: Any, case: Case) -> graph.Step:
    from mflux.models.flux2.latent_creator.flux2_latent_creator import Flux2LatentCreator as Creator
    from mflux.models.flux2.model.flux2_text_encoder.prompt_encoder import Flux2PromptEncoder
    from mflux.models.flux2.model.flux2_transformer.flux2_kv_cache import Flux2KVCache

    seen, text = case.references * REFERENCE, _zeros(case.text, case.context)
    grid = mx.zeros((1, 1, SIDE, SIDE))
    ids = [Creator.prepare_grid_ids(grid, t_coord=0)]
    cache = None
    given: list[mx.array] = []
    if case.banked:
        cache = Flux2KVCache(num_double_layers=case.double, num_single_layers=case.single)
        cache.configure(mode="cached", num_ref_tokens=seen)
        given = [mx.zeros((1, case.heads, seen, 128), mx.bfloat16) for _ in range(2 * (case.double + case.single))]
        seen = 0
    else:
        ids += [Creator.prepare_grid_ids(grid, t_coord=10 + 10 * number) for number in range(case.references)]
    joined = mx.concatenate(ids, axis=1)
    txt_ids = Flux2PromptEncoder.prepare_text_ids(text)
    mx.eval(joined, txt_ids)

    def step(latents: mx.array, text: mx.array, *rest: mx.array) -> mx.array:
        if cache is not None:
            pairs = list(zip(rest[::2], rest[1::2], strict=True))
            cache._double, cache._single = pairs[: case.double], pairs[case.double :]
        made: mx.array = network(latents, text, mx.array(700), joined, txt_ids, None, cache)
        return made

    return graph.trace(network, step, _zeros(IMAGE + seen, 128), text, *given)


def _trace_flux3(network: Any, case: Case) -> graph.Step:
    from mflux.models.flux3.latent_creator.flux3_latent_creator import Flux3LatentCreator as Creator
    from mflux.models.flux3.model.flux3_text_encoder.prompt_encoder import Flux3PromptEncoder

    ids, txt_ids = Creator.prepare_ids(SIDE, SIDE, layer=0), Flux3PromptEncoder.prepare_text_ids(case.text)
    seen = [_zeros(REFERENCE, 128)] if case.references else []
    seen_ids = Creator.prepare_ids(SIDE, SIDE, layer=-1) if seen else None
    mx.eval(ids, txt_ids, seen_ids)
    target = None if case.base else mx.array([0.5])
    time = mx.array([0.7])

    def step(latents: mx.array, text: mx.array, *rest: mx.array) -> mx.array:
        made: mx.array = network(latents, ids, text, txt_ids, time, target, rest[0] if rest else None, seen_ids)
        return made

    return graph.trace(network, step, _zeros(IMAGE, 128, mx.float32), _zeros(case.text, case.context), *seen)


BUILDERS = {"flux1": _build_flux1, "flux2": _build_flux2, "flux3": _build_flux3}
STEPS = {"flux1": _trace_flux1, "flux2": _trace_flux2, "flux3": _trace_flux3}


def main() -> None:
    with graph.stand_in():  # it imports some of them by their names
        found = {name: {**trace(case).summarise(), "held": weigh(case)} for name, case in CASES.items()}
    print(json.dumps(found))


if __name__ == "__main__":
    main()
