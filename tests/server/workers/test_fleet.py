"""--concurrency 2 as real processes on loopback: they serve together, and what happens to one does not hurt the other.

How the main process deals with workers that fail is in test_seats.py, with workers that are made up.
"""

import os
import re
import signal
import socket
import ssl
import sys

import pytest
import trio
import trustme

from tests.commands import run
from tests.server.workers.world import CONFIG, MANY, NOBODY, OK, ON_PORT_0, cluster, gone, origin, two_workers
from tests.waiting import eventually

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="several workers are for Linux")


async def test_both_serve_and_the_admin_shows_the_sum(tmp_path):
    async def respond(_):
        return OK

    async with origin(respond) as up, two_workers(tmp_path, clusters=cluster(up.port)) as world:
        streams = await world.connections_to_both()
        for stream in streams:
            assert b"200 OK" in await world.get("/up", stream)

        assert (await world.ask("/ready")).content == b"LIVE\n"
        assert '"concurrency": 2,' in await world.text("/server_info")
        stats = await world.stats()
        assert stats["http.in.downstream_rq_2xx"] == 2 * MANY
        assert stats["http.in.downstream_cx_active"] == MANY
        assert stats["server.total_connections"] == MANY
        assert stats["server.concurrency"] == stats["workers.live"] == 2
        shares = [stats[f"listener.127.0.0.1_0.worker_{index}.downstream_cx_active"] for index in (0, 1)]
        assert all(shares)
        assert sum(shares) == MANY
        assert stats["cluster.up.upstream_rq_200"] == MANY
        assert stats["cluster.up.membership_total"] == 1  # not once for each worker
        assert stats["listener_manager.total_listeners_active"] == 2
        assert stats["cluster_manager.active_clusters"] == 1
        clusters = await world.text("/clusters")
        assert f"::rq_total::{MANY}\n" in clusters
        assert f"::rq_success::{MANY}\n" in clusters
        assert "default_priority::max_connections::1024" in clusters
        await eventually(lambda: _histogram_counts(world, 2 * MANY))
        await world.post("/reset_counters")
        assert await world.stat("http.in.downstream_rq_2xx") == 0
        assert await world.stat("http.in.downstream_cx_active") == MANY
        allocated = re.search(r'"allocated": "(\d+)"', await world.text("/memory"))
        assert int(allocated[1]) > 30_000_000

        for stream in streams:
            await stream.aclose()
        await eventually(lambda: _is(world, "http.in.downstream_cx_active", 0))


async def _is(world, name, value):
    return await world.stat(name) == value


async def _histogram_counts(world, count):
    text = await world.text("/stats?filter=http.in.downstream_rq_time&histogram_buckets=detailed")
    totals = re.search(r"totals=(.*)", text)
    return totals is not None and sum(int(part.split(":")[1]) for part in totals[1].split(", ")) == count


async def test_ids_of_requests_and_connections_differ(tmp_path):
    async with two_workers(tmp_path, "--file-flush-interval-msec", 50) as world:
        streams = await world.connections_to_both()
        for stream in streams:
            await stream.aclose()
        await eventually(lambda: _lines(world.access_log) == MANY)

        lines = world.access_log.read_text().splitlines()
        assert len({line.split()[0] for line in lines}) == MANY
        assert len({line.split()[1] for line in lines}) == MANY


def _lines(path):
    return path.read_text().count("\n") if path.exists() else 0


async def test_one_that_is_killed_is_replaced_and_the_other_ones_requests_go_on(tmp_path):
    arrived, released = [], trio.Event()

    async def respond(data):
        if b"GET /up/slow" in data:
            arrived.append(data)
            await released.wait()
        return OK

    async with origin(respond) as up, two_workers(tmp_path, clusters=cluster(up.port)) as world:
        streams = await world.connections_to_both()
        before = await world.stats()
        of_worker_1 = before["listener.127.0.0.1_0.worker_1.downstream_cx_active"]
        killed, other = world.pids()
        answers = []

        async def poll(stream):
            answers.append(await world.get("/up/slow", stream))

        async with trio.open_nursery() as tasks:
            for stream in streams:
                tasks.start_soon(poll, stream)
            await eventually(lambda: len(arrived) == MANY)
            await world.stats()  # so that what they count now is known
            os.kill(killed, signal.SIGKILL)
            await eventually(lambda: world.pids()[0] != killed)
            released.set()

        assert sum(b"200 OK" in one for one in answers) == of_worker_1
        assert answers.count(b"") == MANY - of_worker_1
        assert world.pids()[1] == other
        stats = await world.stats()
        assert (stats["workers.died"], stats["workers.live"]) == (1, 2)
        assert stats["http.in.downstream_cx_active"] == of_worker_1
        assert stats["cluster.up.upstream_rq_active"] == 0
        assert stats["http.in.downstream_cx_total"] == MANY
        assert stats["cluster.up.upstream_rq_total"] == MANY
        assert f"worker 0 (pid {killed}) was ended by signal 9 (Killed); another one takes its" in world.command.said()
        assert (await world.ask("/ready")).status == 200
        await world.connections_to_both()
        shares = await world.stats("0.worker_..downstream_cx_active")
        assert min(shares.values()) > 0


async def test_sigterm_ends_all_of_them(tmp_path):
    async with two_workers(tmp_path) as world:
        pids = world.processes()
        assert len(pids) == 3
        world.command.send(signal.SIGTERM)

        assert await world.command.wait() == 0
        assert gone(pids)
        assert "[error]" not in world.command.said()


async def test_signals_that_all_of_them_get_are_the_main_processes(tmp_path):
    async with two_workers(tmp_path) as world:
        for pid in world.processes():
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1):
                os.kill(pid, number)

        await world.connections_to_both()
        assert await world.stat("workers.died") == 0


async def test_quitquitquit_ends_all_of_them(tmp_path):
    async with two_workers(tmp_path) as world:
        pids = world.processes()
        await world.post("/quitquitquit")

        assert await world.command.wait() == 0
        assert gone(pids)


async def test_when_the_main_process_is_killed_the_others_end(tmp_path):
    async with two_workers(tmp_path) as world:
        pids = world.processes()
        world.command.send(signal.SIGKILL)
        await world.command.wait()

        await eventually(lambda: gone(pids))


async def test_a_failed_health_check_reaches_all(tmp_path):
    async with two_workers(tmp_path) as world:
        streams = await world.connections_to_both()
        await world.post("/healthcheck/fail")

        for stream in streams:
            assert b"connection: close" in await world.get("/hello", stream)
        assert (await world.ask("/ready")).content == b"DRAINING\n"
        await world.post("/healthcheck/ok")
        for stream in await world.connections_to_both():
            assert b"connection: close" not in await world.get("/hello", stream)


async def test_runtime_and_log_levels_reach_all_and_those_that_come_later(tmp_path):
    async with two_workers(tmp_path) as world:
        streams = await world.connections_to_both()
        assert {(await world.get("/sometimes", stream))[9:12] for stream in streams} == {b"404"}
        await world.post("/runtime_modify?sometimes=100")
        await world.post("/logging?level=debug")

        assert {(await world.get("/sometimes", stream))[9:12] for stream in streams} == {b"200"}
        killed = world.pids()[1]
        os.kill(killed, signal.SIGKILL)
        await eventually(lambda: world.pids()[1] != killed)
        await eventually(lambda: _all_are(world, "/sometimes", b"200"))
        await world.debug_lines()
        for pid in world.pids():
            assert f"[{pid}][debug][conn_handler]" in world.command.said()


async def _all_are(world, path, status):
    return {(await world.get(path))[9:12] for _ in range(MANY)} == {status}


async def test_drained_listeners_are_closed_in_all_processes(tmp_path):
    async with two_workers(tmp_path) as world:
        streams = await world.connections_to_both()
        await world.post("/drain_listeners")

        async def refused():
            try:
                await (await world.connect()).aclose()
            except OSError:
                return True
            return False

        await eventually(refused)
        for stream in streams:
            assert b"200 OK" in await world.get("/hello", stream)
        assert await world.stat("listener_manager.listener_stopped") == 2
        killed = world.pids()[0]
        os.kill(killed, signal.SIGKILL)
        await eventually(lambda: world.pids()[0] != killed)
        assert await refused()


async def test_a_graceful_drain_reaches_all(tmp_path):
    async with two_workers(tmp_path, "--drain-time-s", 1, "--drain-strategy", "immediate") as world:
        streams = await world.connections_to_both()
        await world.post("/drain_listeners?graceful")

        for stream in streams:
            assert b"connection: close" in await world.get("/hello", stream)
        await eventually(lambda: _is(world, "listener_manager.listener_stopped", 2))


async def test_logs_are_opened_anew_by_all_and_nobody_keeps_the_old_file(tmp_path):
    log = tmp_path / "application.log"
    async with two_workers(tmp_path, "--file-flush-interval-msec", 50, "--log-path", log) as world:
        await eventually(lambda: log.read_text().count("takes connections") == 2)
        pids = re.findall(r"pid (\d+)\) takes", log.read_text())
        for path in (log, world.access_log):
            path.rename(path.with_suffix(".old"))
        world.command.send(signal.SIGUSR1)
        await eventually(log.exists)
        await world.post("/logging?level=debug")
        for stream in await world.connections_to_both():
            await stream.aclose()

        await eventually(lambda: _lines(world.access_log) == MANY)
        assert _lines(world.access_log.with_suffix(".old")) == 0
        for pid in (world.command.process.pid, *world.processes()):
            held = [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")]
            assert not [path for path in held if path.endswith(".old")], pid
        await world.debug_lines()
        for pid in pids:
            assert f"[{pid}][debug][conn_handler]" in log.read_text()


@pytest.mark.parametrize("more", ["enable_reuse_port: false", "tcp_keepalive: {keepalive_probes: 3}"])
async def test_a_port_is_shared_with_and_without_a_socket_for_each(tmp_path, more):
    async with two_workers(tmp_path, more=more) as world:
        await world.connections_to_both()

        assert await world.stat("http.in.downstream_rq_2xx") == MANY


async def test_a_pipe_is_served_by_all(tmp_path):
    path = tmp_path / "pipe"
    async with two_workers(tmp_path, address=f"{{pipe: {{path: {path}}}}}") as world:
        for _ in range(8):
            async with await trio.open_unix_socket(path) as stream:
                assert b"200 OK" in await world.get("/hello", stream)

        assert await world.stat("http.in.downstream_rq_2xx") == 8


async def test_health_is_checked_once_and_known_to_all(tmp_path):
    checks, healthy = [], [True]

    async def respond(data):
        if b"GET /check" in data:
            checks.append(data)
            return OK if healthy[0] else OK.replace(b"200", b"503")
        if b"GET /up/fail" in data:
            return OK.replace(b"\r\n\r\n", b"\r\nx-envoy-immediate-health-check-fail: true\r\n\r\n")
        return OK

    check = "{timeout: 1s, interval: 0.1s, no_traffic_interval: 0.1s, unhealthy_threshold: 1, healthy_threshold: 1, "
    check += "http_health_check: {path: /check}}"
    more = f", health_checks: [{check}], common_lb_config: {{healthy_panic_threshold: {{value: 0}}}}"
    async with origin(respond) as up, two_workers(tmp_path, clusters=cluster(up.port, more)) as world:
        assert await _all_are(world, "/up", b"200")
        healthy[0] = False
        await eventually(lambda: _all_are(world, "/up", b"503"))
        assert "/failed_active_hc" in await world.text("/clusters")
        healthy[0] = True
        await eventually(lambda: _all_are(world, "/up", b"200"))

        assert await world.stat("cluster.up.health_check.attempt") in range(len(checks) - 1, len(checks) + 2)
        await world.get("/up/fail")
        await eventually(lambda: _is(world, "cluster.up.health_check.passive_failure", 1))


async def test_names_are_resolved_once_and_hosts_known_to_all(tmp_path):
    async def respond(_):
        return OK

    async with origin(respond) as up:
        clusters = cluster(up.port, ", type: STRICT_DNS, dns_lookup_family: V4_ONLY").replace(
            "address: 127.0.0.1", "address: localhost"
        )
        async with two_workers(tmp_path, clusters=clusters) as world:
            assert await _all_are(world, "/up", b"200")

            assert await world.stat("cluster.up.membership_total") == 1
            assert await world.stat("cluster.up.update_success") == 1
            assert f"127.0.0.1:{up.port}::rq_success::{MANY}\n" in await world.text("/clusters")


async def test_a_tls_session_begun_with_one_is_resumed_with_the_other(tmp_path):
    authority = trustme.CA()
    certificate = authority.issue_cert("localhost")
    certificate.private_key_pem.write_to_path(tmp_path / "key.pem")
    certificate.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    files = f"{{certificate_chain: {{filename: {tmp_path}/cert.pem}}, private_key: {{filename: {tmp_path}/key.pem}}}}"
    tls = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext"
    typed = f"{{'@type': {tls}, common_tls_context: {{tls_certificates: [{files}]}}}}"
    listener = CONFIG.replace(
        "- filters:", f"- transport_socket: {{name: tls, typed_config: {typed}}}\n      filters:", 1
    )
    context = ssl.create_default_context()
    context.maximum_version = ssl.TLSVersion.TLSv1_2  # its session is there with the handshake
    authority.configure_trust(context)

    def connect(port, session):
        with socket.create_connection(("127.0.0.1", port), timeout=10) as sock:
            with context.wrap_socket(sock, server_hostname="localhost", session=session) as wrapped:
                return wrapped.session_reused, wrapped.session

    async with two_workers(tmp_path, config=listener) as world:
        _, session = await trio.to_thread.run_sync(connect, world.ports["l"], None)
        resumed = [(await trio.to_thread.run_sync(connect, world.ports["l"], session))[0] for _ in range(MANY)]

        assert resumed == [True] * MANY
        assert await world.stat("listener.127.0.0.1_0.ssl.session_reused") == MANY


def test_a_configuration_is_validated_whatever_the_number_of_workers(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text("static_resources: {}")

    assert run("-c", path, "--mode", "validate", "--concurrency", 2).stdout == f"configuration '{path}' OK\n"


async def test_a_port_in_use_is_told_in_one_sentence_before_anything_starts(tmp_path):
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listener.socket.getsockname()[1]
    path = tmp_path / "a.yaml"
    path.write_text(
        CONFIG.replace("CLUSTERS", NOBODY)
        .replace("MORE", "")
        .replace("ACCESS_LOG", "/dev/null")
        .replace("ADDRESS", ON_PORT_0.replace("port_value: 0", f"port_value: {port}"))
    )

    async with listener:
        ended = await trio.to_thread.run_sync(lambda: run("-c", path, "--concurrency", 2))

    assert ended.returncode == 1
    assert "[critical][main] " in ended.stderr
    assert ended.stderr.rstrip().endswith(f"cannot bind '127.0.0.1:{port}': Address already in use")
    assert "starting" not in ended.stderr
