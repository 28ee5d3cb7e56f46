"""Memory and time of converting FLUX.2 dev, from sparse files with its real names, widths and types.

    python -m tests.bench.convert_memory [--bits 8] [--blocks 2]

`--blocks` cuts the depth (0: all of it, some 60 GB of disk at 8 bits and an hour of two cores): conversion streams
tensor by tensor, so the peak must not grow with depth. Values are zero; packing costs the same for any values.
"""

import argparse
import json
import math
import re
import resource
import sys
import tempfile
import time
from pathlib import Path

from tokenizers import Tokenizer, models

from mlx_model.run.tokenize import MISTRAL

LAYOUTS = Path(__file__).resolve().parents[1] / "data" / "layouts"
PARTS = {
    "flux2-dev.safetensors": "flux2_dev_bfl",
    "text_encoder/model.safetensors": "te_mistral_small_24b",
    "vae/model.safetensors": "flux2_ae_diffusers",
}
BLOCK = re.compile(r"(double_blocks|single_blocks|language_model\.model\.layers)\.(\d+)\.")


def shapes(layout: str, blocks: int) -> dict[str, list[int]]:
    """Names and shapes of a published checkpoint, its first `blocks` blocks of each kind (0: all)."""
    found = {}
    for line in (LAYOUTS / f"shapes_{layout}.tsv").read_text("utf-8").splitlines():
        name, shape = line.split("\t")
        block = BLOCK.search(name)
        if not (blocks and block and int(block[2]) >= blocks):
            found[name] = [] if shape == "scalar" else [int(side) for side in shape.split("x")]
    return found


def write_sparse(file: Path, tensors: dict[str, list[int]]) -> int:
    """A safetensors file of zeros that takes no room; -> bytes of its largest tensor."""
    header, start, largest = {}, 0, 0
    for name, shape in tensors.items():
        kind, size = ("I64", 8) if name.endswith("num_batches_tracked") else ("BF16", 2)
        end = start + size * math.prod(shape)
        header[name] = {"dtype": kind, "shape": shape, "data_offsets": [start, end]}
        start, largest = end, max(largest, end - start)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("wb") as handle:
        handle.write(len(text).to_bytes(8, "little") + text)
        handle.truncate(8 + len(text) + start)
    return largest


def make_source(root: Path, blocks: int) -> int:
    """The checkpoint with its companions; -> bytes of the largest tensor."""
    (root / "tokenizer").mkdir(parents=True)
    words = {word: number for number, word in enumerate(MISTRAL)}
    Tokenizer(models.WordLevel(words, MISTRAL[0])).save(str(root / "tokenizer" / "tokenizer.json"))
    (root / "tokenizer" / "tokenizer_config.json").write_text(json.dumps({"pad_token": MISTRAL[0]}))
    return max(write_sparse(root / name, shapes(layout, blocks)) for name, layout in PARTS.items())


def peak_bytes() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bits", type=int, default=8)
    parser.add_argument("--blocks", type=int, default=2, help="blocks of each kind and layers of the encoder; 0: all")
    options = parser.parse_args()
    from app.base import blas

    blas.preload()
    from converters.convert import convert

    with tempfile.TemporaryDirectory() as folder:
        largest = make_source(Path(folder), options.blocks)
        began, before = time.perf_counter(), time.process_time()
        for _ in convert(Path(folder) / "flux2-dev.safetensors", Path(folder) / "out", "flux2-dev", options.bits):
            pass
        seconds, busy = time.perf_counter() - began, time.process_time() - before
    print(f"FLUX.2 dev to {options.bits} bits, {options.blocks or 'all'} blocks of each kind: {seconds:.0f} s")
    print(f"({busy:.0f} s of processor), peak {peak_bytes() / 1e9:.2f} GB, largest tensor {largest / 1e9:.2f} GB")


if __name__ == "__main__":
    main()
