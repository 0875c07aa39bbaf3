"""A request and its response, the same for every HTTP version."""

from __future__ import annotations

import attrs

from trio_envoy.http.body import Body
from trio_envoy.http.headers import Headers


@attrs.define(eq=False)
class Request:
    """One request; filters may change any field until the router has sent it.

    Attributes:
        method: as on the wire, b"GET".
        authority: the Host header or :authority; b"" when there was none. Never among `headers`.
        path: the request target with its query; b"" for CONNECT.
        scheme: b"http" or b"https".
        headers: without host and without the hop-by-hop fields of the framing (they are the codec's).
        body: None: the stream ended with the headers (Envoy's end_stream).
        protocol: the :protocol of an extended CONNECT, or the Upgrade value; b"" otherwise.
        host_missing: there was no Host at all, not even an empty one.
    """

    method: bytes
    authority: bytes
    path: bytes
    scheme: bytes
    headers: Headers
    body: Body | None = None
    protocol: bytes = b""
    host_missing: bool = False


@attrs.define(eq=False)
class Response:
    """One answer, from upstream or made here; its body may still be flowing.

    Attributes:
        status: 200..599 (1xx go through ServerStream.inform).
        headers: without the hop-by-hop fields of the framing; content-length is kept as a field.
        body: None: the stream ended with the headers.
    """

    status: int
    headers: Headers
    body: Body | None = None


@attrs.frozen(eq=False)
class LocalReply:
    """An answer made here. The HCM turns it into a Response (gRPC form, HEAD rules, Envoy's header order).

    Attributes:
        status: HTTP status; 0: no answer, the stream is reset.
        text: body, text/plain; b"" for none.
        details: %RESPONSE_CODE_DETAILS%.
        flag: bits of net.stream_info for %RESPONSE_FLAGS%.
        headers: further fields, as `location` of a redirect.
        close: the downstream connection is closed afterwards.
        grpc_status: for a gRPC client; None: the one that stands for the status.
    """

    status: int
    text: bytes = b""
    details: str = ""
    flag: int = 0
    headers: tuple[tuple[bytes, bytes], ...] = ()
    close: bool = False
    grpc_status: int | None = None
