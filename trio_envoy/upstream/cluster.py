"""A cluster: its hosts, its limits, and the way to a stream on one of them.

Proto: envoy.config.cluster.v3.Cluster. The path of a request is open(): breakers, balancer, pool; it does not suspend
when an idle connection is there. What changes (hosts, health, balancer) is replaced whole, never edited.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

import trio

from trio_envoy.config.cluster import Cluster as ClusterConfig
from trio_envoy.errors import Faults
from trio_envoy.http.codec import ClientStream
from trio_envoy.net.filter import Connecting
from trio_envoy.net.services import Services
from trio_envoy.upstream.balance import Balancer, build, panic_threshold
from trio_envoy.upstream.breakers import compile_breakers
from trio_envoy.upstream.context import ClusterContext, LbContext, NoHealthyUpstream
from trio_envoy.upstream.discovery import make_discovery
from trio_envoy.upstream.health import make_health_checking
from trio_envoy.upstream.host import HealthFlag, Host, HostSet
from trio_envoy.upstream.options import ClusterOptions
from trio_envoy.upstream.policies import make_policy
from trio_envoy.upstream.pool.keeper import Keeper
from trio_envoy.upstream.pool.pools import Pools
from trio_envoy.upstream.responses import ResponseCounts
from trio_envoy.upstream.stats import ClusterStats
from trio_envoy.upstream.transport import Dialer, make_transport

_PANIC_KEY: Final = "upstream.healthy_panic_threshold"
_FAILED: Final = int(HealthFlag.FAILED_ACTIVE_HC)
_REMOVED: Final = int(HealthFlag.PENDING_DYNAMIC_REMOVAL)


class Cluster:
    """One cluster, live.

    Attributes:
        name: as routes say it.
        observability_name: as stats say it.
        config: what it was made from.
        options: HTTP versions, timeouts, limits; router and codecs read them.
        stats: `cluster.<name>.`
        scope: the same, for stats that appear on first use.
        breakers: by priority (DEFAULT, HIGH).
        runtime: of the process.
        hosts: the current snapshot.
        looping: run() is needed.
        on_change: called when hosts or their health have changed; a main process tells its workers.
    """

    def __init__(self, config: ClusterConfig, services: Services, keeper: Keeper) -> None:
        """Compile it; no task runs and nothing is resolved yet.

        Raises:
            ConfigError: what can't be or is not supported; all that is, at once.
        """
        faults = Faults()
        self.name = config.name
        self.config = config
        self.observability_name = config.alt_stat_name or config.name
        self.scope = services.stats.scope(f"cluster.{self.observability_name}.")
        self.stats = self.scope.block(ClusterStats)
        self.breakers = compile_breakers(config.circuit_breakers, config.name, self.scope, services.runtime)
        self.hosts = HostSet()
        self._services = services
        self.runtime = services.runtime
        transport: Connecting | None = None
        with faults:
            transport = make_transport(config, services, self.scope)
        self.context = ClusterContext(config, services, self.scope, self.stats, Dialer(config, services, transport))
        with faults:
            self._policy = make_policy(self.context)
        with faults:
            self._discovery = make_discovery(self.context)
        with faults:
            self._health = make_health_checking(self.context, self._health_changed)
        with faults:
            self.options = ClusterOptions.of(config)
        faults.raise_all()
        self._pools = Pools(self.context, self.options, self.breakers, keeper)
        self._threshold = panic_threshold(config)
        self._balancer: Balancer = self._build_and_choose
        self.on_change: Callable[[Cluster], None] | None = None
        self._fail: Callable[[Host], None] | None = None if self._health is None else self._health.fail_now
        self._outside = ResponseCounts(self.scope, ("", "external."))
        self._inside: ResponseCounts | None = None
        self._other_counts: dict[str, ResponseCounts] = {}
        self._zone = services.options.service_zone
        self._retains = (
            self._health is not None and self._discovery.retains and not config.ignore_health_on_host_removal
        )
        self.looping = self._discovery.looping or self._health is not None
        if not self._discovery.looping:
            self.update(self._discovery.hosts)

    async def open(self, context: LbContext, protocol: str = "HTTP/1.1") -> ClientStream:
        """A stream on a host, within the circuit breakers: take(), else wait()."""
        stream = self.take(context, protocol)
        return await self.wait(context, protocol) if stream is None else stream

    def take(self, context: LbContext, protocol: str = "HTTP/1.1") -> ClientStream | None:
        """A stream on a connection that is there; context.host tells which host was chosen. None: wait() for one.

        The caller must release() it, whatever happens.

        Args:
            context: of this attempt.
            protocol: of the downstream stream; counts with use_downstream_protocol_config.

        Raises:
            NoHealthyUpstream: there is no host to choose. Flag UH.
            UpstreamFailure: reason "overflow" (UO). Nothing was sent.
        """
        snapshot = self.runtime.snapshot
        breakers = self.breakers[context.priority]
        if breakers.seen is not snapshot:
            breakers.follow(snapshot)
        choose, find = self._balancer, self._pools.find  # called as methods they would be looked up in the class first
        host = context.host = choose(context)
        if host is None:
            self.stats.upstream_cx_none_healthy += 1
            raise NoHealthyUpstream
        return find(host, context, protocol).take()

    async def wait(self, context: LbContext, protocol: str = "HTTP/1.1") -> ClientStream:
        """A stream on the host that take() has chosen, when it had none. To be released, too.

        Raises:
            UpstreamFailure: reason "overflow" (UO), "remote connection failure", "local connection failure" or
                "connection timeout" (UF; transport tells why). Nothing was sent.

        Cancelled: a connection that was being made is closed; nothing stays counted.
        """
        assert context.host is not None, "take() comes first"
        return await self._pools.find(context.host, context, protocol).wait(context)

    async def connect(self, context: LbContext) -> ClientStream:
        """A TCP connection to a host, as a stream: its bytes are those of the bodies. To be released, too.

        Raises:
            NoHealthyUpstream, UpstreamFailure: see take() and wait().

        Cancelled: see wait().
        """
        self.breakers[context.priority].follow(self.runtime.snapshot)
        host = context.host = self._balancer(context)
        if host is None:
            self.stats.upstream_cx_none_healthy += 1
            raise NoHealthyUpstream
        return await self._pools.tcp(host, context).wait(context)

    def charge_response(
        self, host: Host | None, status: int, internal: bool = False, canary: bool = False, judged: bool = True
    ) -> None:
        """Count a response that the router passes on, from upstream or made by itself for this cluster.

        Args:
            host: who answered, or was to; None when none was chosen.
            status: of the response.
            internal: the request counts as internal (x-envoy-internal), not external.
            canary: x-envoy-upstream-canary was true.
            judged: the status tells whether the host did well; of a gRPC response its trailers do.
        """
        self.stats.upstream_rq_completed += 1
        (self._inner_counts() if internal else self._outside).count(status)
        if host is not None:
            if judged:
                if status < 500:
                    host.rq_success += 1
                else:
                    host.rq_error += 1
            if self._zone and host.locality.zone:
                self._counts(f"zone.{self._zone}.{host.locality.zone}.").count(status)
            canary = canary or host.canary
        if canary:
            self._counts("canary.").count(status)

    def charge_time(self, host: Host | None, milliseconds: float, internal: bool = False, canary: bool = False) -> None:
        """Record how long a request took, from its end to the end of its response."""
        (self._inner_counts() if internal else self._outside).time(milliseconds)
        if host is not None:
            if self._zone and host.locality.zone:
                self._counts(f"zone.{self._zone}.{host.locality.zone}.").time(milliseconds)
            canary = canary or host.canary
        if canary:
            self._counts("canary.").time(milliseconds)

    def charge_retry(self, status: int) -> None:
        """Count a response that is not passed on but tried again: `retry.upstream_rq_503`."""
        self._counts("retry.").count(status)

    def _counts(self, prefix: str) -> ResponseCounts:
        counts = self._other_counts.get(prefix)
        if counts is None:
            counts = self._other_counts[prefix] = ResponseCounts(self.scope, (prefix,))
        return counts

    def counts_as(self, name: str, *, internal: bool) -> ResponseCounts:
        """Where responses are counted under another name, too (x-envoy-upstream-alt-stat-name)."""
        key = f"{name}.{'internal' if internal else 'external'}."
        counts = self._other_counts.get(key)
        if counts is None:
            counts = self._other_counts[key] = ResponseCounts(self.scope, (f"{name}.", key))
        return counts

    def _inner_counts(self) -> ResponseCounts:
        if self._inside is None:
            self._inside = ResponseCounts(self.scope, ("", "internal."))
        return self._inside

    def in_maintenance(self) -> bool:
        """Whether the runtime's `upstream.maintenance_mode.<name>` wants this request turned away."""
        snapshot = self.runtime.snapshot
        return snapshot.enabled(f"upstream.maintenance_mode.{self.name}", 0, 100, self._services.random.getrandbits(32))

    def fail_health(self, host: Host) -> None:
        """The host said x-envoy-immediate-health-check-fail: it is out until an active check clears it."""
        if self._fail is not None:
            self._fail(host)

    def follow_main(self, workers: int, fail: Callable[[Host], None]) -> None:
        """In a worker: the main process finds and checks hosts; follow() brings what it has found.

        Args:
            workers: so many share the limits.
            fail: takes the place of fail_health().
        """
        self.looping = False
        if self._fail is not None:
            self._fail = fail
        for breakers in self.breakers:
            breakers.divide(self.runtime.snapshot, workers)

    def follow(self, hosts: Sequence[Host], flags: Sequence[int]) -> None:
        """In a worker: the hosts and their health as the main process has them, which has counted the change."""
        before = self.hosts.hosts
        for host, now in zip(hosts, flags, strict=True):
            just_failed = now & _FAILED and not host.flags & _FAILED
            host.flags = now
            if just_failed:
                self._pools.drain(host)
        present = set(hosts)
        for host in before:
            if host not in present:
                self._pools.give_up(host)
        self.hosts = HostSet.of(hosts)
        self._balancer = self._build_and_choose

    def update(self, hosts: Sequence[Host]) -> Sequence[Host]:
        """Discovery found these hosts, which are told apart by identity; gives those that the cluster has now.

        With health checks a host that is gone stays as long as it passes them, unless ignore_health_on_host_removal.
        """
        before = self.hosts.hosts
        wanted = dict.fromkeys(hosts)
        for host in wanted:
            host.flags &= ~_REMOVED
        if self._retains:
            for host in before:
                if host not in wanted and not host.flags & _FAILED:
                    host.flags |= _REMOVED
                    wanted[host] = None
        self._replace(tuple(wanted))
        return self.hosts.hosts

    def _replace(self, hosts: tuple[Host, ...]) -> None:
        before, self.hosts = self.hosts.hosts, HostSet(hosts)
        if self._health is not None:
            self._health.follow(hosts)
        present = set(hosts)
        gone = [host for host in before if host not in present]
        if gone or len(before) != len(hosts):
            self.stats.membership_change += 1
        for host in gone:
            self._pools.give_up(host)
        self._rebuild()

    def _health_changed(self, failed: Host | None) -> None:
        """The health of hosts changed; connections to one that has just failed are not used again."""
        if failed is not None:
            self._pools.drain(failed)
            if failed.flags & _REMOVED:
                self._replace(tuple([host for host in self.hosts.hosts if host is not failed]))
                return
        self._rebuild()

    def _rebuild(self) -> None:
        """Make the snapshot anew; the balancer follows when it is needed."""
        hosts = self.hosts = HostSet.of(self.hosts.hosts)
        stats = self.stats
        stats.membership_total = len(hosts.hosts)
        stats.membership_healthy = len(hosts.healthy)
        stats.membership_degraded = len(hosts.degraded)
        stats.membership_excluded = hosts.excluded
        self._balancer = self._build_and_choose
        if self.on_change is not None:
            self.on_change(self)

    def _build_and_choose(self, context: LbContext) -> Host | None:
        """The balancer until the first request after a change of hosts: many clusters never see one."""
        threshold = min(100, self.runtime.snapshot.get_int(_PANIC_KEY, int(self._threshold)))
        self._balancer = build(self.hosts.by_priority(), self._policy, self.stats, threshold, self._services.random)
        return self._balancer(context)

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Discovery and health loops, until cancelled; started() when the cluster is warm.

        Warm is: the first resolution has ended, well or badly (unless wait_for_warm_on_init is false), and each host
        known then has been checked once.
        """
        async with trio.open_nursery() as tasks:
            if self._discovery.looping:
                discovering = partial(self._discovery.run, self.update)
                if self.config.wait_for_warm_on_init is False:
                    tasks.start_soon(partial(discovering, task_status=trio.TASK_STATUS_IGNORED))
                else:
                    await tasks.start(discovering)
            if self._health is not None:
                await tasks.start(self._health.run)
            task_status.started()

    def disconnect(self) -> None:
        """Close idle connections, the others when they are done."""
        for host in self.hosts.hosts:
            self._pools.give_up(host)

    def close(self) -> None:
        """Close idle connections, the others when they are done, and give up the stats."""
        self.disconnect()
        self.scope.close()
