"""Pictures, clips and sounds that are drawn, each with what it shows in words: the data of this comparison.

python -m tests.bench.selfflow_clips.world FOLDER [--count 24]     writes some, as `flux-local train clips` takes them
"""

import argparse
import wave
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from mlx_model.training.patches import FILMED, HEARD

COLOURS = {"red": (214, 60, 50), "green": (70, 160, 80), "blue": (60, 100, 200), "yellow": (230, 190, 60)}
GROUNDS = {"day": (236, 232, 220), "night": (36, 40, 60)}
SHAPES = ("square", "disc", "bar")
WAYS = {"left": (-1, 0), "right": (1, 0), "up": (0, -1), "down": (0, 1)}
NOTES = {"low": 220.0, "middle": 440.0, "high": 880.0}
BENDS = {"steady": 0.0, "rising": 1.0, "falling": -1.0}  # octaves in a second
VOICES = {"pure": (1.0,), "reedy": (1.0, 0.6, 0.4, 0.3)}  # overtones


def draw(kind: str, rng: np.random.Generator, side: int, frames: int, samples: int) -> tuple[np.ndarray, str]:
    """A clip as its codec takes it, and its caption."""
    if kind == "audio":
        return draw_sound(rng, samples)
    return draw_film(rng, side, frames if kind == "video" else 1)


def draw_film(rng: np.random.Generator, side: int, frames: int) -> tuple[np.ndarray, str]:
    """(F, side, side, 3) uint8: a shape that stands, in a clip one that crosses half of it."""
    colour, ground, shape, way = (str(rng.choice(list(one))) for one in (COLOURS, GROUNDS, SHAPES, WAYS))
    x, y = rng.uniform(0.35, 0.65, 2)
    pages = []
    for number in range(frames):
        moved = (number / max(1, frames - 1) - 0.5) * 0.5 if frames > 1 else 0.0
        at = (x + WAYS[way][0] * moved, y + WAYS[way][1] * moved)
        pages.append(draw_page(COLOURS[colour], GROUNDS[ground], shape, at, side))
    return np.stack(pages), f"a {colour} {shape}{f' moves {way}' if frames > 1 else ''} at {ground}"


def draw_page(colour: tuple, ground: tuple, shape: str, at: tuple[float, float], side: int) -> np.ndarray:
    image = Image.new("RGB", (4 * side, 4 * side), ground)
    wide, high = {"square": (0.16, 0.16), "disc": (0.18, 0.18), "bar": (0.24, 0.07)}[shape]
    box = [4 * side * part for part in (at[0] - wide, at[1] - high, at[0] + wide, at[1] + high)]
    pen = ImageDraw.Draw(image)
    (pen.ellipse if shape == "disc" else pen.rectangle)(box, fill=colour)
    return np.asarray(image.resize((side, side), Image.Resampling.BOX))


def draw_sound(rng: np.random.Generator, samples: int) -> tuple[np.ndarray, str]:
    """(samples,) float32: a tone with its overtones, fading in and out."""
    note, bend, voice = (str(rng.choice(list(one))) for one in (NOTES, BENDS, VOICES))
    seconds = np.arange(samples) / HEARD
    pitch = NOTES[note] * 2 ** (rng.uniform(-0.1, 0.1) + BENDS[bend] * (seconds - 0.5))
    turns = 2 * np.pi * np.cumsum(pitch) / HEARD + rng.uniform(0, 2 * np.pi)
    heard = sum(loud * np.sin((place + 1) * turns) for place, loud in enumerate(VOICES[voice]))
    swell = np.sin(np.pi * np.arange(samples) / samples) ** 0.5
    return (0.3 * heard * swell).astype(np.float32), f"a {note} {voice} tone, {bend}"


def write(folder: Path, count: int, side: int = 64) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for kind, ending in (("image", "png"), ("video", "gif"), ("audio", "wav")):
        for number in range(count):
            rng = np.random.default_rng([number, len(kind)])
            clip, caption = draw(kind, rng, side, FILMED + 1, HEARD + HEARD // 4)
            file = folder / f"{kind}-{number:03}.{ending}"
            file.with_suffix(".txt").write_text(caption)
            if kind == "audio":
                write_wave(file, clip)
            else:
                first, *rest = map(Image.fromarray, clip)
                first.save(file, **({"save_all": True, "append_images": rest, "duration": 120} if rest else {}))


def write_wave(file: Path, clip: np.ndarray) -> None:
    with wave.open(str(file), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(HEARD)
        out.writeframes((clip * 32767).astype("<i2").tobytes())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--count", type=int, default=24)
    options = parser.parse_args()
    write(options.folder, options.count)
