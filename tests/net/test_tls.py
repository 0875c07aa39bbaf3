from __future__ import annotations

import socket
import ssl
from functools import partial

import pytest
import trio
import trustme
from trio.testing import wait_all_tasks_blocked

from tests.fakes import receive_all, receive_exactly, receive_some, socket_channel, tcp_pair, unix_pair
from trio_envoy.net.channel import send_all
from trio_envoy.net.tls import SslStats, TlsCounts, is_sni, note_server_name, wrap
from trio_envoy.stats.declare import Kind
from trio_envoy.stats.store import Store

AUTHORITY = trustme.CA()
LEAF = AUTHORITY.issue_cert("a.test", "127.0.0.1", "::1", "me@a.test")
CLIENT = AUTHORITY.issue_cert("client.test")


def server_context(version=None, **options) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    LEAF.configure_cert(context)
    context.sni_callback = note_server_name
    return _configured(context, version, **options)


def client_context(version=None, **options) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    AUTHORITY.configure_trust(context)
    return _configured(context, version, **options)


def _configured(context, version, *, alpn=(), ask=False, cert=None):
    if version is not None:
        context.minimum_version = context.maximum_version = version
    if alpn:
        context.set_alpn_protocols(alpn)
    if ask:
        context.verify_mode = ssl.CERT_REQUIRED
        AUTHORITY.configure_trust(context)
    if cert is not None:
        cert.configure_cert(context)
    return context


VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]


class Pair:
    """A server and a client of ours, not shaken hands yet; `store` has the server's stats under s., the client's c."""

    def __init__(self, poller, server, client, *, pair=tcp_pair, server_name="a.test", session=None):
        left, right = pair()
        self.store = Store()
        self.counts = TlsCounts(self.store.scope("s.")), TlsCounts(self.store.scope("c."))
        self.server = wrap(socket_channel(left, poller), server, self.counts[0])
        self.client = wrap(
            socket_channel(right, poller), client, self.counts[1], server_name=server_name, session=session
        )

    async def shake(self):
        async with trio.open_nursery() as both:
            both.start_soon(self.server.shake_hands)
            both.start_soon(self.client.shake_hands)
        return self.server, self.client

    def counters(self, prefix="s."):
        found = {}
        for batch in self.store.select([Kind.COUNTER], used_only=True):
            found |= {name.removeprefix(f"{prefix}ssl."): value for name, value in batch if name.startswith(prefix)}
        return found


@pytest.fixture(params=[tcp_pair, unix_pair])
def pair_of(request, poller):
    made = []

    def make(server=None, client=None, **options):
        made.append(Pair(poller, server or server_context(), client or client_context(), pair=request.param, **options))
        return made[-1]

    yield make
    for pair in made:
        pair.server.close()
        pair.client.close()


@pytest.fixture
async def shaken(pair_of):
    return await pair_of().shake()


@pytest.mark.parametrize("version", VERSIONS)
async def test_hands_are_shaken_and_told_of(pair_of, version):
    alpn = ["h2", "http/1.1"]
    pair = pair_of(server_context(version, alpn=alpn), client_context(alpn=["http/1.1", "h2"]))
    server, client = await pair.shake()

    for info in (server.info.tls, client.info.tls):
        assert info.version == version.name.replace("v1_", "v1.")
        assert info.alpn == "h2"
        assert info.sni == "a.test"
        assert info.cipher
    cipher = server.info.tls.cipher
    assert pair.counters() == {
        "handshake": 1,
        "no_certificate": 1,
        f"ciphers.{cipher}": 1,
        f"versions.{server.info.tls.version}": 1,
    }
    assert "no_certificate" not in pair.counters("c.")
    assert bool(client.info.tls.session_id) is (version is ssl.TLSVersion.TLSv1_2)
    assert server.info.tls.peer_certificate is None
    assert client.info.tls.peer_certificate == ssl.PEM_cert_to_DER_cert(LEAF.cert_chain_pems[0].bytes().decode())


async def test_bytes_go_both_ways_and_are_counted_above_tls(shaken):
    server, client = shaken
    await send_all(client, b"ping")
    assert await receive_some(server) == b"ping"
    await send_all(server, b"pong")
    assert await receive_some(client) == b"pong"

    for channel in shaken:
        assert (channel.info.bytes_received, channel.info.bytes_sent) == (4, 4)
        assert channel.send(b"") == 0


async def test_bytes_that_come_with_the_handshake_are_not_lost(pair_of):
    pair = pair_of()
    got = []

    async def serve():
        await pair.server.shake_hands()
        await wait_all_tasks_blocked(0.01)
        got.append(await receive_some(pair.server))

    async with trio.open_nursery() as both:
        both.start_soon(serve)
        await pair.client.shake_hands()
        await send_all(pair.client, b"early")

    assert got == [b"early"]


@pytest.mark.parametrize("version", VERSIONS)
async def test_large_bodies_with_a_slow_reader(pair_of, nursery, version):
    server, client = await pair_of(server_context(version), client_context(version)).shake()
    data = bytes(range(256)) * 8192
    nursery.start_soon(send_all, client, data)
    nursery.start_soon(send_all, server, data)
    await wait_all_tasks_blocked(0.01)

    assert await receive_exactly(server, len(data)) == data
    assert await receive_exactly(client, len(data)) == data


async def test_a_full_peer_takes_nothing(shaken):
    _server, client = shaken
    while client.send(bytes(100_000)) == 100_000:
        pass
    assert client.send(bytes(100_000)) == 0


@pytest.mark.parametrize("version", VERSIONS)
async def test_close_is_orderly(pair_of, version):
    server, client = await pair_of(server_context(version), client_context(version)).shake()
    await send_all(client, b"last")
    client.close()

    assert await receive_all(server) == b"last"
    assert server.recv_into(bytearray(1)) == 0
    assert server.info.transport_failure == ""
    server.close()
    client.close()


async def test_both_may_close_in_any_order(shaken):
    server, client = shaken
    client.shutdown_write()
    assert await receive_some(server) == b""
    server.shutdown_write()
    assert await receive_some(client) == b""
    for channel in shaken:
        with pytest.raises(OSError):  # noqa: PT011 - broken pipe or TLS's word for it
            channel.send(b"never in plain text")


async def test_half_close_lets_the_answer_through(shaken):
    server, client = shaken
    await send_all(client, b"request")
    client.shutdown_write()
    assert await receive_all(server) == b"request"

    await send_all(server, b"answer")
    server.close()
    assert await receive_all(client) == b"answer"


async def test_a_rude_end_is_an_end(shaken):
    server, client = shaken
    socket.socket.shutdown(client._tls, socket.SHUT_WR)

    assert await receive_some(server) == b""


async def test_a_reset_is_the_end(poller):
    pair = Pair(poller, server_context(), client_context())
    server, client = await pair.shake()
    client.reset()

    assert await receive_some(server) == b""  # ssl.SSLSocket does not tell the two apart
    server.close()


async def test_a_reset_in_the_handshake_is_told(poller):
    left, right = tcp_pair()
    server = wrap(socket_channel(left, poller), server_context(), TlsCounts(Store().scope("s.")))
    socket_channel(right, poller).reset()

    with pytest.raises(ConnectionResetError):
        await server.shake_hands()
    assert server.info.transport_failure == (
        "TLS_error:|33554536:system library:OPENSSL_internal:Connection reset by peer:TLS_error_end"
    )


async def test_garbage_after_the_handshake_is_an_error(shaken):
    server, client = shaken
    socket.socket.send(client._tls, b"this is not TLS, is it?")

    with pytest.raises(ssl.SSLError):
        await receive_some(server)
    assert "WRONG_VERSION_NUMBER" in server.info.transport_failure


async def test_closed_it_answers_like_a_broken_one(shaken):
    server, _client = shaken
    server.close()

    assert server.closed
    with pytest.raises(OSError, match="Bad file"):
        server.recv_into(bytearray(1))
    with pytest.raises(OSError, match="Bad file"):
        server.send(b"x")
    await server.wait_read()
    await server.wait_write()


async def test_close_while_parked_wakes(shaken, nursery):
    server, _client = shaken
    ended = []

    async def read():
        with pytest.raises(OSError, match="Bad file"):
            await receive_some(server)
        ended.append(1)

    nursery.start_soon(read)
    await wait_all_tasks_blocked(0.01)
    server.close()
    await wait_all_tasks_blocked(0.01)
    assert ended == [1]


class TestFailures:
    async def fail(self, pair):
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

    async def test_no_version_in_common(self, pair_of):
        pair = pair_of(server_context(ssl.TLSVersion.TLSv1_3), client_context(ssl.TLSVersion.TLSv1_2))
        await self.fail(pair)

        assert "UNSUPPORTED_PROTOCOL" in pair.server.info.transport_failure
        assert pair.client.info.transport_failure == (
            "TLS_error:|268436526:SSL routines:OPENSSL_internal:TLSV1_ALERT_PROTOCOL_VERSION:TLS_error_end"
        )
        assert pair.counters() == pair.counters("c.") == {"connection_error": 1}
        assert pair.server.closed
        assert pair.client.closed

    async def test_an_authority_that_is_not_trusted(self, pair_of):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        trustme.CA().configure_trust(context)
        pair = pair_of(client=context)
        await self.fail(pair)

        assert pair.client.info.transport_failure == (
            "TLS_error:|268435581:SSL routines:OPENSSL_internal:CERTIFICATE_VERIFY_FAILED:verify cert failed: "
            "X509_verify_cert: certificate verification error at depth 0: unable to get local issuer certificate:"
            "TLS_error_end"
        )
        assert pair.counters("c.") == {"fail_verify_error": 1}

    @pytest.mark.parametrize("version", VERSIONS)
    async def test_a_client_without_the_certificate_that_is_asked_for(self, pair_of, version):
        pair = pair_of(server_context(version, ask=True), client_context(version))
        await self.fail(pair)

        assert "peer did not provide required client certificate" in pair.server.info.transport_failure
        assert pair.counters() == {"fail_verify_no_cert": 1}
        assert pair.counters("c.")["connection_error"] == 1

    async def test_a_client_with_a_certificate(self, pair_of):
        pair = pair_of(server_context(ask=True), client_context(cert=CLIENT))
        server, _client = await pair.shake()

        assert server.info.tls.peer_certificate is not None
        assert "no_certificate" not in pair.counters()

    async def test_names_that_are_not_wanted(self, pair_of):
        pair = pair_of()
        asked = []

        def check(names):
            asked.append(sorted(names))
            return False

        async with trio.open_nursery() as both:
            both.start_soon(pair.server.shake_hands)
            with pytest.raises(OSError, match="wrong names"):
                await pair.client.shake_hands(check)

        assert asked == [
            [("DNS", "a.test"), ("IP Address", "127.0.0.1"), ("IP Address", "::1"), ("email", "me@a.test")]
        ]
        assert "certificate SANs are [a.test" in pair.client.info.transport_failure
        assert pair.counters("c.") == {"fail_verify_san": 1}
        assert pair.client.closed

    async def test_names_of_a_peer_without_a_certificate_are_not_asked_for(self, pair_of):
        pair = pair_of()
        async with trio.open_nursery() as both:
            both.start_soon(pair.client.shake_hands)
            await pair.server.shake_hands(lambda _names: False)

        assert pair.server.info.tls is not None

    @pytest.mark.parametrize(
        ("sent", "reason", "counted"),
        [
            (b"GET / HTTP/1.1\r\n\r\n", "HTTP_REQUEST", 1),
            (b"garbage garbage garbage", "WRONG_VERSION_NUMBER", 1),
            (b"", "", 0),
        ],
    )
    async def test_a_client_that_speaks_no_tls(self, poller, sent, reason, counted):
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
        right.close()

    async def test_cancelled_in_the_handshake_it_is_closed(self, poller):
        left, right = tcp_pair()
        server = wrap(socket_channel(left, poller), server_context(), TlsCounts(Store().scope("s.")))
        with trio.move_on_after(0.01) as scope:
            await server.shake_hands()

        assert scope.cancelled_caught
        assert server.closed
        right.close()

    async def test_a_peer_that_has_gone_before(self, poller):
        left, right = tcp_pair()
        channel = socket_channel(left, poller)
        right.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        right.close()
        await channel.wait_read()

        with pytest.raises(OSError, match="not connected"):
            wrap(channel, server_context(), TlsCounts(Store().scope("s.")))
        assert left.fileno() == -1


class TestReadable:
    @pytest.mark.parametrize("version", VERSIONS)
    async def test_idle_is_not_and_tickets_are_nothing(self, pair_of, version):
        server, client = await pair_of(server_context(version), client_context(version)).shake()
        await send_all(server, b"answer")
        assert await receive_exactly(client, 6) == b"answer"
        await wait_all_tasks_blocked(0.01)

        assert not client.readable()
        assert not server.readable()

    async def test_data_is_and_is_not_lost(self, shaken):
        server, client = shaken
        await send_all(client, b"data")
        await server.wait_read()

        while not server.readable():
            await server.wait_read()
        assert server.readable()
        assert await receive_exactly(server, 4) == b"data"
        assert server.info.bytes_received == 4

    async def test_the_end_is(self, shaken):
        server, client = shaken
        client.close()
        while not server.readable():
            await server.wait_read()

        assert server.readable()
        assert await receive_some(server) == b""

    async def test_an_error_is(self, shaken):
        server, client = shaken
        socket.socket.send(client._tls, b"this is not TLS, is it?")
        while not server.readable():
            await server.wait_read()

        assert server.readable()


async def test_on_gone_works_through_tls(shaken):
    server, client = shaken
    gone = trio.Event()
    server.on_gone = gone.set
    socket.socket.shutdown(client._tls, socket.SHUT_RDWR)

    with trio.fail_after(2):
        await gone.wait()


@pytest.mark.parametrize("version", VERSIONS)
async def test_sessions_are_resumed(pair_of, version):
    server_side, client_side = server_context(version), client_context(version)
    kept = []
    first = pair_of(server_side, client_side)
    server, client = await first.shake()
    client.keep_session(kept.append)
    await send_all(server, b"x")
    await receive_some(client)
    client.close()
    assert kept

    again = pair_of(server_side, client_side, session=kept[-1])
    await again.shake()
    assert again.counters()["session_reused"] == again.counters("c.")["session_reused"] == 1
    assert "session_reused" not in first.counters()


async def test_the_other_direction_that_openssl_wants_is_waited_for(shaken, monkeypatch):
    """A key update may make a read want to write, and a write want to read."""
    server, client = shaken
    wants = [ssl.SSLWantWriteError(), ssl.SSLWantReadError()]

    def wanting(call, *args):
        if wants:
            raise wants.pop(0)
        return call(*args)

    server._recv_into = partial(wanting, server._recv_into)
    server.can_read = True
    assert server.recv_into(bytearray(1)) is None
    with trio.fail_after(2):
        await server.wait_read()

    server._send = partial(wanting, server._send)
    assert server.send(b"x") == 0
    await send_all(client, b"y")
    with trio.fail_after(2):
        await server.wait_write()
    assert server.send(b"x") == 1
    assert await receive_some(server) == b"y"


async def test_it_talks_to_trios_own_tls(poller):
    left, right = tcp_pair()
    server = wrap(socket_channel(left, poller), server_context(), TlsCounts(Store().scope("s.")))
    stream = trio.SSLStream(
        trio.SocketStream(trio.socket.from_stdlib_socket(right)), client_context(), server_hostname="a.test"
    )

    async def serve():
        await server.shake_hands()
        await send_all(server, await receive_exactly(server, 300_000))
        server.close()

    async with trio.open_nursery() as both:
        both.start_soon(serve)
        both.start_soon(stream.send_all, bytes(300_000))
        received = 0
        while part := await stream.receive_some():
            received += len(part)
        await stream.aclose()

    assert received == 300_000


@pytest.mark.parametrize(
    ("name", "fits"),
    [("a.test", True), ("a_b", True), ("bücher.example", True), ("a..b", False), (".a", False), ("a" * 64, False)],
)
def test_names_for_sni(name, fits):
    assert is_sni(name) is fits


def test_stats_are_there_from_the_start():
    store = Store()
    TlsCounts(store.scope("listener.a."))

    assert store.scope("listener.a.ssl.").block(SslStats).handshake == 0
