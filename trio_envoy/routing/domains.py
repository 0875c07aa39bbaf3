"""Virtual hosts by domain: exact, then the longest `*suffix`, then the longest `prefix*`, then `*`.

Source: Envoy, router/config_impl.cc RouteMatcher::findVirtualHost. Letter case doesn't count; the port belongs to the
name unless ignore_port_in_host_matching.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Generic, TypeVar

from trio_envoy.errors import ConfigError, Faults

T = TypeVar("T")

_ByLength = tuple[tuple[int, dict[bytes, T]], ...]


class Domains(Generic[T]):
    """A search over domains; immutable.

    Attributes:
        only: what every authority leads to, if the one domain is "*".
    """

    def __init__(self, entries: Iterable[tuple[object, Iterable[str], T]], *, table: str, ignore_port: bool) -> None:
        """Build it.

        Args:
            entries: (config object for errors, domains, what they lead to).
            table: name of the route configuration, for errors.
            ignore_port: compare without the port of the authority.

        Raises:
            ConfigError: domains that are there twice, all at once.
        """
        faults = Faults()
        self._exact: dict[bytes, T] = {}
        self._any: T | None = None
        suffixes: dict[int, dict[bytes, T]] = {}
        prefixes: dict[int, dict[bytes, T]] = {}
        for config, domains, target in entries:
            for index, text in enumerate(domains):
                domain = text.lower().encode()
                if domain == b"*":
                    if self._any is not None:
                        wrong = f"Only a single wildcard domain is permitted in route {table}"
                        faults.add(ConfigError(wrong, at=config, field=("domains", index)))
                    self._any = target
                    continue
                if domain.startswith(b"*"):
                    place, key = suffixes.setdefault(len(domain) - 1, {}), domain[1:]
                elif domain.endswith(b"*"):
                    place, key = prefixes.setdefault(len(domain) - 1, {}), domain[:-1]
                else:
                    place, key = self._exact, domain
                if key in place:
                    wrong = f"Duplicate entry of domain {text.lower()} in route {table}"
                    wrong = f"Only unique values for domains are permitted. {wrong}"
                    faults.add(ConfigError(wrong, at=config, field=("domains", index)))
                place[key] = target
        faults.raise_all()
        self._suffixes: _ByLength[T] = tuple(sorted(suffixes.items(), reverse=True))
        self._prefixes: _ByLength[T] = tuple(sorted(prefixes.items(), reverse=True))
        self.only = None if self._exact or suffixes or prefixes else self._any
        self._ignore_port = ignore_port

    def find(self, authority: bytes) -> T | None:
        """What the authority leads to, or None."""
        host = authority.lower()
        if self._ignore_port:
            host = without_port(host)
        found = self._exact.get(host)
        if found is not None:
            return found
        size = len(host)
        for length, by_suffix in self._suffixes:
            if length < size and (found := by_suffix.get(host[size - length :])) is not None:
                return found
        for length, by_prefix in self._prefixes:
            if length < size and (found := by_prefix.get(host[:length])) is not None:
                return found
        return self._any


def without_port(host: bytes) -> bytes:
    """The host without `:port`; an IPv6 address keeps its brackets."""
    colon = host.rfind(b":")
    return host if colon < 0 or host.rfind(b"]") > colon else host[:colon]
