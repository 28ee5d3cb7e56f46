"""FLUX.2's autoencoder in float32, ours by strips beside mflux's, beside its weights: most memory by the process's
resident memory and by MLX's counter, processor time; of ours also what is forecast.

    python -m tests.bench.vae_peak [PEERS [SIDE ...]]

Each size in a process of its own, which may take half of the memory that is free: mflux has strips in the decoder alone
and encodes pictures whole. Resident memory is the process's peak less what it had with the weights there. Bars: 0.85 of
mflux's memory to decode, 0.2 to encode.
"""

import json
import resource
import sys
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from tests.bench.table import call, find_peer, print_row

BARS = {"decode": 0.85, "encode": 0.2}
SIDES = ("512", "768")  # 1024 takes 300 s of processor of each


class Found(NamedTuple):
    """GB and seconds."""

    resident: float
    counted: float
    seconds: float


def measure(program: str, way: str, side: int, limit: int) -> Found:
    from app.base import blas

    blas.preload()
    import mlx.core as mx

    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    network, given = (_open_ours if program == "ours" else _open_mflux)(way, side)
    mx.set_cache_limit(0)
    mx.reset_peak_memory()
    before, resident, began = mx.get_active_memory(), _resident(), time.process_time()
    mx.eval(network(given))
    seconds = time.process_time() - began
    taken = mx.get_peak_memory() - before
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - resident
    return Found(most / 1e9, taken / 1e9, seconds)


def _open_ours(way: str, side: int) -> tuple[Callable[[Any], Any], Any]:
    import mlx.core as mx

    from mlx_model.nets.autoencoder import AutoEncoder, Params

    network, small = AutoEncoder(Params()), side // 16
    given = mx.random.normal((1, small, small, 128) if way == "decode" else (1, side, side, 3))
    mx.eval(network.parameters(), given)
    return getattr(network, way), given


def _open_mflux(way: str, side: int) -> tuple[Callable[[Any], Any], Any]:
    import mlx.core as mx
    from mflux.models.common.config.model_config import ModelConfig
    from mflux.models.flux2.model.flux2_vae.vae import Flux2VAE

    ModelConfig.precision = mx.float32
    network, small = Flux2VAE(), side // 16
    network.decode_mode = Flux2VAE.DECODE_LOW_MEMORY
    given = mx.random.normal((1, 128, small, small) if way == "decode" else (1, 3, side, side))
    mx.eval(network.parameters(), given)
    return (network.decode_packed_latents if way == "decode" else network.encode), given


def _resident() -> int:
    import psutil

    return int(psutil.Process().memory_info().rss)


def start(program: str, python: Any, way: str, side: str, limit: int) -> Found | None:
    """None where the memory was not enough."""
    words = [str(python), "-m", "tests.bench.vae_peak", "--one", program, way, side, str(limit)]
    try:
        return Found(*json.loads(call(*words).splitlines()[-1]))
    except SystemExit as end:
        if "allocate" in str(end.code) or "MemoryError" in str(end.code):
            return None
        raise


def compare(way: str, side: str, peer: Any, limit: int) -> None:
    from mlx_model import memory
    from mlx_model.specs import SPECS

    ours, theirs = start("ours", sys.executable, way, side, limit), None
    assert ours is not None
    told = memory._maps(SPECS["flux2-klein-4b"], int(side) ** 2, 4) / 1e9
    print(f"{way} {side} px: ours {ours}, forecast {told:.2f} GB", flush=True)
    if peer:
        theirs = start("mflux", peer, way, side, limit)
        print(f"{way} {side} px: mflux {theirs or f'more than {limit / 1e9:.1f} GB'}", flush=True)
    bar, least = BARS[way] if peer else None, limit / 1e9 if peer else None
    what = f"{way} {side} px, GB" + (" (mflux: more than)" if peer and not theirs else "")
    print_row(f"{what} resident", ours.resident, theirs.resident if theirs else least, bar)
    print_row(f"{what} by MLX's counter", ours.counted, theirs.counted if theirs else least, bar)
    if theirs:
        print_row(f"{way} {side} px, processor", ours.seconds, theirs.seconds, unit=" s")


def main() -> None:
    if sys.argv[1:2] == ["--one"]:
        program, way, side, limit = sys.argv[2:]
        print(json.dumps(measure(program, way, int(side), int(limit))))
        return
    import psutil

    limit = psutil.virtual_memory().available // 2
    for way in BARS:
        for side in sys.argv[2:] or SIDES:
            compare(way, side, find_peer(sys.argv[1:]), limit)


if __name__ == "__main__":
    main()
