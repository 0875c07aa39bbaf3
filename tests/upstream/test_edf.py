from collections import Counter

import pytest

from trio_envoy.upstream.edf import EdfScheduler


def picks(weights, count, offset=0):
    scheduler = EdfScheduler(list(weights), weights.__getitem__, offset)
    return "".join(scheduler.pick() for _ in range(count))


@pytest.mark.parametrize("offset", [0, 1, 2, 3, 10, 12345, 2**31, 2**32 - 1])
@pytest.mark.parametrize("weights", [{"a": 3, "b": 1, "c": 1}, {"a": 1, "b": 2, "c": 5}, {"a": 4, "b": 1, "c": 2}])
def test_every_round_is_shared_in_proportion_wherever_it_begins(weights, offset):
    rounds = 40

    counts = Counter(picks(weights, rounds * sum(weights.values()), offset))

    assert counts == pytest.approx({entry: rounds * weight for entry, weight in weights.items()}, abs=1)


def test_one_two_five_is_envoys_cycle():
    # measured on 1.40, from another place of the same cycle: b c c c b c c a
    assert picks({"a": 1, "b": 2, "c": 5}, 8, 0) == "ccbccabc"
    assert "bcccbcca" in "ccbccabc" * 2


def test_three_to_one_to_one_is_envoys_cycle():
    # measured on 1.40, five starts: rounds of a a a b c, from any place in one
    assert picks({"a": 3, "b": 1, "c": 1}, 20, 2**32 - 1)[5:] in "aaabc" * 5


def test_a_huge_offset_is_not_picked_one_by_one():
    counts = Counter(picks({"a": 3, "b": 1}, 400, 2**32 - 1))

    assert counts == {"a": 300, "b": 100}


def test_a_changed_weight_counts_from_the_next_pick_on():
    weights = {"a": 1, "b": 1}
    scheduler = EdfScheduler(["a", "b"], weights.__getitem__)
    assert [scheduler.pick() for _ in range(4)] == ["a", "b", "a", "b"]

    weights["a"] = 9

    counts = Counter(scheduler.pick() for _ in range(100))
    assert 88 <= counts["a"] <= 91
