"""The head of an HTTP/1 message, read slowly and as leniently as Envoy reads it.

httptools is strict and fast, and decides nearly every head (h1/head.py). What it refuses comes here: this parser is
the authority on what Envoy takes (bare LF, folded lines, spaces around the words of the first line, own methods) and on
the reason when it is refused. Measured on Envoy 1.40 with its default (Balsa) parser.

Rules:
1. A first line that is wrong is noticed when it is here, if that is before the rest of the head.
2. Of a head that is here as a whole control characters anywhere (NUL .. 0x1f but HT, LF, CR; 0x7f) are
   http1.invalid_characters, before anything else is looked at.
3. A line ends with LF; in the first line everything up to the space is a blank; CR is dropped from values, and is wrong
   in names.
4. A line that starts with a blank continues the value before it; the blanks stay.
"""

from __future__ import annotations

import re
from typing import Final

from trio_envoy.errors import RemoteProtocolError
from trio_envoy.http.h1.target import is_target
from trio_envoy.http.hygiene import TOKEN

HEAD_END: Final = re.compile(rb"\n\r?\n")

_CONTROLS: Final = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_BLANKS: Final = b" \t\r"
_TO_SPACES: Final = bytes(max(byte, 0x20) for byte in range(256))
_EMPTY_LINE: Final = re.compile(rb"\r?\n")
_KEY: Final = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z\x80-\xff]+")  # bytes beyond ASCII are refused later
_VERSION: Final = re.compile(rb"HTTP/[0-9]\.[0-9]")
_STATUS_LINE: Final = re.compile(rb"(HTTP/[0-9]\.[0-9])[ \t\r]+([1-9][0-9]{2})(?:[ \t\r].*)?")

METHODS: Final = frozenset(
    b"ACL BIND CHECKOUT CONNECT COPY DELETE GET HEAD LINK LOCK MERGE MKACTIVITY MKCALENDAR MKCOL MOVE MSEARCH NOTIFY "
    b"OPTIONS PATCH POST PROPFIND PROPPATCH PURGE PUT QUERY REBIND REPORT SEARCH SOURCE SUBSCRIBE TRACE UNBIND UNLINK "
    b"UNLOCK UNSUBSCRIBE".split()
)

Fields = list[tuple[bytes, bytes]]


def check_first_byte(data: bytes | bytearray) -> None:
    """Refuse at once what can't begin a request (a TLS hello on a plain port), without waiting for a line.

    Raises:
        RemoteProtocolError: http1.codec_error.
    """
    if data[0] <= 0x20:
        raise RemoteProtocolError("http1.codec_error")


def words_of(line: bytes | bytearray) -> list[bytes]:
    """Method, target and version of a first line; without a version it is HTTP/0.9."""
    return bytes(line).translate(_TO_SPACES).rstrip().split(None, 2)


def request_line(words: list[bytes], *, custom_methods: bool) -> tuple[bytes, bytes, bytes]:
    """Method, target and version, if the words of a first line are that.

    Raises:
        RemoteProtocolError: http1.codec_error.
    """
    method, target, version = [*words, b"", b"", b""][:3]
    known = TOKEN.fullmatch(method) is not None if custom_methods else method in METHODS
    if not known or not is_target(target, method) or (version and not _VERSION.fullmatch(version)):
        raise RemoteProtocolError("http1.codec_error")
    return method, target, version


def check_controls(head: bytes) -> None:
    """Refuse control characters.

    Raises:
        RemoteProtocolError: http1.invalid_characters.
    """
    if _CONTROLS.search(head):
        raise RemoteProtocolError("http1.invalid_characters")


def end_of(rest: bytes) -> int:
    """Where the head ends whose first line stands before this."""
    if not rest:
        return 0
    empty = _EMPTY_LINE.match(rest) or HEAD_END.search(rest)
    assert empty is not None, "a whole head was found"
    return empty.end()


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
    check_controls(head)
    first, _, rest = head.partition(b"\n")
    return first.rstrip(_BLANKS), rest


def trailer_fields(block: bytes) -> Fields:
    """The fields of a trailer section, its empty line included.

    Raises:
        RemoteProtocolError: http1.invalid_characters or http1.codec_error.
    """
    check_controls(block)
    fields = fields_of(block)
    if not all(name.isascii() for name, _ in fields):
        raise RemoteProtocolError("http1.codec_error")
    return fields


def fields_of(block: bytes) -> Fields:
    """The fields, names in lower case, of lines that have no control characters; the empty line may be there.

    A name may still have bytes beyond ASCII: how they are refused depends on what comes before them.

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
        if not colon or not _KEY.fullmatch(name):
            raise RemoteProtocolError("http1.codec_error")
        fields.append((name.lower(), value))
    return [(name, value.replace(b"\r", b"").strip(b" \t")) for name, value in fields]
