"""What an edit of a region saves and changes, on the built-in model: python -m tests.bench.region

Each mask's share of the tokens, processor time beside the whole picture's, and how near what is under the mask is to
the picture that is computed whole (PSNR); for scale the distance to another seed's.
"""

import dataclasses
import time

import numpy as np

from app.base import blas, paths
from app.pictures import inputs
from mlx_model.events import Note
from mlx_model.request import Mask, Request

CASES = (
    ("robot", "add a fox on the left", (0, 64, 96, 224)),
    ("fox_robot", "remove the robot", (140, 60, 256, 230)),
    ("dog", "give the dog a red hat", (80, 20, 176, 110)),
    ("dog", "add a robot on the right", (160, 60, 256, 230)),
)
SEEDS = 3


def ask(name: str, words: str, box: tuple[int, int, int, int]) -> Request:
    left, top, right, bottom = box
    pixels = np.zeros((256, 256), np.float32)
    pixels[top:bottom, left:right] = 1
    given = (inputs.load_reference(f"assets/examples/{name}.png", []),)
    return Request("mini", words, references=given, mask=Mask(pixels=pixels))


def measure(pipeline, request: Request) -> tuple[list[np.ndarray], float, str]:
    """A picture of each seed, seconds of processor for one, and what the run says of the region."""
    pictures, began, said = [], time.process_time(), ""
    for seed in range(SEEDS):
        events = list(pipeline.run(dataclasses.replace(request, seed=seed)))
        pictures.append(events[-1].pixels.astype(float))
        said = " ".join(event.text for event in events if isinstance(event, Note) and "Region" in event.text)
    return pictures, (time.process_time() - began) / SEEDS, said


def compare(pictures: list[np.ndarray], others: list[np.ndarray], mask: np.ndarray) -> float:
    """The mean PSNR under the mask."""
    inside = mask > 0
    errors = [((one - other)[inside] ** 2).mean() for one, other in zip(pictures, others, strict=True)]
    return float(np.mean([10 * np.log10(255**2 / max(error, 1e-9)) for error in errors]))


def main() -> None:
    blas.preload()
    from mlx_model.run.pipeline import Pipeline

    pipeline = Pipeline.open(paths.mini(), "float32")
    for name, words, box in CASES:
        request = ask(name, words, box)
        list(pipeline.run(request))  # the prompt and the picture are encoded
        whole, took, _ = measure(pipeline, request)
        part, less, said = measure(pipeline, dataclasses.replace(request, region=True))
        mask = request.mask.pixels
        print(f"{words}: {said} {less / took:.2f} of {took:.2f} s; {compare(part, whole, mask):.1f} dB", end="")
        print(f" (another seed {compare(whole[1:] + whole[:1], whole, mask):.1f})", flush=True)


if __name__ == "__main__":
    main()
