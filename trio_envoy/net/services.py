"""What every live part is built with: the one object that stands for "this process" below the server."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

import attrs

from trio_envoy.runtime import Runtime
from trio_envoy.stats.store import Store
from trio_envoy.util.deadlines import Timers
from trio_envoy.util.logfile import LogFiles

if TYPE_CHECKING:
    from trio_envoy.net.certificates import CertificateFacts
    from trio_envoy.net.poller import Poller
    from trio_envoy.net.sockets import Network


@attrs.frozen
class Options:
    """The command line, as far as parts below the server need it.

    Attributes:
        service_cluster, service_node, service_zone: the flags, or what the bootstrap's node says.
        drain_time: seconds, --drain-time-s.
        drain_gradually: --drain-strategy: more and more connections are closed while that time passes.
        file_flush_interval: seconds, --file-flush-interval-msec / 1000.
        local_address_ip_version: "v4" or "v6"; which own address goes into XFF for loopback peers.
        concurrency: workers; what the configuration limits for all of them is divided by it.
    """

    service_cluster: str = ""
    service_node: str = ""
    service_zone: str = ""
    drain_time: float = 600.0
    drain_gradually: bool = True
    file_flush_interval: float = 10.0
    local_address_ip_version: str = "v4"
    concurrency: int = 1


@attrs.define(eq=False)
class Services:
    """Shared by all listeners, clusters and filters of a worker.

    Attributes:
        stats: the store.
        runtime: layered runtime; read `runtime.snapshot` once per decision.
        timers: deadlines of the data path (its run() is a task of the server).
        poller: readiness of all data-path sockets, and the worker's shared receive buffer.
        network: resolve, bind, connect; tests and the demo put a table of names and ports in it.
        random: for balancing, jitter, request ids; seeded in tests.
        log_files: access-log files, shared by path.
        options: command line.
        local_address: own address as Envoy finds it (first non-loopback IPv4/IPv6), for XFF.
        certificates: of each TLS context, for /certs and server.days_until_first_cert_expiring.
        draining: healthcheck/fail or drain_listeners was asked for: codecs close connections after responses.
    """

    stats: Store
    runtime: Runtime
    timers: Timers
    poller: Poller
    network: Network
    random: Random
    log_files: LogFiles
    options: Options = attrs.Factory(Options)
    local_address: str = "127.0.0.1"
    certificates: list[CertificateFacts] = attrs.Factory(list)
    health_failed: bool = False
    draining: bool = False
    next_connection_id: int = 0

    def connection_id(self) -> int:
        """A number for a new connection, downstream or upstream; Envoy counts both in one row."""
        number = self.next_connection_id
        self.next_connection_id = number + 1
        return number
