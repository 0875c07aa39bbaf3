"""How the names of a head are spelled on HTTP/1, where lower case is not wanted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, Protocol

_PROPER: Final[dict[bytes, bytes]] = {}
_MAX_PROPER: Final = 1024
_MAX_NAME: Final = 64  # bytes of those that are kept: peers choose them


class Spelling(Protocol):
    """The spelling of one head, made when it was read; it goes with the head's fields to who writes them."""

    @property
    def reason(self) -> bytes:
        """The reason phrase to write for the status; b"": the usual one."""

    def __call__(self, name: bytes) -> bytes:
        """A name, given in lower case, as it is written; also one that the head did not have."""


Remember = Callable[[Mapping[bytes, bytes], bytes], Spelling]
"""The spelling for a head that has come: its names as they came, by those in lower case, and its reason phrase.

What a factory of the category envoy.http.stateful_header_formatters makes.
"""


def proper_case(name: bytes) -> bytes:
    """Like-This: capitals at the start and behind every character that is not a letter or digit."""
    known = _PROPER.get(name)
    if known is None:
        known = bytes(
            byte - 32 if 97 <= byte <= 122 and (i == 0 or not name[i - 1 : i].isalnum()) else byte
            for i, byte in enumerate(name)
        )
        if len(_PROPER) < _MAX_PROPER and len(name) <= _MAX_NAME:
            _PROPER[name] = known
    return known
