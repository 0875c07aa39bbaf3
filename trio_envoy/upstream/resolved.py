"""Hosts out of DNS answers: every address a host (strict), or one logical host that moves.

Used by the cluster types STRICT_DNS and LOGICAL_DNS and by envoy.clusters.dns. Source: Envoy,
extensions/clusters/{strict_dns,logical_dns} and upstream/upstream_impl.cc (updateDynamicHostList).
"""

from __future__ import annotations

from functools import partial

import trio

from trio_envoy.config.address import SocketAddress
from trio_envoy.config.cluster import Cluster
from trio_envoy.config.core import Locality
from trio_envoy.config.endpoint import LbEndpoint
from trio_envoy.errors import ConfigError
from trio_envoy.net.address import Address, IpAddress
from trio_envoy.net.dns import Resolution
from trio_envoy.upstream.context import ClusterContext, Update
from trio_envoy.upstream.discovery import check_address, endpoint_of, endpoints, make_host
from trio_envoy.upstream.host import Host
from trio_envoy.upstream.resolving import DnsSettings, Follower


class _Target:
    """One endpoint of the configuration: a name and a port.

    Attributes:
        follower: asks for the name.
        port: of all its hosts.
        hosts: by address, in the order of the last answer.
        retained: by address: hosts of earlier answers that may still be in the cluster.
    """

    def __init__(self, lb: LbEndpoint, locality: Locality, settings: DnsSettings, context: ClusterContext) -> None:
        endpoint = endpoint_of(lb)
        socket = named_address(lb)
        self.follower = Follower(socket.address, settings, context)
        self.port = socket.port_value or 0
        self.hosts: dict[Address, Host] = {}
        self.retained: dict[Address, Host] = {}
        self._lb = lb
        self._locality = locality
        self._hostname = endpoint.hostname or socket.address
        self._context = context

    def addresses(self, resolution: Resolution) -> tuple[IpAddress, ...]:
        """The addresses of an answer, each once."""
        return tuple(dict.fromkeys(IpAddress(ip, self.port) for ip in resolution.addresses))

    def make_host(self, address: IpAddress) -> Host:
        """A new host."""
        return make_host(self._lb, self._locality, address, self._hostname, self._context)

    def move_host(self, host: Host, address: IpAddress) -> None:
        """Connections that are made from now on go to another address."""
        host.address = address
        config = self._lb.endpoint.health_check_config if self._lb.endpoint is not None else None
        host.health_check_address = check_address(config, address)


def named_address(lb: LbEndpoint) -> SocketAddress:
    """The name and port of an endpoint.

    Raises:
        ConfigError: it has none.
    """
    endpoint = endpoint_of(lb)
    assert endpoint.address is not None, "endpoint_of() looks for it"
    if endpoint.address.socket_address is None:
        raise ConfigError("a DNS cluster needs a socket_address", at=endpoint.address)
    return endpoint.address.socket_address


class StrictDns:
    """Every address is a host; upstream.context.Discovery.

    Raises:
        ConfigError: an endpoint without a name.
    """

    looping = True
    hosts = ()

    def __init__(self, config: Cluster, settings: DnsSettings, context: ClusterContext) -> None:
        self._stats = context.stats
        self._targets = [_Target(lb, locality, settings, context) for lb, locality in endpoints(config.load_assignment)]

    async def run(self, update: Update, *, task_status: trio.TaskStatus[None]) -> None:
        """Follow all names until cancelled; started() after the first answer to any of them, as in Envoy."""
        answered = trio.Event()
        if not self._targets:
            answered.set()
        async with trio.open_nursery() as tasks:
            for target in self._targets:
                tasks.start_soon(target.follower.run, partial(self._found, target, update), answered.set)
            await answered.wait()
            task_status.started()

    def _found(self, target: _Target, update: Update, resolution: Resolution) -> None:
        addresses = target.addresses(resolution)
        if set(addresses) == set(target.hosts):
            self._stats.update_no_rebuild += 1
            return
        known = target.retained | target.hosts
        target.hosts = {address: known.get(address) or target.make_host(address) for address in addresses}
        kept = set(update([host for each in self._targets for host in each.hosts.values()]))
        target.retained = {address: host for address, host in known.items() if host in kept}
        self._stats.max_host_weight = max((host.weight for host in kept), default=0)


class LogicalDns:
    """One host whatever the number of addresses: connections go to the first one; upstream.context.Discovery.

    Raises:
        ConfigError: not exactly one endpoint.
    """

    looping = True
    hosts = ()

    def __init__(self, config: Cluster, settings: DnsSettings, context: ClusterContext) -> None:
        groups = config.load_assignment.endpoints if config.load_assignment is not None else ()
        if not groups:
            raise ConfigError("LOGICAL_DNS clusters must have a single host", at=config)
        if len(groups) != 1 or len(groups[0].lb_endpoints) != 1:
            raise ConfigError(
                "LOGICAL_DNS clusters must have a single locality_lb_endpoint and a single lb_endpoint", at=config
            )
        ((lb, locality),) = endpoints(config.load_assignment)
        self._target = _Target(lb, locality, settings, context)
        self._host: Host | None = None

    async def run(self, update: Update, *, task_status: trio.TaskStatus[None]) -> None:
        """Follow the name until cancelled; started() after the first answer or failure."""
        answered = trio.Event()
        async with trio.open_nursery() as tasks:
            tasks.start_soon(self._target.follower.run, partial(self._found, update), answered.set)
            await answered.wait()
            task_status.started()

    def _found(self, update: Update, resolution: Resolution) -> None:
        addresses = self._target.addresses(resolution)
        if not addresses:
            return
        if self._host is None:
            self._host = self._target.make_host(addresses[0])
            update((self._host,))
        elif self._host.address != addresses[0]:
            self._target.move_host(self._host, addresses[0])
