"""Large bodies through a process of its own: memory is flat, and a slow end slows only the other end."""

import contextlib

import pytest
import trio

from tests.commands import serving
from tests.soak import bodies, bodies2, upstreams
from tests.soak.proxy import Ports, Proxy, config
from tests.soak.record import Record
from tests.waiting import eventually

MIB = 1 << 20


@pytest.fixture
async def proxy(tmp_path, nursery):
    """(the proxy, its process id) in front of `bodies.origin` at /bulk/."""
    port = await nursery.start(upstreams.serve, bodies.origin)
    text = config(Ports(bulk=port, http1=port), secure=False)
    async with serving(tmp_path, text) as command:
        proxy = Proxy(command)
        await proxy.find_ports()
        yield proxy
    assert not [line for line in command.said().splitlines() if "Traceback" in line]


@pytest.mark.parametrize("way", sorted(bodies.WAYS))
async def test_256_mebibytes_leave_memory_flat(proxy, way):
    record = Record()

    await bodies.check(record, proxy.command.process.pid, proxy.plain, 256 * MIB, [way])

    assert record.found == []
    assert record.done[f"body, {way}"] == 1


@contextlib.asynccontextmanager
async def stuck_reader(port, protocol):
    """A client which asked for a lot and reads nothing of it."""
    async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
        path = b"/bulk/%d" % (64 * MIB)
        if protocol == "HTTP/1":
            await stream.send_all(b"GET %b HTTP/1.1\r\nhost: a\r\n\r\n" % path)
        else:
            await bodies2.Exchange(stream).begin(path)
        yield stream


async def still(proxy, name):
    """Wait until a counter no longer grows; its value."""
    seen = [-1]

    async def same():
        seen.append((await proxy.stats()).get(name, 0))
        await trio.sleep(0.2)
        return seen[-1] and seen[-1] == seen[-2]

    await eventually(same, within=30)
    return seen[-1]


@pytest.mark.parametrize("protocol", ["HTTP/1", "HTTP/2"])
async def test_clients_that_do_not_read_slow_their_upstream_down_and_nobody_else(proxy, protocol):
    async with contextlib.AsyncExitStack() as stack:
        for _ in range(5):
            await stack.enter_async_context(stuck_reader(proxy.plain, protocol))
        taken = await still(proxy, "cluster.bulk.upstream_cx_rx_bytes_total")

        for _ in range(8):
            with trio.fail_after(10):
                assert await bodies.down(proxy.plain, "/bulk/x", MIB) == MIB
                assert await bodies2.up(proxy.plain, "/bulk/x", MIB) == MIB

        assert taken < 5 * 16 * MIB, "no more than what sockets hold is taken from an upstream"
        assert await still(proxy, "cluster.bulk.upstream_cx_rx_bytes_total") - taken < 9 * MIB


async def test_an_upstream_that_does_not_read_slows_its_client_down_and_nobody_else(tmp_path, nursery):
    async def never_reads(stream):
        await trio.sleep_forever()

    stuck = await nursery.start(upstreams.serve, never_reads)
    port = await nursery.start(upstreams.serve, bodies.origin)
    async with serving(tmp_path, config(Ports(bulk=port, http1=stuck), secure=False)) as command:
        proxy = Proxy(command)
        await proxy.find_ports()
        async with trio.open_nursery() as stuck_clients:
            for _ in range(3):
                stuck_clients.start_soon(bodies.up, proxy.plain, "/http1/x", 64 * MIB)
                stuck_clients.start_soon(bodies2.up, proxy.plain, "/http1/x", 64 * MIB)
            taken = await still(proxy, "http.plain.downstream_cx_rx_bytes_total")

            for _ in range(8):
                with trio.fail_after(10):
                    assert await bodies2.down(proxy.plain, "/bulk/x", MIB) == MIB
                    assert await bodies.up(proxy.plain, "/bulk/x", MIB) == MIB

            assert taken < 6 * 16 * MIB, "no more than what sockets hold is taken from a client"
            assert await still(proxy, "http.plain.downstream_cx_rx_bytes_total") - taken < 9 * MIB
            stuck_clients.cancel_scope.cancel()
