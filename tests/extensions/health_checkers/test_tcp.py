from contextlib import suppress
from itertools import count

import pytest
import trio

from tests.fakes import receive_exactly
from tests.upstream.fakes import LiveCluster, config_of, counted
from trio_envoy.config.healthcheck import HealthCheck, Payload, TcpHealthCheck
from trio_envoy.errors import ConfigError
from trio_envoy.net.channel import send_all

A = "10.0.0.1:80"


def checked(message, **fields):
    settings = {"timeout": 2.0, "interval": 10.0, "no_traffic_interval": 10.0} | fields
    check = HealthCheck(tcp_health_check=message, unhealthy_threshold=1, healthy_threshold=1, **settings)
    return config_of(A, health_checks=(check,))


PING = TcpHealthCheck(send=Payload(text="70696e67"), receive=(Payload(binary=b"po"), Payload(binary=b"ng")))


async def peer(services, answers):
    """Serve each connection in turn: read `ping`, send the next answer; an empty one closes."""
    for served in count():
        far = await services.network.accept(A, served)
        with suppress(OSError):  # the test closed it
            while await receive_exactly(far, 4) == b"ping":
                answer = answers.pop(0) if len(answers) > 1 else answers[0]
                if not answer:
                    far.close()
                    break
                for part in answer:
                    await send_all(far, part)
                    await trio.sleep(0.1)


def health(cluster):
    return cluster.hosts.hosts[0].flags_text()


async def test_to_connect_is_enough_and_leaves_no_connection(services, autojump_clock):
    async with LiveCluster(checked(TcpHealthCheck()), services) as cluster:
        assert health(cluster) == "healthy"
        await trio.sleep(15)

    assert len(services.network.accepted[A]) == 2
    assert all(far.peer_closed.is_set() for far in services.network.accepted[A])
    assert counted(services)["health_check.success"] == 2
    assert "upstream_cx_total" not in counted(services)  # checks are no traffic


async def test_what_is_sent_does_not_matter_when_nothing_is_expected(services, autojump_clock):
    async with LiveCluster(checked(TcpHealthCheck(send=Payload(text="61"))), services) as cluster:
        assert health(cluster) == "healthy"

    assert services.network.far().recv_into(bytearray(10)) == 0


async def test_a_refused_connection_is_a_network_failure(services, autojump_clock):
    services.network.faults[A] = ConnectionRefusedError(111, "refused")

    async with LiveCluster(checked(TcpHealthCheck()), services) as cluster:
        assert health(cluster) == "/failed_active_hc"

    assert counted(services)["health_check.network_failure"] == 1


async def test_a_connection_that_hangs_is_a_timeout(services, autojump_clock):
    services.network.faults[A] = 60

    async with LiveCluster(checked(TcpHealthCheck()), services) as cluster:
        assert trio.current_time() == 2
        assert health(cluster) == "/failed_active_hc/active_hc_timeout"


async def test_an_answer_in_pieces_on_a_connection_that_is_kept(services, autojump_clock, nursery):
    nursery.start_soon(peer, services, [[b"xxp", b"o..n", b"g"]])

    async with LiveCluster(checked(PING), services) as cluster:
        await trio.sleep(25)
        assert health(cluster) == "healthy"
    nursery.cancel_scope.cancel()

    assert len(services.network.accepted[A]) == 1
    assert counted(services)["health_check.success"] == 3


async def test_a_greeting_that_needs_no_question(services, autojump_clock, nursery):
    async def greet():
        await send_all(await services.network.accept(A, 0), b"220 ready")

    nursery.start_soon(greet)
    greeting = TcpHealthCheck(receive=(Payload(binary=b"220"),))

    async with LiveCluster(checked(greeting), services) as cluster:
        assert health(cluster) == "healthy"


async def test_a_wrong_answer_times_out(services, autojump_clock, nursery):
    nursery.start_soon(peer, services, [[b"pang"]])

    async with LiveCluster(checked(PING), services) as cluster:
        assert health(cluster) == "/failed_active_hc/active_hc_timeout"
        assert services.network.far().peer_closed.is_set()
    nursery.cancel_scope.cancel()


async def test_a_peer_that_closes_is_a_network_failure_and_connected_anew(services, autojump_clock, nursery):
    nursery.start_soon(peer, services, [[b"pong"], [], [b"pong"]])

    async with LiveCluster(checked(PING), services) as cluster:
        await trio.sleep(15)
        assert health(cluster) == "/failed_active_hc"
        await trio.sleep(10)
        assert health(cluster) == "healthy"
    nursery.cancel_scope.cancel()

    assert len(services.network.accepted[A]) == 2


async def test_a_peer_that_closed_between_checks_is_no_failure(services, autojump_clock, nursery):
    nursery.start_soon(peer, services, [[b"pong"]])

    async with LiveCluster(checked(PING), services) as cluster:
        services.network.far().close()
        await trio.sleep(15)
        assert health(cluster) == "healthy"
    nursery.cancel_scope.cancel()

    assert len(services.network.accepted[A]) == 2
    assert "health_check.failure" not in counted(services)


async def test_an_endless_wrong_answer_is_given_up(services, autojump_clock, nursery):
    nursery.start_soon(peer, services, [[b"x" * 65536] * 2])

    async with LiveCluster(checked(PING), services) as cluster:
        assert health(cluster) == "/failed_active_hc"
    nursery.cancel_scope.cancel()

    assert counted(services)["health_check.network_failure"] == 1


def test_bad_payloads_are_refused(services):
    with pytest.raises(ConfigError, match="invalid hex string 'x'"):
        LiveCluster(checked(TcpHealthCheck(send=Payload(text="x"))), services)
