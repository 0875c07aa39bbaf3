"""How much of what costs us and brings the peer nothing is taken before a connection is closed.

Source: envoy.config.core.v3.Http2ProtocolOptions (the limits and their formulas); CVE-2019-9511 and its kin.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from trio_envoy.http.h2.options import Http2Options

_FREE_WINDOW_UPDATES: Final = 5
_CONTROL: Final = "outbound_control_flood"

DETAILS: Final = {  # counter to %RESPONSE_CODE_DETAILS%, as measured
    "inbound_empty_frames_flood": "codec_error:Too_many_consecutive_frames_with_an_empty_payload",
    "inbound_priority_frames_flood": "codec_error:Too_many_PRIORITY_frames",
    "inbound_window_update_frames_flood": "codec_error:Too_many_WINDOW_UPDATE_frames",
    _CONTROL: "codec_error:Too_many_control_frames_in_the_outbound_queue.",
    "outbound_flood": "codec_error:Too_many_frames_in_the_outbound_queue.",
}
STREAM_DETAILS: Final = {  # of the stream that the frame is about
    "inbound_empty_frames_flood": "http2.inbound_empty_frames_flood",
    "inbound_priority_frames_flood": "http2.inbound_priority_frames_flood",
    "inbound_window_update_frames_flood": "http2.inbound_window_update_frames_flood",
}


Limit = Callable[[str, int], int]
"""(runtime key, default) to what the runtime says."""


class Resets:
    """Finds out who resets most streams as soon as they have begun; each costs us more than the client.

    Source: Envoy, ConnectionManagerImpl::maybeDrainDueToPrematureResets.

    Args:
        limit: of the runtime.
    """

    __slots__ = ("_closed", "_lifetime", "_premature", "_suspicious")

    def __init__(self, limit: Limit) -> None:
        self._closed = 0
        self._premature = 0
        self._suspicious = limit("overload.premature_reset_total_stream_count", 500)  # streams
        # Seconds; they are rounded down there, so that 1 is everything below 2.
        self._lifetime = limit("overload.premature_reset_min_stream_lifetime_seconds", 1) + 1

    def closed(self) -> None:
        """A stream is over, in whatever way."""
        self._closed += 1

    def too_many(self, age: float) -> bool:
        """A stream was reset before its response; `age` is in seconds. Whether that was once too often."""
        self._premature += age < self._lifetime
        return 2 * self._premature >= max(self._closed, self._suspicious)


class Floods:
    """Counts the frames of one connection; each count gives the counter of the flood that it makes, or "".

    Attributes:
        empty: frames without a payload that came in a row.
        data_sent: DATA frames that we have sent.
        controls: acknowledgements and resets that we have made since turn().
    """

    __slots__ = ("_options", "_priorities", "_windows", "controls", "data_sent", "empty")

    def __init__(self, options: Http2Options) -> None:
        self._options = options
        self._priorities = 0
        self._windows = 0
        self.empty = 0
        self.data_sent = 0
        self.controls = 0

    def empty_frame(self) -> str:
        """A frame of DATA or header fields came that holds nothing, and ends nothing."""
        self.empty += 1
        return "inbound_empty_frames_flood" if self.empty > self._options.max_empty_frames else ""

    def priority(self, streams: int) -> str:
        """PRIORITY came; so many streams are open."""
        self._priorities += 1
        limit = self._options.max_priority_frames * (1 + streams)
        return "inbound_priority_frames_flood" if self._priorities > limit else ""

    def window_update(self, streams: int) -> str:
        """WINDOW_UPDATE came; so many streams are open."""
        self._windows += 1
        limit = _FREE_WINDOW_UPDATES + 2 * (streams + self._options.max_window_updates * self.data_sent)
        return "inbound_window_update_frames_flood" if self._windows > limit else ""

    def too_many_controls(self) -> str:
        """What came until now, in one read, is worked through."""
        return _CONTROL if self.controls > self._options.max_outbound_control_frames else ""

    def turn(self) -> None:
        """What we have to say is on its way to the socket."""
        self.controls = 0

    def outbound(self, frames: int, controls: int) -> str:
        """The counter of the flood that what waits for the socket makes, or "".

        Args:
            frames: how many wait.
            controls: acknowledgements and resets among them.
        """
        if controls > self._options.max_outbound_control_frames:
            return _CONTROL
        return "outbound_flood" if frames > self._options.max_outbound_frames else ""
