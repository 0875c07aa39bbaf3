from collections import Counter
from math import lcm

import pytest

from trio_envoy.upstream.edf import EdfScheduler


def picks(weights, count, offset=0):
    unit = lcm(*weights.values())
    scheduler = EdfScheduler(list(weights), lambda entry: unit // weights[entry], offset)
    return "".join(scheduler.pick() for _ in range(count))


@pytest.mark.parametrize(
    ("weights", "round_"),
    [  # measured on 1.40: 120 starts each, all rotations of it, none that is anything else
        ({"a": 3, "b": 1, "c": 1}, "aabca"),
        ({"a": 1, "b": 2, "c": 5}, "ccbccabc"),
        ({"a": 7, "b": 3, "c": 4}, "acabacabacabca"),
    ],
)
@pytest.mark.parametrize("offset", [*range(16), 12345, 2**31, 2**32 - 1])
def test_rounds_are_envoys_wherever_they_begin(weights, round_, offset):
    assert picks(weights, 4 * len(round_), offset) in round_ * 5


def test_an_offset_is_a_place_in_the_round():
    weights = {"a": 7, "b": 3, "c": 4}

    assert picks(weights, 30, 5) == picks(weights, 35)[5:]
    assert picks(weights, 30, 14 * 10**6 + 5) == picks(weights, 35)[5:]


def test_equal_weights_go_in_order():
    assert picks({"a": 2, "b": 2, "c": 2}, 7) == "abcabca"


def test_fractions_share_in_proportion():
    weights = {"a": 0.5, "b": 0.2, "c": 0.3}
    scheduler = EdfScheduler(list(weights), lambda entry: 1 / weights[entry], 12345)

    counts = Counter(scheduler.pick() for _ in range(1000))

    assert counts == pytest.approx({"a": 500, "b": 200, "c": 300}, abs=1)


def test_a_changed_step_counts_from_the_next_pick_on():
    steps = {"a": 9, "b": 9}
    scheduler = EdfScheduler(list(steps), steps.__getitem__)
    assert [scheduler.pick() for _ in range(4)] == ["a", "b", "a", "b"]

    steps["a"] = 1

    counts = Counter(scheduler.pick() for _ in range(100))
    assert 88 <= counts["a"] <= 91
