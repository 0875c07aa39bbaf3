"""Parts of DnsHosts; what it does is tested with each cluster type (tests/extensions/clusters)."""

import pytest

from tests.upstream.fakes import LiveCluster, address, config_of, endpoint, make_services
from trio_envoy.config.address import SocketAddress
from trio_envoy.config.cluster import DnsLookupFamily
from trio_envoy.config.endpoint import HealthCheckConfig, LbEndpoint, LocalityLbEndpoints
from trio_envoy.errors import ConfigError
from trio_envoy.net.dns import Resolution
from trio_envoy.upstream.resolved import _Target, named_address
from trio_envoy.upstream.resolving import DnsSettings, Follower


def target(lb):
    context = LiveCluster(config_of(), make_services()).cluster.context
    follower = Follower("api", DnsSettings(DnsLookupFamily.AUTO), context, or_nothing=True)
    return _Target(lb, LocalityLbEndpoints(), follower)


def test_named_address(caplog):
    assert named_address(endpoint("api:80")) == SocketAddress(address="api", port_value=80)
    with pytest.raises(ConfigError, match="Address must be set"):
        named_address(LbEndpoint())
    assert named_address(endpoint("/a/pipe")) == SocketAddress()
    assert "a DNS cluster has no use for the pipe" in caplog.text


def test_addresses_are_taken_once_and_in_order():
    found = target(endpoint("api:80")).addresses(Resolution(("10.0.0.2", "10.0.0.1", "10.0.0.2"), 0.0))

    assert found == (address("10.0.0.2:80"), address("10.0.0.1:80"))


def test_a_host_goes_by_its_own_name_or_the_one_that_was_asked_for():
    assert target(endpoint("api:80")).make_host(address("10.0.0.1:80")).hostname == "api"
    assert target(endpoint("api:80", hostname="own")).make_host(address("10.0.0.1:80")).hostname == "own"


def test_a_host_is_checked_where_its_endpoint_says():
    host = target(endpoint("api:80", health_check_config=HealthCheckConfig(port_value=9))).make_host(
        address("10.0.0.1:80")
    )

    assert host.health_check_address == address("10.0.0.1:9")
