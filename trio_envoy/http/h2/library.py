"""The `h2` package as Session wants it: without the checks that Envoy makes otherwise, or that cost too much.

* It goes through all streams for each new one, to count them; here Session counts.
* It checks content-length, and ends the connection where the stream alone is broken; here whoever reads the body does.
* It loses the events before an error that comes with the same bytes; here they are kept.
"""

from __future__ import annotations

import h2.config
import h2.connection
import h2.events
import h2.stream
import hyperframe.frame

from trio_envoy.http.h2.compression import Decoder, Encoder


class StreamClosed(h2.events.Event):
    """A stream is ended on both sides, or reset, by what came."""


class Connection(h2.connection.H2Connection):
    """One connection's state, the way of the library.

    Attributes:
        events: of what was received, up to the error that it made if it made one; whoever reads them clears them.
    """

    def __init__(self, config: h2.config.H2Configuration) -> None:
        super().__init__(config)
        self.encoder = Encoder()
        self.decoder = Decoder()
        self.events: list[h2.events.Event] = []

    def _receive_frame(self, frame: hyperframe.frame.Frame) -> list[h2.events.Event]:
        events = self.events
        events += super()._receive_frame(frame)
        if frame.stream_id and self.forget_closed(frame.stream_id):
            events.append(StreamClosed())
        return []

    @property
    def open_inbound_streams(self) -> int:
        """None: Session counts."""
        return 0

    @property
    def open_outbound_streams(self) -> int:
        """None: the pool counts."""
        return 0

    def _begin_new_stream(self, stream_id: int, allowed_ids: h2.connection.AllowedStreamIDs) -> h2.stream.H2Stream:
        stream = super()._begin_new_stream(stream_id, allowed_ids)
        stream.__class__ = _Stream
        return stream

    def forget_closed(self, stream_id: int) -> bool:
        """Forget a stream if both sides are done with it; whether it was."""
        stream = self.streams.get(stream_id)
        if stream is None or not stream.closed:
            return False
        del self.streams[stream_id]
        self._closed_streams[stream_id] = stream.closed_by
        return True


class _Stream(h2.stream.H2Stream):
    """One stream; nobody looks at its content-length."""

    def _initialize_content_length(self, headers: object) -> None:
        pass

    def _track_content_length(self, length: int, end_stream: bool) -> None:
        pass
