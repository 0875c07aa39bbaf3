"""What is here goes on at once: events of a server, and both bodies of an exchange at the same time."""

import pytest
import trio

from tests.parity.http1 import Reader
from tests.parity.http2 import Peer
from tests.waiting import eventually

HTTP2 = (
    "typed_extension_protocol_options: {envoy.extensions.upstreams.http.v3.HttpProtocolOptions: {'@type': "
    "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions, "
    "explicit_http_config: {http2_protocol_options: {}}}}"
)
CHUNKED = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


async def read_until(stream, end):
    data = b""
    with trio.fail_after(5):
        while end not in data:
            more = await stream.receive_some()
            assert more, f"the end came after {data!r}"
            data += more
    return data


def chunk(data):
    return b"%x\r\n%b\r\n" % (len(data), data)


async def test_events_of_a_server_are_not_kept_until_there_are_more(live):
    seen = [trio.Event() for _ in range(3)]

    async def events(stream):
        await live.read_head(stream)
        await stream.send_all(CHUNKED)
        for number in range(3):
            await stream.send_all(chunk(b"data: %d\n\n" % number))
            await seen[number].wait()
        await stream.send_all(b"0\r\n\r\n")

    async with live.origin(events) as port, live.serving(live.proxy_config(port)) as world:
        async with await world.connect() as client:
            await client.send_all(b"GET / HTTP/1.1\r\nhost: a.com\r\n\r\n")
            for number in range(3):
                await read_until(client, b"data: %d\n\n" % number)
                seen[number].set()
            await read_until(client, b"0\r\n\r\n")


async def answer_each_chunk(stream):
    """An origin that answers each piece of a chunked body as it comes."""
    head = await read_until(stream, b"\r\n\r\n")
    await stream.send_all(CHUNKED)
    data = head.partition(b"\r\n\r\n")[2]
    while b"0\r\n\r\n" not in data:
        if data.endswith(b"\r\n"):
            await stream.send_all(chunk(b"[%d]" % len(data)))
            data = b""
        data += await stream.receive_some()
    await stream.send_all(b"0\r\n\r\n")


async def test_both_ways_at_once_over_http1(live):
    async with live.origin(answer_each_chunk) as port, live.serving(live.proxy_config(port)) as world:
        async with await world.connect() as client:
            await client.send_all(b"POST / HTTP/1.1\r\nhost: a.com\r\ntransfer-encoding: chunked\r\n\r\n")
            for size in (1, 5, 9):
                await client.send_all(chunk(b"x" * size))
                await read_until(client, b"[%d]" % (size + 5))
            await client.send_all(b"0\r\n\r\n")
            await read_until(client, b"0\r\n\r\n")


@pytest.mark.parametrize("upstream", ["HTTP/1", "HTTP/2"])
async def test_both_ways_at_once_over_http2(live, upstream):
    async def echo_h2(stream):
        async def answer(one):
            await peer.send_headers(one, [(":status", "200")], end=False)
            await peer.echo(one)

        peer = Peer(stream, client=False, reader=Reader(stream), on_stream=answer)
        async with trio.open_nursery() as tasks:
            await peer.begin()
            await peer.run(tasks)

    over_h2 = upstream == "HTTP/2"
    origin = live.origin(echo_h2 if over_h2 else answer_each_chunk)
    async with origin as port, live.serving(live.proxy_config(port, cluster=HTTP2 if over_h2 else "")) as world:
        async with await world.connect() as stream, trio.open_nursery() as tasks:
            peer = Peer(stream, client=True, reader=Reader(stream))
            await peer.begin()
            tasks.start_soon(peer.run, tasks)
            fields = [(":method", "POST"), (":scheme", "http"), (":authority", "a.com"), (":path", "/")]
            exchange = await peer.open(fields, end=False)
            expected = b""
            for size in (1, 5, 9):
                await peer.send_body(exchange, b"x" * size, end=False)
                expected += b"x" * size if over_h2 else b"[%d]" % (size + 5)
                await eventually(lambda: exchange.body == expected)  # noqa: B023 - awaited at once
            await peer.send_body(exchange, b"", end=True)
            await eventually(exchange.over.is_set)
            tasks.cancel_scope.cancel()
        await eventually(lambda: not world.stat("cluster.origin.upstream_rq_active"))
