"""How much of what costs us and brings the peer nothing is taken before a connection is closed.

Source: envoy.config.core.v3.Http2ProtocolOptions (the limits and their formulas); CVE-2019-9511 and its kin.
"""

from __future__ import annotations

from typing import Final

from trio_envoy.http.h2.options import Http2Options

_DATA: Final = 0
_HEADERS: Final = 1
_PRIORITY: Final = 2
_SETTINGS: Final = 4
_PING: Final = 6
_WINDOW_UPDATE: Final = 8
_CONTINUATION: Final = 9
_CARRIERS: Final = frozenset({_DATA, _HEADERS, _CONTINUATION})
_ACK: Final = 1
_END_STREAM: Final = 1
_FREE_WINDOW_UPDATES: Final = 5
_CONTROL: Final = "outbound_control_flood"

DETAILS: Final = {  # counter to %RESPONSE_CODE_DETAILS%, as measured
    "inbound_empty_frames_flood": "http2.inbound_empty_frames_flood",
    "inbound_priority_frames_flood": "http2.inbound_priority_frames_flood",
    "inbound_window_update_frames_flood": "http2.inbound_window_update_frames_flood",
    _CONTROL: "codec_error:Too_many_control_frames_in_the_outbound_queue.",
    "outbound_flood": "http2.outbound_frames_flood",
}


_CLOSED: Final = 500  # streams; runtime key overload.premature_reset_total_stream_count
_PREMATURE: Final = 2.0  # s; overload.premature_reset_min_stream_lifetime_seconds is 1, and rounded down


class Resets:
    """Finds out who resets most streams as soon as they have begun; each costs us more than the client.

    Source: Envoy, ConnectionManagerImpl::maybeDrainDueToPrematureResets.
    """

    __slots__ = ("_closed", "_premature")

    def __init__(self) -> None:
        self._closed = 0
        self._premature = 0

    def closed(self) -> None:
        """A stream is over, in whatever way."""
        self._closed += 1

    def too_many(self, age: float) -> bool:
        """A stream was reset before its response; `age` is in seconds. Whether that was once too often."""
        self._premature += age < _PREMATURE
        return 2 * self._premature >= max(self._closed, _CLOSED)


class Floods:
    """Counts the frames of one connection.

    Attributes:
        streams: HEADERS frames that came.
        empty: frames without a payload that came in a row.
        data_sent: DATA frames that we have sent.
    """

    __slots__ = ("_answers", "_options", "_priorities", "_windows", "data_sent", "empty", "streams")

    def __init__(self, options: Http2Options) -> None:
        self._options = options
        self.streams = 0
        self.empty = 0
        self._priorities = 0
        self._windows = 0
        self._answers = 0  # acknowledgements that are not on their way to the socket yet
        self.data_sent = 0

    def inbound(self, kind: int, flags: int, length: int) -> str:
        """Count a frame that came; the counter of the flood that it makes, or ""."""
        options = self._options
        if kind in _CARRIERS:
            if kind == _HEADERS:
                self.streams += 1
            if length or flags & _END_STREAM:
                self.empty = 0
                return ""
            self.empty += 1
            return "inbound_empty_frames_flood" if self.empty > options.max_empty_frames else ""
        if kind == _WINDOW_UPDATE:
            self._windows += 1
            limit = _FREE_WINDOW_UPDATES + 2 * (self.streams + options.max_window_updates * self.data_sent)
            return "inbound_window_update_frames_flood" if self._windows > limit else ""
        if kind == _PRIORITY:
            self._priorities += 1
            limit = options.max_priority_frames * (1 + self.streams)
            return "inbound_priority_frames_flood" if self._priorities > limit else ""
        if kind in {_PING, _SETTINGS} and not flags & _ACK:
            self._answers += 1
            return _CONTROL if self._answers > options.max_outbound_control_frames else ""
        return ""

    def turn(self) -> None:
        """What we have to say is on its way to the socket."""
        self._answers = 0

    def outbound(self, frames: int, controls: int) -> str:
        """The counter of the flood that what waits for the socket makes, or "".

        Args:
            frames: how many wait.
            controls: acknowledgements and resets among them.
        """
        if controls > self._options.max_outbound_control_frames:
            return _CONTROL
        return "outbound_flood" if frames > self._options.max_outbound_frames else ""
