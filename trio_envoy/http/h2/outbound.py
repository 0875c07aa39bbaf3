"""What our end of an HTTP/2 connection says, and the windows that it must keep to.

Frames are kept until take_output(). Payload is not copied before that.
Source: RFC 9113 s4 to s6.
"""

from __future__ import annotations

from typing import Final

from trio_envoy.http.h2 import frames, settings
from trio_envoy.http.h2.floods import Floods
from trio_envoy.http.h2.frames import HEAD, MAX_STREAM_ID
from trio_envoy.http.h2.options import Http2Options
from trio_envoy.http.h2.settings import PeerSettings
from trio_envoy.http.h2.state import Fields, SessionError, StreamState
from trio_envoy.http.hpack.encoder import Encoder

_PING: Final = b"keep-ali"


class Outbound:
    """The half of a session that speaks.

    Args:
        options: how to speak.
        client: which end this is.

    Attributes:
        floods: what the peer makes us do for nothing.
        peer: the peer's settings.
        streams: those that are not ended on both sides, and not reset, by id.
        last_id: the highest stream of the peer that was taken (servers).
        send_window: bytes that we may send on all streams together.
        kept: bytes of header fields that are held for streams.
        taken: frames of the last take_output().
        mute: nothing is sent: a server before the client's preface, or an end that has no more to say.
    """

    def __init__(self, options: Http2Options, *, client: bool) -> None:
        self.floods = Floods(options)
        self.peer = PeerSettings()
        self.streams: dict[int, StreamState] = {}
        self.last_id = 0
        self.send_window = frames.DEFAULT_WINDOW
        self.kept = 0
        self.mute = not client
        self.taken = 0
        self._data_taken = 0  # of floods.data_sent
        self._encoder = Encoder()
        self._next_id = 1
        self._takes_more = True  # streams of the peer
        self._stream_window = options.stream_window
        self._window = max(options.connection_window, frames.DEFAULT_WINDOW)
        self._received = self._read = 0  # of the connection; see StreamState
        self._opening = (frames.PREFACE if client else b"") + frames.settings(settings.ours(options, client=client))
        self._out: list[bytes | memoryview] = [self._opening]
        if self._window > frames.DEFAULT_WINDOW:
            self._out.append(frames.window_update(0, self._window - frames.DEFAULT_WINDOW))

    @property
    def open_streams(self) -> int:
        """How many streams are not closed."""
        return len(self.streams)

    def take_output(self) -> bytes:
        """What is to be sent now."""
        out = self._out
        if not out or self.mute:
            return b""
        floods = self.floods
        floods.turn()
        self.taken = len(out) - floods.data_sent + self._data_taken  # DATA is two pieces
        self._data_taken = floods.data_sent
        data = b"".join(out)
        out.clear()
        return data

    def open(self, stream: StreamState) -> None:
        """Let a new stream begin (clients); send_head() comes next.

        Raises:
            SessionError: its ids are used up.
        """
        stream_id = self._next_id
        if stream_id > MAX_STREAM_ID:
            raise SessionError("there are no stream ids left")
        self._next_id = stream_id + 2
        stream.id = stream_id
        stream.send_window = self.peer.window
        self.streams[stream_id] = stream

    def send_head(self, stream: StreamState, fields: Fields, *, ended: bool) -> None:
        """A request, a response, an informational response or trailers.

        Raises:
            BrokenPipeError: the stream is closed.
        """
        if stream.local_done:
            raise BrokenPipeError("the stream is closed")
        block = self._encoder.encode(fields)
        if len(block) <= self.peer.frame_bytes:
            flags = frames.END_HEADERS | ended
            self._out.append(HEAD.pack(len(block) << 8 | frames.HEADERS, flags, stream.id) + block)
        else:
            self._send_long_head(stream.id, block, ended=ended)
        if ended:
            self._end(stream)

    def _send_long_head(self, stream_id: int, block: bytes, *, ended: bool) -> None:
        size = self.peer.frame_bytes
        kind, flags = frames.HEADERS, int(ended)
        for begin in range(0, len(block), size):
            piece = block[begin : begin + size]
            if begin + size >= len(block):
                flags |= frames.END_HEADERS
            self._out.append(frames.frame(kind, flags, stream_id, piece))
            kind, flags = frames.CONTINUATION, 0

    def send_data(self, stream: StreamState, data: bytes | memoryview, *, ended: bool) -> None:
        """Payload, no more than room() says, in as many frames as it takes.

        Raises:
            BrokenPipeError: the stream is closed.
        """
        if stream.local_done:
            raise BrokenPipeError("the stream is closed")
        size, most = len(data), self.peer.frame_bytes
        self.send_window -= size
        stream.send_window -= size
        while len(data) > most:
            self._out += (HEAD.pack(most << 8, 0, stream.id), data[:most])
            self.floods.data_sent += 1
            data = data[most:]
        self._out += (HEAD.pack(len(data) << 8, ended, stream.id), data)
        self.floods.data_sent += 1
        if ended:
            self._end(stream)

    def room(self, stream: StreamState) -> int:
        """Bytes that may be sent on this stream now, perhaps less than none.

        Raises:
            BrokenPipeError: the stream is closed.
        """
        if stream.local_done:
            raise BrokenPipeError("the stream is closed")
        return min(self.send_window, stream.send_window)

    def credit(self, stream: StreamState, size: int) -> bool:
        """So many bytes of what came on this stream were read: the peer may send as many more.

        Returns:
            The peer shall be told now; until then it has enough.
        """
        tell = self._credit_connection(size)
        if stream.remote_done:
            return tell
        stream.read += size
        if stream.read * 2 < self._stream_window:
            return tell
        self._out.append(frames.window_update(stream.id, stream.read))
        stream.received -= stream.read
        stream.read = 0
        return True

    def _credit_connection(self, size: int) -> bool:
        self._read += size
        if self._read * 2 < self._window:
            return False
        self._out.append(frames.window_update(0, self._read))
        self._received -= self._read
        self._read = 0
        return True

    def reset(self, stream: StreamState, code: int, *, late: bool = False) -> bool:
        """Give a stream up; False when it is over already.

        Args:
            stream: which.
            code: why.
            late: say so even if the last frame was the end of both sides: that frame is what is wrong.
        """
        closed = stream.id not in self.streams
        if not closed or late:
            self._out.append(frames.rst_stream(stream.id, code))
            self.forget(stream)
        return late or not closed

    def release(self, stream: StreamState) -> None:
        """Its header fields are not held any more."""
        self.kept -= stream.kept
        stream.kept = 0

    def ping(self) -> None:
        """Ask the peer whether it is still there."""
        self._out.append(frames.frame(frames.PING, 0, 0, _PING))

    def go_away(self, last_stream_id: int, code: int = frames.NO_ERROR) -> None:
        """Say that no streams above this one are taken; those that are there go on.

        With the highest of all ids it is a notice, and the peer's next streams are still taken.
        """
        self._takes_more = last_stream_id == MAX_STREAM_ID
        self._out.append(frames.goaway(last_stream_id, code))

    def _end(self, stream: StreamState) -> None:
        """We have sent our last frame on it."""
        stream.local_done = True
        if stream.remote_done:
            del self.streams[stream.id]

    def forget(self, stream: StreamState) -> None:
        """It is closed, and nobody needs to be told."""
        stream.local_done = stream.remote_done = True
        self.streams.pop(stream.id, None)
