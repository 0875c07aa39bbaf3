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


class Floods:
    """Counts the frames of one connection.

    Attributes:
        data_sent: DATA frames that we have sent.
        queued: frames of ours that wait for the socket; queued_control: those among them that the peer made us send.
    """

    __slots__ = ("_empty", "_options", "_priorities", "_streams", "_windows", "data_sent", "queued", "queued_control")

    def __init__(self, options: Http2Options) -> None:
        self._options = options
        self._streams = 0
        self._empty = 0
        self._priorities = 0
        self._windows = 0
        self.data_sent = 0
        self.queued = 0
        self.queued_control = 0

    def inbound(self, kind: int, flags: int, length: int) -> str:
        """Count a frame that came; the counter of the flood that it makes, or ""."""
        options = self._options
        if kind in _CARRIERS:
            if kind == _HEADERS:
                self._streams += 1
            if length or flags & _END_STREAM:
                self._empty = 0
                return ""
            self._empty += 1
            return "inbound_empty_frames_flood" if self._empty > options.max_empty_frames else ""
        if kind == _WINDOW_UPDATE:
            self._windows += 1
            limit = _FREE_WINDOW_UPDATES + 2 * (self._streams + options.max_window_updates * self.data_sent)
            return "inbound_window_update_frames_flood" if self._windows > limit else ""
        if kind == _PRIORITY:
            self._priorities += 1
            limit = options.max_priority_frames * (1 + self._streams)
            return "inbound_priority_frames_flood" if self._priorities > limit else ""
        if kind in {_PING, _SETTINGS} and not flags & _ACK:
            return self.control()
        return ""

    def control(self) -> str:
        """Count a frame that the peer makes us send: an acknowledgement, a reset."""
        self.queued += 1
        self.queued_control += 1
        return "outbound_control_flood" if self.queued_control > self._options.max_outbound_control_frames else ""

    def outbound(self) -> str:
        """The counter of the flood that what waits for the socket makes, or ""."""
        return "outbound_flood" if self.queued > self._options.max_outbound_frames else ""

    def flushed(self) -> None:
        """The socket has taken everything."""
        self.queued = self.queued_control = 0
