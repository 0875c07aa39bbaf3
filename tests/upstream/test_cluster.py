import pytest
import trio

from tests.fakes import receive_some
from tests.upstream.fakes import LiveCluster, config_of, counted, endpoint, make_services
from trio_envoy.config.cluster import CircuitBreakers, CircuitBreakersThresholds, CommonLbConfig
from trio_envoy.config.core import RoutingPriority
from trio_envoy.config.endpoint import HealthStatus
from trio_envoy.config.runtime_layers import AdminLayer, LayeredRuntime, RuntimeLayer
from trio_envoy.config.types import Percent
from trio_envoy.errors import UpstreamFailure
from trio_envoy.http.body import read_all
from trio_envoy.http.headers import Headers
from trio_envoy.http.message import Request
from trio_envoy.net.channel import send_all
from trio_envoy.net.stream_info import UH
from trio_envoy.upstream.context import HIGH, LbContext, NoHealthyUpstream
from trio_envoy.upstream.host import HealthFlag

A, B = "10.0.0.1:80", "10.0.0.2:80"


def cluster_of(services, *endpoints, **fields):
    return LiveCluster(config_of(*endpoints, **fields), services).cluster


async def test_no_host(services):
    cluster = cluster_of(services)

    with pytest.raises(NoHealthyUpstream) as caught:
        await cluster.open(LbContext())

    assert (caught.value.reason, caught.value.flag, caught.value.sent) == ("no healthy upstream", UH, False)
    assert counted(services) == {"upstream_cx_none_healthy": 1, "lb_healthy_panic": 1}


async def test_no_healthy_host_and_no_panic(services):
    common = CommonLbConfig(healthy_panic_threshold=Percent(value=0.0))
    cluster = cluster_of(services, endpoint(A, health_status=HealthStatus.UNHEALTHY), common_lb_config=common)
    context = LbContext()

    with pytest.raises(NoHealthyUpstream):
        await cluster.open(context)

    assert context.host is None
    assert "lb_healthy_panic" not in counted(services)


async def test_requests_are_shared_by_the_hosts(services, autojump_clock):
    async with LiveCluster(config_of(A, B), services) as cluster:
        hosts = []
        for _ in range(4):
            context = LbContext()
            await cluster.open(context)
            hosts.append(context.host)

        assert {host.rq_total for host in cluster.hosts.hosts} == {2}
        assert hosts[0] is hosts[2] is not hosts[1]


async def test_priorities_have_breakers_and_connections_of_their_own(services, autojump_clock):
    thresholds = (
        CircuitBreakersThresholds(max_requests=0),
        CircuitBreakersThresholds(priority=RoutingPriority.HIGH, max_requests=1),
    )
    config = config_of(A, circuit_breakers=CircuitBreakers(thresholds=thresholds))
    async with LiveCluster(config, services) as cluster:
        with pytest.raises(UpstreamFailure, match="overflow"):
            await cluster.open(LbContext())

        await cluster.open(LbContext(priority=HIGH))

        assert cluster.breakers[HIGH].requests.count == 1
        assert counted(services)["upstream_cx_total"] == 2


async def test_the_runtime_changes_limits_at_once(monkeypatch, autojump_clock):
    runtime = LayeredRuntime(layers=(RuntimeLayer(name="admin", admin_layer=AdminLayer()),))
    services = make_services(runtime=runtime)
    cluster = cluster_of(services, A)

    services.runtime.modify({"circuit_breakers.c.default.max_pending_requests": "0"})

    with pytest.raises(UpstreamFailure, match="overflow"):
        await cluster.open(LbContext())


def test_maintenance(autojump_clock):
    runtime = LayeredRuntime(layers=(RuntimeLayer(name="admin", admin_layer=AdminLayer()),))
    services = make_services(runtime=runtime)
    cluster = cluster_of(services, A)
    assert not cluster.in_maintenance()

    services.runtime.modify({"upstream.maintenance_mode.other": "100"})
    assert not cluster.in_maintenance()
    services.runtime.modify({"upstream.maintenance_mode.c": "100"})
    assert cluster.in_maintenance()
    services.runtime.modify({"upstream.maintenance_mode.c": "50"})
    assert 400 < sum(cluster.in_maintenance() for _ in range(1000)) < 600


def test_the_panic_threshold_of_the_runtime_wins():
    runtime = LayeredRuntime(layers=(RuntimeLayer(name="l", static_layer={"upstream.healthy_panic_threshold": 0}),))
    services = make_services(runtime=runtime)
    cluster = cluster_of(services, endpoint(A, health_status=HealthStatus.UNHEALTHY))

    assert cluster._balancer(LbContext()) is None


def test_membership_is_counted(services):
    cluster = cluster_of(
        services,
        A,
        endpoint(B, health_status=HealthStatus.UNHEALTHY),
        endpoint("10.0.0.3:80", health_status=HealthStatus.DEGRADED),
    )

    assert (
        counted(services).items()
        >= {
            "membership_change": 1,
            "membership_degraded": 1,
            "membership_healthy": 1,
            "membership_total": 3,
        }.items()
    )
    assert not cluster.looping


def test_responses_are_counted_outside_and_inside(services):
    cluster = cluster_of(services, A)
    (host,) = cluster.hosts.hosts

    cluster.charge_response(host, 200)
    cluster.charge_response(host, 503)
    cluster.charge_response(None, 503)
    cluster.charge_response(host, 404, internal=True)

    counts = {name: value for name, value in counted(services).items() if "upstream_rq" in name}
    assert counts == {
        "upstream_rq_completed": 4,
        "upstream_rq_200": 1,
        "upstream_rq_2xx": 1,
        "upstream_rq_404": 1,
        "upstream_rq_4xx": 1,
        "upstream_rq_503": 2,
        "upstream_rq_5xx": 2,
        "external.upstream_rq_completed": 3,
        "external.upstream_rq_200": 1,
        "external.upstream_rq_2xx": 1,
        "external.upstream_rq_503": 2,
        "external.upstream_rq_5xx": 2,
        "internal.upstream_rq_completed": 1,
        "internal.upstream_rq_404": 1,
        "internal.upstream_rq_4xx": 1,
    }
    assert (host.rq_success, host.rq_error) == (2, 1)


def test_canaries_and_retries(services):
    cluster = cluster_of(services, A)
    (host,) = cluster.hosts.hosts

    cluster.charge_response(host, 200, canary=True)
    cluster.charge_retry(503)
    host.canary = True
    cluster.charge_response(host, 200)

    counts = counted(services)
    assert counts["canary.upstream_rq_200"] == counts["canary.upstream_rq_completed"] == 2
    assert (counts["retry.upstream_rq_503"], counts["retry.upstream_rq_5xx"]) == (1, 1)
    assert counts["upstream_rq_completed"] == 2


@pytest.mark.parametrize(("ours", "theirs", "counts"), [("z1", "z2", 1), ("", "z2", None), ("z1", "", None)])
def test_zones(ours, theirs, counts):
    services = make_services(zone=ours)
    cluster = cluster_of(services, A, locality={"zone": theirs})

    cluster.charge_response(cluster.hosts.hosts[0], 200)
    cluster.charge_time(cluster.hosts.hosts[0], 5)

    assert counted(services).get("zone.z1.z2.upstream_rq_200") == counts
    assert ("cluster.c.zone.z1.z2.upstream_rq_time" in {name for name, *_ in services.stats}) is bool(counts)


def test_times(services):
    cluster = cluster_of(services, A)
    (host,) = cluster.hosts.hosts

    cluster.charge_time(host, 5.5)
    cluster.charge_time(None, 7, internal=True)
    cluster.charge_time(host, 9, canary=True)
    services.stats.flush()

    values = {
        name: sum(services.stats.value(f"cluster.c.{name}").total.values())
        for name in (
            "upstream_rq_time",
            "external.upstream_rq_time",
            "internal.upstream_rq_time",
            "canary.upstream_rq_time",
        )
    }
    assert list(values.values()) == [3, 2, 1, 1]


@pytest.mark.parametrize(("internal", "name"), [(True, "internal"), (False, "external")])
def test_a_request_may_have_its_own_name_for_its_codes(services, internal, name):
    cluster = cluster_of(services, A)

    for _ in range(2):
        cluster.counts_as("mine", internal=internal).count(503)

    counts = counted(services)
    assert counts["mine.upstream_rq_503"] == counts[f"mine.{name}.upstream_rq_503"] == 2


def test_alt_stat_name(services):
    cluster = cluster_of(services, A, alt_stat_name="other")

    assert cluster.stats.membership_total == 1
    assert counted(services, "cluster.other.")["membership_total"] == 1
    assert counted(services, "cluster.c.") == {}


async def exchange(services, cluster, answer=b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"):
    """A GET to the only host, answered; the stream is not released yet."""
    stream = await cluster.open(LbContext())
    async with trio.open_nursery() as tasks:
        tasks.start_soon(serve_one, services.network.far(), answer)
        response = await stream.exchange(Request(b"GET", b"a", b"/", b"http", Headers()), None, None)
        body = await read_all(response.body, 100) if response.body is not None else b""
    return stream, response.status, body


async def serve_one(far, answer):
    assert (await receive_some(far)).startswith(b"GET / HTTP/1.1\r\nhost: a\r\n")
    await send_all(far, answer)


async def test_an_exchange_and_another_one_on_its_connection(services, autojump_clock):
    async with LiveCluster(config_of(A), services) as cluster:
        for _ in range(2):
            stream, status, body = await exchange(services, cluster)
            assert (status, body) == (200, b"ok")
            stream.release()

        assert counted(services).items() >= {"upstream_cx_total": 1, "upstream_rq_total": 2}.items()
        assert stream.reused
        assert cluster.stats.upstream_rq_active == 0


async def test_a_response_that_ends_with_its_connection(services, autojump_clock):
    async with LiveCluster(config_of(A), services) as cluster:
        stream, _, _ = await exchange(services, cluster, b"HTTP/1.1 204 X\r\nconnection: close\r\n\r\n")
        stream.release()

        assert counted(services).items() >= {"upstream_cx_close_notify": 1, "upstream_cx_destroy_local": 1}.items()
        assert cluster.stats.upstream_cx_active == 0


async def test_a_failed_host_loses_its_connections(services, autojump_clock):
    async with LiveCluster(config_of(A), services) as cluster:
        stream, _, _ = await exchange(services, cluster)
        (host,) = cluster.hosts.hosts

        host.flags |= int(HealthFlag.FAILED_ACTIVE_HC)
        cluster._health_changed(host)

        assert not stream.channel.closed  # it is not released
        stream.release()
        assert stream.channel.closed
        assert host.cx_active == 0


async def test_close_gives_up_connections_and_stats(services, autojump_clock):
    live = LiveCluster(config_of(A), services)
    async with live as cluster:
        cluster.close()

    assert [name for name, *_ in services.stats] == []


def test_a_cluster_without_health_checks_ignores_requests_to_fail(services):
    cluster = cluster_of(services, A)

    cluster.fail_health(cluster.hosts.hosts[0])

    assert cluster.hosts.hosts[0].healthy


async def test_run_returns_for_a_cluster_with_nothing_to_do(services):
    with trio.fail_after(1):
        await cluster_of(services, A).run()
