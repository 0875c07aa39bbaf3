from types import SimpleNamespace

from trio_envoy.config.core import Locality
from trio_envoy.config.endpoint import HealthStatus
from trio_envoy.net.address import IpAddress, PipeAddress
from trio_envoy.server.admin.endpoint_dump import assignment
from trio_envoy.upstream.host import Host, HostSet

POLICY = {"overprovisioning_factor": 140}
TYPE = "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment"


def a_cluster(*hosts):
    return SimpleNamespace(name="c", hosts=HostSet.of(hosts))


def test_no_hosts():
    assert assignment(a_cluster()) == {"@type": TYPE, "cluster_name": "c", "policy": POLICY}


def test_hosts_are_grouped_by_locality_in_order_of_names():
    z = Host(IpAddress("127.0.0.1", 1), locality=Locality(region="z", zone="1"))
    a = Host(IpAddress("127.0.0.1", 2), locality=Locality(region="a"), weight=4)
    z2 = Host(PipeAddress("/tmp/x"), locality=Locality(region="z", zone="1"))

    tree = assignment(a_cluster(z, a, z2))

    assert [one["locality"] for one in tree["endpoints"]] == [{"region": "a"}, {"region": "z", "zone": "1"}]
    assert [len(one["lb_endpoints"]) for one in tree["endpoints"]] == [1, 2]
    assert tree["endpoints"][0]["lb_endpoints"][0]["load_balancing_weight"] == 4
    assert tree["endpoints"][1]["lb_endpoints"][1]["endpoint"]["address"] == {"pipe": {"path": "/tmp/x"}}


def test_priorities_come_first():
    second = Host(IpAddress("127.0.0.1", 1), locality=Locality(region="a"), priority=1)
    first = Host(IpAddress("127.0.0.1", 2), locality=Locality(region="z"))

    places = assignment(a_cluster(second, first))["endpoints"]

    assert [(one["locality"]["region"], one.get("priority")) for one in places] == [("z", None), ("a", 1)]


def test_health():
    hosts = [
        Host(IpAddress("127.0.0.1", 1), status=status)
        for status in (HealthStatus.UNKNOWN, HealthStatus.DEGRADED, HealthStatus.DRAINING, HealthStatus.UNHEALTHY)
    ]

    (place,) = assignment(a_cluster(*hosts))["endpoints"]

    words = [one["health_status"] for one in place["lb_endpoints"]]
    assert words == ["HEALTHY", "DEGRADED", "UNHEALTHY", "UNHEALTHY"]


def test_hostname_and_health_check_address():
    host = Host(IpAddress("127.0.0.1", 1), hostname="h")
    host.health_check_address = IpAddress("127.0.0.1", 77)
    host.health_check_host = "check.test"

    (place,) = assignment(a_cluster(host))["endpoints"]

    assert place["lb_endpoints"][0]["endpoint"] == {
        "address": {"socket_address": {"address": "127.0.0.1", "port_value": 1}},
        "health_check_config": {"port_value": 77, "hostname": "check.test"},
        "hostname": "h",
    }
