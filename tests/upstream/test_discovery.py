import attrs
import pytest

from tests.upstream.fakes import LiveCluster, address, config_of, counted, endpoint
from trio_envoy.config.address import Address, SocketAddress
from trio_envoy.config.cluster import Cluster as ClusterConfig
from trio_envoy.config.cluster import CustomClusterType, DiscoveryType
from trio_envoy.config.core import Metadata
from trio_envoy.config.endpoint import (
    ClusterLoadAssignment,
    Endpoint,
    HealthCheckConfig,
    LbEndpoint,
    LocalityLbEndpoints,
)
from trio_envoy.errors import ConfigError
from trio_envoy.net.address import PipeAddress
from trio_envoy.upstream.discovery import check_address


def cluster_of(services, *endpoints, **fields):
    return LiveCluster(config_of(*endpoints, **fields), services).cluster


@pytest.mark.parametrize("kind", [DiscoveryType.EDS, DiscoveryType.ORIGINAL_DST])
def test_other_types_are_refused_by_name(services, kind):
    with pytest.raises(ConfigError, match=f"type {kind} is not supported here"):
        cluster_of(services, "10.0.0.1:80", type=kind)


def test_a_cluster_type_that_is_none_is_refused(services):
    with pytest.raises(ConfigError, match="cluster factory implementation for name: 'x'"):
        cluster_of(services, cluster_type=CustomClusterType(name="x", typed_config=object()))


def test_a_host_has_what_its_endpoint_says(services):
    check = HealthCheckConfig(port_value=81, hostname="check", disable_active_health_check=True)
    cluster = cluster_of(
        services,
        endpoint("10.0.0.1:80", hostname="one", load_balancing_weight=3, health_check_config=check),
        "10.0.0.2:80",
        locality={"region": "r", "zone": "z"},
    )

    first, second = cluster.hosts.hosts
    assert (first.hostname, first.weight, first.locality.zone) == ("one", 3, "z")
    assert first.health_check_address == address("10.0.0.1:81")
    assert (first.health_check_host, first.checked) == ("check", False)
    assert (second.hostname, second.weight, second.health_check_address) == ("", 1, address("10.0.0.2:80"))
    assert counted(services)["default.total_match_count"] == 2


@pytest.mark.parametrize(
    ("metadata", "canary"),
    [
        (None, False),
        (Metadata(filter_metadata={"envoy.lb": {"canary": True}}), True),
        (Metadata(filter_metadata={"envoy.lb": {"canary": "true"}}), False),
        (Metadata(filter_metadata={"other": {"canary": True}}), False),
    ],
)
def test_canary(services, metadata, canary):
    cluster = cluster_of(services, endpoint("10.0.0.1:80", metadata=metadata))

    assert cluster.hosts.hosts[0].canary is canary


def test_priority(services):
    groups = tuple(
        LocalityLbEndpoints(lb_endpoints=(endpoint(f"10.0.0.{level}:80"),), priority=level) for level in (2, 0)
    )
    config = ClusterConfig(name="c", load_assignment=ClusterLoadAssignment(endpoints=groups))

    hosts = LiveCluster(config, services).cluster.hosts

    assert [host.priority for host in hosts.hosts] == [2, 0]
    assert [len(each.hosts) for each in hosts.by_priority()] == [1, 0, 1]


def test_check_address():
    other = Address(socket_address=SocketAddress(address="10.0.0.9", port_value=99))

    assert check_address(None, address("10.0.0.1:80")) == address("10.0.0.1:80")
    assert check_address(HealthCheckConfig(address=other), address("10.0.0.1:80")) == address("10.0.0.9:99")
    assert check_address(HealthCheckConfig(address=other, port_value=1), address("10.0.0.1:80")) == address(
        "10.0.0.9:1"
    )


def test_a_pipe_has_no_health_check_port():
    with pytest.raises(ConfigError, match="non-zero port for non-IP address"):
        check_address(HealthCheckConfig(port_value=1), PipeAddress("/x"))


@pytest.mark.parametrize("lb", [LbEndpoint(), LbEndpoint(endpoint=Endpoint())])
def test_an_endpoint_needs_an_address(services, lb):
    with pytest.raises(ConfigError, match="Address must be set"):
        cluster_of(services, lb)


def test_configs_are_not_changed(services):
    config = config_of("10.0.0.1:80")
    before = attrs.asdict(config)

    LiveCluster(config, services)

    assert attrs.asdict(config) == before
