"""Hosts of a cluster, and the frozen snapshot of them that balancers are built from.

Flags and their names: Envoy, `Host::HealthFlag` (envoy/upstream/upstream.h) and upstream/host_utility.cc.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

import attrs

from trio_envoy.config.core import Locality
from trio_envoy.config.endpoint import HealthStatus
from trio_envoy.net.address import Address

if TYPE_CHECKING:
    from trio_envoy.upstream.pool.base import Pool

NO_LOCALITY: Final = Locality()


class HealthFlag(enum.IntFlag):
    """Why a host is not just healthy; the order is that in which `/clusters` prints them."""

    FAILED_ACTIVE_HC = 0x1
    FAILED_EDS_HEALTH = 0x4
    DEGRADED_ACTIVE_HC = 0x8
    DEGRADED_EDS_HEALTH = 0x10
    PENDING_DYNAMIC_REMOVAL = 0x20
    PENDING_ACTIVE_HC = 0x40
    EXCLUDED_VIA_IMMEDIATE_HC_FAIL = 0x80
    ACTIVE_HC_TIMEOUT = 0x100
    EDS_STATUS_DRAINING = 0x200


_UNHEALTHY: Final = int(HealthFlag.FAILED_ACTIVE_HC | HealthFlag.FAILED_EDS_HEALTH | HealthFlag.EDS_STATUS_DRAINING)
_DEGRADED: Final = int(HealthFlag.DEGRADED_ACTIVE_HC | HealthFlag.DEGRADED_EDS_HEALTH)
_EXCLUDED: Final = int(
    HealthFlag.EXCLUDED_VIA_IMMEDIATE_HC_FAIL | HealthFlag.PENDING_ACTIVE_HC | HealthFlag.EDS_STATUS_DRAINING
)
_CONFIGURED: Final = {
    HealthStatus.UNHEALTHY: HealthFlag.FAILED_EDS_HEALTH,
    HealthStatus.TIMEOUT: HealthFlag.FAILED_EDS_HEALTH,
    HealthStatus.DRAINING: HealthFlag.EDS_STATUS_DRAINING,
    HealthStatus.DEGRADED: HealthFlag.DEGRADED_EDS_HEALTH,
}


class Host:
    """One endpoint, and what is counted for it in `/clusters`.

    Attributes:
        address: where connections go.
        hostname: for auto_host_rewrite, SNI and `/clusters`; "" when there is none.
        weight: 1 or more.
        locality: the place.
        priority: hosts of a higher number wait until those of lower ones are too few.
        canary: its responses also count under `canary.`.
        flags: bits of HealthFlag.
        health_check_address: where active checks go.
        health_check_host: Host header of HTTP checks; "" is the checker's.
        checked: active checks are made (not disable_active_health_check).
        pools: connection pools by Cluster's pool index, made on first use.
        cx_*, rq_*: counters and gauges.
    """

    __slots__ = (
        "address",
        "canary",
        "checked",
        "cx_active",
        "cx_connect_fail",
        "cx_total",
        "flags",
        "health_check_address",
        "health_check_host",
        "hostname",
        "locality",
        "pools",
        "priority",
        "rq_active",
        "rq_error",
        "rq_pending_active",
        "rq_success",
        "rq_timeout",
        "rq_total",
        "weight",
    )

    def __init__(
        self,
        address: Address,
        *,
        hostname: str = "",
        weight: int = 1,
        locality: Locality = NO_LOCALITY,
        priority: int = 0,
        canary: bool = False,
        status: HealthStatus = HealthStatus.UNKNOWN,
    ) -> None:
        self.address = address
        self.hostname = hostname
        self.weight = weight
        self.locality = locality
        self.priority = priority
        self.canary = canary
        self.flags = int(_CONFIGURED.get(status, 0))
        self.health_check_address = address
        self.health_check_host = ""
        self.checked = True
        self.pools: dict[int | tuple[int, str], Pool] = {}
        self.cx_active = 0
        self.cx_connect_fail = 0
        self.cx_total = 0
        self.rq_active = 0
        self.rq_error = 0
        self.rq_pending_active = 0
        self.rq_success = 0
        self.rq_timeout = 0
        self.rq_total = 0

    @property
    def healthy(self) -> bool:
        """Neither unhealthy nor degraded: balancers take these first."""
        return not self.flags & (_UNHEALTHY | _DEGRADED)

    @property
    def degraded(self) -> bool:
        """Works, but is taken only when the healthy ones are not enough."""
        return bool(self.flags & _DEGRADED) and not self.flags & _UNHEALTHY

    @property
    def excluded(self) -> bool:
        """Not even counted among all hosts when panic is decided."""
        return bool(self.flags & _EXCLUDED)

    def flags_text(self) -> str:
        """As `/clusters` prints it: `healthy`, or `/failed_active_hc/...`."""
        if not self.flags:
            return "healthy"
        return "".join(f"/{flag.name.lower()}" for flag in HealthFlag if flag & self.flags and flag.name)

    def __repr__(self) -> str:
        return f"<Host {self.address} {self.flags_text()}>"


@attrs.frozen(eq=False)
class HostSet:
    """The hosts of a cluster at one moment; replaced whole when one comes, goes or changes its health.

    Attributes:
        hosts: all, in the order of the configuration or of the DNS answer.
        healthy: those that balancers take first.
        degraded: those that they take when healthy ones are too few.
        excluded: number of hosts that do not count in the panic threshold.
    """

    hosts: tuple[Host, ...] = ()
    healthy: tuple[Host, ...] = ()
    degraded: tuple[Host, ...] = ()
    excluded: int = 0

    @classmethod
    def of(cls, hosts: Iterable[Host]) -> HostSet:
        """The snapshot of these hosts with the health they have now."""
        every = tuple(hosts)
        healthy = tuple([host for host in every if host.healthy])
        if len(healthy) == len(every):
            return cls(every, every)
        return cls(
            every,
            healthy,
            tuple([host for host in every if host.degraded]),
            sum(host.excluded for host in every),
        )

    def by_priority(self) -> tuple[HostSet, ...]:
        """A snapshot for each priority from 0 on; one that is not used is empty."""
        last = max((host.priority for host in self.hosts), default=0)
        if last == 0:
            return (self,)
        return tuple(HostSet.of(host for host in self.hosts if host.priority == level) for level in range(last + 1))
