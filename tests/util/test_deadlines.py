"""util.deadlines."""

import weakref
from contextlib import asynccontextmanager
from math import inf

import pytest
import trio

from trio_envoy.util.deadlines import Alarm, Cause, Guard, Timers


@asynccontextmanager
async def running():
    timers = Timers()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(timers.run)
        yield timers
        nursery.cancel_scope.cancel()


async def test_deadline_cancels_with_its_cause(autojump_clock):
    async with running() as timers:
        guard = Guard(timers)
        start = trio.current_time()

        with guard.open() as scope:
            guard.arm(Cause.ROUTE_TIMEOUT, start + 15)
            await trio.sleep(100)

        assert scope.cancelled_caught
        assert guard.fired is Cause.ROUTE_TIMEOUT
        assert trio.current_time() - start == pytest.approx(15)


async def test_earliest_of_several_deadlines_fires(autojump_clock):
    async with running() as timers:
        guard = Guard(timers)
        start = trio.current_time()

        with guard.open():
            guard.arm(Cause.CONNECTION_IDLE, start + 3600)
            await trio.sleep(1)
            guard.arm(Cause.ROUTE_TIMEOUT, start + 15)
            guard.arm(Cause.REQUEST, start + 5)
            await trio.sleep_forever()

        assert guard.fired is Cause.REQUEST
        assert trio.current_time() - start == pytest.approx(5)


async def test_disarmed_and_postponed_deadlines_do_not_fire(autojump_clock):
    async with running() as timers:
        guard = Guard(timers)
        start = trio.current_time()

        with guard.open():
            for second in range(40):
                guard.arm(Cause.ROUTE_TIMEOUT, start + second + 15)
                await trio.sleep(1)
            guard.disarm(Cause.ROUTE_TIMEOUT)
            await trio.sleep(100)

        assert guard.fired is None


async def test_many_requests_on_one_connection_plan_few_checks(autojump_clock):
    async with running() as timers:
        guard = Guard(timers)
        with guard.open():
            for _ in range(1000):
                guard.arm(Cause.ROUTE_TIMEOUT, trio.current_time() + 15)
                guard.disarm(Cause.ROUTE_TIMEOUT)

        assert timers._serial == 1


async def test_idle_counts_from_the_last_activity(autojump_clock):
    async with running() as timers:
        guard = Guard(timers)
        start = guard.activity = trio.current_time()

        with guard.open():
            guard.arm_idle(10)
            for _ in range(5):
                await trio.sleep(8)
                guard.activity = trio.current_time()
            await trio.sleep(1000)

        assert guard.fired is Cause.STREAM_IDLE
        assert trio.current_time() - start == pytest.approx(50)


async def test_a_guard_can_be_opened_again_after_it_fired(autojump_clock):
    async with running() as timers:
        guard = Guard(timers)
        for _ in range(2):
            with guard.open() as scope:
                guard.arm(Cause.REQUEST, trio.current_time() + 1)
                await trio.sleep(10)
            assert scope.cancelled_caught


async def test_first_cause_wins_and_a_closed_guard_stays_quiet(autojump_clock):
    async with running() as timers:
        guard = Guard(timers)
        with guard.open():
            guard.fire(Cause.PEER_GONE)
            guard.fire(Cause.DRAIN)
            await trio.lowlevel.checkpoint()
        assert guard.fired is Cause.PEER_GONE

        guard.close()
        guard.fire(Cause.DRAIN)
        assert guard.fired is Cause.PEER_GONE


async def test_closed_guards_do_not_pile_up(autojump_clock):
    async with running() as timers:
        for _ in range(5000):
            guard = Guard(timers)
            with guard.open():
                guard.arm(Cause.CONNECTION_IDLE, trio.current_time() + 3600)
            guard.close()

        assert len(timers._heap) < 1200


@pytest.mark.parametrize(("limit", "seconds"), [(2.0, 2), (20.0, 20), (None, 5)])
async def test_a_flush_has_a_timeout_of_its_own(autojump_clock, limit, seconds):
    async with running() as timers:
        guard = Guard(timers)
        start = guard.activity = trio.current_time()

        with guard.open():
            guard.arm_idle(5)
            guard.begin_flush(limit)
            await trio.sleep_forever()

        assert guard.fired is Cause.STREAM_FLUSH
        assert trio.current_time() - start == pytest.approx(seconds)


@pytest.mark.parametrize("limit", [inf, None])
async def test_a_flush_may_take_for_ever(autojump_clock, limit):
    async with running() as timers:
        guard = Guard(timers)

        with guard.open():
            if limit is not None:
                guard.arm_idle(5)
            guard.begin_flush(limit)
            await trio.sleep(1000)

        assert guard.fired is None


async def test_after_a_flush_a_stream_may_be_idle_again(autojump_clock):
    async with running() as timers:
        guard = Guard(timers)
        start = guard.activity = trio.current_time()

        with guard.open():
            guard.arm_idle(5)
            idle = guard.begin_flush(20.0)
            await trio.sleep(10)
            guard.end_flush(idle)
            await trio.sleep_forever()

        assert guard.fired is Cause.STREAM_IDLE
        assert trio.current_time() - start == pytest.approx(15)


async def test_what_was_not_armed_is_not_armed_by_a_flush(autojump_clock):
    async with running() as timers:
        guard = Guard(timers)

        with guard.open():
            guard.end_flush(guard.begin_flush(20.0))
            await trio.sleep(1000)

        assert guard.fired is None


async def test_an_alarm_calls_and_may_be_planned_anew(autojump_clock):
    async with running() as timers:
        start, calls = trio.current_time(), []

        def call(now):
            calls.append(now - start)
            alarm.plan(now + 2)

        alarm = Alarm(timers, call)
        alarm.plan(start + 1)
        await trio.sleep(4)
        alarm.close()
        await trio.sleep(10)

    assert calls == pytest.approx([1, 3])


async def test_a_closed_alarm_lets_go_of_what_it_calls():
    def planned():
        def call(now):
            alarm.plan(now)

        alarm = Alarm(timers, call)
        alarm.plan(1000.0)
        return alarm, weakref.ref(call)

    timers = Timers()
    alarm, called = planned()
    alarm.close()

    assert called() is None
