"""Random bytes and broken boards: reading gives a sound board or a BoardError, and nothing else.

    python -m tests.hostile.test_board_fuzz 100000

runs longer than the test does.
"""

import copy
import json
import random
import sys

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.board import commands
from app.board.data import Board, Member, Panel, PanelReference, Picture, Source, Take, new_board, new_id
from app.fluxboard import codec
from mlx_model.errors import BoardError

ODD = (
    None, True, -1, 0, 2**63, 10**30, 0.5, 1e308, "", "@", "a" * 70, "\u202e", "\x00", [], [[]], {}, {"id": "x"},
    "../../etc/passwd", [None] * 3, ["#000000"], "panel", "blank", "take", "1" * 5000,
)  # fmt: skip


def full_board() -> Board:
    """One of everything."""
    shot, hat = Picture("a" * 64, 64, 64, "shot.png"), Picture("b" * 64, 64, 64)
    board = commands.add_member(new_board("fuzz"), Member(new_id(), "gull", pictures=(hat,), notes="x"))
    first = next(board.panels()).id
    board = commands.set_panel(board, first, instruction="@gull in a @bar", mask=hat, source=Source("take"))
    board = commands.add_reference(board, first, commands.member_reference(board.cast[0]))
    board = commands.add_reference(board, first, PanelReference(new_id(), shot, name="bar"))
    take = Take(new_id(), shot, '{"prompt": "x"}', "mini", "2026-01-01T00:00:00Z", 3)
    board = commands.add_take(board, first, take)
    board = commands.continue_from(board, first, second := new_id())
    return commands.add_panel(board, board.scenes[0].id, panel=Panel(new_id(), source=Source("panel", second)))


FULL = msgspec.json.encode(full_board())


def holds(data: bytes) -> bool:
    """Whether it was read; then it is sound, can be written, and reads as the same again without repairs."""
    try:
        board, _ = codec.decode(data)
    except BoardError:
        return False
    codec.check(board)
    assert codec.decode(codec.encode(board)) == (board, [])
    return True


def harmed_bytes(chance: random.Random) -> bytes:
    data = bytearray(FULL)
    for _ in range(chance.randint(1, 4)):
        start = chance.randrange(len(data))
        end = start + chance.choice((1, 1, 2, 40))
        new = chance.choice((b"", bytes([chance.randrange(256)]), data[end : end + 30], b"9" * 400, b"[" * 2000))
        data[start:end] = new
    return bytes(data)


def harmed_values(chance: random.Random) -> bytes:
    plain = json.loads(FULL)
    for _ in range(chance.randint(1, 3)):
        owner, key = chance.choice(list(places(plain)))
        action = chance.randrange(4)
        if action == 0:
            owner[key] = copy.deepcopy(chance.choice(ODD))
        elif action == 1:
            other, there = chance.choice(list(places(plain)))
            owner[key] = json.loads(json.dumps(other[there]))
        elif action == 2 and isinstance(owner, dict):
            owner[str(chance.choice(ODD))] = owner.pop(key)
        elif isinstance(owner, list):
            owner.extend(json.loads(json.dumps(owner)))
    return json.dumps(plain).encode()


def places(value):
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in items:
        yield value, key
        yield from places(one)


@given(st.binary(max_size=300))
def test_random_bytes(data):
    holds(data)


KEYS = st.sampled_from(["id", "schema", "scenes", "panels", "cast", "title"])
LEAVES = st.none() | st.booleans() | st.floats() | st.integers() | st.text()


@settings(max_examples=60, deadline=None)
@given(st.recursive(LEAVES, lambda inner: st.lists(inner) | st.dictionaries(KEYS, inner), max_leaves=20))
def test_random_json(value):
    holds(json.dumps(value).encode())
    if isinstance(value, dict):
        holds(json.dumps({**json.loads(FULL), **value}).encode())


@pytest.mark.first_case
@pytest.mark.parametrize("harm", [harmed_bytes, harmed_values])
def test_harmed_boards(harm):
    assert holds(FULL)
    read = sum(holds(harm(random.Random(seed))) for seed in range(1000))
    assert 10 < read < 950


def test_every_cut():
    assert not any(holds(FULL[:size]) for size in range(len(FULL)))


if __name__ == "__main__":
    for seed in range(int(sys.argv[1])):
        holds((harmed_bytes, harmed_values)[seed % 2](random.Random(seed)))
