"""Extension names: what the older ones mean, and which message an extension takes.

Up to 1.21 Envoy looked an extension up by its `name`; since then only the `@type` of its `typed_config` counts and the
name is free text. This module answers what a name without an `@type` meant: the canonical name by category (short
names such as "envoy.router" are aliases of the time before 1.14), and the message of that extension. The same short
name means different things in different places: "envoy.ext_authz" in `filters` is the network filter, in
`http_filters` the HTTP one.

Source: Envoy 1.14's table of deprecated names; the messages are as the schema table tells them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from trio_envoy.config import schema

HTTP: Final = "envoy.filters.http"
NETWORK: Final = "envoy.filters.network"
LISTENER: Final = "envoy.filters.listener"
UDP_LISTENER: Final = "envoy.filters.udp_listener"
UPSTREAM_SOCKET: Final = "envoy.transport_sockets.upstream"
DOWNSTREAM_SOCKET: Final = "envoy.transport_sockets.downstream"

_SOCKETS: Final = {
    "tls": "envoy.transport_sockets.tls",
    "raw_buffer": "envoy.transport_sockets.raw_buffer",
    "starttls": "envoy.transport_sockets.starttls",
}

ALIASES: Final[Mapping[str, Mapping[str, str]]] = {
    "envoy.access_loggers": {
        "envoy.file_access_log": "envoy.access_loggers.file",
        "envoy.http_grpc_access_log": "envoy.access_loggers.http_grpc",
        "envoy.tcp_grpc_access_log": "envoy.access_loggers.tcp_grpc",
        "envoy.stdout_access_log": "envoy.access_loggers.stdout",
        "envoy.stderr_access_log": "envoy.access_loggers.stderr",
        "envoy.open_telemetry_access_log": "envoy.access_loggers.open_telemetry",
        "envoy.wasm_access_log": "envoy.access_loggers.wasm",
        "envoy.fluentd_access_log": "envoy.access_loggers.fluentd",
    },
    HTTP: {
        "envoy.bandwidth_limit": "envoy.filters.http.bandwidth_limit",
        "envoy.buffer": "envoy.filters.http.buffer",
        "envoy.cors": "envoy.filters.http.cors",
        "envoy.csrf": "envoy.filters.http.csrf",
        "envoy.ext_authz": "envoy.filters.http.ext_authz",
        "envoy.ext_proc": "envoy.filters.http.ext_proc",
        "envoy.fault": "envoy.filters.http.fault",
        "envoy.geoip": "envoy.filters.http.geoip",
        "envoy.grpc_http1_bridge": "envoy.filters.http.grpc_http1_bridge",
        "envoy.grpc_json_transcoder": "envoy.filters.http.grpc_json_transcoder",
        "envoy.grpc_web": "envoy.filters.http.grpc_web",
        "envoy.gzip": "envoy.filters.http.gzip",
        "envoy.health_check": "envoy.filters.http.health_check",
        "envoy.http_dynamo_filter": "envoy.filters.http.dynamo",
        "envoy.ip_tagging": "envoy.filters.http.ip_tagging",
        "envoy.local_rate_limit": "envoy.filters.http.local_ratelimit",
        "envoy.lua": "envoy.filters.http.lua",
        "envoy.rate_limit": "envoy.filters.http.ratelimit",
        "envoy.router": "envoy.filters.http.router",
        "envoy.squash": "envoy.filters.http.squash",
    },
    LISTENER: {
        "envoy.listener.http_inspector": "envoy.filters.listener.http_inspector",
        "envoy.listener.original_dst": "envoy.filters.listener.original_dst",
        "envoy.listener.original_src": "envoy.filters.listener.original_src",
        "envoy.listener.proxy_protocol": "envoy.filters.listener.proxy_protocol",
        "envoy.listener.tls_inspector": "envoy.filters.listener.tls_inspector",
    },
    NETWORK: {
        "envoy.client_ssl_auth": "envoy.filters.network.client_ssl_auth",
        "envoy.echo": "envoy.filters.network.echo",
        "envoy.ext_authz": "envoy.filters.network.ext_authz",
        "envoy.http_connection_manager": "envoy.filters.network.http_connection_manager",
        "envoy.mongo_proxy": "envoy.filters.network.mongo_proxy",
        "envoy.ratelimit": "envoy.filters.network.ratelimit",
        "envoy.redis_proxy": "envoy.filters.network.redis_proxy",
        "envoy.tcp_proxy": "envoy.filters.network.tcp_proxy",
    },
    "envoy.stats_sinks": {
        "envoy.dog_statsd": "envoy.stat_sinks.dog_statsd",
        "envoy.graphite_statsd": "envoy.stat_sinks.graphite_statsd",
        "envoy.metrics_service": "envoy.stat_sinks.metrics_service",
        "envoy.open_telemetry_stat_sink": "envoy.stat_sinks.open_telemetry",
        "envoy.statsd": "envoy.stat_sinks.statsd",
    },
    "envoy.tracers": {
        "envoy.dynamic.ot": "envoy.tracers.dynamic_ot",
        "envoy.lightstep": "envoy.tracers.lightstep",
        "envoy.zipkin": "envoy.tracers.zipkin",
    },
    UPSTREAM_SOCKET: _SOCKETS,
    DOWNSTREAM_SOCKET: _SOCKETS,
    "envoy.http.stateful_header_formatters": {
        "preserve_case": "envoy.http.stateful_header_formatters.preserve_case",
    },
}
"""Category -> {older name: canonical name}."""

GONE: Final[Mapping[str, str]] = {
    "envoy.filters.http.dynamo": "is in Envoy's contrib builds only",
    "envoy.filters.http.squash": "has been removed from Envoy",
    "envoy.filters.network.client_ssl_auth": "is in Envoy's contrib builds only",
    "envoy.filters.network.kafka_broker": "is in Envoy's contrib builds only",
    "envoy.filters.network.mysql_proxy": "is in Envoy's contrib builds only",
    "envoy.filters.network.postgres_proxy": "is in Envoy's contrib builds only",
    "envoy.filters.network.rocketmq_proxy": "is in Envoy's contrib builds only",
    "envoy.tracers.dynamic_ot": "has been removed from Envoy",
    "envoy.tracers.lightstep": "has been removed from Envoy",
    "envoy.tracers.opencensus": "has been removed from Envoy",
}
"""Canonical names of extensions that old files use and Envoy has no longer -> what became of them."""

_UNTOLD: Final[Mapping[str, str]] = {
    "envoy.grpc_credentials.file_based_metadata": "envoy.config.grpc_credential.v3.FileBasedMetadataConfig",
}
"""Config messages of extensions for which the table has no type."""

PROTOCOL_OPTIONS: Final[Mapping[str, str]] = {
    "envoy.filters.network.redis_proxy": "envoy.extensions.filters.network.redis_proxy.v3.RedisProtocolOptions",
    "envoy.filters.network.thrift_proxy": "envoy.extensions.filters.network.thrift_proxy.v3.ThriftProtocolOptions",
}
"""Network filter -> what a cluster's `extension_protocol_options` holds for it."""


def canonical(name: str, *categories: str) -> str:
    """The canonical name for an older one in these categories; any other name is given back as it is."""
    for category in categories:
        found = ALIASES.get(category, {}).get(name)
        if found is not None:
            return found
    return name


def config_type(name: str, *categories: str) -> str | None:
    """Full name of the message that the extension of that (canonical or older) name takes.

    Returns:
        None if Envoy has no such extension in these categories.
    """
    name = canonical(name, *categories)
    for category in categories:
        found = schema.extension(category, name)
        if found is not None:
            return found.types[0] if found.types else _UNTOLD.get(name)
    return None


def route_type(name: str) -> str | None:
    """Full name of the message with which a route overrides the HTTP filter of that (canonical or older) name."""
    found = schema.extension(HTTP, canonical(name, HTTP))
    return found.types[-1] if found is not None and found.types else None


def known_names() -> frozenset[str]:
    """Every name, canonical or older, of an extension that is or was looked up by name."""
    older = {name for names in ALIASES.values() for name in names}
    return frozenset(older | set(GONE) | {each.name for each in schema.extensions()})
