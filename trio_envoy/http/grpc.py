"""What a proxy must know of gRPC: which requests are calls, and how an HTTP status is told to a caller.

Sources: gRPC over HTTP/2 (protocol-http2), Envoy's Grpc::Common and Grpc::Utility::httpToGrpcStatus, measured on 1.40.
"""

from __future__ import annotations

import re
from typing import Final

CONTENT_TYPE: Final = b"application/grpc"
UNKNOWN: Final = 2
DEADLINE_EXCEEDED: Final = 4

_STATUS_OF_HTTP: Final = {400: 13, 401: 16, 403: 7, 404: 12, 429: 14, 502: 14, 503: 14, 504: 14}
# Those that stand for an HTTP status below 500 (Grpc::Utility::grpcToHttpStatus).
_FAULTLESS: Final = frozenset({b"0", b"1", b"3", b"5", b"6", b"7", b"8", b"9", b"10", b"11", b"16"})
_NOT_IN_MESSAGE: Final = re.compile(rb"[^ -$&-}]")  # all but printable ASCII without "%" and "~"


def is_grpc(content_type: bytes | None) -> bool:
    """application/grpc, or application/grpc+something; not application/grpc-web."""
    return (
        content_type is not None
        and content_type.startswith(CONTENT_TYPE)
        and (len(content_type) == len(CONTENT_TYPE) or content_type[len(CONTENT_TYPE)] == 0x2B)
    )


def status_of_http(status: int) -> int:
    """The grpc-status of a response of ours that would have had this HTTP status."""
    return _STATUS_OF_HTTP.get(status, UNKNOWN)


def is_server_fault(status: bytes | None) -> bool:
    """Whether this grpc-status counts as an error of the upstream host; none at all does."""
    return status is None or status not in _FAULTLESS


def encode_message(text: bytes) -> bytes:
    """Text as grpc-message carries it: percent-encoded."""
    return _NOT_IN_MESSAGE.sub(lambda found: b"%%%02X" % ord(found[0]), text)
