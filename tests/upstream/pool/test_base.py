from collections import deque

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from trio_envoy.errors import UpstreamFailure
from trio_envoy.net.stream_info import UF
from trio_envoy.upstream.pool.base import Waiter


async def waiting(nursery, queue, outcomes):
    """A task that waits; its outcome is appended."""

    async def run(*, task_status):
        waiter = Waiter(queue)
        queue.append(waiter)
        task_status.started()
        try:
            outcomes.append(await waiter.wait())
        except (UpstreamFailure, trio.Cancelled) as error:
            outcomes.append(type(error))
            raise

    await nursery.start(run)


async def test_a_waiter_is_handed_a_stream_or_nothing(nursery):
    queue, outcomes = deque(), []
    for _ in range(2):
        await waiting(nursery, queue, outcomes)

    stream = object()
    queue.popleft().hand(stream)
    queue.popleft().hand(None)
    await wait_all_tasks_blocked()

    assert set(outcomes) == {stream, None}


async def test_a_waiter_fails(nursery):
    queue, outcomes = deque(), []
    with pytest.RaisesGroup(UpstreamFailure):
        async with trio.open_nursery() as tasks:
            await waiting(tasks, queue, outcomes)
            queue.popleft().fail(UpstreamFailure("x", UF))

    assert outcomes == [UpstreamFailure]


async def test_a_cancelled_waiter_has_left_the_queue():
    queue, outcomes = deque(), []
    async with trio.open_nursery() as tasks:
        await waiting(tasks, queue, outcomes)
        tasks.cancel_scope.cancel()

    assert not queue
    assert outcomes == [trio.Cancelled]


async def test_what_is_handed_over_is_not_lost_to_a_cancellation():
    queue, outcomes = deque(), []
    async with trio.open_nursery() as tasks:
        await waiting(tasks, queue, outcomes)
        queue.popleft().hand("stream")
        tasks.cancel_scope.cancel()

    assert outcomes == ["stream"]
