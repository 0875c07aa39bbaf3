"""What is counted of TLS: `ssl.*` statistics of a listener or a cluster.

Names: Envoy, common/tls/stats.h; docs: configuration/listeners/stats, "TLS statistics".
"""

from __future__ import annotations

import ssl

from trio_envoy.net.stream_info import ConnectionInfo, TlsInfo
from trio_envoy.net.tls_errors import NO_CERTIFICATE, VERIFY_FAILED, failure_text, reason_of
from trio_envoy.stats.declare import Counter, StatsBlock
from trio_envoy.stats.store import Cell, Scope


class SslStats(StatsBlock):
    """`ssl.*` of a listener or a cluster. Counters by cipher and version come with their first handshake."""

    connection_error: Counter
    fail_verify_cert_hash: Counter
    fail_verify_error: Counter
    fail_verify_no_cert: Counter
    fail_verify_san: Counter
    handshake: Counter
    no_certificate: Counter
    ocsp_staple_failed: Counter
    ocsp_staple_omitted: Counter
    ocsp_staple_requests: Counter
    ocsp_staple_responses: Counter
    session_reused: Counter


class SecretStats(StatsBlock):
    """`server_ssl_socket_factory.*` or `client_ssl_socket_factory.*`: secrets that come later (SDS)."""

    downstream_context_secrets_not_ready: Counter
    ssl_context_update_by_sds: Counter
    upstream_context_secrets_not_ready: Counter


class TlsCounts:
    """What is counted of the TLS connections of one owner.

    Attributes:
        stats: `ssl.*`.
    """

    def __init__(self, scope: Scope) -> None:
        """Under the `listener.<address>.` or `cluster.<name>.` scope."""
        self._scope = scope.scope("ssl.")
        self.stats = self._scope.block(SslStats)
        self._cells: dict[str, Cell] = {}

    def shaken(self, sock: ssl.SSLObject, info: TlsInfo) -> None:
        """A handshake has succeeded."""
        stats = self.stats
        stats.handshake += 1
        if sock.session_reused:
            stats.session_reused += 1
        if info.peer_certificate is None:
            stats.no_certificate += 1
        self._count(f"ciphers.{info.cipher}")
        self._count(f"versions.{info.version}")

    def _count(self, name: str) -> None:
        cell = self._cells.get(name)
        if cell is None:
            cell = self._cells[name] = self._scope.counter(name)
        cell.value += 1

    def failed(self, error: OSError, info: ConnectionInfo) -> None:
        """Something went wrong: say why, count it."""
        info.transport_failure = failure_text(error)
        reason = reason_of(error)
        if reason == VERIFY_FAILED:
            self.stats.fail_verify_error += 1
        elif reason == NO_CERTIFICATE:
            self.stats.fail_verify_no_cert += 1
        elif reason:
            self.stats.connection_error += 1
