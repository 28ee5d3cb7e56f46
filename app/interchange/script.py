"""From the elements of a screenplay to a board: a scene a heading, a panel a beat.

A beat is an action with what is said after it; a second speaker or another action begins the next panel. What a board
has no field for (sections, synopses, transitions, notes) is a note of the panel that it stands before or belongs to.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from mlx_model.errors import RequestError
from mlx_model.request import MAX_TEXT

from ..board.data import COLOURS, DEFAULT_SECONDS, Board, Member, Panel, Scene, free_name, new_id
from ..board.rules import MAX_PANELS, MAX_SCENES
from .files import Source
from .values import LONGEST, clean, clean_line

WORDS_A_SECOND = 2.5  # spoken, with pauses
MOST_SPEAKERS = 200
LONGEST_HEADING, LONGEST_NAME = 200, 100
KINDS = ("heading", "section", "synopsis", "action", "character", "parenthetical", "dialogue", "note", "transition")


class Element(NamedTuple):
    """`kind` is one of KINDS; `number` is a scene's, as the script has it.

    A section groups the scenes after it; a synopsis tells of the scene or section it stands under.
    """

    kind: str
    text: str
    number: str = ""


@dataclass
class Beat:
    action: str = ""
    dialogue: list[list[str]] = field(default_factory=list)  # speeches, in parts
    notes: list[str] = field(default_factory=list)
    words: int = 0  # that are spoken
    speaker: str = ""

    @property
    def is_empty(self) -> bool:
        """Whether it has notes at most."""
        return not self.action and not self.dialogue

    def build_panel(self, cast: "_Cast") -> Panel:
        """The action is also the prompt, so that the board can be rendered as it is; it mentions the cast."""
        action, dialogue = clean(self.action).strip(), clean("\n".join(map(" ".join, self.dialogue))).strip()
        seconds = max(DEFAULT_SECONDS, round(2 * self.words / WORDS_A_SECOND) / 2)
        return Panel(
            new_id(),
            cast.mention(action, self.speaker),
            action,
            dialogue,
            clean("\n".join(self.notes)).strip(),
            seconds=min(seconds, 600.0),
            in_place=True,
        )


class _Cast:
    """Who speaks in the script, and what the board's cast calls them: one word each, as @names have to be."""

    def __init__(self, speakers: Iterable[str]):
        self.names: dict[str, str] = {}  # a speaker's in lower case -> in the cast
        for speaker in speakers:
            parts = re.findall(r"\w+", speaker)
            word = "".join(part.capitalize() if part.isupper() else part for part in parts)
            if word:
                known = next((name for name in self.names.values() if name.casefold() == word.casefold()), "")
                self.names[_fold(speaker)] = known or free_name(word, self.names.values())
        longest = sorted(self.names, key=len, reverse=True)
        words = "|".join(re.escape(name).replace(r"\ ", r"\s+") for name in longest)
        self._said = re.compile(rf"(?<![\w@])(?:{words})(?!\w)", re.IGNORECASE) if words else None

    def build(self) -> tuple[Member, ...]:
        """The members, still without pictures."""
        names = enumerate(dict.fromkeys(self.names.values()))
        return tuple(Member(new_id(), name, colour=COLOURS[place % len(COLOURS)]) for place, name in names)

    def mention(self, action: str, speaker: str) -> str:
        """A panel's prompt: the action with @names where it says them, and who speaks."""
        text, name = action.replace("@", r"\@"), self.names.get(_fold(speaker), "")
        text = self._said.sub(self._replace, text) if self._said else text
        if name and f"@{name}" not in text:
            text = f"{text}{'' if not text or text[-1] in '.!?…' else '.'} @{name} speaks.".strip()
        return text[:MAX_TEXT]

    def _replace(self, found: re.Match[str]) -> str:
        """In lower case it is a word like any other: a Will and a will."""
        name = self.names.get(_fold(found[0]), "")
        return found[0] if found[0].islower() or not name else f"@{name}"


def _fold(name: str) -> str:
    return " ".join(name.split()).casefold()


@dataclass
class _Draft:
    """Scenes as they are read."""

    scenes: list[tuple[str, list[Beat]]] = field(default_factory=list)
    speakers: dict[str, None] = field(default_factory=dict)
    speaker: str = ""  # whose speech begins
    count: int = 0  # panels, as far as beats are begun
    waiting: list[str] = field(default_factory=list)  # notes of what begins next
    notes: list[str] = field(default_factory=list)  # for the person

    def take(self, element: Element) -> None:
        if element.kind in ("heading", "section", "action", "character"):
            self.end_speech()
        match element.kind:
            case "heading":
                self._open_scene(element)
            case "section":
                self.waiting.append(element.text)
            case "action":
                self._act(element.text)
            case "character":
                self._introduce(element.text)
            case "parenthetical" | "dialogue":
                self._say(element.text, spoken=element.kind == "dialogue")
            case _:
                self._note(element.text)

    def finish(self) -> None:
        """What still waits for a scene becomes a note of the last panel."""
        self.end_speech()
        if self.waiting:
            waiting, self.waiting = self.waiting, []
            self.beat.notes += waiting

    def end_speech(self) -> None:
        """A name that nothing was said after stays as it stands."""
        if self.speaker:
            self.beat.dialogue.append([f"{self.speaker}:"])
            self.speaker = ""

    @property
    def beats(self) -> list[Beat]:
        if not self.scenes:
            self.scenes.append(("", []))
        return self.scenes[-1][1]

    @property
    def beat(self) -> Beat:
        if not self.beats:
            self._begin(Beat())
        return self.beats[-1]

    def _begin(self, beat: Beat) -> None:
        beat.notes, self.waiting = [*self.waiting, *beat.notes], []
        self.beats.append(beat)
        self.count += 1

    def _open_scene(self, element: Element) -> None:
        heading = clean_line(element.text, LONGEST)
        self.scenes.append((_read_heading(element, len(self.scenes) + 1), []))
        if len(heading) > LONGEST_HEADING:
            self.waiting.append(heading)
        if self.waiting:
            self._begin(Beat())

    def _note(self, text: str) -> None:
        """Before the first scene or after a section it belongs to what comes, else to where it stands."""
        if self.scenes and not self.waiting:
            self.beat.notes.append(text)
        else:
            self.waiting.append(text)

    def _act(self, text: str) -> None:
        if not self._reuse(lambda beat: beat.is_empty):
            self._begin(Beat())
        self.beat.action = text

    def _reuse(self, fits: Callable[[Beat], bool]) -> bool:
        """Whether the beat that is open can go on; what waits stands before it then, and else begins another."""
        if not self.beats or not fits(self.beat) or (self.waiting and not self.beat.is_empty):
            return False
        self.beat.notes += self.waiting
        self.waiting = []
        return True

    def _introduce(self, speaker: str) -> None:
        self.speaker = clean_line(speaker, LONGEST).rstrip(": ")
        # Cut first: to look for what closes each of a thousand brackets takes a million steps.
        name = clean_line(re.sub(r"\s*\([^)]*\)", "", self.speaker[: 3 * LONGEST_NAME]), LONGEST_NAME)
        if name and len(self.speakers) < MOST_SPEAKERS:
            self.speakers.setdefault(name)
        elif name and name not in self.speakers:
            self.notes.append(f"Only the first {MOST_SPEAKERS} speakers joined the cast.")
        if not self._reuse(lambda beat: not beat.dialogue):
            self._begin(Beat())
        self.beat.speaker = name

    def _say(self, text: str, spoken: bool) -> None:
        speeches = self.beat.dialogue
        if self.speaker:
            speeches.append([f"{self.speaker}:", text])
            self.speaker = ""
        elif speeches:
            speeches[-1].append(text)
        else:
            speeches.append([text])
        self.beat.words += len(text.split()) if spoken else 0


def build_board(source: Source, title: str, elements: Iterable[Element]) -> Board:
    """A board of the script's elements; its speakers join the cast, still without pictures.

    Where nothing is a heading, as in an outline, each section is a scene. Raises RequestError where nothing of a script
    is found, or more than MAX_PANELS panels.
    """
    draft = _Draft(notes=source.notes)
    for element in _promote_sections(list(elements)):
        draft.take(element)
        if len(draft.scenes) > MAX_SCENES or draft.count > MAX_PANELS:
            raise RequestError(
                f"{source.path} is too long for one board.",
                f"A board holds {MAX_SCENES:,} scenes and {MAX_PANELS:,} panels: import it in parts.",
            )
    draft.finish()
    if not draft.scenes:
        raise RequestError(f"{source.path} has no scenes and no text.", "Check that it is the script and not empty.")
    _note_cuts(draft, source.notes)
    cast = _Cast(draft.speakers)
    scenes = tuple(_build_scene(heading, beats, cast) for heading, beats in draft.scenes)
    return Board(
        new_id(),
        clean_line(title) or clean_line(source.path.stem) or "Untitled",
        source.aspect,
        cast=cast.build(),
        scenes=scenes,
    )


def _promote_sections(elements: list[Element]) -> list[Element]:
    """Without any heading the sections are the scenes."""
    if any(element.kind == "heading" for element in elements):
        return elements
    return [element._replace(kind="heading") if element.kind == "section" else element for element in elements]


def _note_cuts(draft: _Draft, notes: list[str]) -> None:
    """Say which texts are longer than a panel's may be: clean cuts them."""
    for number, (_, beats) in enumerate(draft.scenes, 1):
        sizes = (
            max(len(beat.action), len("\n".join(map(" ".join, beat.dialogue))), len("\n".join(beat.notes)))
            for beat in beats
        )
        if max(sizes, default=0) > LONGEST:
            notes.append(f"Scene {number} has a text of more than {LONGEST:,} characters: its end was cut.")


def _build_scene(heading: str, beats: list[Beat], cast: _Cast) -> Scene:
    return Scene(new_id(), heading, tuple(beat.build_panel(cast) for beat in beats or [Beat()]))


def _read_heading(element: Element, place: int) -> str:
    """The script's own number stays, as #12A#, where it is not the scene's place anyway."""
    number = clean_line(element.number, 20)
    return clean_line(element.text) + (f" #{number}#" if number and number != str(place) else "")
