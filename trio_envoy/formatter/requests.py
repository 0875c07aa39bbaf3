"""Operators that read the request and the response: REQ, RESP, TRAILER, PATH, QUERY_PARAM, GRPC_STATUS, ...

Source: Envoy, configuration/observability/access_log/usage; formatter/http_specific_formatter.cc; measured.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final

from trio_envoy.errors import ConfigError
from trio_envoy.formatter.command import Command
from trio_envoy.formatter.context import LogContext
from trio_envoy.formatter.inline import Getter, Inline, Source
from trio_envoy.formatter.operator import Kind, Row, Takes, plain
from trio_envoy.http.headers import Headers
from trio_envoy.http.message import Request
from trio_envoy.http.query import bare_path, parameters, query_of

_ORIGINAL_PATH: Final = b"x-envoy-original-path"
_ORIGINAL_HOST: Final = b"x-envoy-original-host"
_HEADER_NAME: Final = re.compile(r":?[!#-'*+\-.0-9A-Z^_`a-z|~]*")
_ESCAPE: Final = re.compile(rb"%([0-9A-Fa-f]{2})")
_ESCAPE_OR_PERCENT: Final = re.compile(rb"%([0-9A-Fa-f]{2})|%(?=..)", re.DOTALL)
_CAMEL_STATUS: Final = (
    "OK Canceled Unknown InvalidArgument DeadlineExceeded NotFound AlreadyExists PermissionDenied ResourceExhausted "
    "FailedPrecondition Aborted OutOfRange Unimplemented Internal Unavailable DataLoss Unauthenticated"
).split()
_SNAKE_STATUS: Final = (
    "OK CANCELLED UNKNOWN INVALID_ARGUMENT DEADLINE_EXCEEDED NOT_FOUND ALREADY_EXISTS PERMISSION_DENIED "
    "RESOURCE_EXHAUSTED FAILED_PRECONDITION ABORTED OUT_OF_RANGE UNIMPLEMENTED INTERNAL UNAVAILABLE DATA_LOSS "
    "UNAUTHENTICATED"
).split()
_STATUS_OF_HTTP: Final = {400: 13, 401: 16, 403: 7, 404: 12, 429: 14, 502: 14, 503: 14, 504: 14}
_INVALID_STATUS: Final = -1  # Envoy's InvalidCode: grpc-status that is no number
_UNKNOWN_STATUS: Final = 2


def _names(command: Command) -> tuple[bytes, bytes | None]:
    """The header and its alternative, `X?Y`."""
    names = command.argument.split("?")
    if len(names) > 2:
        raise ConfigError(f"More than 1 alternative header specified in token: {command.argument}")
    for name in names:
        if _HEADER_NAME.fullmatch(name) is None:
            raise ConfigError("Invalid header configuration. Format string contains invalid characters.")
    main, *alternative = (name.lower().encode() for name in names)
    return main, alternative[0] if alternative and alternative[0] else None


_AUTHORITY: Final = "({missing} if request.host_missing else request.authority)"
_REQUEST_PSEUDO: Final = {
    b":method": "(request.method or {missing})",
    b":path": "(request.path or {missing})",
    b":authority": _AUTHORITY,
    b"host": _AUTHORITY,
    b":scheme": "(request.scheme or {missing})",
}


def _request_header(command: Command) -> Inline:
    main, alternative = _names(command)
    first = _REQUEST_PSEUDO.get(main, "fields.get({main}, {missing})")
    if alternative is None:
        return Inline(first, {"main": main})
    second = _REQUEST_PSEUDO.get(alternative, "fields.get({alternative}, {missing})")
    return _either(first, second, main, alternative)


def _response_header(command: Command) -> Inline:
    main, alternative = _names(command)
    first = _response_value(main, "main")
    if alternative is None:
        return Inline(first, {"main": main})
    second = _response_value(alternative, "alternative")
    return _either(first, second, main, alternative)


def _response_value(name: bytes, constant_name: str) -> str:
    if name == b":status":
        return "(b'%d' % response.status if response.status else {missing})"
    return f"answered.get({{{constant_name}}}, {{missing}})"


def _either(first: str, second: str, main: bytes, alternative: bytes) -> Inline:
    """The value of the first expression, or that of the second one if it is None."""
    tested = first.replace("{missing}", "None")
    text = f"({second} if (first := {tested}) is None else first)"
    return Inline(text, {"main": main, "alternative": alternative})


def _trailer(command: Command) -> Getter:
    main, alternative = _names(command)

    def get(context: LogContext) -> bytes | None:
        trailers: Headers | None = context.info.response_trailers
        if trailers is None:
            return None
        value = trailers.get(main)
        return trailers.get(alternative) if value is None and alternative is not None else value

    return get


def _path(command: Command) -> Getter:
    option, _, rest = command.argument.partition(":")
    source = rest.partition(":")[0]
    if option not in {"", "WQ", "NQ"}:
        raise ConfigError(f"Invalid PATH option: '{option}', only 'WQ'/'NQ' are allowed")
    if source not in {"", "ORIG", "PATH", "ORIG_OR_PATH"}:
        raise ConfigError(f"Invalid PATH option: '{source}', only 'ORIG'/'PATH'/'ORIG_OR_PATH' are allowed")
    original, current = source != "PATH", source != "ORIG"

    def get(context: LogContext) -> bytes | None:
        request = context.request
        if request is None:
            return None
        path = request.headers.first.get(_ORIGINAL_PATH) if original else None
        if path is None and current:
            path = request.path or None
        return bare_path(path) if path is not None and option == "NQ" else path

    return get


def _full_path(request: Request) -> bytes:
    """The path as it came: before a rewrite, if one left word of it."""
    return request.headers.first.get(_ORIGINAL_PATH) or request.path


def _query_parameter(command: Command) -> Getter:
    name = command.argument.encode()

    def get(context: LogContext) -> bytes | None:
        if context.request is None:
            return None
        for key, value in parameters(context.request.path).items():
            if _decoded(key) == name:
                return _decoded(value)
        return None

    return get


def _decoded(value: bytes) -> bytes:
    """%XX decoded; what is no escape stays."""
    return _ESCAPE.sub(lambda match: bytes((int(match[1], 16),)), value) if b"%" in value else value


def _decoded_visible(value: bytes) -> bytes:
    """As Envoy's PercentEncoding::decode: only visible ASCII is decoded; a `%` before no escape is dropped."""

    def one(match: re.Match[bytes]) -> bytes:
        if match[1] is None:
            return b""
        char = int(match[1], 16)
        return bytes((char,)) if 0x20 < char < 0x7F else match[0]

    return _ESCAPE_OR_PERCENT.sub(one, value)


def _query(command: Command) -> Getter:
    if command.argument not in {"", "ORIG", "DECODED"}:
        raise ConfigError(f"Invalid QUERY_PARAMS option: '{command.argument}', only 'ORIG'/'DECODED' are allowed")
    decoded = command.argument == "DECODED"

    def get(context: LogContext) -> bytes | None:
        if context.request is None:
            return None
        query = query_of(_full_path(context.request))
        return _decoded_visible(query) if query is not None and decoded else query

    return get


def _server_name(command: Command) -> Getter:
    option, _, rest = command.argument.partition(":")
    source = rest.partition(":")[0]
    if option not in {"", "SNI_ONLY", "SNI_FIRST", "HOST_FIRST"}:
        raise ConfigError(
            f"Invalid REQUESTED_SERVER_NAME option: '{option}', only 'SNI_ONLY'/'SNI_FIRST'/'HOST_FIRST' are allowed"
        )
    if source not in {"", "ORIG_OR_HOST", "HOST", "ORIG"}:
        raise ConfigError(
            f"Invalid REQUESTED_SERVER_NAME option: '{source}', only 'ORIG_OR_HOST'/'HOST'/'ORIG' are allowed"
        )
    original, current = source != "HOST", source != "ORIG"

    def sni(context: LogContext) -> bytes | None:
        return context.info.connection.server_name.encode() or None

    def host(context: LogContext) -> bytes | None:
        if context.request is None:
            return None
        value = context.request.headers.first.get(_ORIGINAL_HOST) if original else None
        return value or (context.request.authority if current else None) or None

    if option == "SNI_FIRST":
        return lambda context: sni(context) or host(context)
    if option == "HOST_FIRST":
        return lambda context: host(context) or sni(context)
    return sni


def grpc_status(context: LogContext) -> int | None:
    """grpc-status of the trailers or of the headers, else what the HTTP status means; None when there is neither."""
    trailers: Headers | None = context.info.response_trailers
    value = trailers.get(b"grpc-status") if trailers is not None else None
    if value is None and context.response is not None:
        value = context.response.headers.get(b"grpc-status")
    if value is not None:
        return int(value) if value.isdigit() else _INVALID_STATUS
    status = context.info.status
    return _STATUS_OF_HTTP.get(status, _UNKNOWN_STATUS) if status else None


def _grpc_status_of_call(context: LogContext) -> int | None:
    """None unless the request is gRPC."""
    request = context.request
    content_type = request.headers.get(b"content-type") if request is not None else None
    if content_type is None or not (
        content_type == b"application/grpc" or content_type.startswith(b"application/grpc+")
    ):
        return None
    return grpc_status(context)


def _grpc_status(command: Command) -> Getter:
    option = command.argument
    if option == "NUMBER":
        return _grpc_status_of_call
    if option not in {"", "CAMEL_STRING", "SNAKE_STRING"}:
        raise ConfigError(f"GrpcStatusFormatter only supports CAMEL_STRING, SNAKE_STRING or NUMBER. Got: {option}")
    names = _SNAKE_STATUS if option == "SNAKE_STRING" else _CAMEL_STATUS

    def get(context: LogContext) -> str | None:
        status = _grpc_status_of_call(context)
        if status is None:
            return None
        return names[status] if 0 <= status < len(names) else str(status)

    return get


def _request_size(context: LogContext) -> int:
    """Bytes of names and values, pseudo-headers too."""
    request = context.request
    if request is None:
        return 0
    pseudo = (
        (b":authority", request.authority),
        (b":path", request.path),
        (b":method", request.method),
        (b":scheme", request.scheme),
    )
    return request.headers.byte_size() + sum(len(name) + len(value) for name, value in pseudo if value)


def _response_size(context: LogContext) -> int:
    response = context.response
    return 0 if response is None else response.headers.byte_size() + len(":status") + 3


def _trailers_size(context: LogContext) -> int:
    trailers: Headers | None = context.info.response_trailers
    return 0 if trailers is None else trailers.byte_size()


def _header(make: Callable[[Command], Source]) -> Row:
    return Row(Kind.TEXT, make, Takes.NEEDS_ARGUMENT)


ROWS: Final[Mapping[str, Row]] = {
    "REQ": _header(_request_header),
    "REQUEST_HEADER": _header(_request_header),
    "STREAM_INFO_REQ": _header(_request_header),
    "RESP": _header(_response_header),
    "RESPONSE_HEADER": _header(_response_header),
    "TRAILER": _header(_trailer),
    "RESPONSE_TRAILER": _header(_trailer),
    "REQUEST_HEADERS_BYTES": plain(Kind.COUNT, _request_size),
    "RESPONSE_HEADERS_BYTES": plain(Kind.COUNT, _response_size),
    "RESPONSE_TRAILERS_BYTES": plain(Kind.COUNT, _trailers_size),
    "PATH": Row(Kind.TEXT, _path, Takes.ARGUMENT_AND_LENGTH),
    "QUERY_PARAM": Row(Kind.TEXT, _query_parameter, Takes.NEEDS_ARGUMENT),
    "QUERY_PARAMS": Row(Kind.TEXT, _query, Takes.ARGUMENT_AND_LENGTH),
    "REQUESTED_SERVER_NAME": Row(Kind.TEXT, _server_name, Takes.ARGUMENT),
    "GRPC_STATUS": Row(Kind.VALUE, _grpc_status, Takes.ARGUMENT),
    "GRPC_STATUS_NUMBER": plain(Kind.NUMBER, _grpc_status_of_call),
    "LOCAL_REPLY_BODY": plain(Kind.TEXT, Inline("info.local_reply_body")),
}
