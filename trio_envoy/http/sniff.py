"""HTTP/1 or HTTP/2, from the first bytes of a connection: codec_type AUTO without ALPN. Sans-IO."""

from __future__ import annotations

from typing import Final

PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DECISIVE: Final = b"PRI * HTTP/2"  # ConnectionManagerUtility::determineNextProtocol looks this far


def is_http2(beginning: bytes) -> bool | None:
    """Whether the client speaks HTTP/2; None if more bytes are needed to tell."""
    if len(beginning) >= len(_DECISIVE):
        return beginning.startswith(_DECISIVE)
    return None if _DECISIVE.startswith(beginning) else False
