from __future__ import annotations

import re
import shutil
import socket
import ssl
import subprocess
import weakref

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from tests.fakes import receive_all, receive_exactly, receive_some, socket_channel, tcp_pair
from tests.net.tls_pair import LEAF, VERSIONS, Pair, client_context, server_context
from trio_envoy.net.channel import send_all, send_rest
from trio_envoy.net.poller import Pollable
from trio_envoy.net.tls import is_sni, wrap
from trio_envoy.net.tls_counts import TlsCounts
from trio_envoy.stats.store import Store


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


async def test_what_was_taken_is_told_by_the_record(shaken):
    server, client = shaken
    data = bytes(range(256)) * 40_000
    sent = client.send(data)
    assert 0 < sent < len(data)
    assert sent % 16384 == 0
    assert client.info.bytes_sent == sent

    async with trio.open_nursery() as both:
        both.start_soon(send_rest, client, data, sent)
        assert await receive_exactly(server, len(data)) == data


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
    socket.socket.shutdown(client._sock, socket.SHUT_WR)

    assert await receive_some(server) == b""


async def test_a_reset_is_the_end(poller):
    pair = Pair(poller, server_context(), client_context())
    server, client = await pair.shake()
    client.reset()

    assert await receive_some(server) == b""
    assert "Connection reset by peer" in server.info.transport_failure
    server.close()


async def test_a_reset_that_nobody_has_read_is_told_too(poller):
    pair = Pair(poller, server_context(), client_context())
    server, client = await pair.shake()
    gone = trio.Event()
    server.on_gone = gone.set
    client.reset()
    if poller.edges:
        await gone.wait()
    server.close()

    assert ("Connection reset by peer" in server.info.transport_failure) is poller.edges


@pytest.mark.parametrize("how", ["close", "shutdown_write"])
async def test_other_ends_are_no_resets(poller, how):
    pair = Pair(poller, server_context(), client_context(ssl.TLSVersion.TLSv1_2))
    server, client = await pair.shake()
    getattr(client, how)()

    assert await receive_some(server) == b""
    assert server.info.transport_failure == ""
    server.close()
    client.close()


async def test_nothing_is_sent_to_a_peer_that_has_ended_without_a_word(poller):
    pair = Pair(poller, server_context(), client_context(ssl.TLSVersion.TLSv1_2))
    server, client = await pair.shake()
    socket.socket.shutdown(client._sock, socket.SHUT_WR)

    assert await receive_some(server) == b""
    with pytest.raises(BlockingIOError):
        socket.socket.recv(client._sock, 1)
    server.close()
    client.close()


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
    socket.socket.send(client._sock, b"this is not TLS, is it?")

    with pytest.raises(ssl.SSLError):
        await receive_some(server)
    assert "WRONG_VERSION_NUMBER" in server.info.transport_failure


async def test_sending_to_a_peer_that_was_reset_is_an_error(shaken):
    server, client = shaken
    client.reset()

    with pytest.raises(OSError):  # noqa: PT011 - broken pipe or reset
        await send_all(server, bytes(20_000_000))


async def test_nothing_here_is_none_without_asking(shaken):
    server, _client = shaken
    server.can_read = False

    assert server.recv_into(bytearray(1)) is None


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


class TestReadable:
    @pytest.mark.parametrize("version", VERSIONS)
    async def test_idle_is_not_and_tickets_are_nothing(self, pair_of, version):
        server, client = await pair_of(server_context(version), client_context(version)).shake()
        await send_all(server, b"answer")
        assert await receive_exactly(client, 6) == b"answer"
        await wait_all_tasks_blocked(0.01)

        assert not client.readable()
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
        socket.socket.send(client._sock, b"this is not TLS, is it?")
        while not server.readable():
            await server.wait_read()

        assert server.readable()


async def test_on_gone_works_through_tls(shaken):
    server, client = shaken
    gone = trio.Event()
    server.on_gone = gone.set
    socket.socket.shutdown(client._sock, socket.SHUT_RDWR)

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


async def test_a_handshake_may_wait_to_write(pair_of, monkeypatch):
    pair = pair_of()
    full = [BlockingIOError()]
    real = pair.client._send

    def send(data):
        if full:
            raise full.pop()
        return real(data[:100])

    async def room(channel):
        channel.can_write = True

    pair.client._send = send
    monkeypatch.setattr(Pollable, "wait_write", room)
    await pair.shake()

    assert pair.client.can_write
    assert not full


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


async def test_bytes_of_their_own(shaken):
    server, client = shaken
    await send_all(client, b"abcdef")
    while (data := server.recv(4)) is None:
        await server.wait_read()

    assert data == b"abcd"
    assert server.recv(4) == b"ef"
    assert server.recv(4) is None
    client.close()
    while (data := server.recv(4)) is None:
        await server.wait_read()
    assert data == b""


async def test_records_that_came_together_are_read_together(shaken):
    server, client = shaken
    client.send(b"one, ")
    client.send(b"two")
    await server.wait_read()
    buffer = bytearray(100)

    assert server.recv_into(buffer) == 8
    assert buffer[:8] == b"one, two"
    assert server.recv_into(buffer) is None


async def test_an_error_behind_good_bytes_comes_with_the_next_read(shaken):
    server, client = shaken
    client._tls.write(b"good")
    client._sock.send(client._outgoing.read() + b"this is not TLS, is it?")
    assert await receive_some(server) == b"good"

    with pytest.raises(ssl.SSLError):
        await receive_some(server)
    assert "WRONG_VERSION_NUMBER" in server.info.transport_failure


async def test_a_reader_may_send_what_a_writer_has_begun(shaken, nursery):
    """TLS's own words (an answer to a key update) go out with a read; what waits goes before them, and once."""
    server, client = shaken
    data = bytes(range(256)) * 40_000
    sent = client.send(data)
    assert client._begun
    received = b""
    while client._unsent:
        client._answer()
        received += await receive_some(server)
    assert client._begun
    nursery.start_soon(send_rest, client, data, sent)

    assert received + await receive_exactly(server, len(data) - len(received)) == data


@pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl")
async def test_a_key_update_is_answered(poller, nursery):
    listener = socket.create_server(("127.0.0.1", 0))
    client = await trio.lowlevel.open_process(
        ["openssl", "s_client", "-connect", f"127.0.0.1:{listener.getsockname()[1]}", "-tls1_3", "-msg"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    await trio.lowlevel.wait_readable(listener)
    accepted, _ = listener.accept()
    accepted.setblocking(False)
    server = wrap(socket_channel(accepted, poller), server_context(), TlsCounts(Store().scope("s.")))
    await server.shake_hands()
    await trio.sleep(0.05)  # a line must come alone
    await client.stdin.send_all(b"K\n")
    await trio.sleep(0.05)
    await client.stdin.send_all(b"after it\n")
    assert await receive_exactly(server, 9) == b"after it\n"
    await send_all(server, b"and back\n")
    said = b""
    while b"and back\n" not in said:
        said += await client.stdout.receive_some()
    assert re.search(rb">>> TLS 1.3, Handshake .*KeyUpdate", said)
    assert re.search(rb"<<< TLS 1.3, Handshake .*KeyUpdate", said)

    server.close()
    listener.close()
    await client.stdin.aclose()
    await client.wait()
    await client.stdout.aclose()


async def test_a_closed_one_keeps_no_tls_state(shaken):
    server, _client = shaken
    library = weakref.ref(server._tls)
    server.close()

    assert library() is None
    server.shutdown_write()
    assert server.readable()


async def test_closed_in_the_handshake_it_is_broken(pair_of, nursery):
    pair = pair_of()

    async def shake():
        with pytest.raises(OSError, match="Bad file"):
            await pair.server.shake_hands()

    async with trio.open_nursery() as waiting:
        waiting.start_soon(shake)
        await wait_all_tasks_blocked(0.01)
        pair.server.close()
