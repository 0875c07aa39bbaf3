"""Reading what the proxies write: strictly, for they shall write nothing that two readers can take differently."""

import re
from collections.abc import Sequence

import attrs
import trio

_REQUEST_LINE = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+) ([!-~\x80-\xff]+) HTTP/1\.1")
_STATUS_LINE = re.compile(rb"HTTP/1\.[01] ([0-9]{3}) [\t -~\x80-\xff]*")
_FIELD = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):(?: ([!-~\x80-\xff](?:[\t -~\x80-\xff]*[!-~\x80-\xff])?)?)?")
_SIZE = re.compile(rb"[0-9a-f]{1,16}")

Fields = list[tuple[bytes, bytes]]


async def send_pieces(peer: trio.socket.SocketType, pieces: Sequence[bytes], pause: float) -> bool:
    """Send pieces with pauses; False: the other end has gone."""
    for index, piece in enumerate(pieces):
        if index:
            await trio.sleep(pause)
        try:
            while piece:
                piece = piece[await peer.send(piece) :]
        except OSError:
            return False
    return True


class Ambiguous(Exception):
    """Bytes that a strict reader refuses."""


@attrs.define
class Head:
    """A first line and its fields.

    Attributes:
        length: bytes of the body; None: chunked, or up to the end of the connection.
        chunked: how the body is framed.
    """

    line: bytes
    fields: Fields
    length: int | None = 0
    chunked: bool = False

    def values(self, name: bytes) -> list[bytes]:
        """The values of one field, whatever the case of its name."""
        return [value for known, value in self.fields if known.lower() == name]


def request_head(data: bytes) -> Head:
    """The head of a request, the empty line not included.

    Raises:
        Ambiguous: a strict reader would not take it.
    """
    head = _head(data, _REQUEST_LINE)
    _frame(head)
    if len(head.values(b"host")) != 1:
        raise Ambiguous(b"not one host: " + data)
    return head


def response_head(data: bytes, *, bodiless: bool = False) -> Head:
    """The head of a response; `bodiless`: it answers HEAD.

    Raises:
        Ambiguous: a strict reader would not take it.
    """
    head = _head(data, _STATUS_LINE)
    status = int(head.line[9:12])
    until_close = not head.values(b"content-length") and not head.values(b"transfer-encoding")
    _frame(head)
    if bodiless or status < 200 or status in {204, 304}:
        head.length, head.chunked = 0, False
    elif until_close:
        head.length = None
    return head


def _head(data: bytes, first: re.Pattern[bytes]) -> Head:
    line, *lines = data.split(b"\r\n")
    if first.fullmatch(line) is None:
        raise Ambiguous(b"first line: " + line)
    return Head(line, [_field(one) for one in lines])


def _field(line: bytes) -> tuple[bytes, bytes]:
    matched = _FIELD.fullmatch(line)
    if matched is None:
        raise Ambiguous(b"field: " + line)
    return matched[1], matched[2] or b""


def _frame(head: Head) -> None:
    lengths, codings = head.values(b"content-length"), head.values(b"transfer-encoding")
    if len(lengths) + len(codings) > 1:
        raise Ambiguous(b"framed twice: " + head.line)
    if lengths:
        if not lengths[0].isdigit():
            raise Ambiguous(b"length: " + lengths[0])
        head.length = int(lengths[0])
    if codings:
        if codings[0] != b"chunked":
            raise Ambiguous(b"coding: " + codings[0])
        head.length, head.chunked = None, True


class BodyReader:
    """The body of one message.

    Attributes:
        data: its payload so far.
        trailers: fields after it.
        ended: all of it is here.
    """

    def __init__(self, head: Head) -> None:
        self._head = head
        self._trailing = False
        self.data = b""
        self.trailers: Fields = []
        self.ended = head.length == 0

    def feed(self, buffer: bytes) -> bytes:
        """Take what is here; what does not belong to it.

        Raises:
            Ambiguous: a strict reader would not take it.
        """
        if self._head.chunked:
            while not self.ended and (rest := self._chunk(buffer)) is not None:
                buffer = rest
        elif self._head.length is None:
            self.data += buffer
            return b""
        else:
            missing = self._head.length - len(self.data)
            self.data += buffer[:missing]
            self.ended = len(self.data) == self._head.length
            buffer = buffer[missing:]
        return buffer

    def _chunk(self, buffer: bytes) -> bytes | None:
        """One chunk, or one line behind the last; None: it is not here as a whole."""
        line, end, rest = buffer.partition(b"\r\n")
        if not end:
            return None
        if self._trailing:
            if line:
                self.trailers.append(_field(line))
            else:
                self.ended = True
            return rest
        if _SIZE.fullmatch(line) is None:
            raise Ambiguous(b"chunk size: " + line)
        size = int(line, 16)
        if not size:
            self._trailing = True
            return rest
        if len(rest) < size + 2:
            return None
        if rest[size : size + 2] != b"\r\n":
            raise Ambiguous(b"chunk end: " + rest[size : size + 2])
        self.data += rest[:size]
        return rest[size + 2 :]
