"""The head of an HTTP/1 message, read slowly and as leniently as Envoy reads it.

httptools is strict and fast, and decides nearly every head (h1/head.py). What it refuses comes here: this parser is
the authority on what Envoy takes (bare LF, folded lines, spaces around the words of the first line, own methods) and on
the reason when it is refused. Measured on Envoy 1.40 with its default (Balsa) parser.

Rules:
1. Control characters anywhere in the head (NUL .. 0x1f but HT, LF, CR; 0x7f) are http1.invalid_characters, before
   anything else is looked at.
2. A line ends with LF; CR counts as a blank in the first line, is dropped from values, and is wrong in names.
3. A line that starts with a blank continues the value before it; the blanks stay.
"""

from __future__ import annotations

import re
from typing import Final

from trio_envoy.errors import RemoteProtocolError
from trio_envoy.http.hygiene import TOKEN

HEAD_END: Final = re.compile(rb"\n\r?\n")

_CONTROLS: Final = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_BLANKS: Final = b" \t\r"
_VERSION: Final = re.compile(rb"HTTP/[0-9]\.[0-9]")
_STATUS_LINE: Final = re.compile(rb"(HTTP/[0-9]\.[0-9])[ \t\r]+([1-9][0-9]{2})(?:[ \t\r].*)?")

METHODS: Final = frozenset(
    b"ACL BIND CHECKOUT CONNECT COPY DELETE GET HEAD LINK LOCK MERGE MKACTIVITY MKCALENDAR MKCOL MOVE MSEARCH NOTIFY "
    b"OPTIONS PATCH POST PROPFIND PROPPATCH PURGE PUT QUERY REBIND REPORT SEARCH SOURCE SUBSCRIBE TRACE UNBIND UNLINK "
    b"UNLOCK UNSUBSCRIBE".split()
)

Fields = list[tuple[bytes, bytes]]


def check_first_byte(data: bytes) -> None:
    """Refuse at once what can't begin a request (a TLS hello on a plain port), without waiting for a line.

    Raises:
        RemoteProtocolError: http1.codec_error.
    """
    if data[0] <= 0x20:
        raise RemoteProtocolError("http1.codec_error")


def request_line(line: bytes, *, custom_methods: bool) -> tuple[bytes, bytes, bytes]:
    """Method, target and version (b"HTTP/1.1"; b"" if there is none: HTTP/0.9) of a first line.

    Raises:
        RemoteProtocolError: http1.codec_error.
    """
    if line[:1] in {b" ", b"\t", b""}:
        raise RemoteProtocolError("http1.codec_error")
    words = line.translate(bytes.maketrans(b"\t\r", b"  ")).split()
    if len(words) == 2:
        words.append(b"")
    if len(words) != 3:
        raise RemoteProtocolError("http1.codec_error")
    method, target, version = words
    known = TOKEN.fullmatch(method) is not None if custom_methods else method in METHODS
    if not known or (version and not _VERSION.fullmatch(version)):
        raise RemoteProtocolError("http1.codec_error")
    return method, target, version


def status_line(line: bytes) -> tuple[bytes, int]:
    """Version and status of a first line; the reason is dropped.

    Raises:
        RemoteProtocolError: http1.codec_error.
    """
    matched = _STATUS_LINE.fullmatch(line)
    if matched is None:
        raise RemoteProtocolError("http1.codec_error")
    return matched[1], int(matched[2])


def split_head(head: bytes) -> tuple[bytes, bytes]:
    """The first line and the rest of a complete head.

    Raises:
        RemoteProtocolError: http1.invalid_characters.
    """
    if _CONTROLS.search(head):
        raise RemoteProtocolError("http1.invalid_characters")
    first, _, rest = head.partition(b"\n")
    return first.rstrip(_BLANKS), rest


def trailer_fields(block: bytes) -> Fields:
    """The fields of a trailer section, its empty line included.

    Raises:
        RemoteProtocolError: http1.invalid_characters or http1.codec_error.
    """
    if _CONTROLS.search(block):
        raise RemoteProtocolError("http1.invalid_characters")
    return fields_of(block)


def fields_of(block: bytes) -> Fields:
    """The fields, names in lower case, of lines that have no control characters; the empty line may be there.

    Raises:
        RemoteProtocolError: http1.codec_error.
    """
    fields: Fields = []
    for line in block.split(b"\n"):
        if line in {b"", b"\r"}:
            continue  # the end; a head has only one empty line
        if line[:1] in {b" ", b"\t"}:
            if not fields:
                raise RemoteProtocolError("http1.codec_error")
            name, value = fields[-1]
            fields[-1] = (name, value + line)
            continue
        name, colon, value = line.partition(b":")
        if not colon or not TOKEN.fullmatch(name):
            raise RemoteProtocolError("http1.codec_error")
        fields.append((name.lower(), value))
    return [(name, value.replace(b"\r", b"").strip(b" \t")) for name, value in fields]
