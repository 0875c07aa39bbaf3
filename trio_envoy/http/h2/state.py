"""What a session keeps of one stream, and whom it tells of what comes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Protocol

from trio_envoy.http.hpack.errors import Oversized

CALLBACK_FAILED: Final = "codec_error:The_user_callback_function_failed"  # what Envoy logs of most that is wrong
STREAM_AT_FAULT: Final = "http2.unknown.nghttp2.error"  # and of the stream that did it

Fields = Sequence[tuple[bytes, bytes]]


class SessionError(Exception):
    """The peer broke the protocol: the connection is over.

    Attributes:
        details: for the log.
        stat: the counter of http2 stats that counts it, or "".
        stream_id: the stream that is at fault, or 0;
        at_fault: and what the log says of that.
        silent: nothing more is said; else take_output() has something to be sent, as a GOAWAY.
    """

    def __init__(
        self,
        text: str,
        *,
        details: str = CALLBACK_FAILED,
        stat: str = "",
        stream_id: int = 0,
        at_fault: str = STREAM_AT_FAULT,
        silent: bool = True,
    ) -> None:
        super().__init__(text)
        self.details = details
        self.stat = stat
        self.stream_id = stream_id
        self.at_fault = at_fault
        self.silent = silent


class StreamState:
    """One stream that is open on at least one side.

    Attributes:
        id: of the stream.
        user: whatever the events' taker keeps for it; None until it is set.
        begun: the peer's first header fields have come.
        local_done: we have sent our last frame on it.
        remote_done: the peer has.
        send_window: bytes that we may send.
        received: bytes that came and were not given back yet.
        read: of these, how many were read.
        kept: bytes of header fields that are held for it.
    """

    __slots__ = ("begun", "id", "kept", "local_done", "read", "received", "remote_done", "send_window", "user")

    def __init__(self, stream_id: int = 0, send_window: int = 0) -> None:
        self.id = stream_id
        self.user: Any = None
        self.begun = self.local_done = self.remote_done = False
        self.send_window = send_window
        self.received = self.read = self.kept = 0


class Events(Protocol):
    """Who is told what a session finds in the bytes of its peer, in order. None of these may block."""

    def on_fields(self, stream: StreamState, fields: list[tuple[bytes, bytes]], size: int, ended: bool) -> None:
        """A request, a response, an informational response or trailers; `size` is bytes of names and values."""

    def on_too_large(self, stream: StreamState, error: Oversized) -> None:
        """As on_fields, but there is too much of it; the stream is open."""

    def on_crowded(self, stream: StreamState) -> None:
        """As on_fields, but the connection holds too many header fields already; the stream is open."""

    def on_data(self, stream: StreamState, data: bytes, size: int, ended: bool) -> None:
        """Payload without its padding; whoever reads it calls credit() with `size`."""

    def on_reset(self, stream: StreamState, code: int) -> None:
        """The peer has given a stream up; it is closed."""

    def on_broken(self, stream: StreamState) -> None:
        """We have reset a stream whose window the peer overran, or made too large; it is closed."""

    def on_goaway(self, last_stream_id: int, code: int) -> None:
        """The peer takes no streams of ours above this one."""

    def on_window(self, stream: StreamState | None) -> None:
        """There is more room to send; None: on all streams. Also when the peer's settings have changed."""

    def on_pong(self) -> None:
        """The peer has answered a PING."""
