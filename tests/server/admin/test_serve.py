"""The admin's listener: where it opens, what it logs and counts, whom it outlives."""

import contextlib
import logging
import socket
import stat
import struct

import pytest
import trio

from tests.waiting import eventually
from trio_envoy.errors import ConfigErrors
from trio_envoy.net.sockets import BindError

FORMAT = "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog"


async def lines_of(path, count):
    await eventually(lambda: path.exists() and path.read_text().count("\n") >= count)
    return path.read_text().splitlines()


async def test_the_access_log_of_the_deprecated_path_has_the_default_format(admin, tmp_path):
    path = tmp_path / "access.log"
    async with admin.serving(
        f"admin: {{{admin.address}, access_log_path: {path}}}", file_flush_interval_msec=10
    ) as live:
        await live.get("/ready?x", headers={"user-agent": "people"})
        (line,) = await lines_of(path, 1)

    assert '"GET /ready?x HTTP/1.1" 200 - 0 5 ' in line
    assert '"people"' in line
    assert f'"127.0.0.1:{live.port}" "-"' in line


async def test_access_logs_are_written_all_of_them(admin, tmp_path):
    logs = [
        f"{{name: file, typed_config: {{'@type': {FORMAT}, path: {tmp_path / name}, "
        f'log_format: {{text_format_source: {{inline_string: "%REQ(:METHOD)% %REQ(:PATH)% %RESPONSE_CODE%\\n"}}}}}}}}'
        for name in ("one", "two")
    ]
    config = f"admin: {{{admin.address}, access_log: [{', '.join(logs)}], access_log_path: {tmp_path / 'three'}}}"
    async with admin.serving(config, file_flush_interval_msec=10) as live:
        await live.post("/reset_counters")
        await live.get("/nope")

        for name in ("one", "two"):
            assert await lines_of(tmp_path / name, 2) == ["POST /reset_counters 200", "GET /nope 404"]
        assert len(await lines_of(tmp_path / "three", 2)) == 2


async def test_connections_and_requests_are_counted_as_those_of_a_listener(admin):
    async with admin.serving() as live:
        await live.get("/ready")
        await live.get("/nope")
        text = (await live.get("/stats?filter=^(listener|http).admin")).text

    values = dict(line.split(": ") for line in text.splitlines() if "No recorded" not in line)
    assert values["listener.admin.downstream_cx_total"] == "3"
    assert values["listener.admin.downstream_cx_active"] == "1"
    assert values["listener.admin.main_thread.downstream_cx_total"] == "3"
    assert values["http.admin.downstream_rq_total"] == "3"
    assert values["http.admin.downstream_rq_2xx"] == "1"
    assert values["http.admin.downstream_rq_4xx"] == "1"
    assert values["listener.admin.http.admin.downstream_rq_4xx"] == "1"


async def test_the_address_is_written_with_its_real_port(admin, tmp_path):
    path = tmp_path / "address"
    async with admin.serving(admin_address_path=str(path)) as live:
        assert path.read_text() == f"127.0.0.1:{live.port}"


async def test_an_address_file_that_can_not_be_written_is_logged_and_no_more(admin, tmp_path, caplog):
    logging.getLogger("envoy").propagate = True

    async with admin.serving(admin_address_path=str(tmp_path / "no" / "such")) as live:
        assert (await live.get("/ready")).text == "LIVE\n"

    assert "cannot open admin address output file" in caplog.text


async def test_it_may_be_a_pipe(admin, tmp_path):
    path = tmp_path / "admin.sock"
    server = admin.compiled(f"admin: {{address: {{pipe: {{path: {path}, mode: 384}}}}}}")
    async with trio.open_nursery() as tasks:
        await tasks.start(server.run)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        async with await trio.open_unix_socket(str(path)) as stream:
            await stream.send_all(b"GET /ready HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
            data = b""
            while more := await stream.receive_some():
                data += more
        server.lifecycle.stop()

    assert data.startswith(b"HTTP/1.1 200 OK")


async def test_ipv6_may_take_ipv4_too(admin):
    server = admin.compiled("admin: {address: {socket_address: {address: '::', port_value: 0, ipv4_compat: true}}}")
    async with trio.open_nursery() as tasks:
        await tasks.start(server.run)
        stream = await trio.open_tcp_stream("127.0.0.1", server.admin.address.port)
        await stream.aclose()
        server.lifecycle.stop()


async def test_without_an_address_there_is_none(admin):
    assert admin.compiled("admin: {}").admin is None


async def test_a_port_in_use_is_an_error_that_names_it(admin):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        server = admin.compiled(f"admin: {{address: {{socket_address: {{address: 127.0.0.1, port_value: {port}}}}}}}")

        with pytest.RaisesGroup(
            pytest.RaisesExc(BindError, match=f"cannot bind '127.0.0.1:{port}': Address already in use")
        ):
            await server.run()


def test_a_bad_access_log_is_told_with_its_place(admin):
    with pytest.raises(ConfigErrors, match=r"--config-yaml:\d+:\d+: \$\.admin\.access_log\[0\]"):
        admin.compiled(f"admin: {{{admin.address}, access_log: [{{name: file, filter: {{}}}}]}}")


async def test_garbage_and_silence_harm_nobody_else(admin):
    async with admin.serving() as live:
        silent = await trio.open_tcp_stream("127.0.0.1", live.port)
        garbage = await trio.open_tcp_stream("127.0.0.1", live.port)
        await garbage.send_all(b"\x00\x01\x02\r\n\r\n")
        answer = await garbage.receive_some()

        assert answer.startswith(b"HTTP/1.1 400 Bad Request")
        assert (await live.get("/ready")).text == "LIVE\n"
        await garbage.aclose()
        await silent.aclose()


async def test_requests_may_be_pipelined_and_the_connection_is_kept(admin):
    async with admin.serving() as live:
        async with await trio.open_tcp_stream("127.0.0.1", live.port) as stream:
            await stream.send_all(b"GET /ready HTTP/1.1\r\nhost: a\r\n\r\n" * 2)
            data = b""
            with trio.fail_after(5):
                while data.count(b"LIVE") < 2:
                    data += await stream.receive_some()
        assert data.count(b"HTTP/1.1 200 OK") == 2


async def test_a_bug_on_one_connection_harms_no_other(admin, caplog):
    logging.getLogger("envoy").propagate = True
    async with admin.serving() as live:
        manager = live.server.admin._manager
        serve = manager.serve

        async def broken(connection):
            manager.serve = serve
            raise KeyError("a bug")

        manager.serve = broken
        stream = await trio.open_tcp_stream("127.0.0.1", live.port)
        assert await stream.receive_some() == b""
        await stream.aclose()

        assert (await live.get("/ready")).text == "LIVE\n"
        assert await live.stat("listener.admin.downstream_cx_active") == "1"
    assert "an admin connection met a bug" in caplog.text


async def test_a_client_that_is_gone_before_it_is_looked_at(admin):
    async with admin.serving() as live:
        gone = trio.SocketStream(trio.socket.from_stdlib_socket(_gone_socket()))

        await live.server.admin._serve(gone)

        assert (await live.get("/ready")).text == "LIVE\n"


def _gone_socket():
    """A TCP socket whose peer has reset it: it has no peer name any more."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname())
        accepted, _ = listener.accept()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()
    with contextlib.suppress(OSError):
        accepted.recv(1)
    return accepted
