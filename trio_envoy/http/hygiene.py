"""What a peer may say in fields that steer the framing, and what never goes further: hop-by-hop fields and their kin.

Sources: RFC 9110 §7.6.1, RFC 9112 §6; Envoy's Utility::sanitizeConnectionHeader and HeaderUtility, measured on 1.40.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from trio_envoy.errors import RemoteProtocolError
from trio_envoy.http.headers import Headers

CONNECTION: Final = b"connection"
CONTENT_LENGTH: Final = b"content-length"
TRANSFER_ENCODING: Final = b"transfer-encoding"

# Fields that a codec takes out while it parses: they are about this connection, or become attributes of the message.
REQUEST_SPECIAL: Final = frozenset(
    {
        b"host",
        b"connection",
        b"transfer-encoding",
        b"upgrade",
        b"keep-alive",
        b"proxy-connection",
        b"te",
        b"http2-settings",
    }
)
RESPONSE_SPECIAL: Final = frozenset(
    {b"connection", b"transfer-encoding", b"upgrade", b"keep-alive", b"proxy-connection"}
)
# Of an upgrade the rest goes on as it came: `connection` and `upgrade` themselves, what they name, te.
UPGRADE_SPECIAL: Final = frozenset({b"host", b"transfer-encoding", b"keep-alive", b"proxy-connection"})

NAMELESS: Final = b" "  # the protocol of a request whose `upgrade` is there, and empty: nothing that may be allowed
MAX_NOMINATED: Final = 9  # names in `connection` (measured)
_MAX_LENGTH: Final = 2**64
_MAX_DIGITS: Final = 20
_KNOWN_OPTIONS: Final = frozenset({b"close", b"keep-alive", b"upgrade", b"http2-settings", b"transfer-encoding"})
_NEVER_NOMINATED: Final = frozenset({b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-proto"})

# What may stand in Host and :authority (measured); the host and port of an absolute URL are checked more strictly.
_AUTHORITY_BYTES: Final = bytes(
    sorted(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!$%&'()*+,-.:;=@[]_~")
)
TOKEN: Final = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")


def authority_is_valid(authority: bytes) -> bool:
    """No character that Envoy refuses in Host (400 http.invalid_authority); an empty one is fine."""
    return not authority.translate(None, _AUTHORITY_BYTES)


def options_of(value: bytes) -> list[bytes]:
    """The comma-separated words of a field, lower-case, without the empty ones."""
    return [word for word in (part.strip(b" \t") for part in value.lower().split(b",")) if word]


def content_length(value: bytes) -> int:
    """The number in a Content-Length.

    Raises:
        RemoteProtocolError: it is not one.
    """
    digits = value.lstrip(b"0")[: _MAX_DIGITS + 1] or b"0"  # int() itself refuses thousands of digits
    if not value.isdigit() or len(digits) > _MAX_DIGITS or (length := int(digits)) >= _MAX_LENGTH:
        raise RemoteProtocolError("http1.codec_error")
    return length


def te_that_goes_on(values: Iterable[bytes]) -> bytes | None:
    """What of `te` may go on: the word trailers in lower case, or nothing at all if nothing was said; None: drop it."""
    words = [word.strip() for value in values for word in value.split(b",")]
    return b"trailers" if b"trailers" in words else None if any(words) else b""


def remove_nominated(headers: Headers, options: list[bytes]) -> bool:
    """Remove what `connection` names; True if Host is among it (the caller keeps that one).

    Raises:
        RemoteProtocolError: too many names, or one that a proxy may not be talked into removing.
    """
    if len(options) > MAX_NOMINATED:
        raise RemoteProtocolError("http1.connection_header_rejected")
    host = False
    for name in options:
        if name in _KNOWN_OPTIONS or name == b"te":
            continue
        if name in _NEVER_NOMINATED or name[:1] == b":":
            raise RemoteProtocolError("http1.connection_header_rejected")
        if name == b"host":
            host = True
        else:
            headers.remove(name)
    return host


def wanted_upgrade(connection: list[bytes], upgrades: list[bytes]) -> bytes:
    """What a request wants to go on with, as one text whatever is in it; b"": nothing, or h2c, which is ignored.

    Args:
        connection: the options, from options_of().
        upgrades: the values of `upgrade`.
    """
    if not upgrades or b"upgrade" not in connection:
        return b""
    upgrade = b",".join(upgrades)
    return b"" if upgrade.lower() == b"h2c" else upgrade or NAMELESS


def says_upgrade(headers: Headers) -> bool:
    """Whether `connection` and `upgrade` are there and belong together."""
    first = headers.first
    return b"upgrade" in first and b"upgrade" in options_of(first.get(CONNECTION, b""))
