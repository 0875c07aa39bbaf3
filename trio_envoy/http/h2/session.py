"""The HTTP/2 state of one connection, sans-IO: bytes in, events out; actions in, bytes out.

The interface is ours and knows nothing of the library underneath (`h2`), which makes room for a session of our own.
Flow control is tied to reading: credit() is called when a body was read, and only then does the peer get more window.
Source: RFC 9113.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import attrs
import h2.config
import h2.events
import h2.exceptions
import h2.settings
from hpack import NeverIndexedHeaderTuple
from hyperframe.frame import GoAwayFrame, RstStreamFrame

from trio_envoy.http.h2.floods import Floods
from trio_envoy.http.h2.library import Connection, StreamClosed
from trio_envoy.http.h2.options import DEFAULT_TABLE_SIZE, Http2Options

NO_ERROR: Final = 0
PROTOCOL_ERROR: Final = 1
INTERNAL_ERROR: Final = 2
FRAME_SIZE_ERROR: Final = 6
REFUSED_STREAM: Final = 7
CANCEL: Final = 8
MAX_STREAM_ID: Final = 2**31 - 1
_FRAME_HEAD: Final = 9  # bytes
_GOAWAY: Final = 7  # frame type
_GOAWAY_BYTES: Final = 8
PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DEFAULT_WINDOW: Final = 65535  # RFC 9113 s6.9.2
_HEAD_SLACK: Final = 8  # the decoder stops at this many times the limit; up to there the stream alone is refused
_SHORT_COOKIE: Final = 20  # bytes; a shorter one could be guessed by what it does to a compression table

Fields = Sequence[tuple[bytes, bytes]]


class SessionError(Exception):
    """The peer broke the protocol; the bytes to send (a GOAWAY) are ready, then the connection is over.

    Attributes:
        flood: the counter of http2 stats if it was a flood, else "".
    """

    def __init__(self, text: str, flood: str = "") -> None:
        super().__init__(text)
        self.flood = flood


@attrs.frozen
class Head:
    """A request, a response or an informational response has begun.

    Attributes:
        stream_id: whose.
        fields: pseudo-headers first.
        ended: nothing follows.
    """

    stream_id: int
    fields: Fields
    ended: bool


@attrs.frozen
class Data:
    """Payload; whoever reads it calls credit() with `size`.

    Attributes:
        stream_id: whose.
        data: without padding; may be empty.
        size: bytes of flow control, padding included.
        ended: it was the last.
    """

    stream_id: int
    data: bytes
    size: int
    ended: bool


@attrs.frozen
class Trailers:
    """The stream has ended with these fields."""

    stream_id: int
    fields: Fields


@attrs.frozen
class Reset:
    """The peer has given the stream up."""

    stream_id: int
    code: int


@attrs.frozen
class GoAway:
    """The peer takes no streams above last_stream_id."""

    last_stream_id: int
    code: int


@attrs.frozen
class Window:
    """There is more room to send; stream_id 0: for all streams."""

    stream_id: int


@attrs.frozen
class Pong:
    """The peer has answered a PING."""


Event = Head | Data | Trailers | Reset | GoAway | Window | Pong


class Session:
    """One connection's HTTP/2 state.

    Attributes:
        floods: what the peer makes us do for nothing.
        open_streams: those that are not ended on both sides, and not reset.
        acknowledged: the peer has taken our settings.
    """

    def __init__(self, options: Http2Options, *, client: bool) -> None:
        self._connection = Connection(
            h2.config.H2Configuration(
                client_side=client,
                header_encoding=None,
                validate_inbound_headers=False,
                validate_outbound_headers=False,
                normalize_inbound_headers=False,
                normalize_outbound_headers=False,
            )
        )
        self.floods = Floods(options)
        self.open_streams = 0
        self.acknowledged = False
        self._extra = bytearray()  # frames that the library does not make
        self._pending = b""  # a frame that is not whole yet
        self._preface_left = 0 if client else len(PREFACE)
        settings = {
            h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: options.stream_window,
            h2.settings.SettingCodes.HEADER_TABLE_SIZE: options.table_size,
            h2.settings.SettingCodes.ENABLE_PUSH: 0,
        }
        if not client:
            settings[h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS] = options.max_streams
            del settings[h2.settings.SettingCodes.ENABLE_PUSH]
        if options.allow_connect and not client:
            settings[h2.settings.SettingCodes.ENABLE_CONNECT_PROTOCOL] = 1
        self._connection.local_settings = h2.settings.Settings(client=client, initial_values=settings)
        decoder = self._connection.decoder
        decoder.max_header_list_size = options.max_head_bytes * _HEAD_SLACK
        decoder.max_allowed_table_size = max(options.table_size, DEFAULT_TABLE_SIZE)  # until the peer has taken it
        self._table_size = options.table_size
        self._connection.initiate_connection()
        if options.connection_window > _DEFAULT_WINDOW:
            self._connection.increment_flow_control_window(options.connection_window - _DEFAULT_WINDOW)

    @property
    def begun(self) -> bool:
        """The client's preface is here; before it a server says nothing."""
        return not self._preface_left

    @property
    def max_streams(self) -> int:
        """How many streams the peer lets us have at once."""
        return int(self._connection.remote_settings.max_concurrent_streams)

    def receive(self, data: bytes) -> Iterator[Event]:
        """Take bytes from the peer; iterate to the end.

        Raises:
            SessionError: the connection is broken, behind the events that came before; take_output() has the GOAWAY.
        """
        for piece in self._pieces(data):
            if isinstance(piece, GoAway):
                yield piece
                continue
            if isinstance(piece, SessionError):
                raise piece
            wrong: Exception | None = None
            try:
                self._connection.receive_data(piece)
            except (h2.exceptions.ProtocolError, ValueError, KeyError) as error:
                wrong = error
            events, self._connection.events = self._connection.events, []
            for event in events:
                ours = self._translate(event)
                if ours is not None:
                    yield ours
            if wrong is not None:
                raise SessionError(str(wrong) or type(wrong).__name__) from wrong

    def _pieces(self, data: bytes) -> list[bytes | GoAway | SessionError]:
        """The frames that are here whole, for the library in as few pieces as may be, and what is wrong with the next.

        GOAWAYs are taken out: the library takes one for the end of everything, but streams that are here go on (RFC
        9113 s6.8).
        """
        pending = self._pending + data if self._pending else data
        position = min(self._preface_left, len(pending))
        if position:
            if not PREFACE[len(PREFACE) - self._preface_left :].startswith(pending[:position]):
                raise SessionError("this is not the preface of HTTP/2")
            self._preface_left -= position
        size = len(pending)
        pieces: list[bytes | GoAway | SessionError | None] = []
        wrong: SessionError | None = None
        inbound = self.floods.inbound
        begun = 0
        while position + _FRAME_HEAD <= size:
            end = position + _FRAME_HEAD + int.from_bytes(pending[position : position + 3], "big")
            if end - position > _FRAME_HEAD + self._connection.max_inbound_frame_size:
                self.go_away(0, FRAME_SIZE_ERROR)
                wrong = SessionError("a frame is longer than was agreed")
                break
            if end > size:
                break
            kind, flags = pending[position + 3], pending[position + 4]
            flood = inbound(kind, flags, end - position - _FRAME_HEAD)
            if flood:
                wrong = SessionError(flood, flood)
                break
            if kind == _GOAWAY and end - position >= _FRAME_HEAD + _GOAWAY_BYTES:
                pieces.append(pending[begun:position])
                payload = pending[position + _FRAME_HEAD : end]
                last = int.from_bytes(payload[:4], "big") & MAX_STREAM_ID
                pieces.append(GoAway(last, int.from_bytes(payload[4:8], "big")))
                begun = end
            position = end
        self._pending = pending[position:]
        pieces += (pending[begun:position], wrong)
        return [piece for piece in pieces if piece]

    def _translate(self, event: h2.events.Event) -> Event | None:
        match event:
            case h2.events.InformationalResponseReceived():
                return Head(event.stream_id, event.headers, ended=False)
            case h2.events.RequestReceived():
                self.open_streams += 1
                return Head(event.stream_id, event.headers, event.stream_ended is not None)
            case h2.events.ResponseReceived():
                return Head(event.stream_id, event.headers, event.stream_ended is not None)
            case h2.events.DataReceived():
                size = event.flow_controlled_length
                return Data(event.stream_id, event.data, size, event.stream_ended is not None)
            case h2.events.TrailersReceived():
                return Trailers(event.stream_id, event.headers)
            case StreamClosed():
                self.open_streams -= 1
            case h2.events.StreamReset():
                return Reset(event.stream_id, int(event.error_code or 0))
            case h2.events.PingAckReceived():
                return Pong()
            case h2.events.SettingsAcknowledged():
                self.acknowledged = True
                self._connection.decoder.max_allowed_table_size = self._table_size
            case h2.events.WindowUpdated():
                return Window(event.stream_id)
            case h2.events.RemoteSettingsChanged():
                return Window(0)
        return None

    def _settle(self, stream_id: int) -> None:
        """We have ended something on this stream; it may be the last thing."""
        if self._connection.forget_closed(stream_id):
            self.open_streams -= 1

    def take_output(self) -> bytes:
        """What is to be sent now."""
        data = self._connection.data_to_send()
        self.floods.turn()
        if self._extra:
            data += bytes(self._extra)
            self._extra.clear()
        return data

    def next_stream_id(self) -> int:
        """The id of the stream that send_head() will open (clients).

        Raises:
            SessionError: there are none left.
        """
        try:
            return self._connection.get_next_available_stream_id()
        except h2.exceptions.NoAvailableStreamIDError as error:
            raise SessionError(str(error)) from error

    def send_head(self, stream_id: int, fields: Fields, *, ended: bool) -> None:
        """A request, a response, an informational response or trailers.

        Raises:
            SessionError: the stream or the connection is gone.
        """
        begins = stream_id not in self._connection.streams
        try:
            self._connection.send_headers(stream_id, [_guarded(field) for field in fields], end_stream=ended)
        except h2.exceptions.ProtocolError as error:
            raise SessionError(str(error)) from error
        if begins:
            self.open_streams += 1
        if ended:
            self._settle(stream_id)

    def send_data(self, stream_id: int, data: bytes | memoryview, *, ended: bool) -> None:
        """Payload, no more than room() says.

        Raises:
            SessionError: the stream or the connection is gone.
        """
        self.floods.data_sent += 1
        try:
            self._connection.send_data(stream_id, data, end_stream=ended)
        except h2.exceptions.ProtocolError as error:
            raise SessionError(str(error)) from error
        if ended:
            self._settle(stream_id)

    def room(self, stream_id: int) -> int:
        """Bytes that may be sent on this stream now, in one frame.

        Raises:
            SessionError: the stream is gone.
        """
        try:
            window = self._connection.local_flow_control_window(stream_id)
        except h2.exceptions.ProtocolError as error:
            raise SessionError(str(error)) from error
        return min(int(window), int(self._connection.max_outbound_frame_size))

    def credit(self, stream_id: int, size: int) -> None:
        """So many bytes of flow control were read: the peer may send as many more."""
        if size:
            self._connection.acknowledge_received_data(size, stream_id)

    def reset(self, stream_id: int, code: int, *, late: bool = False) -> bool:
        """Give a stream up; False when it is over already.

        Args:
            stream_id: which.
            code: why.
            late: say so even if the last frame was the end of both sides: that frame is what is wrong.
        """
        try:
            self._connection.reset_stream(stream_id, code)
        except h2.exceptions.ProtocolError:
            if late:
                self._extra += RstStreamFrame(stream_id, error_code=code).serialize()
            return late
        self._settle(stream_id)
        return True

    def ping(self) -> None:
        """Ask the peer whether it is still there."""
        self._connection.ping(b"keep-ali")

    def go_away(self, last_stream_id: int, code: int = NO_ERROR) -> None:
        """Say that no streams above this one are taken; those that are there go on."""
        frame = GoAwayFrame(stream_id=0, last_stream_id=last_stream_id, error_code=code)
        self._extra += frame.serialize()


def _guarded(field: tuple[bytes, bytes]) -> tuple[bytes, bytes]:
    """A field, marked if no compression table may hold it (RFC 7541 s7.1.3)."""
    name, value = field
    if name == b"authorization" or (name == b"cookie" and len(value) < _SHORT_COOKIE):
        return NeverIndexedHeaderTuple(name, value)
    return field
