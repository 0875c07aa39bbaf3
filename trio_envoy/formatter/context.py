"""What command operators read: the request, the response and what is known about the stream."""

from __future__ import annotations

from typing import Protocol

import attrs

from trio_envoy.http.message import Request, Response
from trio_envoy.net.stream_info import StreamInfo


class LogContext(Protocol):
    """The subject of a log line or of a header template; hcm.stream.HttpStream is one.

    Response trailers are info.response_trailers, the body of a local reply is info.local_reply_body.
    """

    @property
    def request(self) -> Request | None:
        """None when there never was one: a protocol error, a TCP session."""

    @property
    def response(self) -> Response | None:
        """None while there is none yet."""

    @property
    def info(self) -> StreamInfo:
        """Times, bytes, flags, details, addresses."""


@attrs.frozen(eq=False)
class Logged:
    """A LogContext for what has no HttpStream.

    Attributes:
        info: times, bytes, flags, details, addresses.
        request: None when there never was one.
        response: None when there is none.
    """

    info: StreamInfo
    request: Request | None = None
    response: Response | None = None
