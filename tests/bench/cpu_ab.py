"""One step of networks of middle size in float32 on one core: ours, mflux's and diffusers', in turn, each time in a new
process: python -m tests.bench.cpu_ab PEERS [ROUNDS]

Width 1024, 2 + 4 blocks, 256 tokens each of text, picture and reference, weights that are drawn. Processor seconds, the
median of the rounds. Bars: 0.80 of mflux, 0.65 of diffusers. Both MLX programs get the same OpenBLAS, torch its own.
"""

import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.bench.table import call, find_peer, print_row

HEADS, DOUBLE, SINGLE, CONTEXT, TOKENS, SIDE = 8, 2, 4, 1536, 256, 16
SIZES = {
    "num_attention_heads": HEADS,
    "joint_attention_dim": CONTEXT,
    "num_layers": DOUBLE,
    "num_single_layers": SINGLE,
}
STEPS, ROUNDS = 3, 5
FAMILIES = ("flux2", "flux3")
BARS = {"mflux": 0.8, "diffusers": 0.65}
Call = Callable[[], Any]


def time_steps(step: Call) -> float:
    """Processor seconds of one, the best of STEPS after one that is not counted."""
    step()
    times = []
    for _ in range(STEPS):
        began = time.process_time()
        step()
        times.append(time.process_time() - began)
    return min(times)


def make_ours(family: str) -> Call:
    from app.base import blas

    blas.preload()
    import mlx.core as mx
    import numpy as np

    from mlx_model.nets import flux2, flux3
    from mlx_model.nets.ops import finish, timestep_features
    from mlx_model.run import flux3 as run3
    from mlx_model.run import latents as run2
    from tests.bench.bank import made_network

    net = {"flux2": flux2, "flux3": flux3}[family]
    more = {"flow_map": True} if family == "flux3" else {}
    network = made_network(net.Params(128 * HEADS, HEADS, DOUBLE, SINGLE, CONTEXT, **more), mx.float32, net.Transformer)
    text, picture, seen = (mx.random.normal((1, TOKENS, width)) for width in (CONTEXT, 128, 128))
    grid = (SIDE, SIDE)
    ids = (
        (run2.text_ids(TOKENS), run2.grid_ids(grid), run2.reference_ids([grid]))
        if family == "flux2"
        else (run2.text_ids(TOKENS), run3.image_ids(grid), run3.reference_ids([grid]))
    )
    given = network.condition(text, network.rope(np.concatenate(ids)), seen)
    time_now = [timestep_features([0.5])] * (2 if family == "flux3" else 1)
    steering = network.steer(*time_now)
    mx.eval(given, steering)

    def step() -> None:
        begun = network.begin(picture, steering, given) if family == "flux3" else picture
        mx.eval(finish(network.walk(begun, steering, given)))

    return step


def make_mflux(family: str) -> Call:
    from app.base import blas

    blas.preload()
    import mlx.core as mx
    from mflux.models.common.config.model_config import ModelConfig

    ModelConfig.precision = mx.float32
    text, picture, seen = (mx.random.normal((1, TOKENS, width)) for width in (CONTEXT, 128, 128))
    step = {"flux2": _start_mflux2, "flux3": _start_mflux3}[family](text, picture, seen)
    return lambda: mx.eval(step())


def _start_mflux2(text: Any, picture: Any, seen: Any) -> Call:
    import mlx.core as mx
    from mflux.models.flux2.latent_creator.flux2_latent_creator import Flux2LatentCreator as Creator
    from mflux.models.flux2.model.flux2_text_encoder.prompt_encoder import Flux2PromptEncoder
    from mflux.models.flux2.model.flux2_transformer.transformer import Flux2Transformer

    network, grid = Flux2Transformer(**SIZES), mx.zeros((1, 1, SIDE, SIDE))
    ids = mx.concatenate([Creator.prepare_grid_ids(grid, t_coord=when) for when in (0, 10)], axis=1)
    txt_ids, latents = Flux2PromptEncoder.prepare_text_ids(text), mx.concatenate([picture, seen], axis=1)
    mx.eval(network.parameters(), ids, txt_ids, latents)
    return lambda: network(latents, text, mx.array(500), ids, txt_ids, None, None)


def _start_mflux3(text: Any, picture: Any, seen: Any) -> Call:
    import mlx.core as mx
    from mflux.models.flux3.latent_creator.flux3_latent_creator import Flux3LatentCreator as Creator
    from mflux.models.flux3.model.flux3_text_encoder.prompt_encoder import Flux3PromptEncoder
    from mflux.models.flux3.model.flux3_transformer.flux3_transformer import Flux3Transformer

    network = Flux3Transformer(**SIZES, flow_map=True)
    ids, seen_ids = (Creator.prepare_ids(SIDE, SIDE, layer=layer) for layer in (0, -1))
    txt_ids, now = Flux3PromptEncoder.prepare_text_ids(TOKENS), mx.array([0.5])
    mx.eval(network.parameters(), ids, seen_ids, txt_ids)
    return lambda: network(picture, ids, text, txt_ids, now, now, seen, seen_ids)


def make_diffusers(family: str) -> Call:
    import diffusers
    import torch

    torch.set_num_threads(1)
    text, picture, seen = (torch.randn(1, TOKENS, width) for width in (CONTEXT, 128, 128))
    ids, now = torch.zeros(TOKENS, 4), torch.tensor([0.5])
    if family == "flux2":
        kind, given = diffusers.Flux2Transformer2DModel, {"guidance_embeds": False}
        two = torch.cat([picture, seen], 1), torch.cat([ids, ids])[None]
        asked = {"hidden_states": two[0], "img_ids": two[1], "txt_ids": ids[None], "timestep": now}
    else:
        kind, given = diffusers.Flux3Transformer2DModel, {"flow_map": True}
        asked = {"hidden_states": picture, "img_ids": ids, "txt_ids": ids, "timestep": now, "target_timestep": now}
        asked |= {"image_cond_hidden_states": seen, "image_cond_ids": ids}
    network = kind(**SIZES, attention_head_dim=128, **given).eval()

    def step() -> None:
        with torch.no_grad():
            network(encoder_hidden_states=text, **asked)

    return step


MAKERS = {"ours": make_ours, "mflux": make_mflux, "diffusers": make_diffusers}


def run_rounds(family: str, peer: Path | None, rounds: int) -> dict[str, float]:
    """The median of each program's, one after the other in every round."""
    found: dict[str, list[float]] = {name: [] for name in (MAKERS if peer else ["ours"])}
    for _ in range(rounds):
        for name, times in found.items():
            program = sys.executable if name == "ours" or peer is None else peer
            times.append(json.loads(call(program, "-m", "tests.bench.cpu_ab", "--one", name, family).splitlines()[-1]))
    print(f"{family}: {found}", flush=True)
    return {name: statistics.median(times) for name, times in found.items()}


def main() -> None:
    if sys.argv[1:2] == ["--one"]:
        name, family = sys.argv[2:]
        print(json.dumps(time_steps(MAKERS[name](family))))
        return
    words = sys.argv[1:]
    for family in FAMILIES:
        found = run_rounds(family, find_peer(words), int(words[1]) if len(words) > 1 else ROUNDS)
        for name, bar in BARS.items():
            if name in found:
                print_row(f"a step of {family} on a core beside {name}'s", found["ours"], found[name], bar, " s")


if __name__ == "__main__":
    main()
