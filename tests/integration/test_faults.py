"""What goes wrong on one connection harms no other, and costs a bounded amount of memory."""

import os
import random
import resource
import socket

import pytest
import trio

OK = b"HTTP/1.1 200 OK"
PIECES = (
    b"GET / HTTP/1.1\r\n",
    b"GET /a b HTTP/1.1\r\n",
    b"FOO / HTTP/1.1\r\n",
    b"\x00\x01\x02\x16\x03\x01",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"host: a\r\n",
    b"host : a\r\n",
    b"content-length: -1\r\n",
    b"content-length: 5\r\ncontent-length: 6\r\n",
    b"transfer-encoding: chunked\r\ncontent-length: 3\r\n",
    b"transfer-encoding: gzip\r\n",
    b"x" * 70_000,
    b"a b: c\r\n",
    b": c\r\n",
    b"\r\n",
    b"zz\r\n",
    b"\x80\xff\r\n",
)


def malformed(source):
    """A request that is broken in some way; never the same twice in a row."""
    return b"".join(source.choice(PIECES) for _ in range(source.randint(1, 5))) + b"\r\n\r\n"


async def test_ten_thousand_malformed_requests_hurt_nobody_else(live):
    source = random.Random(20)
    good = {"asked": 0, "answered": 0}
    done = trio.Event()

    async def attack(world, count):
        for _ in range(count):
            with trio.move_on_after(5):
                stream = await world.connect()
                try:
                    await stream.send_all(malformed(source))
                    await stream.send_eof()
                    await live.read_all(stream)
                except trio.BrokenResourceError:
                    pass
                finally:
                    await trio.aclose_forcefully(stream)

    async def behave(world):
        async with await world.connect() as stream:
            while not done.is_set():
                good["asked"] += 1
                await stream.send_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
                answer = await stream.receive_some()
                good["answered"] += answer.startswith(OK)
                await trio.sleep(0.01)

    async with live.origin(live.answer_ok) as port, live.serving(live.proxy_config(port)) as world:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(behave, world)
            async with trio.open_nursery() as attackers:
                for _ in range(20):
                    attackers.start_soon(attack, world, 500)
            done.set()

        assert (await world.get()).startswith(OK)
        assert world.stat("http.ingress.downstream_cx_active") <= 1
        assert world.stat("http.ingress.downstream_rq_active") == 0
        assert world.stat("http.ingress.downstream_cx_total") >= 10_000
    assert good["asked"] > 20
    assert good["answered"] == good["asked"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="file descriptor limits are POSIX")
async def test_used_up_file_descriptors_pause_accepting_and_it_recovers(live):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    hogs = []
    async with live.origin(live.answer_ok) as port, live.serving(live.proxy_config(port)) as world:
        assert (await world.get()).startswith(OK)
        client = socket.socket()
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (200, hard))
            while True:
                try:
                    hogs.append(os.open(os.devnull, os.O_RDONLY))
                except OSError:
                    break
            client.connect(("127.0.0.1", world.port))
            client.sendall(b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
            await trio.sleep(0.3)
            for hog in hogs:
                os.close(hog)
            hogs.clear()
            stream = trio.SocketStream(trio.socket.from_stdlib_socket(client))
            with trio.fail_after(5):
                answer = await live.read_all(stream)
        finally:
            for hog in hogs:
                os.close(hog)
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            client.close()
        assert answer.startswith(OK)


async def full(count):
    """Wait until the buffers of the sockets hold all that they take: what is counted has stopped growing."""
    with trio.fail_after(30):
        counted = -1
        while counted != (counted := count()) or not counted:  # noqa: ASYNC110 - nothing tells when a kernel is full
            await trio.sleep(0.3)


async def test_client_that_never_reads_costs_a_bounded_amount_of_memory(live):
    sent = {"bytes": 0}

    async def flood(stream):
        await live.read_head(stream)
        await stream.send_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
        chunk = b"10000\r\n" + b"x" * 65536 + b"\r\n"
        while True:
            await stream.send_all(chunk)
            sent["bytes"] += len(chunk)

    async with live.origin(flood) as port, live.serving(live.proxy_config(port)) as world:
        async with await world.connect() as stream:
            stream.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
            await stream.send_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
            await full(lambda: sent["bytes"])
            before = sent["bytes"]
            resident = resident_bytes()
            await trio.sleep(0.7)

            assert sent["bytes"] - before <= 200_000, "the origin is not asked for more"
            assert resident_bytes() - resident < 8 * 1024 * 1024
            assert sent["bytes"] < 32 * 1024 * 1024, "only what sockets hold was read"


async def test_upload_that_nobody_reads_is_not_read_from_the_client(live):
    taken = {"bytes": 0}

    async def never_read(stream):
        await live.read_head(stream)
        await trio.sleep_forever()

    async with live.origin(never_read) as port, live.serving(live.proxy_config(port)) as world:
        async with await world.connect() as stream:
            await stream.send_all(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1000000000\r\n\r\n")
            with trio.move_on_after(1):
                while True:
                    await stream.send_all(b"x" * 65536)
                    taken["bytes"] += 65536

    assert taken["bytes"] < 32 * 1024 * 1024


async def test_upstream_that_says_garbage_or_too_much_is_cut_off(live):
    async def garbage(stream):
        await live.read_head(stream)
        await stream.send_all(b"\x00garbage\r\n\r\n" * 100)

    async def endless_head(stream):
        await live.read_head(stream)
        await stream.send_all(b"HTTP/1.1 200 OK\r\n")
        while True:
            await stream.send_all(b"x-more: " + b"y" * 1000 + b"\r\n")

    for handler in (garbage, endless_head):
        async with live.origin(handler) as port, live.serving(live.proxy_config(port)) as world:
            with trio.fail_after(5):
                answer = await world.get()

            assert answer.startswith(b"HTTP/1.1 502 Bad Gateway")
            assert world.stat("cluster.origin.upstream_cx_protocol_error") == 1


async def test_answer_that_comes_unasked_is_never_the_next_clients(live):
    async def twice(stream):
        while await live.read_head(stream):
            await stream.send_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
            await stream.send_all(b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nsecret")

    async with live.origin(twice) as port, live.serving(live.proxy_config(port)) as world:
        for _ in range(5):
            answer = await world.get()
            assert b"secret" not in answer
            assert answer.startswith(OK)


def resident_bytes():
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
