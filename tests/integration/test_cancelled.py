"""The task of a connection, with all that it starts, is cancelled at each of its checkpoints: nothing stays taken."""

import socket
from functools import partial
from random import Random

import pytest
import trio

from tests.cancelling import at_every_checkpoint
from tests.soak import bodies2, upstreams
from tests.waiting import eventually

HTTP2 = (
    "typed_extension_protocol_options: {envoy.extensions.upstreams.http.v3.HttpProtocolOptions: {'@type': "
    "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions, "
    "explicit_http_config: {http2_protocol_options: {}}}}"
)
GAUGES = (
    "http.ingress.downstream_cx_active",
    "http.ingress.downstream_cx_http1_active",
    "http.ingress.downstream_cx_http2_active",
    "http.ingress.downstream_rq_active",
    "http2.streams_active",
    "http2.pending_send_bytes",
    "http2.outbound_frames_active",
    "listener.listener_0.downstream_cx_active",
    "cluster.origin.upstream_rq_active",
    "cluster.origin.upstream_rq_pending_active",
    "cluster.origin.http2.streams_active",
)
SIZE = 300_000


async def over_http1(stream):
    body = upstreams.content(SIZE)
    await stream.send_all(b"POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: %d\r\n\r\n%b" % (SIZE, body))
    await stream.send_all(b"GET /%d HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n" % SIZE)
    received = 0
    while data := await stream.receive_some():
        received += len(data)
    return received > 2 * SIZE


async def over_http2(stream):
    exchange = bodies2.Exchange(stream)
    await exchange.begin(b"/echo", SIZE)
    await exchange.send(SIZE)
    return await exchange.finish() == SIZE


@pytest.mark.parametrize("upstream", ["HTTP/1", "HTTP/2"])
@pytest.mark.parametrize("client", [over_http1, over_http2], ids=["HTTP/1", "HTTP/2"])
async def test_nothing_stays_taken(live, nursery, client, upstream):
    origin = upstreams.http2 if upstream == "HTTP/2" else partial(upstreams.http1, Random(1))
    port = await nursery.start(upstreams.serve, origin)
    answered = []

    async def ask(sock):
        try:
            async with trio.SocketStream(trio.socket.from_stdlib_socket(sock)) as stream:
                answered.append(await client(stream))
        except (*upstreams.GONE, EOFError, OSError):
            answered.append(False)

    async with live.serving(live.proxy_config(port, cluster=HTTP2 if upstream == "HTTP/2" else "")) as world:
        (listener,) = world.server.listeners.listeners

        async def one():
            ours, theirs = socket.socketpair()
            ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 30_000)
            world.tasks.start_soon(ask, theirs)
            await listener._connection(ours, "")

        def check():
            assert {name: world.stat(name) for name in GAUGES if world.stat(name)} == {}
            assert world.stat("cluster.origin.upstream_cx_active") <= 1  # one may be idle, or shared

        with trio.fail_after(120):
            cuts = await at_every_checkpoint(one, check, children=True)
        await eventually(lambda: len(answered) == cuts + 1)

        check()
        assert answered[-1]
        assert cuts > 10
