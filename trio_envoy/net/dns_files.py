"""The system's own answers about names: /etc/hosts and /etc/resolv.conf, read again when they change.

Sources: hosts(5), resolv.conf(5).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Final, Generic, TypeVar

import attrs

from trio_envoy.net.address import IpAddress, parse_ip

DNS_PORT: Final = 53

_T = TypeVar("_T")
_MAX_NDOTS: Final = 15


class ParsedFile(Generic[_T]):
    """A small text file and what it means; a file that can't be read is empty.

    Args:
        path: of the file.
        parse: text -> meaning.
    """

    def __init__(self, path: str, parse: Callable[[str], _T]) -> None:
        self._path = path
        self._parse = parse
        self._stamp: tuple[int, int, int] | None = None
        self._value = parse("")
        self.reads = 0

    def get(self) -> _T:
        """What it means now."""
        try:
            status = os.stat(self._path)
            stamp = (status.st_mtime_ns, status.st_size, status.st_ino)
            if stamp != self._stamp:
                with open(self._path, encoding="utf-8", errors="replace") as file:
                    self._value = self._parse(file.read())
                self._stamp = stamp
                self.reads += 1
        except OSError:
            pass  # gone or being replaced: the last that was read stands
        return self._value


def parse_hosts(text: str) -> Mapping[str, tuple[str, ...]]:
    """Lower-case names -> their addresses, in the order of the file."""
    hosts: dict[str, tuple[str, ...]] = {}
    for line in text.splitlines():
        words = line.partition("#")[0].split()
        ip = parse_ip(words[0]) if words else None
        if ip is None:
            continue
        for word in words[1:]:
            name = word.lower().rstrip(".")
            known = hosts.get(name, ())
            if ip not in known:
                hosts[name] = (*known, ip)
    return hosts


@attrs.frozen
class ResolvConf:
    """How to ask.

    Attributes:
        servers: name servers, in order.
        search: domains to try.
        ndots: a name with at least so many dots is tried as it is first.
        timeout: seconds for the first round of tries; None when the file does not say.
        attempts: rounds; None when the file does not say.
        rotate: begin with another server each time.
    """

    servers: tuple[IpAddress, ...] = ()
    search: tuple[str, ...] = ()
    ndots: int = 1
    timeout: int | None = None
    attempts: int | None = None
    rotate: bool = False


def parse_resolv_conf(text: str) -> ResolvConf:
    """The meaning of a resolv.conf; lines that make no sense are skipped, as the system does."""
    servers: list[IpAddress] = []
    search: tuple[str, ...] = ()
    numbers: dict[str, int] = {}
    rotate = False
    for line in text.splitlines():
        if line.startswith(("#", ";")):
            continue
        words = line.split()
        match words[:1]:
            case ["nameserver"] if len(words) > 1 and (ip := parse_ip(words[1])) is not None:
                servers.append(IpAddress(ip, DNS_PORT))
            case ["search" | "domain"]:
                search = tuple(name for word in words[1:] if (name := word.rstrip(".")))
            case ["options"]:
                for option in words[1:]:
                    name, _, value = option.partition(":")
                    if value.isascii() and value.isdigit():
                        numbers[name] = int(value)
                    rotate = rotate or name == "rotate"
            case _:
                pass
    return ResolvConf(
        servers=tuple(servers),
        search=search,
        ndots=min(numbers.get("ndots", 1), _MAX_NDOTS),
        timeout=numbers.get("timeout"),
        attempts=numbers.get("attempts"),
        rotate=rotate,
    )


def candidates(name: str, conf: ResolvConf) -> tuple[str, ...]:
    """The full names to ask for, in order (resolv.conf(5), search and ndots)."""
    if name.endswith("."):
        return (name.rstrip("."),)
    searched = tuple(f"{name}.{domain}" for domain in conf.search)
    return (name, *searched) if name.count(".") >= conf.ndots else (*searched, name)
