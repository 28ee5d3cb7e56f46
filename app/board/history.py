"""Undo and redo: the boards that were, with what was done between them.

Boards are immutable and share what didn't change, so keeping them costs little. A take is no edit but a fact: it
arrives while the artist goes on working, and is put into every board of the history, so that no undo loses it.
"""

import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

from msgspec.structs import replace

from .data import Board, Panel, Scene, Take
from .rules import check_take, check_type, keep_take

LIMIT = 500
TYPING_SECONDS = 2.0
Part = TypeVar("Part", Board, Scene, Panel)


@dataclass
class _Step:
    """What led from one board to the next, and the board on the other side of it."""

    label: str
    board: Board
    merge: object = None
    at: float = 0.0
    batch: "Batch | None" = None


@dataclass(frozen=True, eq=False)
class Batch:
    """Pictures that were asked for at once: however long they take to come, they are one step, which has this label."""

    label: str
    panels: frozenset[str]


class History:
    """The current board and the way back and forth. For one thread (the window's)."""

    def __init__(self, board: Board, limit: int = LIMIT, clock: Callable[[], float] = time.monotonic):
        self.board, self._clock = board, clock
        self._undo: deque[_Step] = deque(maxlen=limit)
        self._redo: list[_Step] = []
        self._begun: set[Batch] = set()  # have or had a step

    def do(self, label: str, new_board: Board, merge: object = None) -> None:
        """`new_board` is the board now; one step to undo, or none where nothing changed.

        With the same `merge` key (not None) less than TYPING_SECONDS after the step before, it becomes part of that
        step: the way from the step's first board to this one.
        """
        if new_board is self.board or new_board == self.board:
            return
        now, last = self._clock(), self._undo[-1] if self._undo else None
        if last and not self._redo and _joins(last, merge, now):
            last.at = now
        else:
            self._undo.append(_Step(label, self.board, merge, now))
        self._redo.clear()
        self.board = new_board

    def undo(self) -> str:
        """Back before the last step; its label. Raises IndexError where there is none."""
        return self._go(self._undo, self._redo)

    def redo(self) -> str:
        """The last undone step again; its label. Raises IndexError where there is none."""
        return self._go(self._redo, self._undo)

    def _go(self, source: deque[_Step] | list[_Step], target: deque[_Step] | list[_Step]) -> str:
        step = source.pop()
        target.append(_Step(step.label, self.board, batch=step.batch))  # no merge key: typing goes on in its own step
        self.board = step.board
        return step.label

    @property
    def can_undo(self) -> bool:
        return bool(self._undo)

    @property
    def can_redo(self) -> bool:
        return bool(self._redo)

    @property
    def undo_label(self) -> str:
        """What undo would undo, "" for nothing."""
        return self._undo[-1].label if self._undo else ""

    @property
    def redo_label(self) -> str:
        """What redo would redo, "" for nothing."""
        return self._redo[-1].label if self._redo else ""

    def boards(self) -> list[Board]:
        """All boards of the history, oldest first: their pictures are still in use."""
        return [step.board for step in self._undo] + [self.board] + [step.board for step in reversed(self._redo)]

    def add_take(self, panel_id: str, take: Take, make_current: bool = True) -> bool:
        """A take arrived for a panel: into every board that has the panel; False where none has it any more.

        It becomes current where the same take is current as now, so that undoing an earlier choice of a take still
        goes back to what was chosen then. Undo keeps the take.
        """
        check_take(check_type(take))
        take = self._number(panel_id, take)
        shown = _find_current(self.board, panel_id)
        gone = all(panel.id != panel_id for panel in self.board.panels())
        arrival = _Arrival(panel_id, take, lambda current: make_current and (gone or current == shown))
        self.amend(arrival.into)
        return arrival.found

    def _number(self, panel_id: str, take: Take) -> Take:
        """The same one in every board, and of no take that was deleted: undo may bring that back."""
        scenes = {id(scene): scene for board in self.boards() for scene in board.scenes}
        panels = (panel for scene in scenes.values() for panel in scene.panels if panel.id == panel_id)
        last = max((one.number for panel in panels for one in panel.takes), default=0)
        return take if take.number else replace(take, number=last + 1)

    def show_take(self, panel_id: str, take: Take, batch: Batch | None = None) -> bool:
        """As add_take, and that it is seen is a step: undo shows the former picture of the panel again."""
        former = _find_current(self.board, panel_id)
        if former is None:
            return self.add_take(panel_id, take)
        take = self._number(panel_id, take)
        self.add_take(panel_id, take, make_current=False)
        if batch and batch in self._begun:
            self._join(panel_id, take, batch)
            return True
        label = batch.label if batch else "Change Picture" if take.parent else "Render"
        self._undo.append(_Step(label, self.board, batch=batch))
        self._begun |= {batch} if batch else set()
        self._show(_Arrival(panel_id, take, lambda current: current == former), self._redo)
        return True

    def began(self, batch: Batch | None) -> bool:
        """Whether a picture of the batch has come, whose step the others join."""
        return batch in self._begun

    def _join(self, panel_id: str, take: Take, batch: Batch) -> None:
        """Show the take in the states behind the batch's step: not now where that is undone, nor where the artist has
        chosen another one since."""
        line = [*self._undo, *reversed(self._redo)]
        place = next((i for i, step in enumerate(line) if step.batch is batch), None)
        if place is None:  # undone, and something else was done then
            return
        undone = place >= len(self._undo)
        behind = line[place:] if undone else line[place + 1 :]
        first = self.board if not undone and place + 1 == len(self._undo) else behind[0].board
        former = _find_current(first, panel_id)
        self._show(_Arrival(panel_id, take, lambda current: current == former), behind, now=not undone)

    def _show(self, shown: "_Arrival", steps: Iterable[_Step], now: bool = True) -> None:
        self.board = shown.into(self.board) if now else self.board
        for step in steps:
            step.board = shown.into(step.board)

    def amend(self, change: Callable[[Board], Board]) -> None:
        """Put `change` into every board of the history. For facts, not edits: there is nothing to undo."""
        self.board = change(self.board)
        for step in (*self._undo, *self._redo):
            step.board = change(step.board)


def _find_current(board: Board, panel_id: str) -> str | None:
    return next((panel.current for panel in board.panels() if panel.id == panel_id), None)


def _joins(last: _Step, merge: object, now: float) -> bool:
    return merge is not None and last.merge == merge and now - last.at < TYPING_SECONDS


class _Arrival:
    """Puts one take into many boards; what the boards share stays shared."""

    def __init__(self, panel_id: str, take: Take, replaces: Callable[[str | None], bool]):
        self.panel_id, self.take, self.replaces, self.found = panel_id, take, replaces, False
        self._done: dict[int, tuple[object, Any]] = {}

    def into(self, board: Board) -> Board:
        return self._once(board, self._board)

    def _once(self, item: Part, change: Callable[[Part], Part]) -> Part:
        """`change(item)`, made once for each object; the object is kept so that its id can't be used again."""
        if id(item) not in self._done:
            self._done[id(item)] = (item, change(item))
        changed: Part = self._done[id(item)][1]
        return changed

    def _board(self, board: Board) -> Board:
        scenes = tuple(self._once(scene, self._scene) for scene in board.scenes)
        same = all(new is old for new, old in zip(scenes, board.scenes, strict=True))
        return board if same else replace(board, scenes=scenes)

    def _scene(self, scene: Scene) -> Scene:
        if all(panel.id != self.panel_id for panel in scene.panels):
            return scene
        panels = tuple(self._once(p, self._panel) if p.id == self.panel_id else p for p in scene.panels)
        return replace(scene, panels=panels)

    def _panel(self, panel: Panel) -> Panel:
        self.found = True
        show = self.replaces(panel.current)
        if panel.find_take(self.take.id):
            return replace(panel, current=self.take.id) if show else panel
        return keep_take(panel, self.take, show)
