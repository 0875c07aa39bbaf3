"""Tasks that serve streams one after the other."""

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from tests.http.h2.fakes import at_rest, serving, status_of
from trio_envoy.util.deadlines import Cause


def idle(world):
    return world.server._tasks._idle


async def test_one_task_serves_streams_in_turn_and_many_at_once_each_have_theirs(http2, autojump_clock):
    tasks = set()

    async def answer(stream):
        tasks.add(trio.lowlevel.current_task())
        await trio.sleep(0.1 if stream.request.path == b"/slow" else 0)
        await http2.echo(stream)

    slow = [(b":method", b"GET"), (b":scheme", b"http"), (b":path", b"/slow"), (b":authority", b"a")]
    async with serving(http2, answer) as world:
        for _ in range(5):
            await world.peer.ask()
            await trio.sleep(0.01)
        assert len(tasks) == len(idle(world)) == 1

        for _ in range(4):
            await world.peer.ask(slow)
        await trio.sleep(0.2)
        assert len(tasks) == len(idle(world)) == 4


async def test_who_has_no_stream_for_a_while_goes(http2, autojump_clock):
    async with serving(http2) as world:
        stream_id = await world.peer.ask()
        assert len(idle(world)) == 1
        await trio.sleep(3)
        assert idle(world) == []
        assert status_of(world.peer.of(stream_id)) == [b"200"]

        other = await world.peer.ask()
        assert status_of(world.peer.of(other)) == [b"200"]
        assert at_rest(world)


async def test_a_stream_that_comes_as_its_task_is_about_to_go_gets_another(http2, autojump_clock):
    async with serving(http2) as world:
        await world.peer.ask()
        task = idle(world)[0]
        task.guard.fire(Cause.CONNECTION_IDLE)  # it has not run since
        world.server._tasks.take()
        assert idle(world) == []
        stream_id = await world.peer.ask()
        assert status_of(world.peer.of(stream_id)) == [b"200"]
        assert world.handler.interruptions == []


async def test_a_deadline_of_one_stream_is_none_of_the_next(http2, autojump_clock):
    async def answer(stream):
        first = stream.request.path == b"/first"
        stream.guard.arm(Cause.ROUTE_TIMEOUT, trio.current_time() + (1 if first else 100))
        await trio.sleep(2 if first else 3)
        await http2.echo(stream)

    async with serving(http2, answer) as world:
        fields = [(b":method", b"GET"), (b":scheme", b"http"), (b":path", b"/first"), (b":authority", b"a")]
        await world.peer.ask(fields)
        await trio.sleep(1.5)
        assert world.handler.interruptions == [Cause.ROUTE_TIMEOUT]
        for _ in range(2):
            stream_id = await world.peer.ask()
            await trio.sleep(4)
            assert status_of(world.peer.of(stream_id)) == [b"200"]
        assert world.handler.interruptions == [Cause.ROUTE_TIMEOUT]


async def test_a_fault_of_ours_leaves_no_stream_behind(http2, autojump_clock):
    async def answer(stream):
        raise ValueError("a bug")

    with pytest.raises(BaseExceptionGroup) as caught:
        async with serving(http2, answer) as world:
            await world.peer.ask()
    assert caught.group_contains(ValueError, match="a bug")
    assert world.server.streams == {}
    assert world.stats.http2.streams_active == 0


async def test_idle_tasks_end_with_the_connection(http2, autojump_clock):
    async with serving(http2) as world:
        await world.peer.ask()
        waiting = idle(world)
        assert len(waiting) == 1
        world.channel.close()
        await wait_all_tasks_blocked()
        assert world.stats.hcm.downstream_cx_http2_active == 0
        assert waiting == []
