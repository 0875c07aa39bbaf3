"""Following a name in DNS: what clusters of every DNS kind do between two answers.

Proto: the dns_* fields of envoy.config.cluster.v3.Cluster, and envoy.extensions.clusters.dns.v3.DnsCluster.
Source: Envoy, extensions/clusters/strict_dns/strict_dns_cluster.cc. A failed resolution keeps the hosts there are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, Protocol

import attrs
import trio

from trio_envoy.config.address import Address
from trio_envoy.config.cluster import Cluster, DnsLookupFamily
from trio_envoy.errors import ConfigError
from trio_envoy.net.address import IpAddress, from_config
from trio_envoy.net.dns import DnsFailure, DnsStats, Resolution, Resolver
from trio_envoy.upstream.context import ClusterContext
from trio_envoy.util.backoff import JitteredBackoff
from trio_envoy.util.log import logger
from trio_envoy.util.loops import supervise

_LOG: Final = logger("upstream")
DEFAULT_REFRESH_RATE: Final = 5.0  # s; Cluster.dns_refresh_rate
_NO_ADDRESS: Final = "its name servers know none"
_BACKOFF_FACTOR: Final = 10  # RefreshRate.max_interval, in base intervals


class _Rate(Protocol):
    """RefreshRate of either message."""

    @property
    def base_interval(self) -> float: ...

    @property
    def max_interval(self) -> float | None: ...


@attrs.frozen(eq=False)
class DnsSettings:
    """How a cluster asks.

    Attributes:
        family: which addresses.
        refresh_rate: seconds between an answer and the next question.
        failure: (base, longest) pause in seconds after failures; None is refresh_rate.
        respect_ttl: the TTL takes the place of refresh_rate.
        jitter: up to that many seconds more, at random.
        resolver: name servers of its own; None for those of the process.
    """

    family: DnsLookupFamily
    refresh_rate: float = DEFAULT_REFRESH_RATE
    failure: tuple[float, float] | None = None
    respect_ttl: bool = False
    jitter: float = 0.0
    resolver: Resolver | None = None

    @classmethod
    def of_cluster(cls, config: Cluster, context: ClusterContext) -> DnsSettings:
        """From the deprecated fields of a cluster.

        Raises:
            ConfigError: bounds the wrong way round, a name server that is no IP address.
        """
        return cls(
            config.dns_lookup_family,
            config.dns_refresh_rate or DEFAULT_REFRESH_RATE,
            failure_bounds(config.dns_failure_refresh_rate, config),
            config.respect_dns_ttl,
            config.dns_jitter or 0.0,
            _own_resolver(config.dns_resolvers, context, use_tcp=config.use_tcp_for_dns_lookups),
        )


def failure_bounds(rate: _Rate | None, at: object) -> tuple[float, float] | None:
    """(base, longest) of a RefreshRate.

    Raises:
        ConfigError: the longest is shorter than the base.
    """
    if rate is None:
        return None
    longest = rate.base_interval * _BACKOFF_FACTOR if rate.max_interval is None else rate.max_interval
    if longest < rate.base_interval:
        raise ConfigError(
            "dns_failure_refresh_rate must have max_interval greater than or equal to the base_interval",
            at=at,
            field="dns_failure_refresh_rate",
        )
    return rate.base_interval, longest


def _own_resolver(servers: Sequence[Address], context: ClusterContext, *, use_tcp: bool) -> Resolver | None:
    if not servers and not use_tcp:
        return None
    stats = context.services.stats.scope("dns.cares.").block(DnsStats)
    return Resolver(stats, servers=[_name_server(server) for server in servers], use_tcp=use_tcp)


def _name_server(config: Address) -> IpAddress:
    address = from_config(config)
    if not isinstance(address, IpAddress):
        raise ConfigError(f"DNS resolver '{address}' is not an IP address", at=config)
    return address


class Follower:
    """Asks for one name again and again.

    Args:
        name: a hostname, or an IP address, which is its own answer.
        settings: how.
        context: of the cluster; update_attempt, update_success and update_failure are counted here.
        or_nothing: an empty answer is one; else it is a failure.
    """

    def __init__(self, name: str, settings: DnsSettings, context: ClusterContext, *, or_nothing: bool) -> None:
        self._name = name
        self._or_nothing = or_nothing
        self._settings = settings
        self._context = context
        self._warned = False
        self._backoff = (
            None
            if settings.failure is None
            else JitteredBackoff(settings.failure[0], settings.failure[1], context.services.random)
        )

    async def run(self, found: Callable[[Resolution], None], asked: Callable[[], None]) -> None:
        """Ask until cancelled; a fault in it is logged, and it goes on.

        Args:
            found: gets each answer.
            asked: called after each question, answered or not.
        """
        await supervise(f"resolution of {self._name}", self._loop, found, asked, on_fault=asked)

    async def _loop(self, found: Callable[[Resolution], None], asked: Callable[[], None]) -> None:
        while True:
            pause = await self._ask(found)
            asked()
            await trio.sleep(pause)

    async def _ask(self, found: Callable[[Resolution], None]) -> float:
        """Ask once; gives the seconds until the next time."""
        settings, services, stats = self._settings, self._context.services, self._context.stats
        stats.update_attempt += 1
        try:
            resolution = await services.network.resolve(self._name, settings.family, resolver=settings.resolver)
            if not resolution.addresses and not self._or_nothing:
                raise DnsFailure(_NO_ADDRESS)
        except DnsFailure as failure:
            stats.update_failure += 1
            self._warn(str(failure))
            return settings.refresh_rate if self._backoff is None else self._backoff.next()
        stats.update_success += 1
        if resolution.addresses:
            self._warned = False
        else:
            self._warn(_NO_ADDRESS)
        if self._backoff is not None:
            self._backoff.reset()
        found(resolution)
        pause = settings.refresh_rate
        if settings.respect_ttl and resolution.addresses and resolution.ttl:
            pause = resolution.ttl
        return pause + services.random.uniform(0, settings.jitter)

    def _warn(self, reason: str) -> None:
        """Say that there is no address, once until there is one: whoever wonders about 503s finds it in the log."""
        if not self._warned:
            self._warned = True
            _LOG.warning("cluster %s: no address for %s: %s", self._context.config.name, self._name, reason)
