"""Upgrades and CONNECT on both ends of HTTP/1: what is a tunnel, and how it ends."""

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from trio_envoy.errors import UpstreamFailure
from trio_envoy.http.headers import Headers
from trio_envoy.http.message import Response
from trio_envoy.util.deadlines import Cause

UPGRADE = b"GET / HTTP/1.1\r\nhost: a.com\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\r\n"
CONNECT = b"CONNECT a.com:80 HTTP/1.1\r\nhost: a.com\r\n\r\n"
ACCEPT = [(b"connection", b"Upgrade"), (b"upgrade", b"websocket")]
ACCEPTED = b"HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\r\n"


def accepting(status=101, fields=ACCEPT):
    async def answer(stream):
        await stream.respond(Response(status, Headers(fields), stream.request.body))

    return answer


@pytest.mark.parametrize(
    ("request_bytes", "status", "fields", "head"),
    [
        (UPGRADE, 101, ACCEPT, ACCEPTED),
        (CONNECT, 200, [], b"HTTP/1.1 200 OK\r\n\r\n"),
    ],
)
async def test_what_follows_is_relayed_both_ways(autojump_clock, h1, request_bytes, status, fields, head):
    async with h1.serving(accepting(status, fields)) as served:
        await served.peer.send(request_bytes + b"early")
        assert await served.peer.receive_until(b"early") == head + b"early"

        for _ in range(20):  # more than there are turns
            await served.peer.send(b"GET / HTTP/1.1\r\n\r\n")
            assert await served.peer.receive() == b"GET / HTTP/1.1\r\n\r\n"

        info = served.handler.streams[0].info
        assert (info.bytes_received, info.bytes_sent) == (365, 365)
        assert info.wire_bytes_received == len(request_bytes) + 365
        assert info.wire_bytes_sent == len(head) + 365


async def test_a_request_that_wants_more_than_http_keeps_its_fields(autojump_clock, h1):
    async with h1.serving(accepting()) as served:
        await served.peer.send(
            b"POST / HTTP/1.1\r\nhost: a.com\r\nconnection: upgrade, x\r\nConnection: keep-alive\r\nupgrade: a\r\n"
            b"upgrade: b\r\nx: y\r\nte: gzip\r\nkeep-alive: 5\r\n"
            b"proxy-connection: x\r\ntransfer-encoding: chunked\r\n\r\n"
        )

        request = served.handler.streams[0].request
        assert request.protocol == b"a,b"
        assert request.headers.items == [
            (b"connection", b"upgrade, x,keep-alive"),
            (b"upgrade", b"a,b"),
            (b"x", b"y"),
            (b"te", b"gzip"),
        ]


@pytest.mark.parametrize(
    "fields", [b"upgrade: h2c\r\nconnection: upgrade, http2-settings\r\n", b"upgrade: websocket\r\n"]
)
async def test_what_is_no_upgrade(autojump_clock, h1, fields):
    async with h1.serving() as served:
        await served.peer.send(b"GET / HTTP/1.1\r\nhost: a.com\r\n" + fields + b"\r\n")

        assert (await served.peer.receive()).endswith(b"GET / ")
        assert served.handler.streams[0].request.headers.items == []


async def test_a_client_that_closes_has_gone(autojump_clock, h1):
    async with h1.serving(accepting()) as served:
        await served.peer.send(UPGRADE)
        await served.peer.receive_until(b"\r\n\r\n")

        served.peer.channel.shutdown_write()
        await served.done.wait()

        assert served.handler.interruptions == [Cause.PEER_GONE]
        assert await served.peer.receive() == b""


async def test_the_upstream_ends_in_order(autojump_clock, h1):
    async def answer(stream):
        body = h1.SlowBody()
        body.put(b"bye")
        body.put(b"")
        await stream.respond(Response(101, Headers(ACCEPT), body))

    async with h1.serving(answer) as served:
        await served.peer.send(UPGRADE)

        assert await served.peer.receive_all() == ACCEPTED + b"bye"
        served.peer.channel.close()
        await served.done.wait()
        assert served.stats.downstream_cx_destroy_local == 1


async def test_a_reset_behind_an_upgrade_lets_the_client_read_what_was_said(autojump_clock, h1):
    async def answer(stream):
        body = h1.SlowBody()
        body.put(b"bye")
        body.put(UpstreamFailure("connection termination", 0))
        try:
            await stream.respond(Response(101, Headers(ACCEPT), body))
        except UpstreamFailure:
            stream.reset()

    async with h1.serving(answer) as served:
        await served.peer.send(UPGRADE + b"unread")

        assert await served.peer.receive_all() == ACCEPTED + b"bye"
        start = trio.current_time()
        await served.done.wait()
        assert trio.current_time() - start == 1.0  # delayed_close_timeout


async def test_a_refused_upgrade_ends_the_connection_though_more_has_come(autojump_clock, h1):
    async def answer(stream):
        await stream.respond(h1.a_response(403))

    async with h1.serving(answer) as served:
        await served.peer.send(UPGRADE + b"GET / HTTP/1.1\r\nhost: a.com\r\n\r\n")

        said = await served.peer.receive_all()
        assert said == b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
        assert len(served.handler.streams) == 1


async def test_a_slow_reader_slows_the_upstream_down(autojump_clock, h1):
    body = h1.SlowBody()

    async def answer(stream):
        await stream.respond(Response(101, Headers(ACCEPT), body))

    async with h1.serving(answer, limit_bytes=1000) as served:
        for _ in range(50):
            body.put(b"x" * 400)
        await served.peer.send(UPGRADE)
        await wait_all_tasks_blocked()

        assert body.reads < 5


def an_upgrade(h1, method=b"GET", protocol=b"websocket", body=None, fields=ACCEPT):
    request = h1.a_request(method, fields=fields, body=body)
    request.protocol = protocol
    return request


async def asked(h1, request, reply, tasks):
    """What the upstream is sent, and its answer."""
    peer, client, _ = h1.a_client()
    got = []

    async def serve():
        got.append(await peer.receive())
        await peer.send(reply)

    tasks.start_soon(serve)
    response = await client.exchange(request, tasks, None)
    return peer, client, got[0], response


async def test_an_upstream_that_accepts(autojump_clock, h1):
    body = h1.SlowBody()
    async with trio.open_nursery() as tasks:
        peer, client, got, response = await asked(h1, an_upgrade(h1, body=body), ACCEPTED + b"early", tasks)
        assert got == b"GET / HTTP/1.1\r\nhost: a.com\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\r\n"
        assert (response.status, response.headers.items) == (101, ACCEPT)
        assert await response.body.read() == b"early"

        for _ in range(20):
            body.put(b"up")
            assert await peer.receive() == b"up"
            await peer.send(b"down")
            assert await response.body.read() == b"down"

        client.release()
        assert client.closed
        assert client.cut_short
        assert not client.asked_to_close


async def test_an_upstream_that_closes_behind_an_upgrade(autojump_clock, h1):
    async with trio.open_nursery() as tasks:
        peer, client, _, response = await asked(h1, an_upgrade(h1), ACCEPTED + b"bye", tasks)
        peer.channel.close()

        assert await response.body.read() == b"bye"
        with pytest.raises(UpstreamFailure) as caught:
            await response.body.read()
        assert caught.value.reason == "connection termination"
        client.release()
        assert client.peer_closed


async def test_the_end_of_a_connect_goes_on_and_that_of_an_upgrade_does_not(autojump_clock, h1):
    for method, protocol, end in [(b"CONNECT", b"", b""), (b"GET", b"websocket", None)]:
        body = h1.SlowBody()
        reply = ACCEPTED if protocol else b"HTTP/1.1 200 OK\r\n\r\n"
        async with trio.open_nursery() as tasks:
            request = an_upgrade(h1, method, protocol, body, fields=[])
            peer, client, _, _ = await asked(h1, request, reply, tasks)
            body.put(b"last")
            body.put(b"")
            assert await peer.receive() == b"last"
            with trio.move_on_after(1) as waiting:
                assert await peer.receive() == end
            assert waiting.cancelled_caught is (end is None)
            client.release()


@pytest.mark.parametrize(
    ("request_of", "reply", "reason"),
    [
        (
            b"websocket",
            b"HTTP/1.1 101 X\r\nconnection: upgrade\r\nupgrade: x\r\ncontent-length: 1\r\n\r\n",
            "protocol error",
        ),
        (b"websocket", b"", "connection termination"),
    ],
)
async def test_an_upstream_that_does_not_know_how(autojump_clock, h1, request_of, reply, reason):
    peer, client, _ = h1.a_client()

    async def serve():
        await peer.receive()
        if reply:
            await peer.send(reply)
        else:
            peer.channel.close()

    async with trio.open_nursery() as tasks:
        tasks.start_soon(serve)
        with pytest.raises(UpstreamFailure) as caught:
            await client.exchange(an_upgrade(h1, protocol=request_of), tasks, None)
    assert caught.value.reason == reason


async def test_a_101_that_nobody_asked_for_is_no_tunnel(autojump_clock, h1):
    async with trio.open_nursery() as tasks:
        _, client, _, response = await asked(h1, h1.a_request(), ACCEPTED, tasks)
        assert (response.body, response.headers.items) == (None, [])
        client.release()
        assert client.closed
