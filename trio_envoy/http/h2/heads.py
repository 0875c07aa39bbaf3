"""Heads of one connection that come again and again: checked once, and then looked up.

A gRPC client sends the head of one method many times, an origin answers much the same, and what a head is depends on
its fields alone. What is remembered is bounded for each connection by _REMEMBERED and _LONG; no connection learns
anything of another.
"""

from __future__ import annotations

from typing import Final

from trio_envoy.config.protocol import HeadersWithUnderscoresAction
from trio_envoy.http.h2 import messages
from trio_envoy.http.h2.options import Http2Options, Http2Stats
from trio_envoy.http.h2.state import Fields
from trio_envoy.http.headers import Headers
from trio_envoy.http.message import Request

_REMEMBERED: Final = 8  # heads
_LONG: Final = 512  # bytes; a longer head is not remembered
_ALLOW: Final = HeadersWithUnderscoresAction.ALLOW

_Key = tuple[object, ...]


class Requests:
    """Heads to requests.

    Args:
        options: see messages.request().
        stats: see there.
    """

    __slots__ = ("_known", "_longest", "_options", "_stats")

    def __init__(self, options: Http2Options, stats: Http2Stats) -> None:
        self._options = options
        self._stats = stats
        self._longest = _LONG if options.underscores is _ALLOW else -1  # else each name that is dropped counts
        self._known: dict[_Key, tuple[Request, float] | None] = {}  # None: it was met once

    def request(self, fields: Fields, size: int, *, ended: bool) -> tuple[Request, float]:
        """(the request that a head stands for, the length of its body or inf).

        Args:
            fields: pseudo-headers first.
            size: bytes of these.
            ended: it has no body.

        Raises:
            RemoteProtocolError: see messages.request().
        """
        if size > self._longest:
            return messages.request(fields, self._options, self._stats, ended=ended)
        key = (ended, *fields)
        known = self._known.get(key)
        if known is not None:
            model, length = known
            return _copy(model), length
        made = messages.request(fields, self._options, self._stats, ended=ended)
        if key in self._known:
            self._known[key] = _copy(made[0]), made[1]
        else:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            self._known[key] = None
        return made


class Responses:
    """Heads to what messages.split() makes of them."""

    __slots__ = ("_known",)

    def __init__(self) -> None:
        self._known: dict[_Key, tuple[dict[bytes, bytes], Headers] | None] = {}

    def split(self, fields: Fields, size: int) -> tuple[dict[bytes, bytes], Headers]:
        """(pseudo-headers, headers) of the head of a response; the former are not to be changed.

        Raises:
            RemoteProtocolError: see messages.split().
        """
        if size > _LONG:
            return messages.split(fields, messages.RESPONSE_PSEUDO)
        key = tuple(fields)
        known = self._known.get(key)
        if known is not None:
            return known[0], known[1].copy()
        pseudo, headers = messages.split(fields, messages.RESPONSE_PSEUDO)
        if key in self._known:
            self._known[key] = pseudo, headers.copy()
        else:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            self._known[key] = None
        return pseudo, headers


def _copy(request: Request) -> Request:
    return Request(
        request.method,
        request.authority,
        request.path,
        request.scheme,
        request.headers.copy(),
        None,
        request.protocol,
        request.host_missing,
    )
