"""A whole server: what compiling finds, in which order it starts, how it ends."""

import gc
import socket
import textwrap

import pytest
import trio

from tests.waiting import eventually
from trio_envoy.config.loader import load
from trio_envoy.errors import ConfigErrors
from trio_envoy.net.sockets import BindError, Network, NetworkTable
from trio_envoy.registry import config_class
from trio_envoy.server.command_line import CommandLine
from trio_envoy.server.lifecycle import State
from trio_envoy.server.server import Server
from trio_envoy.stats.query import parse
from trio_envoy.stats.render import render

ADMIN = "admin: {address: {socket_address: {address: 127.0.0.1, port_value: 0}}}\n"
SLOW = """
static_resources:
  clusters:
  - name: slow
    type: STRICT_DNS
    load_assignment:
      cluster_name: slow
      endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: slow.test, port_value: 1}}}}]}]
  listeners:
  - name: l
    address: {socket_address: {address: 127.0.0.1, port_value: 0}}
    filter_chains:
    - filters:
      - {name: echo, typed_config: {'@type': type.googleapis.com/envoy.extensions.filters.network.echo.v3.Echo}}
"""


def a_server(config, *, network=None, **options):
    return Server(load("", textwrap.dedent(config), resolve=config_class), CommandLine(**options), network=network)


@pytest.fixture(autouse=True)
def _unfrozen():
    yield
    gc.unfreeze()


def test_compiling_collects_the_faults_of_all_parts():
    config = """
    admin:
      address: {socket_address: {address: 127.0.0.1, port_value: 0}}
      allow_paths: [{safe_regex: {regex: "["}}]
    static_resources:
      clusters: [{name: a}, {name: a}]
      listeners:
      - {name: l, address: {socket_address: {address: not an address, port_value: 1}}}
    """

    with pytest.raises(ConfigErrors) as caught:
        a_server(config)

    assert [fault.path for fault in caught.value.faults] == [
        ("admin", "allow_paths", 0, "safe_regex", "regex"),
        ("static_resources", "clusters", 1, "name"),
        ("static_resources", "listeners", 0),
        ("static_resources", "listeners", 0, "address", "socket_address", "address"),
    ]
    assert [fault.line for fault in caught.value.faults] == [4, 6, 8, 8]


FAULTS = """
stats_flush_interval: 1s
stats_flush_on_admin: true  # F
layered_runtime:
  layers:
  - name: a
    static_layer: {a: [1]}  # F
stats_config:
  stats_tags:
  - tag_name: t
    regex: "(a"  # F
admin:
  address: {socket_address: {address: 127.0.0.1, port_value: 0}}
  access_log_path: /no/such/directory/log  # F
static_resources:
  clusters:
  - name: one
    lb_policy: RING_HASH  # F
    max_requests_per_connection: 1  # F
    common_http_protocol_options: {max_requests_per_connection: 2}
    health_checks:
    - timeout: 1s
      interval: 1s
      unhealthy_threshold: 1
      healthy_threshold: 1
      http_health_check:
        path: /
        request_headers_to_remove: [host]  # F
    transport_socket:
      name: tls
      typed_config:
        "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext
        common_tls_context:
          tls_params:
            ecdh_curves: [P-12]  # F
          validation_context:
            trusted_ca: {filename: /no/such/file}  # F
    load_assignment:
      cluster_name: one
      endpoints:
      - lb_endpoints:
        - endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: 1}}}
        - endpoint: {address: {socket_address: {address: host.test, port_value: 1}}}  # F
        - endpoint: {address: {socket_address: {address: other.test, port_value: 1}}}  # F
  - name: two
  - name: two  # F
  listeners:
  - name: l
    address: {socket_address: {address: a.test, port_value: 1}}  # F
    additional_addresses:
    - address: {socket_address: {address: b.test, port_value: 1}}  # F
    access_log:
    - name: a
      typed_config:
        "@type": type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog
        path: /no/such/directory/log  # F
    filter_chains:
    - filter_chain_match: {destination_port: 1}
      transport_socket:
        name: tls
        typed_config:  # F
          "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext
      filters:
      - name: hcm
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: a
          codec_type: HTTP3  # F
          internal_address_config:
            cidr_ranges:
            - address_prefix: nonsense  # F
          access_log:
          - name: a
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.access_loggers.stream.v3.StdoutAccessLog
              log_format: {text_format_source: {inline_string: "%NOPE%"}}  # F
          route_config:
            request_headers_to_remove: [host]  # F
            virtual_hosts:
            - name: a
              domains: ["*"]
              request_headers_to_add:
              - header: {key: host, value: a}  # F
              - header: {key: a, value: "%NOPE%"}  # F
              routes:
              - match: {prefix: /one}
                route: {cluster: one}  # its own faults are enough
              - match: {prefix: /}
                route: {cluster: nowhere}  # F
              - match: {safe_regex: {regex: "["}}  # F
                route: {cluster: two}
            - name: b
              domains: ["*"]  # F
          http_filters:
          - name: router
            disabled: true  # F
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router
    - filters:
      - name: hcm
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: b
          route_config:
            virtual_hosts:
            - name: a
              domains: [a.test, b.test, a.test, b.test]  # F
              routes:
              - match: {prefix: /}
                route: {weighted_clusters: {clusters: [{weight: 1}, {weight: 1, name: nowhere}]}}  # F
          http_filters:
          - name: router
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router
"""


def test_all_faults_of_a_file_come_at_once_each_in_its_place():
    with pytest.raises(ConfigErrors) as caught:
        a_server(FAULTS)

    marked = {number for number, line in enumerate(FAULTS.splitlines(), 1) if line.endswith("# F")}
    assert sorted({fault.line for fault in caught.value.faults}) == sorted(marked), str(caught.value)
    assert all(fault.column for fault in caught.value.faults)


def test_flags_win_over_the_node_of_the_file():
    config = "node: {id: of file, cluster: of file, locality: {zone: of file}}"

    options = a_server(config, service_node="of flag").services.options

    assert (options.service_node, options.service_cluster, options.service_zone) == ("of flag", "of file", "of file")


def test_tags_of_the_command_line_join_those_of_the_file():
    config = "stats_config: {stats_tags: [{tag_name: a, fixed_value: '1'}]}"

    store = a_server(config, stats_tag=["b:2"]).services.stats

    text = "".join(render(store, parse({"filter": "^server.live$"}, prometheus=True)).pieces)
    assert 'envoy_server_live{a="1",b="2"}' in text


def test_a_stats_matcher_is_heeded_from_the_first_stat_on():
    config = "stats_config: {stats_matcher: {exclusion_list: {patterns: [{prefix: server.}]}}}"

    store = a_server(config).services.stats

    with pytest.raises(KeyError):
        store.value("server.live")
    assert store.value("listener_manager.listener_added") == 0


async def test_listeners_wait_until_clusters_are_warm_and_admin_does_not():
    network, asked = Network(), trio.Event()
    answer = trio.Event()
    real = network.resolve

    async def resolve(name, family, **more):
        asked.set()
        await answer.wait()
        return await real("127.0.0.1", family, **more)

    network.resolve = resolve
    server = a_server(ADMIN + SLOW, network=network)
    assert server.lifecycle.state is State.PRE_INITIALIZING
    async with trio.open_nursery() as tasks:
        tasks.start_soon(server.run)
        await asked.wait()
        await eventually(lambda: server.admin.address.port)
        async with await trio.open_tcp_stream("127.0.0.1", server.admin.address.port) as stream:
            await stream.send_all(b"GET /ready HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
            assert b"503 Service Unavailable" in await stream.receive_some()
        assert server.lifecycle.state is State.INITIALIZING

        answer.set()
        await eventually(lambda: server.lifecycle.state is State.LIVE)
        server.lifecycle.stop()


async def test_a_port_in_use_is_told_before_clusters_are_warm():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        network = Network()

        async def never(*_, **__):
            await trio.sleep_forever()

        network.resolve = never
        config = SLOW.replace("port_value: 0", f"port_value: {port}")
        server = a_server(config, network=network)

        with pytest.RaisesGroup(BindError, allow_unwrapped=True, flatten_subgroups=True), trio.fail_after(5):
            await server.run()


async def test_the_table_stands_for_the_network():
    table = NetworkTable.of({}, {"0.0.0.0:80": "127.0.0.1:0"}, {})
    config = SLOW.split("  clusters:")[0] + "  listeners:" + SLOW.split("  listeners:")[1]
    server = a_server(config.replace("127.0.0.1, port_value: 0", "0.0.0.0, port_value: 80"), network=Network(table))
    async with trio.open_nursery() as tasks:
        await tasks.start(server.run)
        address = server.listeners.listeners[0].addresses[0]
        assert (address.host, address.port != 80) == ("127.0.0.1", True)
        async with await trio.open_tcp_stream("127.0.0.1", address.port) as stream:
            await stream.send_all(b"echo")
            assert await stream.receive_some() == b"echo"
        server.lifecycle.stop()


async def test_stop_ends_it_with_connections_open_and_log_files_flushed(tmp_path):
    config = ADMIN.replace("{address", f"{{access_log_path: {tmp_path / 'log'}, address", 1)
    server = a_server(config)
    with trio.fail_after(5):
        async with trio.open_nursery() as tasks:
            await tasks.start(server.run)
            stream = await trio.open_tcp_stream("127.0.0.1", server.admin.address.port)
            await stream.send_all(b"GET /ready HTTP/1.1\r\nhost: a\r\n\r\n")
            await stream.receive_some()
            server.lifecycle.stop()
    await stream.aclose()

    assert "GET /ready" in (tmp_path / "log").read_text()


async def test_histograms_are_flushed_at_the_interval(autojump_clock):
    server = a_server("stats_flush_interval: 2s")
    async with trio.open_nursery() as tasks:
        await tasks.start(server.run)
        histogram = server.stats.initialization_time_ms
        assert not histogram.used
        await trio.sleep(1.9)
        assert not histogram.used
        await trio.sleep(0.2)
        assert histogram.used
        assert server.stats.uptime >= 0
        server.lifecycle.stop()


async def test_stats_of_name_servers_are_there_only_when_something_is_resolved():
    static = a_server("static_resources: {clusters: [{name: a}]}").services.stats
    resolved = a_server(SLOW).services.stats

    with pytest.raises(KeyError):
        static.value("dns.cares.resolve_total")
    assert resolved.value("dns.cares.resolve_total") == 0
