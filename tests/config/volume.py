"""A big configuration: so many clusters, and a route to each of them.

`python tests/config/volume.py 5000 > big.yaml` writes one; the benchmark times how long it takes to validate, here and
with a real Envoy.
"""

import sys

_HEAD = """\
admin:
  address:
    socket_address: {address: 127.0.0.1, port_value: 0}
static_resources:
  listeners:
  - name: listener_0
    address:
      socket_address: {address: 127.0.0.1, port_value: 0}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: ingress_http
          http_filters:
          - name: envoy.filters.http.router
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router
          route_config:
            name: local_route
            virtual_hosts:
            - name: local_service
              domains: ["*"]
              routes:
"""
_ROUTE = """\
              - match:
                  prefix: "/service/{number}/"
                route:
                  cluster: cluster_{number}
                  timeout: 5s
"""
_CLUSTER = """\
  - name: cluster_{number}
    type: STATIC
    connect_timeout: 0.25s
    lb_policy: ROUND_ROBIN
    load_assignment:
      cluster_name: cluster_{number}
      endpoints:
      - lb_endpoints:
        - endpoint:
            address:
              socket_address:
                address: 127.0.0.1
                port_value: {port}
"""


def volume(count: int) -> str:
    """YAML with `count` clusters and `count` routes."""
    routes = (_ROUTE.format(number=number) for number in range(count))
    clusters = (_CLUSTER.format(number=number, port=10_000 + number % 50_000) for number in range(count))
    return "".join((_HEAD, *routes, "  clusters:\n", *clusters))


if __name__ == "__main__":
    sys.stdout.write(volume(int(sys.argv[1]) if len(sys.argv) > 1 else 5000))
