"""Which filter chain takes a connection (envoy.config.listener.v3.FilterChainMatch).

Nine criteria, in the order of STEPS. Each keeps only the chains with the most specific value that fits, and there is no
way back: when no chain is left later, the connection has none (Envoy, listener_manager/filter_chain_manager_impl.cc).
So the chains become a tree of tables, one level a criterion, and a connection walks down it once.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from typing import Any, Final, Generic, TypeVar

import attrs

from trio_envoy.config.address import CidrRange
from trio_envoy.config.listener import ConnectionSourceType, FilterChainMatch
from trio_envoy.errors import ConfigError
from trio_envoy.net.address import Address, IpAddress
from trio_envoy.net.cidr import Cidr, ip_number, parse_cidr

RAW_BUFFER: Final = "raw_buffer"

_T = TypeVar("_T")
_ANY: Final = ""  # the key of chains that do not ask
_LOOPBACK: Final = (Cidr(127 << 24, 8, 32), Cidr(1, 128, 128))


@attrs.frozen
class Facts:
    """What is known of a connection when its chain is chosen.

    Attributes:
        local: where it was dialled; a listener filter may have restored it from before a redirect.
        direct_remote: the peer itself.
        remote: the client; PROXY protocol may say so.
        server_name: lower-case SNI, "" when there is none.
        transport: "tls" or "raw_buffer", as an inspector found.
        alpn: protocols that the client offers.
    """

    local: Address
    direct_remote: Address
    remote: Address
    server_name: str = ""
    transport: str = RAW_BUFFER
    alpn: Sequence[str] = ()


Keys = Callable[[FilterChainMatch], Iterable[Hashable]]
Find = Callable[[dict[Any, Any], Facts], Iterator[Any]]
"""(table, facts) -> the keys that fit, most specific first; one that is not in the table is passed over."""


def _exact(value: Callable[[Facts], Hashable]) -> Find:
    def find(_table: dict[Any, Any], facts: Facts) -> Iterator[Any]:
        yield value(facts)
        yield _ANY

    return find


def _ranges(address: Callable[[Facts], Address]) -> Find:
    def find(table: dict[Any, Any], facts: Facts) -> Iterator[Any]:
        where = address(facts)
        if isinstance(where, IpAddress):
            number, bits = ip_number(where.host)
            fitting = (key for key in table if key != _ANY and key.contains(number, bits))
            yield from sorted(fitting, key=lambda cidr: -cidr.prefix_len)
        yield _ANY

    return find


def _server_names(_table: dict[Any, Any], facts: Facts) -> Iterator[Any]:
    name = facts.server_name
    yield name
    while name:
        _, _, name = name.partition(".")
        yield f"*.{name}"
    yield _ANY


def _protocols(_table: dict[Any, Any], facts: Facts) -> Iterator[Any]:
    yield from facts.alpn
    yield _ANY


def _source_types(_table: dict[Any, Any], facts: Facts) -> Iterator[Any]:
    yield ConnectionSourceType.SAME_IP_OR_LOOPBACK if _is_local(facts) else ConnectionSourceType.EXTERNAL
    yield ConnectionSourceType.ANY


def _is_local(facts: Facts) -> bool:
    if not isinstance(facts.remote, IpAddress):
        return True  # a Unix domain socket
    if isinstance(facts.local, IpAddress) and facts.local.host == facts.remote.host:
        return True
    number, bits = ip_number(facts.remote.host)
    return any(cidr.contains(number, bits) for cidr in _LOOPBACK)


def _port(address: Address) -> Hashable:
    return address.port if isinstance(address, IpAddress) else _ANY


def _cidrs(ranges: Iterable[CidrRange]) -> list[Cidr]:
    return [parse_cidr(cidr) for cidr in ranges]


def _names(match: FilterChainMatch) -> Iterator[str]:
    for name in match.server_names:
        if "*" in name.removeprefix("*."):
            raise ConfigError('partial wildcards are not supported in "server_names"', at=match, field="server_names")
        yield name.lower()


STEPS: Final[tuple[tuple[Keys, Find], ...]] = (
    (
        lambda match: () if match.destination_port is None else (match.destination_port,),
        _exact(lambda f: _port(f.local)),
    ),
    (lambda match: _cidrs(match.prefix_ranges), _ranges(lambda f: f.local)),
    (_names, _server_names),
    (lambda match: (match.transport_protocol,), _exact(lambda f: f.transport)),
    (lambda match: match.application_protocols, _protocols),
    (lambda match: _cidrs(match.direct_source_prefix_ranges), _ranges(lambda f: f.direct_remote)),
    (lambda match: (match.source_type,), _source_types),
    (lambda match: _cidrs(match.source_prefix_ranges), _ranges(lambda f: f.remote)),
    (lambda match: match.source_ports, _exact(lambda f: _port(f.remote))),
)


class ChainMatcher(Generic[_T]):
    """The chains of a listener, ready to be looked up.

    Attributes:
        needs_tls_inspector: a chain asks for what only the ClientHello tells.
    """

    def __init__(self, default: _T | None = None) -> None:
        """No chain yet.

        Args:
            default: taken when no chain fits.
        """
        self.needs_tls_inspector = False
        self._default = default
        self._tree: dict[Any, Any] = {}
        self._only: _T | None = None
        self._seen: dict[FilterChainMatch, str] = {}

    def add(self, match: FilterChainMatch, chain: _T, name: str, *, at: object) -> None:
        """One more chain.

        Args:
            match: when it is chosen; an empty one is always.
            chain: what find() gives.
            name: of the chain.
            at: config object, for faults.

        Raises:
            ConfigError: another chain asks for the same; a value that can't be.
        """
        if match in self._seen:
            raise ConfigError(
                f"filter chain '{name}' has the same matching rules defined as '{self._seen[match]}'", at=at
            )
        self._only = chain if not self._seen and match == FilterChainMatch() else None
        self._seen[match] = name
        self.needs_tls_inspector |= bool(
            match.server_names or match.application_protocols or match.transport_protocol == "tls"
        )
        self._insert(self._tree, [tuple(keys(match)) or (_ANY,) for keys, _ in STEPS], chain, at)

    def _insert(self, table: dict[Any, Any], keys: Sequence[tuple[Hashable, ...]], chain: _T, at: object) -> None:
        for key in keys[0]:
            if len(keys) > 1:
                self._insert(table.setdefault(key, {}), keys[1:], chain, at)
            elif key in table:
                raise ConfigError("multiple filter chains with overlapping matching rules are defined", at=at)
            else:
                table[key] = chain

    def find(self, facts: Facts) -> _T | None:
        """The chain of a connection, the default one, or None."""
        if self._only is not None:
            return self._only
        node: Any = self._tree
        for _, candidates in STEPS:
            for key in candidates(node, facts):
                if key in node:
                    node = node[key]
                    break
            else:
                return self._default
        return node  # type: ignore[no-any-return] # the tables below the last step hold chains
