"""The fields of a head, read fast: httptools checks and splits, and calls only C functions while it does.

httptools sees a whole head in one piece. Its callbacks are dict.setdefault and list.append: a name that comes twice is
noticed by counting lines, and only then a second, collecting parser reads the head again.
"""

from __future__ import annotations

import contextlib
from typing import Any, Final

import httptools

Field = tuple[bytes, bytes]

HttpParserError: Final = httptools.HttpParserError


class HeadReader:
    """Splits heads of requests or of responses.

    Args:
        make: httptools.HttpRequestParser or httptools.HttpResponseParser.

    Attributes:
        llhttp: what has read the last head: ask it for method or status.
        urls: the request target, as its only item; to be taken out.
    """

    __slots__ = ("_make", "_raw", "llhttp", "on_header", "on_url", "urls")

    def __init__(self, make: Any) -> None:
        self._make = make
        self._raw: dict[bytes, bytes] = {}
        self.urls: list[bytes] = []
        self.on_header = self._raw.setdefault
        self.on_url = self.urls.append
        self.llhttp = make(self)

    def read(self, head: bytes) -> dict[bytes, bytes] | None:
        """The fields in order, names in lower case; None: a name comes twice, collect() has them all.

        Raises:
            HttpParserError: httptools refuses it; the reader is fresh again.
        """
        raw = self._raw
        raw.clear()
        try:
            self.llhttp.feed_data(head)
        except httptools.HttpParserUpgrade:
            pass  # an Upgrade or a CONNECT; the head is read, and restart() will be called
        except httptools.HttpParserError:
            self.restart()
            raise
        fields = {}  # by a loop: a comprehension is a call
        for name, value in raw.items():
            fields[name.lower()] = value.rstrip()
        return fields if head.count(b"\n") == len(fields) + 2 else None

    def collect(self, head: bytes) -> list[Field]:
        """The fields of a head that was read, those that come twice too."""
        collected = _Collected()
        with contextlib.suppress(httptools.HttpParserUpgrade):
            self._make(collected).feed_data(head)
        return collected.fields

    def restart(self) -> None:
        """Be ready for the next head: the message has a body (which httptools doesn't see), or no successor."""
        self.urls.clear()
        make = self._make  # called as a method it would be looked up in the class first
        self.llhttp = make(self)


class _Collected:
    """Callbacks that keep every field."""

    __slots__ = ("fields",)

    def __init__(self) -> None:
        self.fields: list[Field] = []

    def on_header(self, name: bytes, value: bytes) -> None:
        self.fields.append((name.lower(), value.rstrip()))
