"""An upstream connection: request bodies on their way, and what cuts them short."""

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from trio_envoy.errors import RemoteProtocolError, UpstreamFailure
from trio_envoy.http.body import BytesBody
from trio_envoy.http.headers import Headers
from trio_envoy.net.stream_info import UC, StreamInfo

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


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


@pytest.mark.parametrize(
    ("fields", "framed"),
    [
        ([(b"content-length", b"3")], b"content-length: 3\r\n\r\nabc"),
        ([], b"transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"),
    ],
)
async def test_a_body_that_is_here_rides_with_the_head(autojump_clock, h1, fields, framed):
    peer, client, _ = h1.a_client()
    sent = []
    send = client.channel.send
    client.channel.send = lambda data: (sent.append(bytes(data)), send(data))[1]
    request = h1.a_request(b"PUT", body=BytesBody(b"abc"), fields=fields)

    response, got = await exchange(client, peer, request, OK)

    assert got == b"PUT / HTTP/1.1\r\nhost: a.com\r\n" + framed
    assert sent == [got]
    await read_all(response)
    client.release()
    assert not client.closed


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_body_that_comes_later_is_uploaded(autojump_clock, h1, chunked):
    peer, client, _ = h1.a_client()
    body = h1.SlowBody()
    body.put(b"ab")
    fields = [] if chunked else [(b"content-length", b"4")]
    info = client.info = StreamInfo(0.0, 0.0, client.channel.info)
    got = []

    async def serve():
        got.append(await peer.receive())
        body.put(b"cd")
        body.put(b"")
        got.append(await peer.receive_until(b"0\r\n\r\n" if chunked else b"cd"))
        await peer.send(OK)

    async with trio.open_nursery() as tasks:
        tasks.start_soon(serve)
        response = await client.exchange(h1.a_request(b"PUT", body=body, fields=fields), tasks, None)
        await wait_all_tasks_blocked()
        await read_all(response)
        client.release()

    assert got[0].endswith(b"\r\n\r\n2\r\nab\r\n" if chunked else b"\r\n\r\nab")
    assert got[1] == (b"2\r\ncd\r\n0\r\n\r\n" if chunked else b"cd")
    assert info.upstream_wire_bytes_sent == len(got[0]) + len(got[1])
    assert info.upstream_last_byte_sent == trio.current_time()
    assert not client.closed


@pytest.mark.parametrize("trailers", [False, True])
@pytest.mark.parametrize("late", [False, True])
async def test_trailers_of_the_request(autojump_clock, h1, trailers, late):
    peer, client, _ = h1.a_client(trailers=trailers)
    body = h1.SlowBody(trailers=Headers([(b"x-t", b"1")]))
    if not late:
        body.put(b"")

    async with trio.open_nursery() as tasks:

        async def serve():
            if late:
                await wait_all_tasks_blocked()
                body.put(b"")
            end = b"0\r\nx-t: 1\r\n\r\n" if trailers else b"0\r\n\r\n"
            await peer.receive_until(end)
            await peer.send(OK)

        tasks.start_soon(serve)
        response = await client.exchange(h1.a_request(b"PUT", body=body), tasks, None)
        await wait_all_tasks_blocked()
        await read_all(response)
        client.release()
    assert not client.closed


async def test_a_large_body_that_is_here_is_sent_in_parts(autojump_clock, h1):
    peer, client, _ = h1.a_client()
    body = h1.SlowBody()
    for _ in range(10):
        body.put(b"x" * 100_000)
    body.put(b"")
    total = 0

    async with trio.open_nursery() as tasks:

        async def serve():
            nonlocal total
            while total < 1_000_000:
                total += (await peer.receive()).count(b"x")
            await peer.send(OK)

        tasks.start_soon(serve)
        request = h1.a_request(b"PUT", body=body, fields=[(b"content-length", b"1000000")])
        response = await client.exchange(request, tasks, None)
        await wait_all_tasks_blocked()
        await read_all(response)
        client.release()
    assert total == 1_000_000
    assert not client.closed


async def test_an_upstream_that_does_not_read_at_once_without_tasks(autojump_clock, h1):
    peer, client, _ = h1.a_client(limit_bytes=50)
    request = h1.a_request(fields=[(b"x", b"y" * 100)])
    async with trio.open_nursery() as nursery:

        async def serve():
            await peer.receive_until(b"\r\n\r\n")
            await peer.send(OK)

        nursery.start_soon(serve)
        response = await client.exchange(request, None, None)
    assert await read_all(response) == b"ok"
    client.release()
    assert not client.closed


async def test_an_upstream_that_goes_while_it_does_not_read(autojump_clock, h1):
    peer, client, _ = h1.a_client(limit_bytes=50)

    async def leave():
        await wait_all_tasks_blocked()
        peer.channel.close()

    failure = await failure_of(client, h1.a_request(fields=[(b"x", b"y" * 100)]), leave)

    assert failure.flag == UC


async def test_an_early_response_ends_the_upload_and_the_connection(autojump_clock, h1):
    peer, client, _ = h1.a_client()
    body = h1.SlowBody()
    async with trio.open_nursery() as tasks:
        response, got = await exchange(client, peer, h1.a_request(b"PUT", body=body), OK, tasks)
        assert got.endswith(b"transfer-encoding: chunked\r\n\r\n")
        assert await read_all(response) == b"ok"
        await wait_all_tasks_blocked()
        assert body.reads == 1  # still waiting for the client
        client.release()  # cancels that

    assert client.closed


async def test_an_upstream_that_stops_reading_may_still_answer(autojump_clock, h1):
    peer, client, _ = h1.a_client()
    body = h1.SlowBody()
    async with trio.open_nursery() as tasks:

        async def serve():
            await peer.receive()
            await peer.send(b"HTTP/1.1 413 Too Large\r\ncontent-length: 0\r\n\r\n")
            peer.channel.close()
            body.put(b"more")

        tasks.start_soon(serve)
        response = await client.exchange(h1.a_request(b"PUT", body=body), tasks, None)
        await wait_all_tasks_blocked()
        client.release()
    assert response.status == 413
    assert client.closed


@pytest.mark.parametrize("begun", [False, True])
async def test_a_broken_request_body_breaks_the_exchange(autojump_clock, h1, begun):
    peer, client, _ = h1.a_client()
    body = h1.SlowBody()
    async with trio.open_nursery() as tasks:

        async def serve():
            await peer.receive()
            if begun:
                await peer.send(OK[:-1])
            body.put(RemoteProtocolError("http1.codec_error"))

        tasks.start_soon(serve)
        with pytest.raises(RemoteProtocolError, match=r"http1\.codec_error"):
            await read_all(await client.exchange(h1.a_request(b"PUT", body=body), tasks, None))
        client.release()
    assert client.closed
    assert not client.protocol_error


@pytest.mark.parametrize("step", ["send", "head", "body"])
async def test_cancelled_at_every_wait(autojump_clock, h1, step):
    peer, client, pool = h1.a_client(limit_bytes=50 if step == "send" else 1000)
    request = h1.a_request(fields=[(b"x", b"y" * 100)])

    async def serve():
        if step == "body":
            await peer.receive()
            await peer.send(OK[:-1])

    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve)
        with trio.move_on_after(1) as scope:
            await read_all(await client.exchange(request, None, None))
        assert scope.cancelled_caught
    client.release()

    assert client.closed
    assert pool.back == [client]


async def test_cancelled_while_it_uploads(autojump_clock, h1):
    _, client, pool = h1.a_client()
    body = h1.SlowBody()
    async with trio.open_nursery() as tasks:
        with trio.move_on_after(1):
            await client.exchange(h1.a_request(b"PUT", body=body), tasks, None)
        client.release()  # and the nursery ends: the upload is cancelled too

    assert client.closed
    assert pool.back == [client]
