"""From the elements of a screenplay to a board: a scene a heading, a panel a beat.

A beat is an action with what is said after it; a second speaker or another action begins the next panel.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from mlx_model.errors import RequestError

from ..board.data import COLOURS, DEFAULT_SECONDS, Board, Member, Panel, Scene, free_name, new_id
from ..board.rules import MAX_PANELS, MAX_SCENES
from .values import clean, clean_line

WORDS_A_SECOND = 2.5  # spoken, with pauses
MOST_SPEAKERS = 200
KINDS = ("heading", "action", "character", "parenthetical", "dialogue", "note", "transition")


class Element(NamedTuple):
    """`kind` is one of KINDS; `number` is a scene's, as the script has it."""

    kind: str
    text: str
    number: str = ""


@dataclass
class Beat:
    action: str = ""
    dialogue: list[list[str]] = field(default_factory=list)  # speeches, in parts
    notes: list[str] = field(default_factory=list)
    words: int = 0  # that are spoken

    def build_panel(self) -> Panel:
        """The action is also the prompt, so that the board can be rendered as it is."""
        action, dialogue = clean(self.action).strip(), clean("\n".join(map(" ".join, self.dialogue))).strip()
        seconds = max(DEFAULT_SECONDS, round(2 * self.words / WORDS_A_SECOND) / 2)
        prompt = action.replace("@", r"\@")
        return Panel(
            new_id(), prompt, action, dialogue, clean("\n".join(self.notes)).strip(), seconds=min(seconds, 600.0)
        )


@dataclass
class _Draft:
    """Scenes as they are read."""

    scenes: list[tuple[str, list[Beat]]] = field(default_factory=list)
    speakers: dict[str, None] = field(default_factory=dict)
    speaker: str = ""
    count: int = 0  # panels, as far as beats are begun
    early: list[str] = field(default_factory=list)  # notes before the first heading

    def take(self, element: Element) -> None:
        match element.kind:
            case "heading":
                self._open_scene(element)
            case "action":
                self._act(element.text)
            case "character":
                self._introduce(element.text)
            case "parenthetical" | "dialogue":
                self._say(element.text, spoken=element.kind == "dialogue")
            case "note" | "transition":
                (self.beat.notes if self.scenes else self.early).append(element.text)

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
        self.beats.append(beat)
        self.count += 1

    def _open_scene(self, element: Element) -> None:
        first = [Beat(notes=self.early)] if self.early else []
        self.scenes.append((_read_heading(element, len(self.scenes) + 1), first))
        self.early = []

    def _act(self, text: str) -> None:
        waiting = self.beats and not self.beat.action and not self.beat.dialogue
        if waiting:
            self.beat.action = text
        else:
            self._begin(Beat(text))

    def _introduce(self, speaker: str) -> None:
        self.speaker = clean_line(speaker, 100)
        name = re.sub(r"\s*\([^)]*\)", "", self.speaker)
        if name and len(self.speakers) < MOST_SPEAKERS:
            self.speakers.setdefault(name)
        if self.beat.dialogue:
            self._begin(Beat())

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


def build_board(path: Path, title: str, elements: Iterable[Element]) -> Board:
    """A board of the script's elements; its speakers join the cast, still without pictures.

    Raises RequestError where nothing of a script is found, or more than MAX_PANELS panels.
    """
    draft = _Draft()
    for element in elements:
        draft.take(element)
        if len(draft.scenes) > MAX_SCENES or draft.count > MAX_PANELS:
            raise RequestError(
                f"{path} is too long for one board.",
                f"A board holds {MAX_SCENES:,} scenes and {MAX_PANELS:,} panels: import it in parts.",
            )
    if not draft.scenes:
        raise RequestError(f"{path} has no scenes and no text.", "Check that it is the script and not empty.")
    scenes = tuple(_build_scene(heading, beats) for heading, beats in draft.scenes)
    return Board(
        new_id(),
        clean_line(title) or clean_line(path.stem) or "Untitled",
        cast=_build_cast(draft.speakers),
        scenes=scenes,
    )


def _build_scene(heading: str, beats: list[Beat]) -> Scene:
    return Scene(new_id(), heading, tuple(beat.build_panel() for beat in beats or [Beat()]))


def _read_heading(element: Element, place: int) -> str:
    """The script's own number stays, as #12A#, where it is not the scene's place anyway."""
    number = clean_line(element.number, 20)
    return clean_line(element.text) + (f" #{number}#" if number and number != str(place) else "")


def _build_cast(speakers: Iterable[str]) -> tuple[Member, ...]:
    """One word each, as @names have to be."""
    names: list[str] = []
    for speaker in speakers:
        parts = re.findall(r"\w+", speaker)
        word = "".join(part.capitalize() if part.isupper() else part for part in parts)
        if word and word.casefold() not in (name.casefold() for name in names):
            names.append(free_name(word, names))
    return tuple(Member(new_id(), name, colour=COLOURS[place % len(COLOURS)]) for place, name in enumerate(names))
