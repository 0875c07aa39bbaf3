import itertools
import logging
from random import Random

import pytest
import trio

from trio_envoy.util.loops import LONGEST_PAUSE, every, supervise


class Half(Random):
    def random(self) -> float:
        return 0.5


async def times(steps, count: int) -> list[float]:
    started, seen = trio.current_time(), []
    async for _ in steps:
        seen.append(round(trio.current_time() - started, 6))
        if len(seen) == count:
            return seen
    raise AssertionError("it never ends")


async def test_steps_come_at_the_interval(autojump_clock):
    assert await times(every(5.0), 3) == [5, 10, 15]


async def test_the_first_step_may_come_at_once(autojump_clock):
    assert await times(every(5.0, at_once=True), 3) == [0, 5, 10]


async def test_jitter_is_added(autojump_clock):
    assert await times(every(5.0, 1.0, Half()), 2) == [5.5, 11.0]


async def test_the_interval_may_change(autojump_clock):
    intervals = iter([1.0, 2.0, 4.0])

    assert await times(every(lambda: next(intervals)), 3) == [1, 3, 7]


async def test_the_time_of_the_body_is_not_in_the_interval(autojump_clock):
    seen = []
    async for _ in every(5.0):
        seen.append(trio.current_time())
        if len(seen) == 2:
            break
        await trio.sleep(3)

    assert seen[1] - seen[0] == 8


def test_jitter_needs_a_source():
    with pytest.raises(AssertionError):
        every(1.0, 1.0)


async def test_a_cancelled_loop_ends(autojump_clock):
    steps = 0
    with trio.move_on_after(12):
        async for _ in every(5.0):
            steps += 1

    assert steps == 2


async def test_a_first_step_at_once_is_a_checkpoint():
    with trio.CancelScope() as scope:
        scope.cancel()
        async for _ in every(5.0, at_once=True):
            raise AssertionError("it was cancelled")

    assert scope.cancelled_caught


@pytest.fixture
def faults(caplog):
    caplog.set_level(logging.ERROR)
    envoy = logging.getLogger("envoy")
    propagate, envoy.propagate = envoy.propagate, True
    yield caplog
    envoy.propagate = propagate


async def test_supervise_ends_when_the_function_returns(autojump_clock):
    seen = []

    async def work(*args):
        seen.append(args)

    await supervise("work", work, 1, 2)

    assert seen == [(1, 2)]


async def test_a_fault_is_logged_counted_and_run_again(autojump_clock, faults):
    runs = counted = 0

    def count():
        nonlocal counted
        counted += 1

    async def work():
        nonlocal runs
        runs += 1
        if runs < 4:
            raise ValueError("oh")

    await supervise("the loop", work, on_fault=count)

    assert (runs, counted) == (4, 3)
    assert [record.message for record in faults.records] == ["the loop failed, it is started again"] * 3
    assert faults.records[0].exc_info[0] is ValueError


async def test_a_group_of_faults_is_a_fault(autojump_clock, faults):
    runs = 0

    async def fail():
        raise ValueError("oh")

    async def work():
        nonlocal runs
        runs += 1
        if runs == 1:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(fail)

    await supervise("group", work)

    assert runs == 2


async def test_what_goes_on_failing_is_run_less_and_less_often(autojump_clock, faults):
    starts = []

    async def work():
        starts.append(trio.current_time())
        raise ValueError("oh")

    with trio.move_on_after(600):
        await supervise("work", work)

    assert 60 <= len(starts) <= 300  # pauses of up to LONGEST_PAUSE: some 5 s each
    assert max(later - earlier for earlier, later in itertools.pairwise(starts)) <= LONGEST_PAUSE


async def test_after_a_long_run_the_pause_is_short_again(autojump_clock, faults):
    ends, starts = [], []

    async def work():
        starts.append(trio.current_time())
        await trio.sleep(LONGEST_PAUSE + 1)
        ends.append(trio.current_time())
        raise ValueError("oh")

    with trio.move_on_after(500):
        await supervise("work", work)

    assert len(starts) > 30
    assert all(start - end <= 0.2 for end, start in zip(ends, starts[1:], strict=False))


async def test_cancelled_it_does_not_run_again(autojump_clock, faults):
    runs = 0

    async def work():
        nonlocal runs
        runs += 1
        await trio.sleep_forever()

    with trio.move_on_after(1):
        await supervise("work", work)

    assert runs == 1
    assert faults.records == []
