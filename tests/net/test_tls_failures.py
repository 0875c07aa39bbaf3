"""Handshakes that fail: what each side says and counts."""

from __future__ import annotations

import socket
import ssl

import pytest
import trio
import trustme

from tests.fakes import receive_some, socket_channel, tcp_pair
from tests.net.tls_pair import CLIENT, VERSIONS, client_context, server_context
from trio_envoy.net.tls import wrap
from trio_envoy.net.tls_counts import TlsCounts
from trio_envoy.stats.store import Store


async def fail(pair):
    """Shake hands on both sides; what each raised."""
    errors = {}

    async def one(name, channel):
        try:
            await channel.shake_hands()
            await receive_some(channel)
        except OSError as error:
            errors[name] = error
        channel.close()

    async with trio.open_nursery() as both:
        both.start_soon(one, "server", pair.server)
        both.start_soon(one, "client", pair.client)
    return errors


async def test_no_version_in_common(pair_of):
    pair = pair_of(server_context(ssl.TLSVersion.TLSv1_3), client_context(ssl.TLSVersion.TLSv1_2))
    await fail(pair)

    assert "UNSUPPORTED_PROTOCOL" in pair.server.info.transport_failure
    assert pair.client.info.transport_failure == (
        "TLS_error:|268436526:SSL routines:OPENSSL_internal:TLSV1_ALERT_PROTOCOL_VERSION:TLS_error_end"
    )
    assert pair.counters() == pair.counters("c.") == {"connection_error": 1}
    assert pair.server.closed
    assert pair.client.closed


async def test_an_authority_that_is_not_trusted(pair_of):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    trustme.CA().configure_trust(context)
    pair = pair_of(client=context)
    await fail(pair)

    assert pair.client.info.transport_failure == (
        "TLS_error:|268435581:SSL routines:OPENSSL_internal:CERTIFICATE_VERIFY_FAILED:verify cert failed: "
        "X509_verify_cert: certificate verification error at depth 0: unable to get local issuer certificate:"
        "TLS_error_end"
    )
    assert pair.counters("c.") == {"fail_verify_error": 1}


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_client_without_the_certificate_that_is_asked_for(pair_of, version):
    pair = pair_of(server_context(version, ask=True), client_context(version))
    await fail(pair)

    assert "peer did not provide required client certificate" in pair.server.info.transport_failure
    assert pair.counters() == {"fail_verify_no_cert": 1}
    assert pair.counters("c.")["connection_error"] == 1


async def test_a_client_with_a_certificate(pair_of):
    pair = pair_of(server_context(ask=True), client_context(cert=CLIENT))
    server, _client = await pair.shake()

    assert server.info.tls.peer_certificate is not None
    assert "no_certificate" not in pair.counters()


async def test_names_that_are_not_wanted(pair_of):
    pair = pair_of()
    asked = []

    def check(names):
        asked.append(sorted(names))
        return "these are not the names"

    async with trio.open_nursery() as both:
        both.start_soon(pair.server.shake_hands)
        with pytest.raises(OSError, match="wrong names"):
            await pair.client.shake_hands(check)

    assert asked == [[("DNS", "a.test"), ("IP Address", "127.0.0.1"), ("IP Address", "::1"), ("email", "me@a.test")]]
    assert "verify cert failed: these are not the names:TLS_error_end" in pair.client.info.transport_failure
    assert pair.counters("c.") == {"fail_verify_san": 1}
    assert pair.client.closed


async def test_names_of_a_peer_without_a_certificate_are_not_asked_for(pair_of):
    pair = pair_of()
    async with trio.open_nursery() as both:
        both.start_soon(pair.client.shake_hands)
        await pair.server.shake_hands(lambda _names: "wrong")

    assert pair.server.info.tls is not None


@pytest.mark.parametrize(
    ("sent", "reason", "counted"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", "HTTP_REQUEST", 1),
        (b"garbage garbage garbage", "WRONG_VERSION_NUMBER", 1),
        (b"", "", 0),
    ],
)
async def test_a_client_that_speaks_no_tls(poller, sent, reason, counted):
    left, right = tcp_pair()
    counts = TlsCounts(Store().scope("s."))
    server = wrap(socket_channel(left, poller), server_context(), counts)
    right.send(sent)
    right.shutdown(socket.SHUT_WR)

    with pytest.raises(OSError):  # noqa: PT011 - TLS's or the end of the stream
        await server.shake_hands()
    assert reason in server.info.transport_failure
    assert bool(server.info.transport_failure) is bool(reason)
    assert counts.stats.connection_error == counted
    assert server.closed
    await trio.lowlevel.wait_readable(right)
    right.recv(100)  # an alert, or the end; no reset
    right.close()


async def test_cancelled_in_the_handshake_it_is_closed(poller):
    left, right = tcp_pair()
    server = wrap(socket_channel(left, poller), server_context(), TlsCounts(Store().scope("s.")))
    with trio.move_on_after(0.01) as scope:
        await server.shake_hands()

    assert scope.cancelled_caught
    assert server.closed
    right.close()


async def test_a_peer_that_has_gone_before(poller):
    left, right = tcp_pair()
    channel = socket_channel(left, poller)
    right.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    right.close()
    await channel.wait_read()

    with pytest.raises(ConnectionResetError):
        await wrap(channel, server_context(), TlsCounts(Store().scope("s."))).shake_hands()
    assert left.fileno() == -1
