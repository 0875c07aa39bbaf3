"""The operator table: every %COMMAND% that is honoured, and the names of those that only Envoy has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from trio_envoy.errors import ConfigError
from trio_envoy.formatter import connections, requests, streams, times, upstreams
from trio_envoy.formatter.command import Command
from trio_envoy.formatter.inline import Source
from trio_envoy.formatter.operator import Kind, Row, check_syntax

OPERATORS: Final[Mapping[str, Row]] = {
    **requests.ROWS,
    **times.ROWS,
    **streams.ROWS,
    **connections.ROWS,
    **upstreams.ROWS,
}
UNSUPPORTED: Final = frozenset(
    """
    CEL COALESCE DOWNSTREAM_CX_RTT DOWNSTREAM_DETECTED_CLOSE_TYPE DOWNSTREAM_HANDSHAKE_DURATION
    DOWNSTREAM_LOCAL_CLOSE_REASON DOWNSTREAM_LOCAL_DNS_SAN DOWNSTREAM_LOCAL_EMAIL_SAN DOWNSTREAM_LOCAL_IP_SAN
    DOWNSTREAM_LOCAL_OTHERNAME_SAN DOWNSTREAM_LOCAL_SUBJECT DOWNSTREAM_LOCAL_URI_SAN
    DOWNSTREAM_PEER_CHAIN_FINGERPRINTS_1 DOWNSTREAM_PEER_CHAIN_FINGERPRINTS_256 DOWNSTREAM_PEER_CHAIN_SERIALS
    DOWNSTREAM_PEER_ISSUER_FINGERPRINT_256 DOWNSTREAM_PEER_ISSUER_SERIAL DOWNSTREAM_PEER_OTHERNAME_SAN
    DOWNSTREAM_TLS_GROUP FILTER_STATE ROUTE_RESOLUTION_TIME_US UPSTREAM_CLUSTER_RAW
    UPSTREAM_CONNECTION_IDS_ATTEMPTED UPSTREAM_CONNECTION_POOL_READY_DURATION UPSTREAM_DETECTED_CLOSE_TYPE
    UPSTREAM_FILTER_STATE UPSTREAM_LOCAL_CLOSE_REASON UPSTREAM_LOCAL_DNS_SAN UPSTREAM_LOCAL_IP_SAN
    UPSTREAM_LOCAL_URI_SAN UPSTREAM_TLS_GROUP XFCC_VALUE
    """.split()
)


def compile_command(command: Command) -> tuple[Kind, Source]:
    """What the command gives, and how to get it.

    Raises:
        ConfigError: an unknown command, or parameters that it doesn't take.
    """
    row = OPERATORS.get(command.name)
    if row is None:
        if command.name in UNSUPPORTED:
            raise ConfigError(f"operator {command.name} is known to Envoy, not supported here")
        raise ConfigError(f"Not supported field in StreamInfo: {command.name}")
    check_syntax(command, row.takes)
    return row.kind, row.make(command)
