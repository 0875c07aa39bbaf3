"""An upstream connection that is over is free at once, without a look for circles."""

import gc
import weakref

import pytest
import trio

from trio_envoy.errors import UpstreamFailure


@pytest.mark.parametrize(
    "reply",
    [
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nnonsense\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n",
    ],
)
async def test_one_that_broke_the_protocol_or_ended(autojump_clock, h1, reply):
    async def exchange():
        peer, client, _ = h1.a_client()
        client.owner = Owner()
        async with trio.open_nursery() as tasks:
            tasks.start_soon(serve, peer)
            try:
                response = await client.exchange(h1.a_request(), None, None)
                while await response.body.read():
                    pass
            except UpstreamFailure:
                assert client.protocol_error
            client.release()
        return weakref.ref(client.owner)

    async def serve(peer):
        await peer.receive()
        await peer.send(reply)
        peer.channel.close()

    class Owner:
        def give_back(self, connection):
            assert connection.closed

    gc.collect()
    gc.disable()
    try:
        alive = await exchange()
        await trio.lowlevel.checkpoint()
        assert alive() is None
    finally:
        gc.enable()
