"""What balancers and pools are told about a request, and what the extensions of a cluster are built with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, Protocol

import attrs
import trio

from trio_envoy.config.cluster import Cluster as ClusterConfig
from trio_envoy.errors import UpstreamFailure
from trio_envoy.http.codec import ClientStream
from trio_envoy.http.message import Request
from trio_envoy.net.services import Services
from trio_envoy.net.stream_info import UH
from trio_envoy.stats.store import Scope
from trio_envoy.upstream.host import Host
from trio_envoy.upstream.stats import ClusterStats

if TYPE_CHECKING:
    from trio_envoy.upstream.transport import Dialer

DEFAULT: Final = 0  # index of RoutingPriority.DEFAULT
HIGH: Final = 1  # index of RoutingPriority.HIGH


class LbContext:
    """One attempt of one request, as balancer and pool see it.

    Attributes:
        request: what is sent; None for a call that is not HTTP.
        priority: DEFAULT or HIGH, by the route.
        host: set by Cluster.open() once a host was chosen; stays set when the connection fails. None after a failure
            without a host (no healthy upstream, too many pending requests), as in Envoy's access log.
    """

    __slots__ = ("host", "priority", "request")

    def __init__(self, request: Request | None = None, priority: int = DEFAULT) -> None:
        self.request = request
        self.priority = priority
        self.host: Host | None = None


class Source(Protocol):
    """Where streams come from: a cluster, or a part of it."""

    def take(self, context: LbContext, protocol: str) -> ClientStream | None:
        """See Cluster.take."""

    async def wait(self, context: LbContext, protocol: str) -> ClientStream:
        """See Cluster.wait."""


class NoHealthyUpstream(UpstreamFailure):
    """No host could be chosen; Envoy answers 503 `no healthy upstream`, and nothing was sent."""

    def __init__(self) -> None:
        super().__init__("no healthy upstream", UH, sent=False)


Update = Callable[[Sequence[Host]], Sequence[Host]]
"""The hosts are these now; health, pools and balancers follow. Gives those that the cluster has now: hosts that are
gone but pass their health checks stay until they no longer do."""


class Discovery(Protocol):
    """Where the hosts of a cluster come from.

    Attributes:
        hosts: what is known at load.
        looping: run() is needed; a cluster without it (and without health checks) has no task.
        retains: hosts that are gone stay while they pass their health checks.
    """

    hosts: Sequence[Host]
    looping: bool
    retains: bool

    async def run(self, update: Update, *, task_status: trio.TaskStatus[None]) -> None:
        """Keep the hosts up to date until cancelled; started() after the first answer, good or bad."""


@attrs.frozen(eq=False)
class ClusterContext:
    """What the extensions of a cluster (discovery, balancing policy, health checker) are built with.

    Attributes:
        config: the cluster's.
        services: of the process.
        scope: `cluster.<name>.`, for stats that only some clusters have.
        stats: of every cluster.
        dialer: makes raw connections to its hosts, through its transport socket.
    """

    config: ClusterConfig
    services: Services
    scope: Scope
    stats: ClusterStats
    dialer: Dialer
