"""TLS on the data path: a channel over ssl.SSLObject and a socket, handshakes on both sides.

The TLS library reads and writes memory (ssl.MemoryBIO), and one call of the socket brings all that has come: a record
costs one system call instead of two, and it is known whether more waits without a try that fails.

Rules:
1. What came and was not read yet is with the TLS library (`_held`); as long as it may be, can_read stays set.
2. Of what send() did not take a piece may be encrypted and half sent: the next send() begins with the same bytes
   (Channel.send). Only whole pieces count as taken.
3. Whatever the TLS library has to say in its own right (answers to key updates, alerts) goes out after the call that
   made it; what the socket does not take then goes before the next piece.
4. What the TLS library says of a failure goes into info.transport_failure and is counted, in the handshake and later.
5. After the handshake a reset is an end like any other to who reads; what it was, the socket tells.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import os
import socket
import ssl
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from trio_envoy.net.address import AF_UNIX, parse_ip
from trio_envoy.net.channel import Buffer, Channel
from trio_envoy.net.poller import TURNS
from trio_envoy.net.socket_channel import SocketChannel
from trio_envoy.net.stream_info import TlsInfo
from trio_envoy.net.tls_counts import TlsCounts
from trio_envoy.net.tls_errors import wrong_names_text

_TCP_INFO: Final[int | None] = getattr(socket, "TCP_INFO", None)  # Linux
_TCP_CLOSE: Final = 7  # tcpi_state, the first byte; after a FIN it is CLOSE_WAIT
_READ_BYTES: Final = 32 * 1024  # of the socket at a time; two records (RFC 8446, section 5.1)
_PIECE_BYTES: Final = 64 * 1024  # encrypted and sent at a time
_NOTHING: Final = ssl.MemoryBIO()  # of closed channels


Names = Sequence[tuple[str, str]]
"""(kind, text) of each subject alternative name of a certificate; kinds are those of ssl.SSLObject.getpeercert()."""
NameCheck = Callable[[Names], str]
"""Tells what is wrong with the names of a certificate, in Envoy's words; "" when nothing is."""


class TlsChannel(SocketChannel):
    """A channel (net.channel.Channel) that encrypts what goes through a socket."""

    __slots__ = (
        "_at_end",
        "_begun",
        "_counts",
        "_decrypt",
        "_early",
        "_encrypt",
        "_failure",
        "_held",
        "_incoming",
        "_on_session",
        "_outgoing",
        "_shaken",
        "_tls",
        "_unsent",
    )

    def __init__(
        self,
        below: SocketChannel,
        counts: TlsCounts,
        make: Callable[[ssl.MemoryBIO, ssl.MemoryBIO], ssl.SSLObject],
    ) -> None:
        """Not shaken hands yet.

        Args:
            below: takes the socket of this channel, which is over then.
            counts: of the owner.
            make: TLS between two buffers, of what came in and of what shall go out.
        """
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = make(self._incoming, self._outgoing)
        super().__init__(below.sock, below.poller, below.info, below=below)
        self._decrypt: Callable[..., int] = self._tls.read  # type: ignore[assignment] # into a buffer it is a number
        self._encrypt: Callable[[Buffer], int] = self._tls.write
        self._counts = counts
        self._held = False  # records, or a part of one, may be with the TLS library
        self._unsent: bytes | memoryview = b""  # made records that the socket has not taken
        self._failure: OSError | None = None  # met behind bytes that were good
        self._begun = 0  # bytes of the plain text that they stand for, not told as taken yet
        self._early = b""  # readable() had to read it
        self._at_end = False
        self._shaken = False
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
            await self._shake_hands()
        except OSError as error:
            self._counts.failed(error, self.info)
            self._answer()
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

    async def _shake_hands(self) -> None:
        """Step by step; a server begins with waiting, which saves a step."""
        done = False
        waits = self._tls.server_side
        while not done:
            while waits and not self._feed():
                if self._at_end:
                    raise _end_in_handshake(self._sock)
                await self.wait_read()
            waits = True
            try:
                self._tls.do_handshake()
                done = True
            except ssl.SSLWantReadError:
                pass
            try:
                while not self._flush():
                    await self.wait_write()
            except ConnectionError:
                if not (done and self._tls.server_side):  # the client is content and has gone: it wants no tickets
                    raise
        if self.closed:
            raise _bad_descriptor()
        self._held = self._incoming.pending > 0
        self.can_read |= self._held

    def _discard(self) -> None:
        """Read what the peer sent: unread bytes would turn the close, and the alert before it, into a reset."""
        with contextlib.suppress(OSError):
            for _ in range(TURNS):
                if self._recv_into(self.poller.buffer) < len(self.poller.buffer):
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
            received: int | None = 1
        else:
            received = self._read(buffer)
        if received:
            self.info.bytes_received += received
        return received

    def recv(self, limit: int) -> bytes | None:
        """As recv_into, into bytes of its own."""
        view = self.poller.view
        if limit < len(view):
            view = view[:limit]
        received = self.recv_into(view)
        return None if received is None else view[:received].tobytes()

    def _read(self, buffer: bytearray | memoryview) -> int | None:
        """As recv_into, and not counted."""
        for _ in range(TURNS):  # what TLS says to itself may come without an end
            if self._at_end:
                return 0
            try:
                if self._failure is not None:
                    raise self._failure
                if self._held or self._feed():
                    size = len(buffer)
                    received = self._decrypt(size, buffer)
                    if received and received != size and not self._incoming.pending:
                        self._held = False
                    elif received:
                        received += self._read_on(buffer, received)
                    else:
                        self._note_end()
                    if self._outgoing.pending:
                        self._answer()
                    return received
            except ssl.SSLWantReadError:  # there was a part of a record, or nothing but TLS's own
                self._held = False
                self._answer()
            except OSError as error:
                return self._broken(error)
            if not self.can_read:
                return None
        return None

    def _read_on(self, buffer: bytearray | memoryview, begin: int) -> int:
        """More has come than one record, or than was asked for: fill the buffer from `begin`."""
        rest = memoryview(buffer)[begin:]
        received = 0
        try:
            while rest:
                more = self._decrypt(len(rest), rest)
                if not more:
                    break
                received += more
                rest = rest[more:]
        except ssl.SSLWantReadError:
            self._held = False
            return received
        except OSError as error:
            self._failure = error  # the next call's
        self.can_read = True
        return received

    def _answer(self) -> None:
        """Send what TLS says of itself (to a key update, of an error); what does not go, goes before the next data."""
        with contextlib.suppress(OSError):
            self._flush()

    def _feed(self) -> bool:
        """Take bytes from the socket to the TLS library; False when there are none."""
        if not self.can_read:
            return False
        try:
            data = self._recv(_READ_BYTES)
        except BlockingIOError:
            self.can_read = False
            return False
        except ConnectionResetError:
            data = b""
        if len(data) < _READ_BYTES:
            if not data:
                self._note_end()
                return False
            self.can_read = self.ended
        self._incoming.write(data)
        self._held = True
        return True

    def send(self, data: Buffer) -> int:
        """Bytes taken; rule 2."""
        total = len(data)
        try:
            if total > _PIECE_BYTES or self._begun:
                sent = self._send_pieces(memoryview(data))
            elif total:
                self._encrypt(data)
                sent = total if self._flush() else 0
                self._begun = total - sent
            else:
                sent = 0
        except OSError as error:
            self._broken(error)
            raise
        self.info.bytes_sent += sent
        return sent

    def _send_pieces(self, data: memoryview) -> int:
        """Bytes taken of what is long, or was begun."""
        if self._begun and not self._flush():
            return 0
        sent, self._begun = self._begun, 0
        while sent < len(data):
            piece = data[sent : sent + _PIECE_BYTES]
            self._encrypt(piece)
            if not self._flush():
                self._begun = len(piece)
                break
            sent += len(piece)
        return sent

    def _flush(self) -> bool:
        """Send the records that were made; whether all have gone."""
        records: Buffer = self._outgoing.read()
        if self._unsent:
            records = b"".join((self._unsent, records))
        elif not records:
            return True
        try:
            sent = self._send(records)
        except BlockingIOError:
            sent = 0
        if sent != len(records):
            self._unsent = memoryview(records)[sent:]
            self.can_write = False
            return False
        self._unsent = b""
        return True

    def _broken(self, error: OSError) -> int:
        """0 where the peer has closed in good order; otherwise count and raise."""
        if isinstance(error, ssl.SSLZeroReturnError):
            self._note_end()
            return 0
        if self.closed:
            raise _bad_descriptor() from error
        self._shaken = False  # no close_notify on a broken connection
        self._counts.failed(error, self.info)
        self._answer()
        raise error

    def readable(self) -> bool:
        """Something waits to be read. Reads it, to tell data from what TLS says to itself (tickets)."""
        if self._early or self._at_end:
            return True
        if not self.can_read and self.poller.edges:
            return False
        self.can_read = True
        byte = bytearray(1)
        try:
            received = self._read(byte)
        except OSError:
            self.can_read = True
            return True
        if received is None:
            return False
        self.can_read = True
        self._early = bytes(byte[:received])
        return True

    def shutdown_write(self) -> None:
        """Send close_notify, then FIN."""
        self._say_goodbye()
        super().shutdown_write()

    def close(self) -> None:
        """Send close_notify if that goes at once, then close."""
        if not self.closed:
            if self._on_session is not None and (session := self._tls.session) is not None:
                self._on_session(session)
            if self.ended and not self._at_end:
                self._note_end()
            self._say_goodbye()
            self._at_end = self._held = False
            self._unsent = self._early = b""
            super().close()
            self._incoming = self._outgoing = _NOTHING
            self._decrypt = self._encrypt = _refuse
            del self._tls  # some 30 KiB, not to be kept by whoever still holds the channel

    def _note_end(self) -> None:
        """The peer has ended: rule 5."""
        self._at_end = self.ended = True
        if self._shaken and _was_reset(self._sock):
            self._shaken = False
            self._counts.failed(ConnectionResetError(errno.ECONNRESET, ""), self.info)

    def reset(self) -> None:
        """Close with RST, and no close_notify."""
        self._shaken = False
        super().reset()

    def _say_goodbye(self) -> None:
        if self._shaken:
            self._shaken = False
            if not self._tls.server_side:
                self.can_read = True  # tickets that nobody read would turn the close into a reset
            with contextlib.suppress(OSError):
                self._feed()
            with contextlib.suppress(OSError, ValueError):  # it wants to read the peer's answer: not awaited
                self._tls.unwrap()
                self._at_end = True
            self._answer()


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
    """
    assert isinstance(channel, SocketChannel), "TLS needs a socket below it"
    make = functools.partial(
        context.wrap_bio,
        server_side=context.protocol is ssl.PROTOCOL_TLS_SERVER,
        server_hostname=server_name,
        session=session,
    )
    try:
        return TlsChannel(channel, counts, make)
    except BaseException:
        channel.close()
        raise


def _bad_descriptor() -> OSError:
    return OSError(errno.EBADF, os.strerror(errno.EBADF))


def _refuse(*_: object) -> int:
    """In place of the TLS library when the channel is closed."""
    raise _bad_descriptor()


def _was_reset(sock: socket.socket) -> bool:
    """Whether a connection that has ended was reset; False where the system does not tell."""
    if _TCP_INFO is None or sock.family == AF_UNIX:
        return False
    return sock.getsockopt(socket.IPPROTO_TCP, _TCP_INFO, 1)[0] == _TCP_CLOSE


def _end_in_handshake(sock: socket.socket) -> OSError:
    if _was_reset(sock):
        return ConnectionResetError(errno.ECONNRESET, os.strerror(errno.ECONNRESET))
    return ssl.SSLEOFError(ssl.SSL_ERROR_EOF, "the peer has closed in the handshake")


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


def _tls_info(sock: ssl.SSLObject) -> TlsInfo:
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
