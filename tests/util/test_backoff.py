from random import Random

import pytest

from trio_envoy.util.backoff import JitteredBackoff, at_least


class Always(Random):
    """Says the same each time."""

    def __init__(self, value: float) -> None:
        super().__init__()
        self.value = value

    def random(self) -> float:
        return self.value


def test_the_range_doubles_up_to_the_maximum():
    backoff = JitteredBackoff(0.025, 0.25, Always(1.0))

    assert [backoff.next() for _ in range(6)] == [0.025, 0.05, 0.1, 0.2, 0.25, 0.25]


def test_it_is_jittered_from_zero():
    backoff = JitteredBackoff(0.2, 1.5, Always(0.0))

    assert [backoff.next() for _ in range(5)] == [0.0] * 5


def test_reset_begins_again():
    backoff = JitteredBackoff(1.0, 10.0, Always(0.5))
    backoff.next()
    backoff.next()

    backoff.reset()

    assert backoff.next() == 0.5


@pytest.mark.parametrize(("base", "maximum"), [(0, 1), (2, 1)])
def test_bounds_are_checked(base, maximum):
    with pytest.raises(AssertionError):
        JitteredBackoff(base, maximum, Random(1))


def test_at_least_waits_what_was_asked_and_up_to_half_more():
    assert at_least(4.0, Always(0.0)) == 4.0
    assert at_least(4.0, Always(1.0)) == 6.0
