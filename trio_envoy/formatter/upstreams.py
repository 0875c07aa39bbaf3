"""Operators that read what happened upstream: UPSTREAM_HOST, UPSTREAM_CLUSTER, attempts.

Source: Envoy, configuration/observability/access_log/usage; formatter/stream_info_formatter.cc; measured.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from operator import attrgetter
from typing import Any, Final

from trio_envoy.formatter.context import LogContext
from trio_envoy.formatter.inline import Inline
from trio_envoy.formatter.operator import Kind, Row, one_word, plain

_Render = Callable[[Any], str]
"""From an upstream.host.Host (a floor above) to text."""


def _address(host: Any) -> str:
    return str(host.address)


def _ip(host: Any) -> str:
    return str(host.address.ip)


def _name(host: Any) -> str:
    """The hostname; an endpoint given by its address goes by that."""
    return str(host.hostname or host.address)


def _name_without_port(host: Any) -> str:
    if not host.hostname:
        return _ip(host)
    name, colon, port = str(host.hostname).rpartition(":")
    return str(name if colon and port.isdigit() else host.hostname)


def _host(render: _Render) -> Row:
    def get(context: LogContext) -> bytes | None:
        host = context.info.upstream_host
        return None if host is None else render(host).encode()

    return plain(Kind.TEXT, get)


def _attempted(render: _Render) -> Row:
    def get(context: LogContext) -> bytes | None:
        hosts = context.info.hosts_attempted
        return ",".join(map(render, hosts)).encode() if hosts else None

    return plain(Kind.TEXT, get)


def _text(attribute: str) -> Row:
    """A str of StreamInfo, "" for none."""
    read = attrgetter(f"info.{attribute}")
    return plain(Kind.TEXT, lambda context: read(context).encode() or None)


def _connection_id(context: LogContext) -> int:
    """0 when no connection was used, as in Envoy."""
    connection = context.info.upstream_connection
    return 0 if connection is None else connection.id


def _server_name(context: LogContext) -> bytes | None:
    connection = context.info.upstream_connection
    return None if connection is None or connection.tls is None else connection.tls.sni.encode() or None


ROWS: Final[Mapping[str, Row]] = {
    "UPSTREAM_HOST": plain(
        Kind.TEXT, Inline("(host.address.text if (host := info.upstream_host) is not None else {missing})")
    ),
    "UPSTREAM_HOST_NAME": _host(_name),
    "UPSTREAM_HOST_NAME_WITHOUT_PORT": _host(_name_without_port),
    "UPSTREAM_HOSTS_ATTEMPTED": _attempted(_address),
    "UPSTREAM_HOSTS_ATTEMPTED_WITHOUT_PORT": _attempted(_ip),
    "UPSTREAM_HOST_NAMES_ATTEMPTED": _attempted(_name),
    "UPSTREAM_HOST_NAMES_ATTEMPTED_WITHOUT_PORT": _attempted(_name_without_port),
    "UPSTREAM_CLUSTER": _text("upstream_cluster"),
    "UPSTREAM_CONNECTION_ID": plain(Kind.COUNT, _connection_id),
    "UPSTREAM_PROTOCOL": _text("upstream_protocol"),
    "UPSTREAM_REQUEST_ATTEMPT_COUNT": plain(Kind.COUNT, attrgetter("info.upstream_attempts")),
    "UPSTREAM_SERVER_NAME": plain(Kind.TEXT, _server_name),
    "UPSTREAM_TRANSPORT_FAILURE_REASON": plain(
        Kind.TEXT, lambda context: one_word(context.info.upstream_transport_failure)
    ),
}
