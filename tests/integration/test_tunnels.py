"""Tunnels as a whole: much both ways at once, a slow reader, a server that stops, CONNECT that ends here."""

import itertools

import pytest
import trio

from tests.waiting import eventually

UPGRADE = b"GET / HTTP/1.1\r\nhost: a.com\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n"
ACCEPTED = b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n"
ASK_FOR_TCP = b"CONNECT a.com:80 HTTP/1.1\r\nhost: a.com\r\n\r\n"
ENDS_HERE = ", upgrade_configs: [{upgrade_type: CONNECT, connect_config: {}}]"
SIZE = 8 << 20
BLOCK = bytes(range(256)) * 256


async def send_much(stream):
    for _ in range(SIZE // len(BLOCK)):
        await stream.send_all(BLOCK)


async def receive_much(stream, beginning=b""):
    """Exactly what send_much() sends."""
    expected = itertools.cycle([BLOCK])
    held, total = beginning, 0
    while total < SIZE:
        while len(held) >= len(BLOCK):
            assert held[: len(BLOCK)] == next(expected)
            held = held[len(BLOCK) :]
            total += len(BLOCK)
        if total < SIZE:
            held += await stream.receive_some()
    assert held == b""


async def both_ways(stream, beginning=b""):
    with trio.fail_after(30):
        async with trio.open_nursery() as tasks:
            tasks.start_soon(send_much, stream)
            tasks.start_soon(receive_much, stream, beginning)


async def begin(world, request=UPGRADE):
    """A tunnel, and what came behind the answer's head."""
    stream = await world.connect()
    await stream.send_all(request)
    data = b""
    with trio.fail_after(5):
        while b"\r\n\r\n" not in data:
            data += await stream.receive_some()
    return stream, data.partition(b"\r\n\r\n")[2]


def upgrading(live, port):
    """The proxy in front of something that takes upgrades."""
    return live.serving(live.proxy_config(port, hcm="upgrade_configs: [{upgrade_type: websocket}]"))


def ending(live, port):
    """The proxy where CONNECT ends."""
    config = live.proxy_config(port, route=ENDS_HERE)
    return live.serving(config.replace("match: {prefix: /}", "match: {connect_matcher: {}}"))


async def at_rest(world):
    await eventually(lambda: not world.has_tunnels())


async def test_much_both_ways_at_once(live):
    async def origin(stream):
        head = await live.read_head(stream)
        await stream.send_all(ACCEPTED)
        await both_ways(stream, head.partition(b"\r\n\r\n")[2])

    async with live.origin(origin) as port, upgrading(live, port) as world:
        stream, early = await begin(world)
        await both_ways(stream, early)
        await stream.aclose()
        await at_rest(world)


async def test_a_client_that_does_not_read_stops_the_upstream(live):
    sent = 0

    async def origin(stream):
        nonlocal sent
        await live.read_head(stream)
        await stream.send_all(ACCEPTED)
        while True:
            await stream.send_all(BLOCK)
            sent += len(BLOCK)

    async with live.origin(origin) as port, upgrading(live, port) as world:
        stream, _ = await begin(world)
        before = -1
        while sent != before:  # until the sockets are full
            before = sent
            await trio.sleep(0.2)
        assert sent < 32 << 20
        await stream.aclose()
        await at_rest(world)


@pytest.mark.parametrize(("make", "request_head"), [(upgrading, UPGRADE), (ending, ASK_FOR_TCP)])
async def test_a_server_that_stops_ends_them(live, make, request_head):
    ends = []

    async def origin(stream):
        if make is upgrading:
            await live.read_head(stream)
            await stream.send_all(ACCEPTED)
        ends.append(await live.read_all(stream))

    async with live.origin(origin) as port:
        async with make(live, port) as world:
            stream, _ = await begin(world, request_head)
            await stream.send_all(b"hello")
            await eventually(lambda: world.stat("cluster.origin.upstream_cx_tx_bytes_total"))
        async with stream:
            with trio.fail_after(5):
                await live.read_all(stream)
                await eventually(lambda: ends)
        assert ends[0].startswith(b"hello")
        assert not world.has_tunnels()


async def test_a_connect_that_ends_here_is_plain_tcp(live):
    async def origin(stream):
        await stream.send_all(b"first")
        assert await live.read_all(stream) == b"hello"

    async with live.origin(origin) as port, ending(live, port) as world:
        stream, early = await begin(world, ASK_FOR_TCP)
        while early != b"first":
            early += await stream.receive_some()
        await stream.send_all(b"hello")
        assert world.stat("http.ingress.downstream_cx_upgrades_active") == 1
        await stream.aclose()
        await at_rest(world)
