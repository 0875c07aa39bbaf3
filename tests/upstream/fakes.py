"""A cluster without a network: origins in memory, names from a dict, time that jumps."""

from __future__ import annotations

from random import Random

import trio

from trio_envoy.config.address import Address as AddressConfig
from trio_envoy.config.address import Pipe, SocketAddress
from trio_envoy.config.cluster import Cluster as ClusterConfig
from trio_envoy.config.core import Locality
from trio_envoy.config.endpoint import ClusterLoadAssignment, Endpoint, LbEndpoint, LocalityLbEndpoints
from trio_envoy.net.address import IpAddress, parse_ip_port
from trio_envoy.net.dns import DnsFailure, Resolution
from trio_envoy.net.memory_channel import memory_channel_pair
from trio_envoy.net.poller import PlainPoller
from trio_envoy.net.services import Options, Services
from trio_envoy.net.stream_info import ConnectionInfo
from trio_envoy.runtime import Runtime, RuntimeStats
from trio_envoy.stats.store import Store
from trio_envoy.upstream.cluster import Cluster
from trio_envoy.upstream.pool.keeper import Keeper
from trio_envoy.upstream.transport import connect_failure
from trio_envoy.util.deadlines import Timers
from trio_envoy.util.logfile import LogFiles


class FakeNetwork:
    """Names and hosts that a test decides about.

    Attributes:
        names: name -> IP texts, or a Resolution, or DnsFailure to be raised.
        asked: (trio time, name) of each question.
        faults: address text -> OSError to be raised, or seconds that a connection takes (inf: for ever).
        accepted: address text -> the far ends of its connections.
        dialled: (trio time, address text, keyword arguments) of each connection.
    """

    def __init__(self):
        self.names = {}
        self.asked = []
        self.faults = {}
        self.accepted = {}
        self.dialled = []
        self._arrived = trio.Event()

    async def resolve(self, name, family, *, resolver=None):
        self.asked.append((trio.current_time(), name))
        await trio.lowlevel.checkpoint()
        answer = self.names.get(name, ())
        if isinstance(answer, DnsFailure):
            raise answer
        return answer if isinstance(answer, Resolution) else Resolution(tuple(answer), 0.0)

    def arrive(self, address, far):
        self.accepted.setdefault(address, []).append(far)
        self._arrived.set()
        self._arrived = trio.Event()

    async def accept(self, address, number):
        """The far end of a connection to an address; waits until it is made."""
        while len(self.accepted.get(address, ())) <= number:
            await self._arrived.wait()
        return self.accepted[address][number]

    def far(self, address="10.0.0.1:80"):
        """The far end of the newest connection to an address."""
        return self.accepted[address][-1]


def make_services(seed=1, *, runtime=None, zone=""):
    stats = Store()
    return Services(
        stats=stats,
        runtime=Runtime(runtime, RuntimeStats()),
        timers=Timers(),
        poller=PlainPoller(),
        network=FakeNetwork(),
        random=Random(seed),
        log_files=LogFiles(),
        options=Options(service_zone=zone),
    )


async def connect_in_memory(dialer, address):
    """What replaces Dialer._connected (see the fixture `services`)."""
    services = dialer._services
    network = services.network
    text = str(address)
    network.dialled.append((trio.current_time(), text))
    fault = network.faults.get(text, 0)
    if isinstance(fault, OSError):
        await trio.lowlevel.checkpoint()
        raise connect_failure(fault, address)
    await trio.sleep(fault)
    near, far = memory_channel_pair()
    near.info = ConnectionInfo(services.connection_id(), IpAddress("127.0.0.1", 1), address)
    network.arrive(text, far)
    return near


def endpoint(address, **fields):
    """An LbEndpoint: "10.0.0.1:80", "name:80" or "/a/pipe"; fields of Endpoint and of LbEndpoint."""
    inner = {name: fields.pop(name) for name in ("hostname", "health_check_config") if name in fields}
    if address.startswith("/"):
        where = AddressConfig(pipe=Pipe(path=address))
    else:
        host, _, port = address.rpartition(":")
        where = AddressConfig(socket_address=SocketAddress(address=host.strip("[]"), port_value=int(port)))
    return LbEndpoint(endpoint=Endpoint(address=where, **inner), **fields)


def config_of(*endpoints, name="c", locality=None, **fields):
    """A cluster config; endpoints as text or LbEndpoint."""
    hosts = tuple(endpoint(each) if isinstance(each, str) else each for each in endpoints)
    place = None if locality is None else Locality(**locality)
    assignment = ClusterLoadAssignment(
        cluster_name=name, endpoints=(LocalityLbEndpoints(lb_endpoints=hosts, locality=place),) if hosts else ()
    )
    return ClusterConfig(name=name, load_assignment=assignment, **fields)


class LiveCluster:
    """A cluster with what runs beside it, as a context: `async with LiveCluster(config, services) as cluster`."""

    def __init__(self, config, services):
        self.keeper = Keeper()
        self.cluster = Cluster(config, services, self.keeper)

    async def __aenter__(self):
        self._nursery = trio.open_nursery()
        nursery = await self._nursery.__aenter__()
        await nursery.start(self.keeper.run)
        if self.cluster.looping:
            await nursery.start(self.cluster.run)
        self._tasks = nursery
        return self.cluster

    async def __aexit__(self, *exc):
        self._tasks.cancel_scope.cancel()
        return await self._nursery.__aexit__(*exc)


def counted(services, prefix="cluster.c."):
    """All stats below a prefix that are not 0: name -> value."""
    return {
        name.removeprefix(prefix): value
        for name, _, value in services.stats
        if name.startswith(prefix) and isinstance(value, int) and value
    }


def address(text):
    return parse_ip_port(text)
