"""A tool whose things lie on the picture and are held one at a time: what pictures, figures and boxes share under mouse
and keys.

What the mouse does between press and release, and keys until they come up, is one change.
"""

from typing import Any, Generic, NamedTuple, TypeVar

from PySide6.QtCore import QPointF, QSizeF, Qt, Signal
from PySide6.QtGui import QKeyEvent

from .hand import MODIFIERS, REMOVES, Hand, Touch

T = TypeVar("T")


class Pull(NamedTuple):
    """What is dragged: all as it was, the one that is held, what of it and from where; what that is called."""

    was: tuple[Any, ...]
    one: Any
    grip: Any
    start: QPointF
    what: str


class Holder(Hand, Generic[T]):
    """Holds `items` on a picture of the size `ground`. `committed` tells them after each change: a step to undo."""

    KIND = "Thing"  # as the undo list calls one
    committed = Signal(str, str)  # what was done; changes of the same key are one step
    chosen = Signal()  # another one is held, or it is another one now

    def __init__(self) -> None:
        super().__init__()
        self.items: tuple[T, ...] = ()
        self.ground, self.held = QSizeF(1, 1), -1
        self._pull: Pull | None = None
        self._keyed: Pull | None = None  # what keys have done since one went down

    # What a kind of things knows

    def grip_at(self, touch: Touch) -> Any:
        """What a press takes hold of of the one that is held; None for nothing."""
        raise NotImplementedError

    def find_at(self, touch: Touch) -> int:
        """The uppermost there; -1 for none."""
        raise NotImplementedError

    def drag(self, one: T, pull: Pull, touch: Touch) -> T:
        """What the drag makes of the one that is held, which was `one`."""
        raise NotImplementedError

    def begin(self, touch: Touch) -> Any:
        """A press beside everything; what is taken hold of then."""

    def name_pull(self, grip: Any) -> str:
        """What a drag is called in the undo list."""
        raise NotImplementedError

    # What is held

    def can_hold(self, one: T) -> bool:
        """Whether a hand can take hold of it."""
        return True

    def show_items(self, items: tuple[T, ...], ground: QSizeF) -> None:
        """What the board has; what is under way is dropped."""
        same = len(items) == len(self.items) and ground == self.ground
        self.items, self.ground, self._pull, self._keyed = items, ground, None, None
        self.hold(self.held if same else -1)

    @property
    def one(self) -> T | None:
        """The one that is held."""
        return self.items[self.held] if 0 <= self.held < len(self.items) else None

    @property
    def busy(self) -> bool:
        """A hand is at it."""
        return bool(self._pull or self._keyed)

    def hold(self, place: int) -> None:
        """Take hold of one; -1 lets go."""
        self.held = place if 0 <= place < len(self.items) and self.can_hold(self.items[place]) else -1
        self.chosen.emit()
        self.changed.emit()

    def hold_next(self, by: int = 1) -> None:
        """Round and round, of those that can be held."""
        able = [place for place, one in enumerate(self.items) if self.can_hold(one)]
        if able:
            at = able.index(self.held) + by if self.held in able else (0 if by > 0 else -1)
            self.hold(able[at % len(able)])

    def add(self, one: T) -> None:
        """On top, and held."""
        self.settle()
        self.items = (*self.items, one)
        self.hold(len(self.items) - 1)
        self.committed.emit(f"Add {self.KIND}", "")

    def remove_held(self) -> None:
        self.settle()
        if self.one:
            self.items = (*self.items[: self.held], *self.items[self.held + 1 :])
            self.hold(-1)
            self.committed.emit(f"Remove {self.KIND}", "")

    def change(self, one: T | None, what: str, merge: str = "") -> None:
        """Another one in place of the one that is held: a step to undo."""
        self.settle()
        if one is not None and one != self.one:
            self.put(one)
            self.committed.emit(what, f"{merge} {self.held}" if merge else "")

    def put(self, one: T) -> None:
        """The held one as it is now."""
        self.items = (*self.items[: self.held], one, *self.items[self.held + 1 :])
        self.chosen.emit()
        self.changed.emit()

    # Mouse

    def press(self, touch: Touch) -> None:
        self.settle()
        was, grip = self.items, self.grip_at(touch) if self.one else None
        if grip is None:
            self.hold(self.find_at(touch))
            grip = self.grip_at(touch) if self.one else self.begin(touch)
        if self.one and grip is not None:
            what = self.name_pull(grip) if was == self.items else f"Add {self.KIND}"
            self._pull = Pull(was, self.one, grip, touch.at, what)

    def move(self, touch: Touch) -> None:
        if self._pull:
            self.put(self.drag(self._pull.one, self._pull, touch))

    def release(self) -> None:
        pull, self._pull = self._pull, None
        if pull and self.items != pull.was:
            self.committed.emit(pull.what, "")

    def cancel(self) -> bool:
        pull, self._pull, self._keyed = self._pull or self._keyed, None, None
        if pull:
            self.items = pull.was
            self.hold(self.held)
        elif self.one:
            self.hold(-1)
        else:
            return False
        return True

    def settle(self) -> None:
        self.release()
        keyed, self._keyed = self._keyed, None
        if keyed and self.items != keyed.was:
            self.committed.emit(keyed.what, f"{keyed.what} {self.held}")

    # Keys

    def change_by_key(self, one: T, what: str) -> None:
        """As `change`, but a key that is held is one change."""
        if self._keyed and self._keyed.what != what:
            self.settle()
        self._keyed = self._keyed or Pull(self.items, self.one, None, QPointF(), what)
        self.put(one)

    def release_key(self, event: QKeyEvent) -> None:
        if self._keyed and not event.isAutoRepeat() and event.key() not in MODIFIERS:
            self.settle()

    def settle_before(self, event: QKeyEvent) -> None:
        if event.modifiers() & Qt.KeyboardModifier.ControlModifier and event.key() not in MODIFIERS and self._keyed:
            self.settle()

    def press_key(self, event: QKeyEvent) -> bool:
        """The next one, away with it; the rest is for a kind of things to know."""
        shift = bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier)
        if event.modifiers() & Qt.KeyboardModifier.ControlModifier:
            return False
        if event.text().lower() == "n":
            self.settle()
            self.hold_next(-1 if shift else 1)
        elif event.key() in REMOVES and self.one:
            self.remove_held()
        else:
            return self.one is not None and self.press_held(event, shift)
        return True

    def press_held(self, event: QKeyEvent, shift: bool) -> bool:
        """Whether the key was one for what is held."""
        raise NotImplementedError
