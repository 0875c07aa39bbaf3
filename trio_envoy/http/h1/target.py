"""The request target of HTTP/1: origin, absolute, asterisk and authority form.

Sources: RFC 9112 §3.2; what Envoy refuses, and with which detail, measured on 1.40 (http1.codec_error, invalid_url,
invalid_scheme).
"""

from __future__ import annotations

import re
from typing import Final

from trio_envoy.errors import RemoteProtocolError

_PATH: Final = re.compile(rb"[/*][\x0c!-~]*")
_ABSOLUTE: Final = re.compile(rb"([A-Za-z][A-Za-z0-9+\-.]*)://((?:(?!@@)[A-Za-z0-9!$%&'()*+,\-.:;=@\[\]_~])*)([/?].*)?")
_PATH_BYTES: Final = re.compile(rb"[\x0c!-~]*")
_HOST_PORT: Final = re.compile(rb"(?:[A-Za-z0-9\-.]+|\[[0-9A-Fa-f:.]+\])(?::([0-9]{1,5}))?")
_SCHEMES: Final = frozenset({b"http", b"https"})


def path_is_plain(target: bytes) -> bool:
    """Only characters that may stand in a path or query."""
    return _PATH.fullmatch(target) is not None


def absolute(target: bytes) -> tuple[bytes, bytes, bytes]:
    """Scheme (lower-case), authority and path of `http://authority/path`.

    Raises:
        RemoteProtocolError: http1.codec_error, http1.invalid_scheme or http1.invalid_url.
    """
    matched = _ABSOLUTE.fullmatch(target)
    if matched is None or not _PATH_BYTES.fullmatch(matched[3] or b""):
        raise RemoteProtocolError("http1.codec_error")
    scheme = matched[1].lower()
    if scheme not in _SCHEMES:
        raise RemoteProtocolError("http1.invalid_scheme")
    authority = matched[2].rpartition(b"@")[2]
    if not _is_host_port(authority):
        raise RemoteProtocolError("http1.invalid_url")
    return scheme, authority, matched[3] or b"/"


def connect_authority(target: bytes) -> bytes:
    """The host:port of a CONNECT.

    Raises:
        RemoteProtocolError: http1.invalid_url; the port is missing or the host can't be one.
    """
    if not _is_host_port(target) or not re.search(rb":[0-9]+$", target):
        raise RemoteProtocolError("http1.invalid_url")
    return target


def check_asterisk(method: bytes, target: bytes) -> None:
    """Only `OPTIONS *` is a target that starts with an asterisk.

    Raises:
        RemoteProtocolError: http1.invalid_url.
    """
    if method != b"OPTIONS" or target != b"*":
        raise RemoteProtocolError("http1.invalid_url")


def _is_host_port(authority: bytes) -> bool:
    matched = _HOST_PORT.fullmatch(authority)
    return matched is not None and int(matched[1] or 0) <= 65535
