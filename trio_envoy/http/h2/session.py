"""The HTTP/2 state of one connection, sans-IO: bytes in, events out; actions in, bytes out.

What a peer may do, and what becomes of the connection if it does what it may not, is as in nghttp2, with which Envoy
speaks (measured on 1.40): most mistakes end the connection without a word, some with a GOAWAY, few their stream alone.

Rules:
1. A stream that is closed is forgotten at once. Whatever the peer still sends on it is dropped, its window is given
   back, and the compression table stays in step.
2. Window is given back when credit() says that a body was read, in pieces of half a window.
3. What the peer makes us remember is bounded: blocks of header fields by the decoder's limits, the fields of all open
   streams together by a budget, bodies by the windows.
Source: RFC 9113.
"""

from __future__ import annotations

from typing import Final

from trio_envoy.http.h2 import frames, settings
from trio_envoy.http.h2.floods import DETAILS, STREAM_DETAILS
from trio_envoy.http.h2.frames import HEAD, HEAD_BYTES, MAX_STREAM_ID, MAX_WINDOW
from trio_envoy.http.h2.options import DEFAULT_HEADER_BUDGET, Http2Options
from trio_envoy.http.h2.outbound import Outbound
from trio_envoy.http.h2.state import Events, SessionError, StreamState
from trio_envoy.http.hpack.decoder import Decoder
from trio_envoy.http.hpack.errors import HpackError, Oversized
from trio_envoy.http.hpack.table import DEFAULT_SIZE, OVERHEAD

_HARD: Final = 8  # times the limit of a head: from there on the connection is over, not the stream alone
_CONTINUATIONS: Final = 512  # of one block
_ANY: Final = -1  # kind of frame
_STREAM_BITS: Final = MAX_STREAM_ID
_PRIORITY_BYTES: Final = 5
_PING_BYTES: Final = 8
_GOAWAY_BYTES: Final = 8
_SETTING_BYTES: Final = 6
_NUMBER_BYTES: Final = 4


class Session(Outbound):
    """One connection's HTTP/2 state.

    Args:
        options: how to speak.
        events: who is told what comes.
        client: which end this is.

    Attributes:
        acknowledged: the peer has taken our settings.
        open_head: a stream whose head has begun but is not whole, or 0.
        budget: bytes of header fields that all streams may make us hold, the compression table included.
    """

    def __init__(self, options: Http2Options, events: Events, *, client: bool) -> None:
        super().__init__(options, client=client)
        self.acknowledged = False
        self.open_head = 0
        self.budget = DEFAULT_HEADER_BUDGET
        self._events = events
        self._client = client
        self._table_size = options.table_size
        self._table_limit = max(options.table_size, DEFAULT_SIZE)  # until the peer has taken what we say
        self._max_block = options.max_head_bytes * _HARD
        self._decoder = Decoder(
            self._table_limit,
            options.max_head_bytes,
            options.max_fields,
            self._max_block,
            overhead=0,
        )
        said = dict(options.custom_settings).get(frames.MAX_FRAME_SIZE, 0)
        self._frame_bytes = max(said, frames.DEFAULT_FRAME_BYTES)  # payload of a frame that comes
        self._rest = b""  # a frame that is not whole yet
        self._preface_left = 0 if client else len(frames.PREFACE)
        self._only = frames.SETTINGS  # the kind of frame that must come next
        self._highest = 0  # stream of the peer, taken or not
        self._peer_last = MAX_STREAM_ID  # of its GOAWAY
        self._leaves = False  # it has sent one
        self._block = bytearray()  # of a head that is not whole
        self._block_id = 0
        self._block_on: StreamState | None = None
        self._block_ends = False
        self._continuations = 0

    def receive(self, data: bytes | memoryview) -> None:
        """Take bytes from the peer; `events` is told of what is in them. A view is not kept.

        Raises:
            SessionError: the connection is broken, behind the events that came before.
        """
        if self._rest:
            data, self._rest = self._rest + data, b""
        position = self._take_preface(data) if self._preface_left else 0
        size = len(data)
        handlers, unpack = self._HANDLERS, HEAD.unpack_from
        while size - position >= HEAD_BYTES:
            head, flags, stream_id = unpack(data, position)
            begin = position + HEAD_BYTES
            end = begin + (head >> 8)
            kind = head & 0xFF
            stream_id &= _STREAM_BITS
            if self._only >= 0:
                self._check_order(kind, flags, stream_id)
            if end - begin > (self._max_block if self._only == frames.CONTINUATION else self._frame_bytes):
                raise self._terminated(frames.FRAME_SIZE_ERROR, "too large frame size")
            if end > size:
                break
            if kind <= frames.CONTINUATION:
                handlers[kind](self, flags, stream_id, data, begin, end)
            position = end
        if position < size:
            self._rest = bytes(data[position:])
        stat = self.floods.too_many_controls()
        if stat:  # what was made is sent nevertheless
            raise SessionError(stat, details=DETAILS[stat], stat=stat, silent=False)

    def end(self) -> None:
        """Nothing more is received: whoever was told is let go, else the two hold each other until a collection."""
        del self._events

    def _take_preface(self, data: bytes | memoryview) -> int:
        left = self._preface_left
        begin = frames.PREFACE[len(frames.PREFACE) - left :]
        if not begin.startswith(bytes(data[:left])):
            raise SessionError("this is not the preface of HTTP/2")
        taken = min(left, len(data))
        self._preface_left -= taken
        self.mute = False
        return taken

    def _check_order(self, kind: int, flags: int, stream_id: int) -> None:
        """The first frame is SETTINGS, and a block of header fields is not interrupted.

        Called with the head of a frame, perhaps more than once. The length of a CONTINUATION is no matter to nghttp2.
        """
        if self._only == frames.SETTINGS:
            if kind != frames.SETTINGS or flags & frames.ACK:
                raise self._terminated(frames.PROTOCOL_ERROR, "SETTINGS expected")
        elif kind != frames.CONTINUATION or stream_id != self._block_id:
            text = "unexpected non-CONTINUATION frame or stream_id is invalid"
            raise self._terminated(frames.PROTOCOL_ERROR, text)

    def _terminated(self, code: int, text: str) -> SessionError:
        """The error to raise where the peer is told what it did; what else was to be said is not said any more."""
        began = self._out[:1] == [self._opening]
        self._out = [self._opening] if began else []
        self._out.append(frames.goaway(self.last_id, code, text))
        return SessionError(text, silent=False)

    def _wrong(self, text: str, stream_id: int = 0) -> SessionError:
        """The error to raise where nothing is said."""
        return SessionError(text, stream_id=stream_id if stream_id in self.streams else 0)

    def _flooded(self, stat: str, stream_id: int = 0) -> None:
        if stat:
            at_fault = STREAM_DETAILS.get(stat, "")
            raise SessionError(stat, details=DETAILS[stat], stat=stat, stream_id=stream_id, at_fault=at_fault)

    def _is_idle(self, stream_id: int) -> bool:
        """Nobody has opened this stream yet."""
        if stream_id & 1 == self._client:
            return stream_id >= self._next_id if self._client else True
        return stream_id > self._highest

    def _on_data(self, flags: int, stream_id: int, data: bytes | memoryview, begin: int, end: int) -> None:
        size = end - begin
        ended = flags & frames.END_STREAM != 0
        stream = self.streams.get(stream_id)
        if stream is None or stream.remote_done or not stream.begun:
            self._check_data(stream_id, stream)
        if flags & frames.PADDED:
            begin, end = self._unpadded("DATA", data, begin, end)
        if begin < end or ended:
            self.floods.empty = 0
        else:
            self._flooded(self.floods.empty_frame(), stream_id)
        self._received += size
        if self._received > self._window:
            raise self._terminated(frames.FLOW_CONTROL_ERROR, "")
        if stream is None:
            self._credit_connection(size)
            return
        stream.received += size
        if stream.received > self._stream_window:
            self._credit_connection(size)
            self._break(stream)
            return
        if ended:
            stream.remote_done = True
        self._events.on_data(stream, bytes(data[begin:end]), size, ended)
        if ended and stream.local_done:
            self.streams.pop(stream_id, None)

    def _check_data(self, stream_id: int, stream: StreamState | None) -> None:
        """DATA for a stream that takes none: dropped if it is closed."""
        if not stream_id:
            raise self._terminated(frames.PROTOCOL_ERROR, "DATA: stream_id == 0")
        if stream is not None:
            if not stream.begun:
                raise self._terminated(frames.PROTOCOL_ERROR, "DATA: stream not opened")
            raise self._terminated(frames.STREAM_CLOSED, "DATA: stream in half-closed(remote)")
        if self._is_idle(stream_id):
            raise self._terminated(frames.PROTOCOL_ERROR, "DATA: stream in idle")

    def _unpadded(self, name: str, data: bytes | memoryview, begin: int, end: int, least: int = 0) -> tuple[int, int]:
        """Where the payload, of so many bytes at least, is in a frame with padding."""
        if begin == end:
            raise self._terminated(frames.PROTOCOL_ERROR, f"{name}: insufficient padding space")
        padding = data[begin]
        begin += 1
        if padding > end - begin - least:
            raise self._terminated(frames.PROTOCOL_ERROR, f"{name}: invalid padding")
        return begin, end - padding

    def _on_headers(self, flags: int, stream_id: int, data: bytes | memoryview, begin: int, end: int) -> None:
        ended = flags & frames.END_STREAM != 0
        depends = -1
        if flags & (frames.PADDED | frames.PRIORITIZED):
            prioritized = _PRIORITY_BYTES if flags & frames.PRIORITIZED else 0
            if prioritized and end - begin - (flags & frames.PADDED != 0) < prioritized:
                raise self._terminated(frames.FRAME_SIZE_ERROR, "")
            if flags & frames.PADDED:
                begin, end = self._unpadded("HEADERS", data, begin, end, prioritized)
            if prioritized:
                depends = frames.number_at(data, begin) & _STREAM_BITS
                begin += prioritized
        if begin < end or ended:
            self.floods.empty = 0
        else:
            self._flooded(self.floods.empty_frame(), stream_id)
        stream = self.streams.get(stream_id)
        if stream is None:
            stream = self._opened(stream_id, depends)
        elif stream.remote_done:
            raise self._wrong("HEADERS: stream closed", stream_id)
        if flags & frames.END_HEADERS:
            self._on_block(stream, bytes(data[begin:end]), ended)
            return
        self._only = frames.CONTINUATION
        self._block_id = stream_id
        self.open_head = 0 if stream is None or stream.begun else stream_id
        self._block[:] = data[begin:end]
        self._block_on, self._block_ends, self._continuations = stream, ended, 0

    def _opened(self, stream_id: int, depends: int) -> StreamState | None:
        """A stream that the peer opens; None: it is closed, or not wanted any more, and what comes is dropped."""
        if self._client or not stream_id & 1:
            if not stream_id or stream_id & 1 != self._client or self._is_idle(stream_id):
                raise self._wrong("HEADERS: invalid stream_id")
            return None
        if stream_id <= self._highest:
            return None
        self._highest = stream_id
        if not self._takes_more or self._leaves:
            return None
        if depends == stream_id:
            raise self._wrong("HEADERS: depend on itself")
        self.last_id = stream_id
        stream = self.streams[stream_id] = StreamState(stream_id, self.peer.window)
        return stream

    def _on_continuation(self, flags: int, stream_id: int, data: bytes | memoryview, begin: int, end: int) -> None:
        if self._only != frames.CONTINUATION:
            raise self._terminated(frames.PROTOCOL_ERROR, "CONTINUATION: unexpected")
        if begin < end:
            self.floods.empty = 0
        else:
            self._flooded(self.floods.empty_frame(), stream_id)
        self._continuations += 1
        if self._continuations > _CONTINUATIONS and not self._client:
            raise SessionError(
                "too many CONTINUATION frames",
                details="codec_error:Too_many_CONTINUATION_frames_following_a_HEADER_frame",
            )
        self._block += data[begin:end]
        if len(self._block) > self._max_block:
            raise self._terminated(frames.ENHANCE_YOUR_CALM, "HEADERS: too large")
        if flags & frames.END_HEADERS:
            self._only = _ANY
            block, stream = bytes(self._block), self._block_on
            self._block.clear()
            self._on_block(stream, block, self._block_ends)

    def _on_block(self, stream: StreamState | None, block: bytes, ended: bool) -> None:
        """A whole block of header fields; what is for no stream is only there to keep the table in step."""
        decoder, events = self._decoder, self._events
        self.open_head = 0 if stream is None or stream.begun else stream.id
        try:
            fields = decoder.decode(block)
        except Oversized as error:
            self.open_head = 0
            if stream is not None:
                events.on_too_large(stream, error)
            return
        except HpackError as error:
            raise self._terminated(frames.COMPRESSION_ERROR, "") from error
        self.open_head = 0
        if stream is None:
            return
        stream.begun = True
        if ended:
            stream.remote_done = True
        cost = decoder.size + OVERHEAD * len(fields)
        kept = self.kept + cost
        if kept > self.budget - self._table_limit and kept + decoder.table_bytes > self.budget:
            events.on_crowded(stream)
            return
        stream.kept += cost
        self.kept = kept
        events.on_fields(stream, fields, decoder.size, ended)
        if stream.user is None:
            self.release(stream)
        if ended and stream.local_done:
            self.streams.pop(stream.id, None)

    def _on_priority(self, _flags: int, _stream_id: int, _data: bytes | memoryview, begin: int, end: int) -> None:
        self._flooded(self.floods.priority(len(self.streams)))
        if end - begin != _PRIORITY_BYTES:
            raise self._terminated(frames.FRAME_SIZE_ERROR, "")

    def _on_rst_stream(self, _flags: int, stream_id: int, data: bytes | memoryview, begin: int, end: int) -> None:
        if end - begin != _NUMBER_BYTES:
            raise self._terminated(frames.FRAME_SIZE_ERROR, "")
        stream = self._known(stream_id, "RST_STREAM")
        if stream is not None:
            self.forget(stream)
            self._events.on_reset(stream, frames.number_at(data, begin))

    def _known(self, stream_id: int, name: str) -> StreamState | None:
        """The stream, None if it is closed."""
        stream = self.streams.get(stream_id)
        if stream is None and (not stream_id or self._is_idle(stream_id)):
            raise self._wrong(f"{name}: stream in idle")
        return stream

    def _on_settings(self, flags: int, stream_id: int, data: bytes | memoryview, begin: int, end: int) -> None:
        size = end - begin
        self._only = _ANY
        if size % _SETTING_BYTES or (size and flags & frames.ACK):
            raise self._terminated(frames.FRAME_SIZE_ERROR, "")
        if size > settings.MAX_ENTRIES * _SETTING_BYTES:
            raise self._terminated(frames.ENHANCE_YOUR_CALM, "SETTINGS: too many setting entries")
        if stream_id:
            raise self._wrong("SETTINGS: stream_id != 0", stream_id)
        if flags & frames.ACK:
            if self.acknowledged:
                raise self._wrong("SETTINGS: unexpected ACK")
            self.acknowledged = True
            self._decoder.allowed_table_size = self._table_size
            return
        peer = self.peer
        window, table_size = peer.window, peer.table_size
        wrong = peer.take(bytes(data[begin:end]), client=self._client)
        if wrong:
            raise self._wrong(wrong)
        self._out.append(frames.SETTINGS_ACK)
        self.floods.controls += 1
        if peer.table_size != table_size:
            self._encoder.set_table_size(peer.table_size)
        if peer.window != window:
            self._move_windows(peer.window - window)
        self._events.on_window(None)

    def _move_windows(self, difference: int) -> None:
        for stream in tuple(self.streams.values()):
            stream.send_window += difference
            if stream.send_window > MAX_WINDOW:
                self._break(stream)

    def _break(self, stream: StreamState) -> None:
        """The peer has made a mess of a window."""
        self.reset(stream, frames.FLOW_CONTROL_ERROR)
        self._events.on_broken(stream)
        self.floods.controls += 1

    def _on_push_promise(self, _flags: int, stream_id: int, _data: bytes | memoryview, _begin: int, _end: int) -> None:
        raise self._wrong("PUSH_PROMISE: push is not allowed", stream_id)

    def _on_ping(self, flags: int, stream_id: int, data: bytes | memoryview, begin: int, end: int) -> None:
        if end - begin != _PING_BYTES:
            raise self._terminated(frames.FRAME_SIZE_ERROR, "")
        if stream_id:
            raise self._wrong("PING: stream_id != 0", stream_id)
        if flags & frames.ACK:
            self._events.on_pong()
        else:
            self._out.append(frames.frame(frames.PING, frames.ACK, 0, bytes(data[begin:end])))
            self.floods.controls += 1

    def _on_goaway(self, _flags: int, stream_id: int, data: bytes | memoryview, begin: int, end: int) -> None:
        if end - begin < _GOAWAY_BYTES:
            raise self._terminated(frames.FRAME_SIZE_ERROR, "")
        if stream_id:
            raise self._wrong("GOAWAY: stream_id != 0", stream_id)
        last = frames.number_at(data, begin) & _STREAM_BITS
        if last > self._peer_last or (last and last & 1 != self._client):
            raise self._wrong("GOAWAY: invalid last_stream_id")
        self._peer_last = last
        self._leaves = True
        self._events.on_goaway(last, frames.number_at(data, begin + _NUMBER_BYTES))

    def _on_window_update(self, _flags: int, stream_id: int, data: bytes | memoryview, begin: int, end: int) -> None:
        self._flooded(self.floods.window_update(len(self.streams)))
        if end - begin != _NUMBER_BYTES:
            raise self._terminated(frames.FRAME_SIZE_ERROR, "")
        size = frames.number_at(data, begin) & MAX_WINDOW
        if not stream_id:
            self.send_window += size
            if not size or self.send_window > MAX_WINDOW:
                raise self._wrong("WINDOW_UPDATE: 0, or too much")
            self._events.on_window(None)
            return
        stream = self._known(stream_id, "WINDOW_UPDATE")
        if stream is None:
            return
        stream.send_window += size
        if not size or stream.send_window > MAX_WINDOW:
            raise self._wrong("WINDOW_UPDATE: 0, or too much", stream_id)
        self._events.on_window(stream)

    _HANDLERS: Final = (  # by kind of frame
        _on_data,
        _on_headers,
        _on_priority,
        _on_rst_stream,
        _on_settings,
        _on_push_promise,
        _on_ping,
        _on_goaway,
        _on_window_update,
        _on_continuation,
    )
