"""Events go through one line of JSON; arrays stay behind."""

import numpy as np
import pytest

from mlx_model import events
from mlx_model.errors import Advice, NotInstalled, RequestError

EVERY = [
    events.Loaded("mini", 0.5),
    events.Stage("denoise", "with an é and\na line break", 4),
    events.Step(1, 4, 0.5, 1.5),
    events.Learned(3, 0.25, 0.5),
    events.Preview(2, "a.png", np.zeros((2, 2, 3), np.uint8)),
    events.Note("a reference was resized"),
    events.Done(1.5, "out.png", 7, np.zeros((2, 2, 3), np.uint8), np.zeros((4, 8), np.float32)),
    events.Cancelled("by the user"),
    events.Failed("RequestError", "no", "do this"),
    events.Failed("NotInstalled", "no", "", Advice("add_model", {"name": "mini"})),
]


def test_every_kind_is_here():
    assert {type(event) for event in EVERY} == set(events.KINDS.values())


@pytest.mark.parametrize("event", EVERY, ids=lambda event: type(event).__name__)
def test_round_trip(event):
    line = event.to_json()
    assert "\n" not in line
    back = events.from_json(line)
    assert back == event
    assert getattr(back, "pixels", None) is None


def test_a_failure_says_what_to_do_in_words_and_for_others_to_word():
    advice = Advice("add_model", {"name": "mini"})
    failed = events.from_json(events.Failed.of(NotInstalled("no", advice), "Type this.").to_json())
    assert (failed.hint, failed.what_to_do) == ("Type this.", advice)
    failed = events.from_json(events.Failed.of(RequestError("no", "Crop it."), "not asked").to_json())
    assert (failed.hint, failed.what_to_do) == ("Crop it.", "Crop it.")


@pytest.mark.parametrize(
    "line",
    [
        "",
        "x",
        "[]",
        "3",
        "{}",
        '{"event": "nothing"}',
        '{"event": "step", "colour": 1}',
        '{"event": "failed", "code": "x", "message": "y", "advice": 3}',
    ],
)
def test_garbage(line):
    with pytest.raises(ValueError, match=r"not an event|Expecting"):
        events.from_json(line)
