from trio_envoy.config.core import Locality
from trio_envoy.config.endpoint import ClusterLoadAssignment, HealthCheckConfig, HealthStatus


def test_hosts_by_locality(structure):
    made = structure(
        """
        cluster_name: c
        endpoints:
        - locality: {region: r, zone: z}
          lb_endpoints:
          - endpoint:
              hostname: one
              address: {socket_address: {address: 127.0.0.1, port_value: 1}}
              health_check_config: {port_value: 2, hostname: h, disable_active_health_check: true}
            load_balancing_weight: 3
            health_status: draining
        """,
        ClusterLoadAssignment,
    )
    host = made.endpoints[0].lb_endpoints[0]

    assert made.endpoints[0].locality == Locality(region="r", zone="z")
    assert host.load_balancing_weight == 3
    assert host.health_status is HealthStatus.DRAINING
    assert host.endpoint.hostname == "one"
    assert host.endpoint.health_check_config == HealthCheckConfig(
        port_value=2, hostname="h", disable_active_health_check=True
    )


def test_what_an_assignment_may_not_be(faults):
    assert faults("{}", ClusterLoadAssignment.__proto__) == [
        "$.cluster_name: value length must be at least 1 characters"
    ]
    weightless = faults(
        "{cluster_name: c, endpoints: {lb_endpoints: {load_balancing_weight: 0}}}", ClusterLoadAssignment.__proto__
    )
    assert weightless == [
        "$.endpoints[0].lb_endpoints[0].load_balancing_weight: value must be greater than or equal to 1, got 0"
    ]
