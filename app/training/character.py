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
KEPT = 2  # pictures of what the model knows, for each that is given
PER_PICTURE, SHORTEST, LONGEST = 100, 800, 1500  # steps
RATE, WIDTH, HIGHEST = 1e-4, 3072, 1e-3  # of a LoRA beside layers this wide; narrower ones take larger steps
NAME = re.compile(r"\w[\w-]{0,39}")


def propose_caption(name: str, picture: Path, faults: list[str]) -> str:
    """The name, and what a caption beside the picture says: see join_caption."""
    return join_caption(name, _read_words(picture, faults))


def _read_words(picture: Path, faults: list[str]) -> str:
    return read_caption(picture, picture.name, faults, needed=False) or ""


def join_caption(name: str, said: str) -> str:
    """The caption of a picture of `name`; `said` may be nothing, or the whole caption already.

    Words that describe whom it shows give way to the name ("a yellow toy in the snow" becomes "Bobo in the snow"): who
    it is must be learned as part of the name, and of nothing else.
    """
    if re.search(rf"\b{re.escape(name)}\b", said, re.IGNORECASE):
        return said
    if described := SOMEBODY.match(said):
        said = f"{described['before'] or ''}{name}{said[described.end() :]}"
        return said[0].upper() + said[1:] if described["before"] else said
    return f"{name} {said}".strip() if JOINED.match(said) else f"{name}, {said}" if said else name


JOINING = (
    r"\b(in|on|at|with|is|are|has|wearing|holding|sitting|standing|lying|walking|running|looking|seen|from|under|near|"
    r"beside|by|behind|against|inside|outside|next)\b"
)
JOINED = re.compile(JOINING, re.IGNORECASE)
SOMEBODY = re.compile(  # "a yellow toy", also of "a photo of a yellow toy", up to what it does or where it is
    r"(?P<before>(an?|the) [\w ]{0,30}?(photo|photograph|picture|image|drawing|painting|sketch|portrait|render) of )?"
    rf"(an?|one|this) (?!{JOINING})[\w'’-]+( (?!{JOINING})[\w'’-]+){{0,7}}?(?=\s*($|[,.;:])| {JOINING})",
    re.IGNORECASE,
)


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
            f"Give {FEWEST} to {MOST}, each showing it in another way.",
        )
    steps = lesson.steps or choose_steps(count)
    kept = KEPT * count if lesson.kept is None else lesson.kept
    every = max(1, steps // 4) if lesson.sample_every is None else lesson.sample_every
    return Plan(
        Path(lesson.pictures[0]).parent,
        Path(lesson.out),
        lesson.name,
        choose_settings(lesson, spec, bool(kept or lesson.prior)),
        steps,
        lesson.size,
        every,
        resume,
        trigger=lesson.name,
        rows=_list_rows(lesson),
        kept=kept,
        about=lesson.about,
        prior=Path(lesson.prior) if lesson.prior else None,
    )


def choose_settings(lesson: Lesson, spec: ModelSpec, keeps: bool) -> Settings:
    """A LoRA, with the rate that suits the model's width. `keeps`: there are pictures of what it is to keep."""
    rate = min(HIGHEST, RATE * WIDTH / spec.transformer["hidden_size"])
    return Settings(rank=lesson.rank, rate=rate, seed=lesson.seed, prior=lesson.prior_weight if keeps else 0.0)


def _list_rows(lesson: Lesson) -> Rows:
    found = Rows([], [], [], [])
    given = lesson.captions or [None] * len(lesson.pictures)
    for picture, words in zip(map(Path, lesson.pictures), given, strict=True):
        said = _read_words(picture, found.faults) if words is None else words.strip()
        caption = join_caption(lesson.name, said)
        if said not in caption:
            found.notes.append(f"{picture.name}: “{said}” is learned as “{caption}”.")
        found.rows.append(Row(picture.name, picture, caption, None, ()))
    return found


def forecast(folder: Folder, lesson: Lesson) -> str:
    """What the lesson takes of this machine, in one line. Raises what make_plan raises, and WillNotFit."""
    plan = make_plan(lesson, folder.spec)
    size = folder.spec.size if plan.size is None else Size(plan.size, plan.size)
    return require(folder, size, plan.settings, plan.steps, plan.kept)[1]


def teach(model: Path, lesson: Lesson) -> Generator[Event, None, None]:
    """The events of a lesson, which goes on where it was begun. Raises what make_plan and train raise."""
    folder = open_folder(model)
    yield from train(folder, make_plan(lesson, folder.spec, resume=(Path(lesson.out) / RUN).is_file()))
