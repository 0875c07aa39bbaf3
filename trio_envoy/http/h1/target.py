"""The request target of HTTP/1: origin, absolute, asterisk and authority form.

Sources: RFC 9112 §3.2; what Envoy refuses, and with which detail, measured on 1.40 (http1.codec_error, invalid_url,
invalid_scheme).
"""

from __future__ import annotations

import re
from typing import Final

from trio_envoy.errors import RemoteProtocolError

_PATH: Final = re.compile(rb"[/*][!-~]*")
_HOST: Final = rb"((?:(?!@@)[A-Za-z0-9!$%&'()*+,\-.:;=@\[\]_~])*)([/?][!-~]*)?"
_AUTHORITY_FORM: Final = re.compile(_HOST)
_ABSOLUTE: Final = re.compile(rb"([A-Za-z][A-Za-z0-9+\-.]*)://" + _HOST)
_HOST_PORT: Final = re.compile(rb"(?:[A-Za-z0-9\-.]+|\[[0-9A-Fa-f:.]+\])(?::([0-9]{1,5}))?")
_SCHEMES: Final = frozenset({b"http", b"https"})


def is_target(target: bytes, method: bytes) -> bool:
    """Whether it can be one at all: a path, an asterisk and what follows it, an absolute URL, the host of a CONNECT."""
    if _PATH.fullmatch(target):
        return True
    form = _AUTHORITY_FORM if method == b"CONNECT" else _ABSOLUTE
    return bool(target) and form.fullmatch(target) is not None


def absolute(target: bytes) -> tuple[bytes, bytes, bytes]:
    """Scheme (lower-case), authority and path of `http://authority/path`, which is_target() has taken.

    Raises:
        RemoteProtocolError: http1.invalid_scheme or http1.invalid_url.
    """
    matched = _ABSOLUTE.fullmatch(target)
    if matched is None:
        raise RemoteProtocolError("http1.invalid_url")
    authority = matched[2].rpartition(b"@")[2]
    if not _is_host_port(authority):
        raise RemoteProtocolError("http1.invalid_url")
    scheme = matched[1].lower()
    if scheme not in _SCHEMES:
        raise RemoteProtocolError("http1.invalid_scheme")
    return scheme, authority, matched[3] or b"/"


def connect_authority(target: bytes) -> bytes:
    """The host:port of a CONNECT.

    Raises:
        RemoteProtocolError: http1.invalid_url; the port is missing or the host can't be one.
    """
    if not _is_host_port(target) or not re.search(rb":[0-9]+$", target):
        raise RemoteProtocolError("http1.invalid_url")
    return target


def _is_host_port(authority: bytes) -> bool:
    matched = _HOST_PORT.fullmatch(authority)
    return matched is not None and int(matched[1] or 0) <= 65535
