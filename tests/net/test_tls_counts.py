from __future__ import annotations

import ssl

import pytest

from tests.net.tls_pair import client_context, server_context
from trio_envoy.net.stream_info import ConnectionInfo
from trio_envoy.net.tls_counts import SslStats, TlsCounts
from trio_envoy.stats.store import Store


def test_stats_are_there_from_the_start():
    store = Store()
    TlsCounts(store.scope("listener.a."))

    assert store.scope("listener.a.ssl.").block(SslStats).handshake == 0


async def test_ciphers_and_versions_are_counted_with_their_first_handshake(pair_of):
    pair = pair_of(server_context(ssl.TLSVersion.TLSv1_3), client_context())
    assert pair.counters() == {}
    server, _client = await pair.shake()

    assert pair.counters()["versions.TLSv1.3"] == 1
    assert pair.counters()[f"ciphers.{server.info.tls.cipher}"] == 1


@pytest.mark.parametrize(
    ("error", "counted"),
    [
        (ssl.SSLCertVerificationError(), "fail_verify_error"),
        (ssl.SSLEOFError(), ""),
        (ConnectionResetError(104, "reset"), ""),
    ],
)
def test_what_a_failure_counts_as(error, counted):
    store = Store()
    counts = TlsCounts(store.scope("s."))
    error.verify_message = "bad"
    info = ConnectionInfo(1, None, None)
    counts.failed(error, info)

    assert [name for name in ("fail_verify_error", "connection_error") if getattr(counts.stats, name)] == (
        [counted] if counted else []
    )
    assert ("TLS_error" in info.transport_failure) is not isinstance(error, ssl.SSLEOFError)
