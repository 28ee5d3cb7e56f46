"""A run that trains one network for pictures, clips and sounds from nothing, in a folder as session.py has it.

OUT/NAME.safetensors                         the averaged weights, written when the run is done
OUT/samples/step-000250-video.gif            what captions of the set make now; -image.png, -audio.wav
"""

import wave
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from app.engine import together
from app.models import library
from app.pictures import images
from mlx_model import files
from mlx_model.events import Done, Event, Note, Preview, Stage
from mlx_model.store.folder import open_folder
from mlx_model.training.patches import FILMED, HEARD

from .session import Plan, begin, check_out, go_on, hold_alone, learn_and_draw, require_room

if TYPE_CHECKING:
    from mlx_model.run.tokenize import PromptTokenizer
    from mlx_model.training.joint import JointLearner, Sizes

MODEL = "clips"
SHOWN, SEED = 4, 1000  # samples of each kind; of the first one


def train_clips(plan: Plan) -> Generator[Event, None, None]:
    """The whole run: Stage, Step, Learned, Note, Preview and at last Done with the result's path.

    Closing the generator keeps the last checkpoint. Raises RequestError with every fault of the data, DiskFull,
    NotFinite.
    """
    check_out(plan)
    if together.join():
        together.end_when_deaf()
    with hold_alone(plan.out):
        yield from _train(plan)


def _train(plan: Plan) -> Generator[Event, None, None]:
    from mlx_model.training.joint import JointLearner, choose_sizes

    from .clips import open_clips  # which loads MLX

    sizes = choose_sizes()
    clips = yield from open_clips(plan.data, sizes, open_words())
    trainer = JointLearner(clips, sizes, plan.settings)
    require_room(plan, trainer.checkpoint_bytes)
    begin(MODEL, plan, plan.settings)
    yield from go_on(trainer, plan)
    yield from learn_and_draw(trainer, plan, lambda step: _show(trainer, sizes, plan, step))
    yield _finish(trainer, plan)


def open_words() -> "PromptTokenizer":
    """The built-in model's: any text becomes tokens."""
    from mlx_model.run.tokenize import PromptTokenizer
    from mlx_model.training.joint import WORDS

    folder = open_folder(library.resolve("mini"))
    return PromptTokenizer(folder.tokenizer_path, folder.spec.template, WORDS)


def _show(trainer: "JointLearner", sizes: "Sizes", plan: Plan, step: int) -> Iterator[Event]:
    """What the averaged weights make of the first captions, a file for each kind."""
    from mlx_model.training.joint import sample

    yield Stage("samples")
    files.make_folders(plan.out / "samples")
    for kind, clips in trainer.clips.items():
        codec = sizes.codecs[kind]
        made = [codec.decode(one) for one in sample(trainer.model, kind, clips[:SHOWN], SEED)]
        path = SAVE[kind](np.concatenate(made, axis=0 if kind == "audio" else 2), plan, f"step-{step:06d}-{kind}")
        yield Preview(step, str(path)) if kind == "image" else Note(f"{path.name} is what step {step} makes.")
    yield Stage("train")


def _save_picture(row: np.ndarray, plan: Plan, name: str) -> Path:
    inside = plan.out.absolute()
    return images.save_picture(row[0], inside / "samples" / f"{name}.png", None, force=True, inside=inside)


def _save_film(row: np.ndarray, plan: Plan, name: str) -> Path:
    first, *rest = map(Image.fromarray, row)
    further: dict[str, Any] = {"save_all": True, "append_images": rest, "duration": 1000 // FILMED, "loop": 0}
    path = plan.out.absolute() / "samples" / f"{name}.gif"
    return files.write_new(
        path, lambda stream: first.save(stream, "GIF", **further), force=True, inside=plan.out.absolute()
    )


def _save_sound(heard: np.ndarray, plan: Plan, name: str) -> Path:
    """16 bits, one sample after the other."""

    def write(stream: Any) -> None:
        with wave.open(stream, "wb") as out:
            out.setnchannels(1)
            out.setsampwidth(2)
            out.setframerate(HEARD)
            out.writeframes(np.rint(heard * 32767).astype("<i2").tobytes())

    path = plan.out.absolute() / "samples" / f"{name}.wav"
    return files.write_new(path, write, force=True, inside=plan.out.absolute())


SAVE = {"image": _save_picture, "video": _save_film, "audio": _save_sound}


def _finish(trainer: "JointLearner", plan: Plan) -> Done:
    """Write the result and say where it is. Raises DiskFull."""
    from mlx_model.training.loop import save_arrays

    save_arrays(
        plan.result, trainer.result(), {"format": "pt", "modelspec.title": plan.name, "flux_local.model": MODEL}
    )
    return Done(0.0, str(plan.result))
