"""A server connection: deadlines of an exchange and of the connection, draining."""

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from tests.fakes import Pieces
from trio_envoy.http.headers import Headers
from trio_envoy.http.message import Response
from trio_envoy.util.deadlines import Cause

GET = b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n"
ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\nGET /x "


async def test_a_deadline_during_an_exchange(autojump_clock, h1):
    async def slow(stream):
        stream.guard.arm(Cause.ROUTE_TIMEOUT, trio.current_time() + 3)
        if len(world.handler.streams) == 1:
            await trio.sleep_forever()
        await h1.echo(stream)

    async with h1.serving(slow) as world:
        started = trio.current_time()
        await world.peer.send(GET)
        assert await world.peer.receive() == b"HTTP/1.1 504 Gateway Timeout\r\ncontent-length: 4\r\n\r\nlate"
        assert trio.current_time() - started == pytest.approx(3)
        assert world.handler.interruptions == [Cause.ROUTE_TIMEOUT]

        await world.peer.send(GET)  # the connection goes on
        assert await world.peer.receive() == ANSWER


async def test_a_deadline_after_the_response_has_begun_closes(autojump_clock, h1):
    async def stuck(stream):
        body = h1.SlowBody()
        body.put(b"ab")
        response = h1.a_response(200, b"abcd")
        response.body = body
        stream.guard.arm(Cause.ROUTE_TIMEOUT, trio.current_time() + 3)
        await stream.respond(response)

    async with h1.serving(stuck) as world:
        await world.peer.send(GET)

        assert await world.peer.receive_all() == b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nab"
        await world.done.wait()


async def test_a_deadline_that_comes_just_after_the_exchange_is_no_news(autojump_clock, h1):
    async def answer_then_fire(stream):
        await h1.echo(stream)
        stream.guard.fire(Cause.ROUTE_TIMEOUT)

    async with h1.serving(answer_then_fire) as world:
        for _ in range(3):
            await world.peer.send(GET)
            assert await world.peer.receive() == ANSWER
        assert world.handler.interruptions == []


async def test_a_handler_that_says_nothing_closes(autojump_clock, h1):
    async def silent(stream):
        pass

    async with h1.serving(silent) as world:
        await world.peer.send(GET)

        assert await world.peer.receive_all() == b""
        await world.done.wait()


async def test_reset_closes(autojump_clock, h1):
    async def reset(stream):
        stream.reset()

    async with h1.serving(reset) as world:
        await world.peer.send(GET)
        await world.done.wait()
    assert world.stats.downstream_cx_destroy_local == 1


async def test_an_idle_connection_drains_then_ends(autojump_clock, h1):
    async with h1.serving(idle_timeout=10.0, drain_timeout=5.0) as world:
        started = trio.current_time()
        await world.peer.send(GET)
        await world.peer.receive()
        await world.done.wait()

        assert trio.current_time() - started == pytest.approx(15.0)
    assert world.stats.downstream_cx_idle_timeout == 1
    assert world.stats.downstream_cx_destroy_local == 1


async def test_a_request_while_it_drains_is_the_last(autojump_clock, h1):
    async with h1.serving(idle_timeout=10.0, drain_timeout=5.0) as world:
        await trio.sleep(12)
        await world.peer.send(GET)

        assert b"connection: close" in await world.peer.receive_all()
        await world.done.wait()


async def test_an_exchange_is_not_idle(autojump_clock, h1):
    async def slow(stream):
        await trio.sleep(100)
        await h1.echo(stream)

    async with h1.serving(slow, idle_timeout=10.0) as world:
        await world.peer.send(GET)
        assert await world.peer.receive() == ANSWER
    assert world.stats.downstream_cx_idle_timeout == 0


@pytest.mark.parametrize("safe", [False, True])
async def test_max_connection_duration(autojump_clock, h1, safe):
    async with h1.serving(max_connection_duration=10.0, safe_duration=safe, drain_timeout=5.0) as world:
        await trio.sleep(8)
        await world.peer.send(GET)
        assert await world.peer.receive() == ANSWER
        if safe:
            await trio.sleep(20)
            await world.peer.send(GET)
            assert b"connection: close" in await world.peer.receive_all()
        started = trio.current_time()
        await world.done.wait()

        assert trio.current_time() - started == pytest.approx(0.0 if safe else 7.0)
    assert world.stats.downstream_cx_max_duration_reached == 1


async def test_max_connection_duration_during_an_exchange_waits_for_its_end(autojump_clock, h1):
    async def slow(stream):
        await trio.sleep(30)
        await h1.echo(stream)

    async with h1.serving(slow, max_connection_duration=10.0, drain_timeout=5.0) as world:
        await world.peer.send(GET)
        assert b"connection: close" in await world.peer.receive()
        await world.done.wait()
    assert world.handler.interruptions == []


async def test_a_connection_that_becomes_too_old_during_a_response_ends_after_it(autojump_clock, h1):
    async def slow(stream):
        await stream.respond(Response(200, Headers(), Pieces(b"a", 30, b"b")))

    async with h1.serving(slow, max_connection_duration=10.0, drain_timeout=5.0) as world:
        await world.peer.send(GET)
        started = trio.current_time()
        assert b"connection: close" not in await world.peer.receive_all()
        await world.done.wait()

    assert trio.current_time() - started == pytest.approx(30)


async def test_max_requests(autojump_clock, h1):
    async with h1.serving(max_requests=2) as world:
        await world.peer.send(GET * 3)

        reply = await world.peer.receive_all()
        await world.done.wait()
    assert reply.count(b"HTTP/1.1 200") == 2
    assert reply.count(b"connection: close") == 1
    assert world.stats.downstream_cx_max_requests_reached == 1


async def test_headers_timeout(autojump_clock, h1):
    async with h1.serving(headers_timeout=2.0) as world:
        await trio.sleep(10)  # it starts with the first byte
        started = trio.current_time()
        await world.peer.send(b"GET")
        await trio.sleep(1.5)
        await world.peer.send(b" /x")

        reply = await world.peer.receive()
        assert trio.current_time() - started == pytest.approx(2.0)
        await world.done.wait()
    assert reply.startswith(b"HTTP/1.1 408 Request Timeout\r\n")
    assert reply.endswith(b"connection: close\r\n\r\nrequest header timeout")
    assert world.handler.errors[0][:2] == ("request_header_timeout", 408)
    assert world.stats.downstream_rq_header_timeout == 1


async def test_headers_in_time(autojump_clock, h1):
    async with h1.serving(headers_timeout=2.0) as world:
        for _ in range(3):
            await world.peer.send(GET[:9])
            await trio.sleep(1.5)
            await world.peer.send(GET[9:])
            assert await world.peer.receive() == ANSWER
            await trio.sleep(5)
    assert world.handler.errors == []


async def test_drain_ends_an_idle_connection_at_once(autojump_clock, h1):
    async with h1.serving() as world:
        await wait_all_tasks_blocked()
        world.connection.drain()
        await world.done.wait()


async def test_drain_lets_an_exchange_end(autojump_clock, h1):
    go_on = trio.Event()

    async def wait_then_echo(stream):
        await go_on.wait()
        await h1.echo(stream)

    async with h1.serving(wait_then_echo) as world:
        await world.peer.send(GET)
        world.connection.drain()
        go_on.set()

        assert b"connection: close" in await world.peer.receive_all()
        await world.done.wait()
