"""HTTP/2 on top of the h2 package, for both ends: one peer, its reader, and what each stream got."""

from collections.abc import Awaitable, Callable
from typing import Any

import attrs
import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions
import h2.settings
import trio

from tests.parity.case import Headers
from tests.parity.http1 import Reader

_HEAD = 9  # bytes of a frame's head
_GOAWAY = 7


@attrs.define(eq=False)
class Stream:
    """What has come in on one stream."""

    number: int
    headers: Headers = attrs.field(factory=list)
    body: bytes = b""
    trailers: Headers = attrs.field(factory=list)
    interim: list[Headers] = attrs.field(factory=list)
    reset: str = ""
    head: trio.Event = attrs.field(factory=trio.Event)
    over: trio.Event = attrs.field(factory=trio.Event)
    more: trio.Event = attrs.field(factory=trio.Event)

    def first(self, name: str) -> str:
        """The first value of a field, "" if absent."""
        return next((value for key, value in self.headers if key == name), "")


@attrs.define(eq=False)
class Peer:
    """One HTTP/2 connection.

    Attributes:
        goaway: the error names of the GOAWAYs that came.
        on_stream: for a server: called with each new stream once its head is there.
        extended_connect: for a server: whether it says that it takes extended CONNECT.
    """

    transport: Any
    client: bool
    reader: Reader
    on_stream: Callable[["Stream"], Awaitable[None]] | None = None
    streams: dict[int, Stream] = attrs.field(factory=dict)
    goaway: list[str] = attrs.field(factory=list)
    extended_connect: bool = False
    _h2: h2.connection.H2Connection = attrs.field(init=False)
    _window: trio.Condition = attrs.field(factory=trio.Condition, init=False)
    _sending: trio.Lock = attrs.field(factory=trio.Lock, init=False)

    def __attrs_post_init__(self) -> None:
        self._h2 = h2.connection.H2Connection(
            h2.config.H2Configuration(
                client_side=self.client,
                header_encoding="latin-1",
                validate_inbound_headers=False,
                validate_outbound_headers=False,
                normalize_outbound_headers=False,
                normalize_inbound_headers=False,
            )
        )

    async def begin(self) -> None:
        """Send our preface and settings."""
        if self.extended_connect:
            self._h2.local_settings = h2.settings.Settings(
                client=False, initial_values={h2.settings.SettingCodes.ENABLE_CONNECT_PROTOCOL: 1}
            )
        self._h2.initiate_connection()
        self._h2.increment_flow_control_window(2**20)
        await self.flush()

    async def flush(self) -> None:
        """Send what h2 has made; a peer that is gone is noticed by the reader."""
        async with self._sending:
            data = self._h2.data_to_send()
            if data:
                try:
                    await self.transport.send_all(data)
                except (trio.BrokenResourceError, trio.ClosedResourceError):
                    return

    async def run(self, nursery: trio.Nursery) -> None:
        """Read until the peer ends; new streams of a server are served in the nursery."""
        waiting = False
        while True:
            if (waiting or not self.reader.buffer) and not await self.reader.more():
                break
            waiting = not (data := self._frames())
            try:
                events = self._h2.receive_data(data)
            except h2.exceptions.ProtocolError:
                await self.flush()
                break
            for event in events:
                await self._on_event(event, nursery)
            await self.flush()
        for stream in self.streams.values():
            if not stream.over.is_set():
                stream.reset = stream.reset or "connection closed"  # FIN or RST: a race
            stream.head.set()
            stream.over.set()
            stream.more.set()
        async with self._window:
            self._window.notify_all()

    async def open(self, fields: Headers, *, end: bool) -> Stream:
        """A client's new stream."""
        number = self._h2.get_next_available_stream_id()
        stream = self.streams[number] = Stream(number)
        self._h2.send_headers(number, fields, end_stream=end)
        await self.flush()
        return stream

    async def send_headers(self, stream: Stream, fields: Headers, *, end: bool) -> None:
        """Headers, 1xx or trailers on an open stream; dropped if the stream is gone."""
        if not stream.reset:
            self._h2.send_headers(stream.number, fields, end_stream=end)
            await self.flush()

    async def send_body(self, stream: Stream, data: bytes, *, end: bool) -> None:
        """DATA frames as the window allows; an empty body is an empty frame."""
        while not stream.reset:
            room = min(self._h2.local_flow_control_window(stream.number), self._h2.max_outbound_frame_size, len(data))
            if room or not data:
                self._h2.send_data(stream.number, data[:room], end_stream=end and room == len(data))
                data = data[room:]
                await self.flush()
                if not data:
                    return
                continue
            async with self._window:
                await self._window.wait()

    async def echo(self, stream: Stream) -> None:
        """Give the body back as it comes, and its end."""
        sent = 0
        while not stream.over.is_set() or sent < len(stream.body):
            await stream.more.wait()
            stream.more = trio.Event()
            piece = stream.body[sent:]
            sent += len(piece)
            if piece:
                await self.send_body(stream, piece, end=False)
        await self.send_body(stream, b"", end=True)

    async def reset(self, stream: Stream, code: int) -> None:
        """RST_STREAM."""
        if not stream.reset:
            self._h2.reset_stream(stream.number, code)
            stream.reset = "by us"
            await self.flush()

    async def say_goaway(self) -> None:
        """GOAWAY with NO_ERROR; h2 sends nothing more after it."""
        self._h2.close_connection()
        await self.flush()

    def _frames(self) -> bytes:
        """The bytes that came; for a client without GOAWAY frames, after which h2 would take no others."""
        if not self.client:
            data = bytes(self.reader.buffer)
            self.reader.buffer.clear()
            return data
        frames = b""
        buffer = self.reader.buffer
        while len(buffer) >= _HEAD and len(buffer) >= (size := _HEAD + int.from_bytes(buffer[:3])):
            frame = bytes(buffer[:size])
            del buffer[:size]
            if frame[3] == _GOAWAY:
                code = int.from_bytes(frame[13:17])
                known = code in h2.errors.ErrorCodes.__members__.values()
                self.goaway.append(h2.errors.ErrorCodes(code).name if known else str(code))
            else:
                frames += frame
        return frames

    async def _on_event(self, event: h2.events.Event, nursery: trio.Nursery) -> None:
        stream = self.streams.get(getattr(event, "stream_id", 0) or 0)
        match event:
            case h2.events.RequestReceived():
                stream = self.streams[event.stream_id] = Stream(event.stream_id, _pairs(event.headers))
                stream.head.set()
                if self.on_stream is not None:
                    nursery.start_soon(self.on_stream, stream)
            case h2.events.ResponseReceived() if stream:
                stream.headers = _pairs(event.headers)
                stream.head.set()
            case h2.events.InformationalResponseReceived() if stream:
                stream.interim.append(_pairs(event.headers))
            case h2.events.DataReceived() if stream:
                stream.body += event.data
                stream.more.set()
                self._h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            case h2.events.TrailersReceived() if stream:
                stream.trailers = _pairs(event.headers)
            case h2.events.StreamReset() if stream:
                stream.reset = _code(event.error_code)
                stream.head.set()
                stream.over.set()
                stream.more.set()
                await self._wake()
            case h2.events.StreamEnded() if stream:
                stream.over.set()
                stream.more.set()
            case h2.events.ConnectionTerminated():
                self.goaway.append(_code(event.error_code))
            case h2.events.WindowUpdated() | h2.events.RemoteSettingsChanged():
                await self._wake()

    async def _wake(self) -> None:
        async with self._window:
            self._window.notify_all()


def _pairs(headers: Any) -> Headers:
    return [(_text(name), _text(value)) for name, value in headers]


def _text(value: str | bytes) -> str:
    return value if isinstance(value, str) else value.decode("latin-1")


def _code(code: Any) -> str:
    return str(getattr(code, "name", code))
