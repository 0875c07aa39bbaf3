"""envoy.config.endpoint.v3: the hosts of a cluster.

Source: envoy/config/endpoint/v3/{endpoint,endpoint_components}.proto.
"""

from __future__ import annotations

import enum
from typing import ClassVar

import attrs

from trio_envoy.config.address import Address
from trio_envoy.config.core import Locality, Metadata


class HealthStatus(enum.StrEnum):
    """Health of an endpoint as configured.

    Proto: envoy.config.core.v3.HealthStatus
    """

    UNKNOWN = "UNKNOWN"
    HEALTHY = "HEALTHY"
    UNHEALTHY = "UNHEALTHY"
    DRAINING = "DRAINING"
    TIMEOUT = "TIMEOUT"
    DEGRADED = "DEGRADED"


@attrs.frozen(kw_only=True)
class HealthCheckConfig:
    """How the health of this host is checked.

    Attributes:
        port_value: instead of the port of the address; 0 keeps it.
        hostname: Host of HTTP checks.
        address: instead of the address.
        disable_active_health_check: never checked, always healthy.
    """

    __proto__: ClassVar[str] = "envoy.config.endpoint.v3.Endpoint.HealthCheckConfig"

    port_value: int = 0
    hostname: str = ""
    address: Address | None = None
    disable_active_health_check: bool = False


@attrs.frozen(kw_only=True)
class Endpoint:
    """A host.

    Attributes:
        address: IP and port, name and port (DNS clusters), or a pipe.
        health_check_config: how it is checked.
        hostname: for auto_host_rewrite and in `/clusters`.
    """

    __proto__: ClassVar[str] = "envoy.config.endpoint.v3.Endpoint"

    address: Address | None = None
    health_check_config: HealthCheckConfig | None = None
    hostname: str = ""


@attrs.frozen(kw_only=True)
class LbEndpoint:
    """A host and its place in load balancing.

    Attributes:
        endpoint: the host.
        health_status: as configured.
        load_balancing_weight: at least 1; None is 1.
        metadata: `envoy.lb` says whether the host is a canary.
    """

    __proto__: ClassVar[str] = "envoy.config.endpoint.v3.LbEndpoint"

    endpoint: Endpoint | None = None
    health_status: HealthStatus = HealthStatus.UNKNOWN
    load_balancing_weight: int | None = None
    metadata: Metadata | None = None


@attrs.frozen(kw_only=True)
class LocalityLbEndpoints:
    """The hosts of one place.

    Attributes:
        locality: the place.
        lb_endpoints: the hosts.
        priority: 0 to 128; hosts of a higher number wait until those of lower ones are too few.
    """

    __proto__: ClassVar[str] = "envoy.config.endpoint.v3.LocalityLbEndpoints"

    locality: Locality | None = None
    lb_endpoints: tuple[LbEndpoint, ...] = ()
    priority: int = 0


@attrs.frozen(kw_only=True)
class ClusterLoadAssignment:
    """All hosts of a cluster.

    Attributes:
        cluster_name: not empty.
        endpoints: by locality.
    """

    __proto__: ClassVar[str] = "envoy.config.endpoint.v3.ClusterLoadAssignment"

    cluster_name: str = ""
    endpoints: tuple[LocalityLbEndpoints, ...] = ()
