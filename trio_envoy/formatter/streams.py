"""Operators that read the stream and the process: RESPONSE_CODE, RESPONSE_FLAGS, BYTES_SENT, ROUTE_NAME, HOSTNAME, ...

Source: Envoy, configuration/observability/access_log/usage; formatter/stream_info_formatter.cc; measured.
"""

from __future__ import annotations

import os
import socket
import uuid
from collections.abc import Callable, Mapping
from typing import Any, Final

from trio_envoy.errors import ConfigError
from trio_envoy.formatter.command import Command
from trio_envoy.formatter.context import LogContext
from trio_envoy.formatter.inline import Getter, Inline
from trio_envoy.formatter.operator import Kind, Row, Takes, absent, constant, one_word, plain
from trio_envoy.net.stream_info import flags_long, flags_short


def _count(attribute: str) -> Row:
    """A number of StreamInfo that is always there."""
    return plain(Kind.COUNT, Inline(f"info.{attribute}"))


def _text(read: Callable[[LogContext], str]) -> Row:
    """A str, "" for none."""
    return plain(Kind.TEXT, lambda context: read(context).encode() or None)


def _flags(render: Callable[[int], str]) -> Row:
    """Flags as text; each combination is rendered once, there are few of them."""
    rendered: dict[int, bytes] = {0: b"-"}

    def text_of(flags: int) -> bytes:
        text = rendered[flags] = render(flags).encode()
        return text

    text = "({rendered}.get(info.flags) or {text_of}(info.flags))"
    return plain(Kind.TEXT, Inline(text, {"rendered": rendered, "text_of": text_of}, never_none=True))


_PROTOCOLS: Final = {"HTTP/1.0": b"HTTP/1.0", "HTTP/1.1": b"HTTP/1.1", "HTTP/2": b"HTTP/2"}


def _details(command: Command) -> Getter:
    """Spaces are written as `_`, so that a line can be split at them, unless ALLOW_WHITESPACES."""
    if command.argument == "ALLOW_WHITESPACES":
        return lambda context: context.info.details.encode() or None
    return lambda context: one_word(context.info.details)


def log_type(context: LogContext) -> bytes:
    """What an entry is written for, as %ACCESS_LOG_TYPE% says it.

    Most are written when the stream has ended; those before that say what they are, or it is a header that asks.
    """
    info = context.info
    return info.log_type or (b"DownstreamEnd" if info.end == info.end else b"NotSet")  # nan: not over yet


def _environment(command: Command) -> Getter:
    """The variable's value at load; `-` when it isn't set."""
    value = os.environ.get(command.argument, "-").encode()
    return lambda _: value


def _hostname(_: Command) -> Getter:
    name = socket.gethostname().encode()
    return lambda _: name


def _dynamic_metadata(command: Command) -> Getter:
    namespace, *path = command.argument.split(":")

    def get(context: LogContext) -> Any:
        value: Any = (context.info.metadata or {}).get(namespace)
        for step in path:
            value = value.get(step) if isinstance(value, dict) else None
        return value

    return get


_METADATA_TYPES: Final = frozenset(
    {"DYNAMIC", "CLUSTER", "ROUTE", "UPSTREAM_HOST", "LISTENER", "VIRTUAL_HOST", "LISTENER_FILTER_CHAIN"}
)


def _metadata(command: Command) -> Getter:
    kind, _, rest = command.argument.partition(":")
    if kind not in _METADATA_TYPES:
        raise ConfigError(f"{kind} is not supported type of metadata")
    if kind == "DYNAMIC":
        return _dynamic_metadata(Command(command.name, rest))
    return lambda _: None  # none of the others can have metadata here: their `metadata` field is refused


ROWS: Final[Mapping[str, Row]] = {
    "ACCESS_LOG_TYPE": plain(Kind.TEXT, log_type),
    "PROTOCOL": plain(
        Kind.TEXT,
        Inline("{protocols}.get(info.protocol, {missing})", {"protocols": _PROTOCOLS}),
    ),
    "RESPONSE_CODE": _count("status"),
    "RESPONSE_CODE_DETAILS": Row(Kind.TEXT, _details, Takes.ARGUMENT),
    "RESPONSE_FLAGS": _flags(flags_short),
    "RESPONSE_FLAGS_LONG": _flags(flags_long),
    "BYTES_RECEIVED": _count("bytes_received"),
    "BYTES_SENT": _count("bytes_sent"),
    "BYTES_RETRANSMITTED": plain(Kind.COUNT, lambda _: 0),  # QUIC only
    "PACKETS_RETRANSMITTED": plain(Kind.COUNT, lambda _: 0),  # QUIC only
    "DOWNSTREAM_WIRE_BYTES_RECEIVED": _count("wire_bytes_received"),
    "DOWNSTREAM_WIRE_BYTES_SENT": _count("wire_bytes_sent"),
    "DOWNSTREAM_HEADER_BYTES_RECEIVED": _count("header_bytes_received"),
    "DOWNSTREAM_HEADER_BYTES_SENT": _count("header_bytes_sent"),
    "DOWNSTREAM_DECOMPRESSED_HEADER_BYTES_RECEIVED": _count("header_bytes_received"),
    "DOWNSTREAM_DECOMPRESSED_HEADER_BYTES_SENT": _count("header_bytes_sent"),
    "UPSTREAM_WIRE_BYTES_RECEIVED": _count("upstream_wire_bytes_received"),
    "UPSTREAM_WIRE_BYTES_SENT": _count("upstream_wire_bytes_sent"),
    "UPSTREAM_HEADER_BYTES_RECEIVED": _count("upstream_header_bytes_received"),
    "UPSTREAM_HEADER_BYTES_SENT": _count("upstream_header_bytes_sent"),
    "UPSTREAM_DECOMPRESSED_HEADER_BYTES_RECEIVED": _count("upstream_header_bytes_received"),
    "UPSTREAM_DECOMPRESSED_HEADER_BYTES_SENT": _count("upstream_header_bytes_sent"),
    "ROUTE_RESOLUTION_COUNT": plain(Kind.COUNT, Inline("0 if context.request is None else 1")),
    "ROUTE_NAME": _text(lambda context: context.info.route_name),
    "VIRTUAL_CLUSTER_NAME": absent(),  # virtual_clusters are refused
    "STREAM_ID": plain(Kind.TEXT, Inline("info.request_id")),
    "UNIQUE_ID": plain(Kind.TEXT, lambda _: str(uuid.uuid4()).encode()),
    "DYNAMIC_METADATA": Row(Kind.VALUE, _dynamic_metadata, Takes.NEEDS_ARGUMENT),
    "METADATA": Row(Kind.VALUE, _metadata, Takes.ARGUMENT_AND_LENGTH),
    "CLUSTER_METADATA": absent(Takes.NEEDS_ARGUMENT),  # Cluster.metadata is refused
    "UPSTREAM_METADATA": absent(Takes.NEEDS_ARGUMENT),  # LbEndpoint.metadata is refused
    "ENVIRONMENT": Row(Kind.TEXT, _environment, Takes.NEEDS_ARGUMENT),
    "HOSTNAME": Row(Kind.TEXT, _hostname),
    "CUSTOM_FLAGS": constant(b""),  # set by filters of other makers
    "TRACE_ID": absent(),  # tracing is refused
    "SPAN_ID": absent(),
}
