"""A server connection to its end: requests in turn, refusals, deadlines, draining, closing."""

from collections import Counter
from math import inf

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from trio_envoy.net.stream_info import DC
from trio_envoy.util.deadlines import Cause

GET = b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n"
POST = b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n"


def answer(text):
    return b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(text), text)


ANSWER = answer(b"GET /x ")


@pytest.mark.parametrize("size", [1, 10, 1000])
async def test_keep_alive_and_pipelining(autojump_clock, h1, size):
    async with h1.serving() as world:
        data = GET + POST + b"abcd" + GET
        for start in range(0, len(data), size):
            await world.peer.send(data[start : start + size])

        assert await world.peer.receive_until(ANSWER) == ANSWER + answer(b"POST /x abcd") + ANSWER
        assert len(world.handler.streams) == 3
        assert world.stats.downstream_cx_http1_total == world.stats.downstream_cx_http1_active == 1

        world.peer.channel.close()
        await world.done.wait()
    assert world.stats.downstream_cx_http1_active == 0
    assert world.stats.downstream_cx_destroy_remote == 1
    assert world.handler.errors == []
    assert world.channel.closed


async def test_bytes_that_came_before(autojump_clock, h1):
    async with h1.serving(beginning=GET) as world:
        assert await world.peer.receive() == ANSWER


async def test_what_a_stream_knows(autojump_clock, h1):
    async with h1.serving() as world:
        await world.peer.send(POST + b"abcd")
        reply = await world.peer.receive()
        info = world.handler.streams[0].info

        assert info.protocol == "HTTP/1.1"
        assert info.connection is world.channel.info
        assert info.start_wall == 1_000_000.0
        assert (info.header_bytes_received, info.wire_bytes_received, info.bytes_received) == (26, len(POST) + 4, 4)
        assert (info.header_bytes_sent, info.wire_bytes_sent, info.bytes_sent) == (20, len(reply), 12)
        assert info.start == info.request_end == info.response_start == trio.current_time()


async def test_a_refused_request_is_answered_and_told(autojump_clock, h1):
    async with h1.serving() as world:
        world.peer.channel.send(GET + b"BAD REQUEST\r\n\r\n" + GET)

        reply = await world.peer.receive_until(b"Bad Request")
        world.peer.channel.close()
        await world.done.wait()
    assert reply.startswith(ANSWER)
    assert reply[len(ANSWER) :] == (
        b"HTTP/1.1 400 Bad Request\r\ncontent-length: 11\r\ncontent-type: text/plain\r\n"
        b"date: Mon, 12 Jan 1970 13:46:40 GMT\r\nserver: envoy\r\nconnection: close\r\n\r\nBad Request"
    )
    [(details, status, info)] = world.handler.errors
    assert (details, status) == ("http1.codec_error", 400)
    assert info.wire_bytes_received == 15 + len(GET)
    assert (info.bytes_sent, info.header_bytes_sent, info.wire_bytes_sent) == (11, 117, 156)
    assert world.stats.downstream_cx_destroy_local == 1
    assert world.stats.downstream_cx_delayed_close_timeout == 0


@pytest.mark.parametrize(
    ("data", "line"),
    [
        (b"GET /x HTTP/1.0\r\n\r\n", b"HTTP/1.1 426 Upgrade Required\r\n"),
        (GET[:-2] + b"Transfer-Encoding: gzip\r\n\r\n", b"HTTP/1.1 501 Not Implemented\r\n"),
        (GET[:-2] + b"X: " + b"a" * 70000, b"HTTP/1.1 431 Request Header Fields Too Large\r\n"),
    ],
)
async def test_other_refusals(autojump_clock, h1, data, line):
    async with h1.serving(server_name=None) as world:
        await world.peer.send(data)
        reply = await world.peer.receive()

    assert reply.startswith(line)
    assert b"server" not in reply


async def test_a_client_that_does_not_leave_after_a_refusal_is_left(autojump_clock, h1):
    async with h1.serving(delayed_close_timeout=2.0) as world:
        started = trio.current_time()
        await world.peer.send(b"BAD\r\n\r\n")
        await world.peer.send(b"more" * 10000)  # is dropped
        await world.done.wait()

        assert trio.current_time() - started == pytest.approx(2.0)
    assert world.stats.downstream_cx_delayed_close_timeout == 1


async def test_no_delay_closes_at_once(autojump_clock, h1):
    async with h1.serving(delayed_close_timeout=0.0) as world:
        started = trio.current_time()
        await world.peer.send(b"BAD\r\n\r\n")
        await world.done.wait()

        assert trio.current_time() == started
        assert b"400 Bad Request" in await world.peer.receive()


async def test_a_refusal_that_nobody_can_read(autojump_clock, h1):
    async with h1.serving() as world:
        world.peer.channel.send(b"BAD\r\n\r\n")
        world.peer.channel.reset()
        await world.done.wait()

    assert world.handler.errors == [] or world.handler.errors[0][1] == 400


async def test_a_head_that_breaks_off_is_told(autojump_clock, h1):
    async with h1.serving() as world:
        await world.peer.send(b"GET /x HTTP/1.1\r\nHost")
        world.peer.channel.close()
        await world.done.wait()

    [(details, status, info)] = world.handler.errors
    assert (details, status) == ("downstream_remote_disconnect", 0)
    assert info.flags == DC
    assert info.wire_bytes_received == 21


async def test_a_reset_between_requests_is_quiet(autojump_clock, h1):
    async with h1.serving() as world:
        world.peer.channel.reset()
        await world.done.wait()

    assert world.handler.errors == []


async def test_connection_close_ends_it(autojump_clock, h1):
    async with h1.serving() as world:
        await world.peer.send(GET[:-2] + b"Connection: close\r\n\r\n" + GET)

        reply = await world.peer.receive_all()
        await world.done.wait()
    assert reply == b"HTTP/1.1 200 OK\r\ncontent-length: 7\r\nconnection: close\r\n\r\nGET /x "
    assert world.stats.downstream_cx_destroy_local == 1


async def test_http_10(autojump_clock, h1):
    async with h1.serving(http1={"accept_http_10": True}) as world:
        await world.peer.send(b"GET /x HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        assert await world.peer.receive() == (
            b"HTTP/1.0 200 OK\r\ncontent-length: 7\r\nconnection: keep-alive\r\n\r\nGET /x "
        )
        await world.peer.send(b"GET /x HTTP/1.0\r\n\r\n")
        assert await world.peer.receive_all() == (
            b"HTTP/1.0 200 OK\r\ncontent-length: 7\r\nconnection: close\r\n\r\nGET /x "
        )
        assert world.handler.streams[0].info.protocol == "HTTP/1.0"


async def test_expectations(autojump_clock, h1):
    async with h1.serving() as world:
        await world.peer.send(POST.replace(b"\r\n\r\n", b"\r\nExpect: 100-Continue\r\n\r\n"))
        assert await world.peer.receive() == b"HTTP/1.1 100 Continue\r\n\r\n"
        await world.peer.send(b"abcd")
        assert await world.peer.receive() == answer(b"POST /x abcd")
        assert b"expect" not in world.handler.streams[0].request.headers
        assert world.handler.streams[0].info.wire_bytes_sent == 25 + len(answer(b"POST /x abcd"))

        await world.peer.send(GET.replace(b"\r\n\r\n", b"\r\nExpect: foo\r\n\r\n"))
        assert await world.peer.receive() == ANSWER
        assert world.handler.streams[1].request.headers.get(b"expect") == b"foo"


async def test_expectations_may_be_passed_on(autojump_clock, h1):
    async with h1.serving(proxy_100_continue=True) as world:
        await world.peer.send(GET.replace(b"\r\n\r\n", b"\r\nExpect: 100-continue\r\n\r\n"))

        assert await world.peer.receive() == ANSWER
        assert world.handler.streams[0].request.headers.get(b"expect") == b"100-continue"


async def test_nothing_is_read_while_nobody_reads_the_body(autojump_clock, h1):
    go_on = trio.Event()

    async def wait_then_echo(stream):
        await go_on.wait()
        await h1.echo(stream)

    async with h1.serving(wait_then_echo, limit_bytes=1000) as world:
        await world.peer.send(POST.replace(b"4", b"5000"))
        world.nursery.start_soon(world.peer.send, b"a" * 4999 + b"!")
        await wait_all_tasks_blocked()
        assert len(world.channel._inbox) == 1000

        go_on.set()
        assert (await world.peer.receive_until(b"!")).endswith(b"POST /x " + b"a" * 4999 + b"!")


async def test_an_early_response_closes_and_the_rest_is_dropped(autojump_clock, h1):
    async def at_once(stream):
        assert not stream.request_complete
        await stream.respond(h1.a_response(200, b"no"))

    async with h1.serving(at_once) as world:
        await world.peer.send(POST + b"ab")
        reply = await world.peer.receive()
        await world.peer.send(b"cd" + GET)
        assert not world.done.is_set()
        world.peer.channel.close()
        await world.done.wait()

    assert reply == b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nno"
    assert len(world.handler.streams) == 1
    assert world.stats.downstream_cx_delayed_close_timeout == 0


async def test_an_early_response_counts_as_early_even_if_the_body_is_here(autojump_clock, h1):
    async def at_once(stream):
        await stream.respond(h1.a_response(200, b"no"))

    async with h1.serving(at_once) as world:
        await world.peer.send(POST + b"abcd")

        assert b"connection: close" in await world.peer.receive()


async def test_a_client_that_leaves_during_an_exchange(autojump_clock, h1):
    async def forever(stream):
        await trio.sleep_forever()

    async with h1.serving(forever) as world:
        await world.peer.send(GET)
        world.peer.channel.shutdown_write()  # a half-close counts too, as in Envoy
        await world.done.wait()

    assert world.handler.interruptions == [Cause.PEER_GONE]
    assert world.stats.downstream_cx_destroy_remote == 1
    assert world.stats.downstream_cx_destroy_remote_active_rq == 1


async def test_a_client_that_leaves_in_the_middle_of_its_body(autojump_clock, h1):
    async with h1.serving() as world:
        await world.peer.send(POST + b"ab")
        world.peer.channel.close()
        await world.done.wait()

    assert world.handler.interruptions == [Cause.PEER_GONE]


async def test_a_body_read_outside_the_guard_breaks(autojump_clock, h1):
    errors = []

    async def detached(stream):
        async def read():
            try:
                while await stream.request.body.read():
                    pass
            except OSError as error:
                errors.append(error)

        world.nursery.start_soon(read)
        await trio.sleep_forever()

    async with h1.serving(detached) as world:
        await world.peer.send(POST + b"ab")
        world.peer.channel.close()
        await world.done.wait()

    assert len(errors) == 1


async def test_cancelled_while_idle_or_busy(autojump_clock, h1):
    cancelled = []

    async def forever(stream):
        try:
            await trio.sleep_forever()
        except trio.Cancelled:
            cancelled.append(stream.guard.fired)
            raise

    for data in (b"", GET[:5], GET, POST):
        async with h1.serving(forever) as world:
            await world.peer.send(data)
            world.nursery.cancel_scope.cancel()
        assert world.channel.closed
    assert cancelled == [None, None]
    assert world.handler.interruptions == []


class Steps(trio.abc.Instrument):
    """Counts what tasks do between two times that the scheduler lets another one run."""

    def __init__(self):
        self.step = 0
        self.done = Counter()

    def before_task_step(self, task):
        self.step += 1

    def count(self, function):
        """The same function, counted."""

        def counted(*args):
            self.done[self.step] += 1
            return function(*args)

        return counted


@pytest.fixture
async def steps():
    steps = Steps()
    trio.lowlevel.add_instrument(steps)
    yield steps
    trio.lowlevel.remove_instrument(steps)


async def test_pipelined_requests_do_not_starve_others(autojump_clock, h1, steps):
    async with h1.serving(steps.count(h1.echo)) as world:
        await world.peer.send(GET * 100)
        assert await world.peer.receive_until(ANSWER * 100) == ANSWER * 100
    assert steps.done.total() == 100
    assert max(steps.done.values()) <= 8


async def test_a_connection_that_is_never_idle_for_too_long(autojump_clock, h1):
    async with h1.serving(idle_timeout=inf) as world:
        await trio.sleep(80_000)
        await world.peer.send(GET)
        assert await world.peer.receive() == ANSWER


async def test_a_flood_of_heads_pieces_or_refused_bytes_leaves_others_their_turn(autojump_clock, h1, steps):
    head = GET[:-2] + b"X: " + b"a" * 400_000 + b"\r\n\r\n"
    async with h1.serving(http1={"max_head_bytes": 1 << 20}) as world:
        world.channel.recv = steps.count(world.channel.recv)
        world.channel.recv_into = steps.count(world.channel.recv_into)
        world.peer.channel.send(head)
        assert await world.peer.receive() == ANSWER
        world.peer.channel.send(b"BAD\r\n\r\n" + b"a" * 1_000_000)
        await world.peer.receive_until(b"Bad Request")
        world.peer.channel.close()
        await world.done.wait()
    assert steps.done.total() > 400_000 // 16384 + 1_000_000 // 65536
    assert max(steps.done.values()) <= 9  # the last one of them finds nothing and waits


async def test_a_client_that_reset_gets_no_refusal(autojump_clock, h1):
    async with h1.serving() as world:
        send = world.channel.send

        def broken(data):
            raise BrokenPipeError(send(data))

        world.channel.send = broken
        await world.peer.send(b"BAD\r\n\r\n")
        world.peer.channel.reset()
        await world.done.wait()
    assert world.handler.errors[0][:2] == ("http1.codec_error", 400)
    assert world.stats.downstream_cx_destroy_remote == 1


async def test_a_client_that_reset_gets_no_continue(autojump_clock, h1):
    async with h1.serving() as world:
        send = world.channel.send

        def broken(data):
            raise BrokenPipeError(send(data))

        world.channel.send = broken
        await world.peer.send(POST[:-2] + b"Expect: 100-continue\r\n\r\n")
        world.channel.send = send
        await world.peer.send(b"abcd")
        assert (await world.peer.receive()).endswith(answer(b"POST /x abcd"))


async def test_a_peer_that_leaves_between_requests_fires_nothing(autojump_clock, h1):
    async with h1.serving() as world:
        await world.peer.send(GET)
        await world.peer.receive()
        world.connection._peer_gone()
        await world.peer.send(GET)
        assert await world.peer.receive() == ANSWER
