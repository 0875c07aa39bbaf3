"""LocalReply -> Response: header order, gRPC form and HEAD rules as Envoy's Utility::sendLocalReply.

Order (measured): the reply's own headers (location), the route's response headers, then content-length and
content-type, or the gRPC fields; `date` and `server` come with every response.
"""

from __future__ import annotations

from trio_envoy.hcm.reply_rules import JSON, TEXT, ReplyRules
from trio_envoy.hcm.stream import HttpStream
from trio_envoy.http import grpc
from trio_envoy.http.body import BytesBody
from trio_envoy.http.headers import Headers
from trio_envoy.http.message import LocalReply, Response


def finalize_response(stream: HttpStream, headers: Headers) -> None:
    """What the route adds to every response, from upstream or made here (Envoy's finalizeResponseHeaders)."""
    route = stream.route
    if route is None:
        return
    route.finalize_response(headers, stream)
    if route.virtual_host.include_attempt_count_in_response and stream.info.upstream_attempts:
        headers.set(b"x-envoy-attempt-count", b"%d" % stream.info.upstream_attempts)


def to_response(stream: HttpStream, reply: LocalReply, rules: ReplyRules | None = None) -> Response:
    """The response that this reply is for this stream; flags and details go into stream.info.

    Args:
        stream: whose request is answered.
        reply: the answer.
        rules: what may become of it; None: nothing.
    """
    info, request = stream.info, stream.request
    info.flags |= reply.flag
    info.details = reply.details
    headers = Headers(reply.headers)
    finalize_response(stream, headers)
    if reply.close:
        stream.codec.close_after()
    status, text, content_type = reply.status, reply.text, TEXT
    if rules is not None:
        status, text, content_type = rules.apply(info, request, status, text, headers)
    if grpc.is_grpc(request.headers.first.get(b"content-type")):
        told = grpc.status_of_http(status) if reply.grpc_status is None else reply.grpc_status
        message = text.removesuffix(b"\n") if content_type == JSON else text
        return _grpc_response(headers, told, b"" if request.method == b"HEAD" else message)
    if not text:
        if b"content-type" in headers.first:
            headers.remove(b"content-type")
        return Response(status, headers)
    headers.set(b"content-length", b"%d" % len(text))
    if b"content-type" not in headers.first:
        headers.add(b"content-type", content_type)
    return Response(status, headers, None if request.method == b"HEAD" else BytesBody(text))


def _grpc_response(headers: Headers, status: int, message: bytes) -> Response:
    """Trailers-only: status and message ride in the headers of a 200."""
    headers.set(b"content-type", b"application/grpc")
    headers.set(b"grpc-status", b"%d" % status)
    if message:
        headers.set(b"grpc-message", grpc.encode_message(message))
    return Response(200, headers)
