"""FLUX.2's decoder in float32 by strips: most memory beside its weights, by MLX's counter and by the process's resident
memory, beside what is forecast, and its processor time: python -m tests.bench.strips [SIDE ...]

Each size in a process of its own; resident memory is the process's peak less what it had with the weights there.
"""

import resource
import subprocess
import sys
import time


def measure(side: int) -> str:
    from app.base import blas

    blas.preload()
    import mlx.core as mx

    from mlx_model import memory
    from mlx_model.nets.autoencoder import AutoEncoder, Params
    from mlx_model.specs import SPECS

    network = AutoEncoder(Params())
    latents = mx.random.normal((1, side // 16, side // 16, 128))
    mx.eval(network.parameters(), latents)
    mx.set_cache_limit(0)
    mx.reset_peak_memory()
    before, resident, began = mx.get_active_memory(), _resident(), time.process_time()
    mx.eval(network.decode(latents))
    seconds = time.process_time() - began
    taken = mx.get_peak_memory() - before
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - resident
    told = memory._maps(SPECS["flux2-klein-4b"], side * side, 4)
    sizes = (f"{count / 1e9:.2f} GB {by}" for count, by in ((taken, "by MLX"), (most, "resident"), (told, "forecast")))
    return f"{side} px: {', '.join(sizes)}; {seconds:.0f} s of processor"


def _resident() -> int:
    import psutil

    return int(psutil.Process().memory_info().rss)


def main() -> None:
    for side in sys.argv[1:] or ("256", "384", "512"):
        command = [sys.executable, "-c", f"from tests.bench.strips import measure; print(measure({int(side)}))"]
        print(subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip(), flush=True)


if __name__ == "__main__":
    main()
