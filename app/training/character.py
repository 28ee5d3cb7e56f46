"""A character from a few pictures: the words, the length and the size of a run that teaches a model its name."""

import re
from collections.abc import Generator
from pathlib import Path

from app.base.words import say_count
from app.engine.jobs import Lesson
from mlx_model.errors import RequestError
from mlx_model.events import Event
from mlx_model.geometry import Size
from mlx_model.specs import ModelSpec
from mlx_model.store.folder import Folder, open_folder
from mlx_model.training.needs import Settings

from .dataset import Row, Rows, read_caption
from .session import RUN, Plan, require, train

FEWEST, MOST = 5, 20  # pictures
PER_PICTURE, SHORTEST, LONGEST = 100, 800, 1500  # steps
RATE, WIDTH, HIGHEST = 1e-4, 3072, 1e-3  # of a LoRA beside layers this wide; narrower ones take larger steps
NAME = re.compile(r"\w[\w-]{0,39}")


def propose_caption(name: str, picture: Path, faults: list[str]) -> str:
    """The name, and what a caption beside the picture says; one that says the name itself stays as it is."""
    said = read_caption(picture, picture.name, faults, needed=False) or ""
    return join_caption(name, said)


def join_caption(name: str, said: str) -> str:
    """The caption of a picture of `name`; `said` may be nothing, or the whole caption already."""
    if re.search(rf"\b{re.escape(name)}\b", said, re.IGNORECASE):
        return said
    return f"{name} {said}".strip() if said.startswith(JOINING) else f"{name}, {said}" if said else name


JOINING = ("in ", "on ", "at ", "with ", "is ", "wearing ", "holding ", "sitting ", "standing ", "from ", "under ")


def choose_steps(pictures: int) -> int:
    """How long to learn from so many pictures."""
    return min(LONGEST, max(SHORTEST, PER_PICTURE * pictures))


def make_plan(lesson: Lesson, spec: ModelSpec, resume: bool = False) -> Plan:
    """The run of a lesson. Raises RequestError for a name that is no word, too few or too many pictures."""
    if not NAME.fullmatch(lesson.name):
        raise RequestError(f"{lesson.name!r} is not one word.", "Choose a name of letters and digits, such as Bobo.")
    if not spec.takes_text:
        raise RequestError(f"{spec.title} takes no words, so no name calls anybody.", "Choose a model that does.")
    count = len(lesson.pictures)
    if not FEWEST <= count <= MOST:
        raise RequestError(
            f"{say_count(count, 'picture')}: too {'few' if count < FEWEST else 'many'} to teach {lesson.name}.",
            f"Give {FEWEST} to {MOST}, each showing the character in another way.",
        )
    steps = lesson.steps or choose_steps(count)
    every = max(1, steps // 4) if lesson.sample_every is None else lesson.sample_every
    return Plan(
        Path(lesson.pictures[0]).parent,
        Path(lesson.out),
        lesson.name,
        choose_settings(lesson, spec),
        steps,
        lesson.size,
        every,
        resume,
        trigger=lesson.name,
        rows=_list_rows(lesson),
    )


def choose_settings(lesson: Lesson, spec: ModelSpec) -> Settings:
    """A LoRA, with the rate that suits the model's width."""
    rate = min(HIGHEST, RATE * WIDTH / spec.transformer["hidden_size"])
    return Settings(rank=lesson.rank, rate=rate, seed=lesson.seed)


def _list_rows(lesson: Lesson) -> Rows:
    faults: list[str] = []
    pictures = [Path(picture) for picture in lesson.pictures]
    if lesson.captions is None:
        words = [propose_caption(lesson.name, picture, faults) for picture in pictures]
    else:
        words = [join_caption(lesson.name, said.strip()) for said in lesson.captions]
    pairs = zip(pictures, words, strict=True)
    return Rows([Row(picture.name, picture, text, None, ()) for picture, text in pairs], faults, [])


def forecast(folder: Folder, lesson: Lesson) -> str:
    """What the lesson takes of this machine, in one line. Raises what make_plan raises, and WillNotFit."""
    plan = make_plan(lesson, folder.spec)
    size = folder.spec.size if plan.size is None else Size(plan.size, plan.size)
    return require(folder, size, plan.settings, plan.steps)[1]


def teach(model: Path, lesson: Lesson) -> Generator[Event, None, None]:
    """The events of a lesson, which goes on where it was begun. Raises what make_plan and train raise."""
    folder = open_folder(model)
    yield from train(folder, make_plan(lesson, folder.spec, resume=(Path(lesson.out) / RUN).is_file()))
