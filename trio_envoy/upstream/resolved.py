"""Hosts out of DNS answers: every address a host (STRICT_DNS), or only the first one (LOGICAL_DNS).

Used by those cluster types and by envoy.cluster.dns. Source: Envoy, extensions/clusters/dns and upstream/
upstream_impl.cc (updateDynamicHostList); what counts and what LOGICAL_DNS does about a new address is measured: since
DNS clusters have one implementation, it is a new host, and connections to the old one are not used again.
"""

from __future__ import annotations

from functools import partial
from typing import Final

import trio

from trio_envoy.config.address import SocketAddress
from trio_envoy.config.cluster import Cluster
from trio_envoy.config.endpoint import LbEndpoint, LocalityLbEndpoints
from trio_envoy.errors import ConfigError
from trio_envoy.net.address import Address, IpAddress
from trio_envoy.net.dns import Resolution
from trio_envoy.upstream.context import ClusterContext, Update
from trio_envoy.upstream.discovery import endpoint_of, endpoints, make_host
from trio_envoy.upstream.host import Host
from trio_envoy.upstream.resolving import DnsSettings, Follower
from trio_envoy.util.log import logger

_LOG: Final = logger("upstream")


class _Target:
    """One endpoint of the configuration: a name and a port.

    Attributes:
        follower: asks for the name.
        hosts: by address, in the order of the last answer.
        retained: by address: hosts of earlier answers that may still be in the cluster.
    """

    def __init__(self, lb: LbEndpoint, group: LocalityLbEndpoints, follower: Follower) -> None:
        self.follower = follower
        self.hosts: dict[Address, Host] = {}
        self.retained: dict[Address, Host] = {}
        socket = named_address(lb)
        self._port = socket.port_value or 0
        self._lb = lb
        self._group = group
        self._hostname = endpoint_of(lb).hostname or socket.address

    def addresses(self, resolution: Resolution) -> tuple[IpAddress, ...]:
        """The addresses of an answer, each once."""
        return tuple(dict.fromkeys(IpAddress(ip, self._port) for ip in resolution.addresses))

    def make_host(self, address: IpAddress) -> Host:
        """A new host."""
        return make_host(self._lb, self._group, address, self._hostname)


def named_address(lb: LbEndpoint) -> SocketAddress:
    """The name and port of an endpoint; Envoy takes a pipe, too, and asks for the name "", which nobody has.

    Raises:
        ConfigError: it has no address.
    """
    endpoint = endpoint_of(lb)
    assert endpoint.address is not None, "endpoint_of() looks for it"
    if endpoint.address.socket_address is None:
        _LOG.warning("a DNS cluster has no use for the pipe %s", endpoint.address.pipe)
        return SocketAddress()
    return endpoint.address.socket_address


class DnsHosts:
    """The hosts that names stand for; upstream.context.Discovery.

    Raises:
        ConfigError: an endpoint without a name.
    """

    looping = True
    hosts = ()

    def __init__(self, config: Cluster, settings: DnsSettings, context: ClusterContext, *, single: bool) -> None:
        """Set up.

        Args:
            config: of the cluster; where the names are.
            settings: how to ask.
            context: of the cluster.
            single: one name, and only its first address; no answer is then as good as a failure.
        """
        if single:
            _check_single(config)
        self.retains = not single
        self._single = single
        self._stats = context.stats
        self._targets = [
            _Target(lb, group, Follower(named_address(lb).address, settings, context, or_nothing=not single))
            for lb, group in endpoints(config.load_assignment)
        ]

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
        if self._single:
            addresses = addresses[:1]
        self._stats.default_total_match_count += len(addresses)
        if set(addresses) == set(target.hosts):
            self._stats.update_no_rebuild += 1
            return
        known = target.retained | target.hosts
        target.hosts = {address: known.get(address) or target.make_host(address) for address in addresses}
        kept = set(update([host for each in self._targets for host in each.hosts.values()]))
        target.retained = {address: host for address, host in known.items() if host in kept}
        if not self._single:
            self._stats.max_host_weight = max((host.weight for host in kept), default=1)


def _check_single(config: Cluster) -> None:
    groups = config.load_assignment.endpoints if config.load_assignment is not None else ()
    if not groups:
        raise ConfigError("LOGICAL_DNS clusters must have a single host", at=config)
    if len(groups) != 1 or len(groups[0].lb_endpoints) != 1:
        raise ConfigError(
            "LOGICAL_DNS clusters must have a single locality_lb_endpoint and a single lb_endpoint", at=config
        )
