from math import inf

import trio
from trio.testing import wait_all_tasks_blocked

from trio_envoy.upstream.pool.keeper import Keeper


class Pool:
    """Expires at the times of a list."""

    def __init__(self, *times):
        self.planned = inf
        self.times = list(times)
        self.expired = []

    def expire(self, now):
        self.expired.append(now)
        return self.times.pop(0) if self.times else inf


class Connection:
    def __init__(self):
        self.buried = 0

    def bury(self):
        self.buried += 1


async def test_a_pool_is_asked_when_it_is_time_and_says_when_again(autojump_clock, nursery):
    keeper, pool, other = Keeper(), Pool(7.0), Pool()
    await nursery.start(keeper.run)

    keeper.plan(pool, 5.0)
    keeper.plan(other, 6.0)
    await trio.sleep(20)

    assert (pool.expired, other.expired) == ([5, 7], [6])
    assert pool.planned == other.planned == inf


async def test_an_earlier_time_replaces_a_later_one(autojump_clock, nursery):
    keeper, pool = Keeper(), Pool()
    await nursery.start(keeper.run)

    keeper.plan(pool, 9.0)
    keeper.plan(pool, 4.0)
    keeper.plan(pool, 6.0)
    await trio.sleep(20)

    assert pool.expired == [4]


async def test_a_plan_made_while_it_sleeps_wakes_it(autojump_clock, nursery):
    keeper, pool = Keeper(), Pool()
    await nursery.start(keeper.run)
    await trio.sleep(3)

    keeper.plan(pool, 4.0)
    await trio.sleep(2)

    assert pool.expired == [4]


async def test_what_is_planned_before_the_start_counts(autojump_clock, nursery):
    keeper, pool = Keeper(), Pool()
    keeper.plan(pool, 0.0)

    await nursery.start(keeper.run)
    await wait_all_tasks_blocked()

    assert pool.expired == [0]


async def test_gone_connections_are_buried_once(autojump_clock, nursery):
    keeper, connection = Keeper(), Connection()
    await nursery.start(keeper.run)

    keeper.report_gone(connection)
    assert connection.buried == 0  # not in the poller's task
    await wait_all_tasks_blocked()
    keeper.plan(Pool(), 1.0)
    await trio.sleep(2)

    assert connection.buried == 1


async def test_its_nursery_takes_tasks(autojump_clock, nursery):
    keeper, done = Keeper(), []
    await nursery.start(keeper.run)

    keeper.tasks.start_soon(mark, done)
    await wait_all_tasks_blocked()

    assert done == [1]


async def mark(done):
    done.append(1)
