"""Rules use every key once and make every target."""

import mlx.core as mx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from converters.keys.rules import CHANGES, Rule, apply, drop, rename
from mlx_model.errors import LayoutError


def test_numbers_and_rests():
    rules = [rename("a.#.b.*", "c.#.d.*"), drop("a.#.e"), rename("f", "g")]
    made = apply(rules, {"a.12.b.x.weight": mx.array(1), "a.3.e": mx.array(2), "f": mx.array(3)})
    assert {name: int(value) for name, value in made.items()} == {"c.12.d.x.weight": 1, "g": 3}


def test_join_in_the_order_of_the_rule():
    rule = Rule("qkv.#", ("q.#", "k.#", "v.#"), "join")
    made = apply([rule], {"v.0": mx.full((1, 2), 3), "k.0": mx.full((1, 2), 2), "q.0": mx.full((1, 2), 1)})
    assert made["qkv.0"].tolist() == [[1, 1], [2, 2], [3, 3]]


@pytest.mark.parametrize(("rules", "names", "message"), [
    ([rename("a", "b")], ["a", "x"], "belong nowhere: x"),
    ([Rule("c", ("a", "b"), "join")], ["a"], "needs b"),
    ([Rule("c", ("a", "b"), "join")], ["b"], "belong nowhere: b"),
    ([rename("a", "c"), rename("b", "c")], ["a", "b"], "become c"),
    ([rename("a.#", "b.#")], ["a.x"], "belong nowhere"),
])  # fmt: skip
def test_what_does_not_fit(rules, names, message):
    with pytest.raises(LayoutError, match=message):
        apply(rules, {name: mx.zeros((2, 2)) for name in names})


def test_impossible_shape():
    with pytest.raises(LayoutError, match=r"a has a shape.*\(3, 2\)"):
        apply([rename("a", "b", "swap_halves")], {"a": mx.zeros((3, 2))})


def test_changes():
    x = mx.arange(24).reshape(2, 3, 2, 2)
    assert CHANGES["conv"](x).tolist() == np.array(x).transpose(0, 2, 3, 1).tolist()
    assert CHANGES["conv"](mx.arange(3)).tolist() == [0, 1, 2]
    assert CHANGES["pointwise"](mx.zeros((5, 7))).shape == (5, 1, 1, 7)
    assert CHANGES["swap_halves"](mx.array([[1], [2], [3], [4]])).tolist() == [[3], [4], [1], [2]]


@settings(deadline=None, max_examples=50)
@given(st.sets(st.from_regex(r"[a-c]\.[0-9]{1,2}\.[x-z]", fullmatch=True), min_size=1))
def test_renaming_loses_nothing(names):
    made = apply([rename("#*", "#*"), rename("a.#.*", "n.#.*"), rename("*", "k.*")], {n: mx.zeros(1) for n in names})
    assert {"a" + n[1:] if n[0] == "n" else n[2:] for n in made} == names
