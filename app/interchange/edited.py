"""An edited timeline back onto the board it came from: its order and lengths, new panels where nothing has the name."""

import re
from pathlib import PurePath

from msgspec.structs import replace

from ..board.data import Board, Panel, Scene, new_id, numbers
from .formats import Imported
from .job import list_entries

BY_NUMBER = (
    "{} of them were found by the number that they have now: if panels were moved, added or removed since the export, "
    "check the order (an OTIO keeps who is who)."
)
# Of a panel (1A, or 12A.A in scene 12A), or of the file of its picture.
NUMBER = re.compile(r"(?:.*_)?([0-9A-Z]+(?:\.[0-9A-Z]+)*?)(?:\.[a-z]{3,4})?", re.IGNORECASE)


def apply_edit(board: Board, edit: Imported) -> tuple[Board, list[str]]:
    """`board` in the order and with the lengths of `edit`, and what the person should know.

    Clips are found by the id of their panel, which our own OTIO keeps, else by its number of today (1A, 001_1A.png).
    Another clip, and a second piece of the same one, is a new panel. Panels that the edit does not have stay, at the
    end of their scenes.
    """
    places = _Places(board)
    for panel in edit.board.panels():
        if places.put(panel, edit.names.get(panel.id, ())):
            places.needless.update(edit.lost.get(panel.id, ()))
    lost = places.put_rest()
    notes = [note for note in edit.notes if note not in places.needless]
    notes = [*notes, f"{places.found} panels got the order and length of the edit, {places.new} are new."]
    if places.by_number:
        notes.append(BY_NUMBER.format(places.by_number))
    if lost:
        notes.append(f"Not in the edit, and kept at the end of their scenes: {', '.join(lost)}.")
    return replace(board, scenes=tuple(replace(scene, panels=tuple(panels)) for scene, panels in places.scenes)), notes


class _Places:
    """Scenes as they fill: a panel goes into its own scene where that begins here, else into the one that is open."""

    def __init__(self, board: Board):
        self.board, self.number = board, numbers(board)
        self.known = {number.upper(): panel_id for panel_id, number in self.number.items()}
        self.home = {panel.id: scene for scene in board.scenes for panel in scene.panels}
        self.panels = {panel.id: panel for panel in board.panels()}
        self.scenes: list[tuple[Scene, list[Panel]]] = []
        self.begun: dict[str, list[Panel]] = {}  # by the scene's id
        self.frames = {entry.panel.id: entry.frames for entry in list_entries(board)}
        self.used: set[str] = set()
        self.needless: set[str] = set()  # notes of pictures that the edit lacks and the board has
        self.found = self.new = self.by_number = 0

    def put(self, panel: Panel, names: tuple[str, ...]) -> bool:
        """Whether it is a panel of the board, which has its pictures."""
        old = self._find(names)
        if old is None:
            self._open(None).append(panel)
            self.new += 1
            return False
        again = old.id in self.used
        as_typed = round(panel.seconds * self.board.fps) == self.frames[old.id]  # what the export made of it
        seconds = old.seconds if as_typed else panel.seconds
        self._open(self.home[old.id]).append(replace(old, id=new_id() if again else old.id, seconds=seconds))
        self.used.add(old.id)
        self.found, self.new = self.found + (not again), self.new + again
        return True

    def put_rest(self) -> list[str]:
        """The numbers of panels that had no place yet."""
        left = [panel for panel in self.board.panels() if panel.id not in self.used]
        for panel in left:
            home = self.home[panel.id]
            there = self.begun.get(home.id)
            (self._open(home) if there is None else there).append(panel)
        return [self.number[panel.id] for panel in left]

    def _find(self, names: tuple[str, ...]) -> Panel | None:
        if known := next((name for name in names if name in self.home), None):
            return self.panels[known]
        matches = (NUMBER.fullmatch(PurePath(name).name.strip()) for name in names if name)
        found = next((self.known[m[1].upper()] for m in matches if m and m[1].upper() in self.known), None)
        self.by_number += found is not None
        return self.panels[found] if found else None

    def _open(self, scene: Scene | None) -> list[Panel]:
        """Where the next panel goes."""
        if not self.scenes or (scene is not None and scene.id not in self.begun):
            scene = scene or Scene(new_id())
            self.scenes.append((scene, []))
            self.begun.setdefault(scene.id, self.scenes[-1][1])
        return self.scenes[-1][1]
