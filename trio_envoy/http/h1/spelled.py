"""Parsers that remember how the names of a head were spelled: those of connections that ask for it.

The spelling is read off a head that the usual parser has taken, whichever way it took it, and is kept beside the
fields, whose names are in lower case as ever. So nobody else pays for it, and nobody compares names in two ways.

Source: Http1ProtocolOptions.HeaderKeyFormat.stateful_formatter; measured on Envoy 1.40.
"""

from __future__ import annotations

from trio_envoy.http.h1.request_parser import RequestParser
from trio_envoy.http.h1.response_parser import ResponseParser
from trio_envoy.http.headers import Headers
from trio_envoy.http.spelling import Spelling


class SpelledHeaders(Headers):
    """Fields with the spelling of the head that they came in.

    Args:
        headers: the fields; they belong to this object from now on.
        spelling: how their names, and others that are added, are written.
    """

    __slots__ = ("spelling",)

    def __init__(self, headers: Headers, spelling: Spelling | None) -> None:
        self.first = headers.first
        self.every = headers.every
        self.spelling = spelling

    def copy(self) -> Headers:
        return SpelledHeaders(super().copy(), self.spelling)


class SpelledRequestParser(RequestParser):
    """Requests whose headers remember their spelling; the options say how."""

    __slots__ = ()

    def _read(self, head: bytes) -> int:
        size = super()._read(head)
        remember = self._options.remember
        assert remember is not None, "the options ask for it"
        message = self.messages[-1]
        message.headers = SpelledHeaders(message.headers, remember(names_of(head[:size]), b""))
        return size


class SpelledResponseParser(ResponseParser):
    """Responses whose headers remember their spelling; the options say how."""

    __slots__ = ()

    def _read(self, head: bytes) -> int:
        size = super()._read(head)
        remember = self._options.remember
        assert remember is not None, "the options ask for it"
        message = self.messages[-1]
        message.headers = SpelledHeaders(message.headers, remember(names_of(head[:size]), reason_of(head)))
        return size


def names_of(head: bytes) -> dict[bytes, bytes]:
    """The names of a head that is in order, as they came, by those in lower case; of one that comes twice the first."""
    names: dict[bytes, bytes] = {}
    for line in head.split(b"\n")[1:]:
        name, colon, _ = line.partition(b":")
        if colon and line[:1] not in {b" ", b"\t"}:  # what begins with a blank goes on with the value before
            names.setdefault(name.lower(), name)
    return names


def reason_of(head: bytes) -> bytes:
    """The reason phrase of a response's head that is in order; b"" if there is none."""
    words = head.partition(b"\n")[0].strip(b" \t\r").split(None, 2)
    return words[2] if len(words) > 2 else b""
