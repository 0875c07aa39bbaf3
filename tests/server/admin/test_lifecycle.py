import os

import trio

from tests.waiting import eventually

HELLO = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n"


def serving_hello(admin, *names, more=""):
    listeners = ", ".join(admin.listener(name, more=more) for name in names)
    return f"{{admin: {{{admin.address}}}, static_resources: {{listeners: [{listeners}]}}}}"


def port_of(live, number=0):
    return live.server.listeners.listeners[number].addresses[0].port


async def ask(stream):
    await stream.send_all(HELLO)
    data = b""
    while b"hello" not in data:
        more = await stream.receive_some()
        assert more, data
        data += more
    return data


async def refused(port):
    try:
        stream = await trio.open_tcp_stream("127.0.0.1", port)
    except OSError:
        return True
    await stream.aclose()
    return False


async def test_failed_health_checks_end_connections_and_ok_takes_it_back(admin):
    async with admin.serving(serving_hello(admin, "one")) as live:
        stream = await trio.open_tcp_stream("127.0.0.1", port_of(live))
        assert b"connection: close" not in await ask(stream)

        assert (await live.post("/healthcheck/fail")).text == "OK\n"
        answer = await ask(stream)
        ended = await stream.receive_some()

        assert b"connection: close" in answer
        assert ended == b""
        assert (await live.post("/healthcheck/ok")).text == "OK\n"
        again = await trio.open_tcp_stream("127.0.0.1", port_of(live))
        assert b"connection: close" not in await ask(again)
        await stream.aclose()
        await again.aclose()


async def test_quitquitquit_answers_and_ends_the_server(admin):
    server = admin.compiled(f"admin: {{{admin.address}}}")
    with trio.fail_after(10):
        async with trio.open_nursery() as tasks:
            await tasks.start(server.run)
            stream = await trio.open_tcp_stream("127.0.0.1", server.admin.address.port)
            await stream.send_all(b"POST /quitquitquit HTTP/1.1\r\nhost: a\r\n\r\n")
            data = b""
            while more := await stream.receive_some():
                data += more
            await stream.aclose()

    assert data.startswith(b"HTTP/1.1 200 OK")
    assert b"OK\n" in data


async def test_drain_listeners_closes_them_all(admin):
    async with admin.serving(serving_hello(admin, "one", "two")) as live:
        ports = port_of(live, 0), port_of(live, 1)

        answer = await live.post("/drain_listeners")

        assert answer.text == "OK\n"
        assert [await refused(port) for port in ports] == [True, True]
        assert await live.stat("listener_manager.listener_stopped") == "2"


async def test_inboundonly_leaves_the_others_open(admin):
    config = (
        f"{{admin: {{{admin.address}}}, static_resources: {{listeners: "
        f"[{admin.listener('in', more=', traffic_direction: INBOUND')}, {admin.listener('out')}]}}}}"
    )
    async with admin.serving(config) as live:
        await live.post("/drain_listeners?inboundonly")

        assert [await refused(port_of(live, number)) for number in (0, 1)] == [True, False]


async def test_graceful_keeps_taking_connections_for_the_drain_time(admin):
    async with admin.serving(serving_hello(admin, "one"), drain_time_s=1, drain_strategy="immediate") as live:
        await live.post("/drain_listeners?graceful")

        assert not await refused(port_of(live))
        await eventually(lambda: refused(port_of(live)))


async def test_skip_exit_needs_graceful(admin):
    async with admin.serving(serving_hello(admin, "one"), drain_strategy="immediate") as live:
        answer = await live.post("/drain_listeners?skip_exit")
        assert answer.status == 400
        assert not await refused(port_of(live))

        assert (await live.post("/drain_listeners?graceful&skip_exit")).text == "OK\n"
        stream = await trio.open_tcp_stream("127.0.0.1", port_of(live))
        assert b"connection: close" in await ask(stream)
        await stream.aclose()
        assert not await refused(port_of(live))


async def test_reopen_logs_opens_access_logs_anew(admin, tmp_path):
    path = tmp_path / "admin.log"
    config = f"admin: {{{admin.address}, access_log_path: {path}}}"
    async with admin.serving(config, file_flush_interval_msec=10) as live:
        await live.get("/ready")
        await eventually(lambda: path.exists() and "/ready" in path.read_text())
        os.rename(path, tmp_path / "old.log")

        assert (await live.post("/reopen_logs")).text == "OK\n"

        await eventually(lambda: path.exists() and "/reopen_logs" in path.read_text())
        assert "/ready" not in path.read_text()
