"""An upstream connection: exchanges, what may go wrong with each, and whether it can be used again."""

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from trio_envoy.errors import UpstreamFailure
from trio_envoy.http.body import BytesBody
from trio_envoy.net.stream_info import UC, UPE, StreamInfo

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
GET = b"GET / HTTP/1.1\r\nhost: a.com\r\n\r\n"


async def read_all(response):
    data = b""
    while response.body is not None and (chunk := await response.body.read()):
        data += chunk
    return data


async def failure_of(client, request, serve):
    """How an exchange fails with a peer that does this."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve)
        with pytest.raises(UpstreamFailure) as caught:
            await read_all(await client.exchange(request, None, None))
    return caught.value


async def exchange(client, peer, request, reply, tasks=None, inform=None):
    """Ask, let the peer answer at once; (response, what the peer got)."""
    got = []

    async def serve():
        got.append(await peer.receive())
        for part in reply if isinstance(reply, list) else [reply]:
            await peer.send(part)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve)
        response = await client.exchange(request, tasks, inform)
    return response, got[0]


async def test_an_exchange_and_another_one(autojump_clock, h1):
    peer, client, pool = h1.a_client()
    assert (client.protocol, client.connection_id, client.connection) == (
        "HTTP/1.1",
        client.channel.info.id,
        client.channel.info,
    )

    for turn in range(3):
        assert client.reused is bool(turn)
        response, got = await exchange(client, peer, h1.a_request(fields=[(b"x", b"y")]), OK)
        assert got == b"GET / HTTP/1.1\r\nhost: a.com\r\nx: y\r\n\r\n"
        assert response.status == 200
        assert response.headers.items == [(b"content-length", b"2")]
        assert await read_all(response) == b"ok"
        assert len(pool.back) == turn
        client.release()
        assert pool.back == [client] * (turn + 1)
    assert not client.closed
    assert not client.readable()


async def test_release_is_once(autojump_clock, h1):
    peer, client, pool = h1.a_client()
    await exchange(client, peer, h1.a_request(), OK)

    client.release()
    client.release()

    assert pool.back == [client]


async def test_without_an_owner(autojump_clock, h1):
    peer, client, _ = h1.a_client()
    client.owner = None
    await exchange(client, peer, h1.a_request(), OK)

    client.release()

    assert not client.closed
    client.close()
    assert client.closed


async def test_times_and_bytes_go_into_the_info(autojump_clock, h1):
    peer, client, _ = h1.a_client()
    info = client.info = StreamInfo(0.0, 0.0, client.channel.info)

    response, _ = await exchange(client, peer, h1.a_request(), b"HTTP/1.1 100 Continue\r\n\r\n" + OK[:-1])
    assert info.upstream_last_byte_received != info.upstream_last_byte_received
    await trio.sleep(1)
    await peer.send(OK[-1:])
    await read_all(response)
    now = trio.current_time()
    client.release()

    assert (info.upstream_header_bytes_sent, info.upstream_wire_bytes_sent) == (13, len(GET))
    assert (info.upstream_header_bytes_received, info.upstream_wire_bytes_received) == (3 + 18, 25 + len(OK))
    assert info.upstream_first_byte_sent == info.upstream_last_byte_sent == info.upstream_first_byte_received == now - 1
    assert info.upstream_last_byte_received == now
    assert client.info is None


@pytest.mark.parametrize(
    ("method", "reply", "body"),
    [
        (b"GET", b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", None),
        (b"HEAD", b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n", None),
        (b"GET", b"HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\n\r\n", None),
        (b"GET", b"HTTP/1.1 204 No Content\r\n\r\n", None),
        (b"GET", b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n", b"ab"),
        (b"GET", b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", b""),
    ],
)
@pytest.mark.parametrize("pieces", [False, True])
async def test_responses_that_leave_a_usable_connection(autojump_clock, h1, method, reply, body, pieces):
    peer, client, _ = h1.a_client()
    if pieces:
        reply = [reply[i : i + 1] for i in range(len(reply))]

    response, _ = await exchange(client, peer, h1.a_request(method), reply)
    assert (response.body is None) is (body is None)
    assert await read_all(response) == (body or b"")
    client.release()
    assert not client.closed

    response, _ = await exchange(client, peer, h1.a_request(), OK)
    assert await read_all(response) == b"ok"


@pytest.mark.parametrize(
    "reply",
    [
        b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.0 200 OK\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n",
    ],
)
async def test_responses_that_end_the_connection(autojump_clock, h1, reply):
    peer, client, pool = h1.a_client()
    await exchange(client, peer, h1.a_request(), reply)

    client.release()

    assert client.closed
    assert pool.back == [client]
    assert not client.protocol_error


@pytest.mark.parametrize("surplus", [b"x", OK, b"HTTP/1.1 200"])
async def test_what_nobody_asked_for_is_no_answer(autojump_clock, h1, surplus):
    peer, client, _ = h1.a_client()
    response, _ = await exchange(client, peer, h1.a_request(), OK + surplus)
    assert await read_all(response) == b"ok"

    client.release()

    assert client.closed
    assert client.protocol_error


async def test_an_idle_connection_that_says_something_is_readable(autojump_clock, h1):
    peer, client, _ = h1.a_client()
    response, _ = await exchange(client, peer, h1.a_request(), OK)
    await read_all(response)
    client.release()

    await peer.send(OK)

    assert client.readable()


async def test_a_response_that_was_not_read_to_its_end(autojump_clock, h1):
    peer, client, _ = h1.a_client()
    await exchange(client, peer, h1.a_request(), OK[:-1])

    client.release()

    assert client.closed


async def test_the_body_is_pulled(autojump_clock, h1):
    peer, client, _ = h1.a_client(limit_bytes=100)
    response, _ = await exchange(client, peer, h1.a_request(), b"HTTP/1.1 200 OK\r\ncontent-length: 300\r\n\r\n")
    assert response.body.read_nowait() is None

    async with trio.open_nursery() as nursery:
        nursery.start_soon(peer.send, b"a" * 300)
        await wait_all_tasks_blocked()
        assert len(client.channel._inbox) == 100
        assert await response.body.read() == b"a" * 100
        assert await read_all(response) == b"a" * 200
        assert response.body.read_nowait() == b""


@pytest.mark.parametrize("trailers", [False, True])
async def test_trailers(autojump_clock, h1, trailers):
    peer, client, _ = h1.a_client(trailers=trailers)
    reply = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\nx-t: 1\r\n\r\n"
    response, _ = await exchange(client, peer, h1.a_request(), reply)

    assert await read_all(response) == b"a"
    assert (response.body.trailers.items if trailers else response.body.trailers) == (
        [(b"x-t", b"1")] if trailers else None
    )


async def test_informational_responses(autojump_clock, h1):
    peer, client, _ = h1.a_client()
    informed = []

    async def inform(status, headers):
        informed.append((status, headers.items))

    hints = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: a\r\n\r\n"
    response, _ = await exchange(client, peer, h1.a_request(), hints + OK, inform=inform)
    assert response.status == 200
    assert informed == [(100, []), (103, [(b"link", b"a")])]

    await read_all(response)
    client.release()
    response, _ = await exchange(client, peer, h1.a_request(), [hints, OK])
    assert response.status == 200


async def test_a_body_without_a_length_ends_with_the_connection(autojump_clock, h1):
    peer, client, _ = h1.a_client()
    response, _ = await exchange(client, peer, h1.a_request(), b"HTTP/1.1 200 OK\r\n\r\nhel")
    assert await response.body.read() == b"hel"

    async with trio.open_nursery() as nursery:
        nursery.start_soon(peer.send, b"lo")
        assert await response.body.read() == b"lo"
        peer.channel.close()
        assert await response.body.read() == b""

    client.release()
    assert client.closed


async def test_even_a_reset_ends_such_a_body(autojump_clock, h1):
    peer, client, _ = h1.a_client()
    response, _ = await exchange(client, peer, h1.a_request(), b"HTTP/1.1 200 OK\r\n\r\nhello")
    peer.channel.reset()

    assert await read_all(response) == b"hello"


@pytest.mark.parametrize("how", ["close", "reset"])
@pytest.mark.parametrize(
    ("said", "reason", "flag", "started"),
    [
        (b"", "connection termination", UC, False),
        (b"HTTP/1.1 100 Continue\r\n\r\n", "connection termination", UC, False),
        (b"HTTP/1.1 200", "protocol error", UPE, False),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nabc", "protocol error", UPE, True),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n", "protocol error", UPE, True),
    ],
)
async def test_a_connection_that_breaks_off(autojump_clock, h1, said, reason, flag, started, how):
    peer, client, _ = h1.a_client()

    async def serve():
        await peer.receive()
        await peer.send(said)
        getattr(peer.channel, how)()

    failure = await failure_of(client, h1.a_request(), serve)

    assert (failure.reason, failure.flag, failure.started, failure.sent) == (reason, flag, started, True)
    assert client.protocol_error is (flag == UPE)
    client.release()
    assert client.closed


async def test_a_connection_that_was_gone_already(autojump_clock, h1):
    peer, client, _ = h1.a_client()
    peer.channel.close()

    with pytest.raises(UpstreamFailure) as caught:
        await client.exchange(h1.a_request(), None, None)

    assert (caught.value.reason, caught.value.flag) == ("connection termination", UC)


@pytest.mark.parametrize(
    "garbage",
    [
        b"garbage\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: 1\r\nConnection: a\r\ntransfer-encoding: gzip\r\n\r\n",
    ],
)
async def test_garbage(autojump_clock, h1, garbage):
    peer, client, _ = h1.a_client()
    info = client.info = StreamInfo(0.0, 0.0, client.channel.info)

    async def serve():
        await peer.receive()
        await peer.send(garbage)

    failure = await failure_of(client, h1.a_request(), serve)

    assert (failure.reason, failure.flag, failure.started) == ("protocol error", UPE, False)
    assert client.closed
    assert client.protocol_error
    assert info.upstream_wire_bytes_received == len(garbage)
    assert bool(info.upstream_header_bytes_received) is (b"gzip" in garbage)


async def test_a_broken_body(autojump_clock, h1):
    peer, client, _ = h1.a_client()
    response, _ = await exchange(
        client, peer, h1.a_request(), b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\nzz\r\n"
    )
    with pytest.raises(UpstreamFailure) as caught:
        await response.body.read()

    assert (caught.value.reason, caught.value.flag, caught.value.started) == ("protocol error", UPE, True)


async def test_full_url_and_proper_case(autojump_clock, h1):
    peer, client, _ = h1.a_client(full_url=True, proper_case=True)
    _, got = await exchange(client, peer, h1.a_request(fields=[(b"x-y", b"z")]), OK)

    assert got == b"GET http://a.com/ HTTP/1.1\r\nHost: a.com\r\nX-Y: z\r\n\r\n"


async def test_many_chunks_both_ways(autojump_clock, h1):
    peer, client, _ = h1.a_client()
    body = h1.SlowBody()
    async with trio.open_nursery() as tasks:

        async def serve():
            await peer.receive()
            for _ in range(20):
                body.put(b"a")
            body.put(b"")
            await peer.receive_until(b"0\r\n\r\n")
            await peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: 20\r\n\r\n")
            for _ in range(20):
                await peer.send(b"b")

        tasks.start_soon(serve)
        response = await client.exchange(h1.a_request(b"PUT", body=body), tasks, None)
        assert await read_all(response) == b"b" * 20
        client.release()
    assert not client.closed


async def test_what_is_left_of_the_head_is_uploaded_too(autojump_clock, h1):
    peer, client, _ = h1.a_client(limit_bytes=50)
    request = h1.a_request(b"PUT", body=BytesBody(b"x" * 200), fields=[(b"content-length", b"200")])
    async with trio.open_nursery() as tasks:

        async def serve():
            assert (await peer.receive_until(b"x" * 40)).startswith(b"PUT / HTTP/1.1\r\n")
            while peer.channel.readable():
                await peer.receive()
            await wait_all_tasks_blocked()
            await peer.send(OK)

        tasks.start_soon(serve)
        response = await client.exchange(request, tasks, None)
        await read_all(response)
        client.release()


async def test_garbage_without_an_info(autojump_clock, h1):
    peer, client, _ = h1.a_client()

    failure = await failure_of(client, h1.a_request(), lambda: peer.send(b"garbage\r\n\r\n"))

    assert failure.flag == UPE


async def test_a_flood_of_1xx_keeps_nobody_from_a_turn(autojump_clock, h1, monkeypatch):
    _, client, _ = h1.a_client()
    monkeypatch.setattr(client.channel, "recv", lambda limit: b"HTTP/1.1 103 Early Hints\r\nlink: a\r\n\r\n" * 100)

    with trio.move_on_after(0) as scope:
        await client.exchange(h1.a_request(), None, None)

    assert scope.cancelled_caught
    client.release()
    assert client.closed
