"""A thousand random things done, undone and redone; a board that is always sound, and the start at the end."""

import random
from collections import Counter

import msgspec
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from app.board import mentions
from app.board.data import Board, new_board, reference_names
from app.board.history import History
from app.fluxboard import codec
from tests.app.fluxboard.board_moves import MOVES, take

STEPS = 1000


def frozen(board: Board) -> bytes:
    return msgspec.json.encode(board)


def without_takes(board: Board) -> Board:
    def bare(panel):
        return msgspec.structs.replace(panel, takes=(), current=None)

    scenes = tuple(msgspec.structs.replace(s, panels=tuple(map(bare, s.panels))) for s in board.scenes)
    return msgspec.structs.replace(board, scenes=scenes)


class Artist(RuleBasedStateMachine):
    """Every state is remembered as bytes when it is made, so that a change of an old board would be seen."""

    def __init__(self):
        super().__init__()
        self.start = new_board()
        self.history = History(self.start, limit=2 * STEPS)
        self.undone: list[bytes] = []
        self.before: list[bytes] = []
        self.arrived: dict[str, set[str]] = {}

    @rule(name=st.sampled_from(sorted(MOVES)), data=st.data())
    def change(self, name, data):
        old = self.history.board
        new = MOVES[name](old, lambda options: data.draw(st.sampled_from(list(options))))
        if new == old:
            self.history.do(name, new)
            return
        self.before.append(frozen(old))
        self.undone.clear()
        self.history.do(name, new)
        assert self.history.undo_label == name

    @precondition(lambda self: self.history.can_undo)
    @rule()
    def undo(self):
        self.undone.append(frozen(self.history.board))
        self.history.undo()
        assert frozen(self.history.board) == self.before.pop()

    @precondition(lambda self: self.history.can_redo)
    @rule()
    def redo(self):
        self.before.append(frozen(self.history.board))
        self.history.redo()
        assert frozen(self.history.board) == self.undone.pop()

    @precondition(lambda self: list(self.history.board.panels()))
    @rule(data=st.data())
    def a_take_arrives(self, data):
        def pick(options):
            return data.draw(st.sampled_from(list(options)))

        panel, made = pick(list(self.history.board.panels())), take(pick)
        states = len(self.history.boards())
        assert self.history.add_take(panel.id, made)
        boards = self.history.boards()
        assert len(boards) == states
        for board in boards:
            there = [one for one in board.panels() if one.id == panel.id]
            kept = [take for one in there for take in one.takes if take.id == made.id]
            assert len(kept) == len(there)
            assert len({take.number for take in kept}) <= 1, "one number in every state"
        position = len(self.before)
        self.before = [frozen(board) for board in boards[:position]]
        self.undone = [frozen(board) for board in reversed(boards[position + 1 :])]

    @invariant()
    def the_board_is_sound(self):
        board = self.history.board
        codec.check(board)
        again, repairs = codec.decode(codec.encode(board))
        assert (again, repairs) == (board, [])
        for panel in board.panels():
            assert (panel.current is None) == (not panel.takes)
            assert_mentions_are_clear(board, panel)

    def teardown(self):
        while self.history.can_undo:
            self.history.undo()
            assert frozen(self.history.board) == self.before.pop()
        assert without_takes(self.history.board) == without_takes(self.start)
        arrived = any(panel.takes for panel in self.history.board.panels())
        assert arrived or self.history.board == self.start
        while self.history.can_redo:
            self.history.redo()


def assert_mentions_are_clear(board, panel):
    names = reference_names(board, panel)
    assert all(name or reference.member for name, reference in zip(names, panel.references, strict=True))
    names = [name for name in names if name]
    assert len({name.casefold() for name in names}) == len(names)
    for name in names:
        mentions.compile_prompt(f"@{name}", names)
    errors = [mention.error for mention in mentions.find(panel.prompt, names) if mention.error]
    assert not [error for error in errors if "More than one" in error.message]


TestArtist = Artist.TestCase
TestArtist.settings = settings(
    max_examples=12, stateful_step_count=50, deadline=None, suppress_health_check=list(HealthCheck)
)


class Chance:
    """Stands in for hypothesis' data: an example of hypothesis ends long before a thousand steps."""

    def __init__(self, seed: int):
        self.random = random.Random(seed)

    def draw(self, strategy):
        return self.random.choice(strategy.elements)


@pytest.mark.sweep
@pytest.mark.parametrize("seed", range(2))
def test_a_thousand_steps(seed):
    artist, data, done = Artist(), Chance(seed), Counter()
    while done.total() < STEPS:
        step = data.random.choices(("change", "undo", "redo", "take"), (6, 1.5, 1.5, 0.2))[0]
        before = artist.history.board
        if step == "change":
            step = data.random.choice([*sorted(MOVES), *["referenced", "reference_moved"] * 6, "panel"])
            artist.change(step, data)
        elif step == "take" and list(artist.history.board.panels()):
            artist.a_take_arrives(data)
        elif step == "undo" and artist.history.can_undo:
            artist.undo()
        elif step == "redo" and artist.history.can_redo:
            artist.redo()
        done[step] += artist.history.board != before
        if done.total() % 4 == 0:
            artist.the_board_is_sound()
    assert {*MOVES, "undo", "redo", "take"} - set(+done) == set()
    artist.teardown()
