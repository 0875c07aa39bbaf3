"""LocalReply -> Response: header order, gRPC form and HEAD rules as Envoy's Utility::sendLocalReply.

Order (measured): the reply's own headers (location), the route's response headers, then content-length and
content-type, or the gRPC fields; `date` and `server` come with every response.
"""

from __future__ import annotations

from typing import Final

from trio_envoy.hcm.stream import HttpStream
from trio_envoy.http import grpc
from trio_envoy.http.body import BytesBody
from trio_envoy.http.headers import Headers
from trio_envoy.http.message import LocalReply, Response

_TEXT_PLAIN: Final = b"text/plain"


def finalize_response(stream: HttpStream, headers: Headers) -> None:
    """What the route adds to every response, from upstream or made here (Envoy's finalizeResponseHeaders)."""
    route = stream.route
    if route is None:
        return
    route.finalize_response(headers, stream)
    if route.virtual_host.include_attempt_count_in_response and stream.info.upstream_attempts:
        headers.set(b"x-envoy-attempt-count", b"%d" % stream.info.upstream_attempts)


def to_response(stream: HttpStream, reply: LocalReply) -> Response:
    """The response that this reply is for this stream; flags, details and body go into stream.info."""
    info = stream.info
    info.flags |= reply.flag
    info.details = reply.details
    info.local_reply_body = reply.text
    headers = Headers(reply.headers)
    finalize_response(stream, headers)
    if reply.close:
        stream.codec.close_after()
    if grpc.is_grpc(stream.request.headers.first.get(b"content-type")):
        return _grpc_response(stream, reply, headers)
    if not reply.text:
        return Response(reply.status, headers)
    headers.set(b"content-length", b"%d" % len(reply.text))
    if b"content-type" not in headers.first:
        headers.add(b"content-type", _TEXT_PLAIN)
    body = None if stream.request.method == b"HEAD" else BytesBody(reply.text)
    return Response(reply.status, headers, body)


def _grpc_response(stream: HttpStream, reply: LocalReply, headers: Headers) -> Response:
    """Trailers-only: status and message ride in the headers of a 200."""
    headers.set(b"content-type", b"application/grpc")
    status = grpc.status_of_http(reply.status) if reply.grpc_status is None else reply.grpc_status
    headers.set(b"grpc-status", b"%d" % status)
    if reply.text and stream.request.method != b"HEAD":
        headers.set(b"grpc-message", grpc.encode_message(reply.text))
    return Response(200, headers)
