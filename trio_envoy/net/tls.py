"""TLS on the data path: a channel over a non-blocking ssl.SSLSocket, handshakes on both sides, `ssl.*` statistics.

Rules:
1. OpenSSL reads one record at a time, so a short read says nothing: can_read stays set until it wants more.
2. Of what send() did not take a record may be half written: the next send() begins with the same bytes (Channel.send).
3. A renegotiation is refused, so the two directions do not wait for each other once the hands are shaken; where OpenSSL
   wants the other direction all the same (a key update), Trio's own wait_readable and wait_writable are used.
4. What the TLS library says of a failure goes into info.transport_failure and is counted, in the handshake and later.
5. To the ssl module a reset is an end like any other; what it was, the socket tells.
"""

from __future__ import annotations

import contextlib
import errno
import socket
import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

from trio.lowlevel import wait_readable, wait_writable

from trio_envoy.net.address import AF_UNIX, parse_ip
from trio_envoy.net.channel import Buffer, Channel
from trio_envoy.net.poller import TURNS, Poller
from trio_envoy.net.socket_channel import SocketChannel
from trio_envoy.net.stream_info import ConnectionInfo, TlsInfo
from trio_envoy.net.tls_errors import NO_CERTIFICATE, VERIFY_FAILED, failure_text, reason_of, wrong_names_text
from trio_envoy.stats.declare import Counter, StatsBlock
from trio_envoy.stats.store import Cell, Scope

_TCP_INFO: Final[int | None] = getattr(socket, "TCP_INFO", None)  # Linux
_TCP_CLOSE: Final = 7  # tcpi_state, the first byte; after a FIN it is CLOSE_WAIT
_RECORD_BYTES: Final = 16384  # the most that a record holds (RFC 8446, section 5.1)


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

    def shaken(self, sock: ssl.SSLSocket, info: TlsInfo) -> None:
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


Names = Sequence[tuple[str, str]]
"""(kind, text) of each subject alternative name of a certificate; kinds are those of ssl.SSLSocket.getpeercert()."""
NameCheck = Callable[[Names], str]
"""Tells what is wrong with the names of a certificate, in Envoy's words; "" when nothing is."""


class TlsChannel(SocketChannel):
    """A channel (net.channel.Channel) on an SSLSocket."""

    __slots__ = (
        "_at_end",
        "_counts",
        "_early",
        "_on_session",
        "_read_wants_write",
        "_shaken",
        "_tls",
        "_write_wants_read",
    )

    def __init__(self, sock: ssl.SSLSocket, poller: Poller, info: ConnectionInfo, counts: TlsCounts) -> None:
        """Not shaken hands yet.

        Args:
            sock: non-blocking; the channel owns it.
            poller: of this worker.
            info: of the connection.
            counts: of the owner.
        """
        super().__init__(sock, poller, info)
        self._tls = sock
        self._counts = counts
        self._early = b""  # readable() had to read it
        self._at_end = False
        self._shaken = False
        self._read_wants_write = False
        self._write_wants_read = False
        self._on_session: Callable[[ssl.SSLSession], None] | None = None

    async def shake_hands(self, check_names: NameCheck | None = None) -> None:
        """Do it; info.tls is set afterwards.

        Args:
            check_names: what is wrong with the names of the peer's certificate? Not asked when it has presented none.

        Raises:
            OSError: it failed; info.transport_failure says why, it is counted, and the channel is closed.

        Cancelled: the channel is closed.
        """
        try:
            while True:
                try:
                    self._tls.do_handshake()
                    break
                except ssl.SSLWantReadError:
                    self.can_read = False
                    await self.wait_read()
                except ssl.SSLWantWriteError:
                    self.can_write = False
                    await self.wait_write()
        except OSError as error:
            self._counts.failed(error, self.info)
            if not self.info.transport_failure and _was_reset(self._tls):
                self._counts.failed(ConnectionResetError(errno.ECONNRESET, ""), self.info)
            self._discard()
            self.close()
            raise
        except BaseException:
            self.close()
            raise
        tls = self.info.tls = _tls_info(self._tls)
        if check_names is not None and tls.peer_certificate is not None:
            self._check_names(check_names)
        self._shaken = True
        self._counts.shaken(self._tls, tls)

    def _discard(self) -> None:
        """Read what the peer sent: unread bytes would turn the close, and the alert before it, into a reset."""
        with contextlib.suppress(OSError):
            for _ in range(TURNS):
                if socket.socket.recv_into(self._tls, self.poller.buffer) < len(self.poller.buffer):
                    break

    def _check_names(self, check_names: NameCheck) -> None:
        wrong = check_names(_names(self._tls.getpeercert() or {}))
        if wrong:
            self._counts.stats.fail_verify_san += 1
            self.info.transport_failure = wrong_names_text(wrong)
            self._discard()
            self.close()
            raise OSError(errno.EPERM, "the peer has the wrong names")

    def keep_session(self, keep: Callable[[ssl.SSLSession], None]) -> None:
        """Hand over the session, for later connections: now, or (TLS 1.3, where it comes later) at the end."""
        session = self._tls.session
        if self._tls.version() == "TLSv1.3":
            self._on_session = keep
        elif session is not None:
            keep(session)

    def recv_into(self, buffer: bytearray | memoryview) -> int | None:
        """Bytes read; 0 at the end, orderly (close_notify) or not; None when nothing is here."""
        if not self.can_read:
            return None
        if self._early:
            buffer[:1], self._early = self._early, b""
            self.info.bytes_received += 1
            return 1
        if self._at_end:
            return 0
        try:
            received = self._recv_into(buffer)
        except ssl.SSLWantReadError:
            self.can_read = False
            return None
        except ssl.SSLWantWriteError:
            self.can_read = False
            self._read_wants_write = True
            return None
        except OSError as error:
            return self._broken(error)
        if not received:
            self._note_end()
        self.info.bytes_received += received
        return received

    def recv(self, limit: int) -> bytes | None:
        """As recv_into, into bytes of its own."""
        view = self.poller.view[:limit]
        received = self.recv_into(view)
        return None if received is None else view[:received].tobytes()

    def send(self, data: Buffer) -> int:
        """Bytes taken; rule 2."""
        total = len(data)
        sent = 0
        try:
            if total <= _RECORD_BYTES:
                sent = self._send(data) if total else 0
            else:  # OpenSSL takes a piece whole or not at all
                view = memoryview(data)
                while sent < total:
                    sent += self._send(view[sent : sent + _RECORD_BYTES])
        except ssl.SSLWantWriteError:
            self.can_write = False
        except ssl.SSLWantReadError:
            self.can_write = False
            self._write_wants_read = True
        except OSError as error:
            self._broken(error)
            raise
        self.info.bytes_sent += sent
        return sent

    def _broken(self, error: OSError) -> int:
        """0 where the peer has closed in good order; otherwise count and raise."""
        if isinstance(error, ssl.SSLZeroReturnError):
            self._note_end()
            return 0
        if not self.closed:
            self._shaken = False  # no close_notify on a broken connection
            self._counts.failed(error, self.info)
        raise error

    def wait_read(self) -> Awaitable[None]:
        """Return when recv_into is worth a try."""
        return self._wait_read_as_write() if self._read_wants_write else super().wait_read()

    def wait_write(self) -> Awaitable[None]:
        """Return when send is worth a try."""
        return self._wait_write_as_read() if self._write_wants_read else super().wait_write()

    async def _wait_read_as_write(self) -> None:
        self._read_wants_write = False
        await wait_writable(self.fd)
        self.can_read = True

    async def _wait_write_as_read(self) -> None:
        self._write_wants_read = False
        await wait_readable(self.fd)
        self.can_write = True

    def readable(self) -> bool:
        """Something waits to be read. Reads it, to tell data from what TLS says to itself (tickets)."""
        if self._early or self._at_end:
            return True
        if not self.can_read and self.poller.edges:
            return False
        try:
            self._early = self._tls.recv(1)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            self.can_read = False
            return False
        except OSError:
            self.can_read = True
            return True
        self.can_read = True
        if not self._early:
            self._note_end()
        return True

    def shutdown_write(self) -> None:
        """Send close_notify, then FIN."""
        self._say_goodbye()
        with contextlib.suppress(OSError):
            socket.socket.shutdown(self._tls, socket.SHUT_WR)  # SSLSocket.shutdown would go on in plain text

    def close(self) -> None:
        """Send close_notify if that goes at once, then close."""
        if not self.closed:
            if self._on_session is not None and (session := self._tls.session) is not None:
                self._on_session(session)
            if self.ended and not self._at_end:
                self._note_end()
            self._say_goodbye()
            self._at_end = False
            super().close()

    def _note_end(self) -> None:
        """The peer has ended: rule 5."""
        self._at_end = self.ended = True
        if self._shaken and _was_reset(self._tls):
            self._shaken = False
            self._counts.failed(ConnectionResetError(errno.ECONNRESET, ""), self.info)

    def reset(self) -> None:
        """Close with RST, and no close_notify."""
        self._shaken = False
        super().reset()

    def _say_goodbye(self) -> None:
        if self._shaken:
            self._shaken = False
            with contextlib.suppress(OSError, ValueError):  # it wants to read the peer's answer: not awaited
                self._tls.unwrap()
                self._at_end = True


def wrap(
    channel: Channel,
    context: ssl.SSLContext,
    counts: TlsCounts,
    *,
    server_name: str | None = None,
    session: ssl.SSLSession | None = None,
) -> TlsChannel:
    """TLS on a connected channel, which is used up; hands are to be shaken next.

    Args:
        channel: on a socket.
        context: it says which side we are.
        counts: of the owner.
        server_name: SNI of a client; one that is_sni() takes.
        session: of a client, to resume.

    Raises:
        OSError: the peer has gone.
    """
    assert isinstance(channel, SocketChannel), "TLS needs a socket below it"
    info, poller = channel.info, channel.poller
    raw = channel.take_socket()
    try:
        raw.getpeername()  # SSLSocket would lose the descriptor of a connection that is no more
        sock = context.wrap_socket(
            raw,
            server_side=context.protocol is ssl.PROTOCOL_TLS_SERVER,
            do_handshake_on_connect=False,
            server_hostname=server_name,
            session=session,
        )
    except BaseException:
        raw.close()
        raise
    return TlsChannel(sock, poller, info, counts)


def _was_reset(sock: socket.socket) -> bool:
    """Whether a connection that has ended was reset; False where the system does not tell."""
    if _TCP_INFO is None or sock.family == AF_UNIX:
        return False
    return sock.getsockopt(socket.IPPROTO_TCP, _TCP_INFO, 1)[0] == _TCP_CLOSE


def is_sni(name: str) -> bool:
    """Whether a name can be sent as SNI."""
    try:
        name.encode("idna")
    except UnicodeError:
        return False
    return not name.startswith(".")


def note_server_name(sock: ssl.SSLObject | ssl.SSLSocket, name: str | None, _context: ssl.SSLContext) -> None:
    """Set as context.sni_callback: remember which name the client asked for."""
    sock.requested_name = name  # type: ignore[union-attr] # an attribute of ours


def _names(certificate: Mapping[str, Any]) -> Names:
    return [
        (kind, (parse_ip(text.strip()) or text) if kind == "IP Address" else text)
        for kind, text in certificate.get("subjectAltName", ())
    ]


def _tls_info(sock: ssl.SSLSocket) -> TlsInfo:
    cipher = sock.cipher()
    version = sock.version() or ""
    session = sock.session if version != "TLSv1.3" and not sock.server_side else None
    return TlsInfo(
        version=version,
        cipher=cipher[0] if cipher is not None else "",
        sni=(sock.server_hostname if not sock.server_side else getattr(sock, "requested_name", "")) or "",
        alpn=sock.selected_alpn_protocol() or "",
        session_id=session.id.hex() if session is not None else "",
        peer_certificate=sock.getpeercert(binary_form=True),
    )
