"""An HTTP/1 codec whose exchanges end as the test says, and what its tests have in common."""

from __future__ import annotations

import trio

from tests.upstream.fakes import LiveCluster, config_of
from trio_envoy.config.cluster import CircuitBreakers, CircuitBreakersThresholds
from trio_envoy.config.protocol import HttpProtocolOptions
from trio_envoy.upstream.context import LbContext

A = "10.0.0.1:80"


class Codec:
    """A codec whose exchanges end as the test says."""

    def __init__(self, channel, options, stats, owner):
        self.channel = channel
        self.connection = channel.info
        self.owner = owner
        self.info = None
        self.protocol_error = self.peer_closed = self.asked_to_close = self.cut_short = False

    def release(self, *, broken=False, **facts):
        """Give it back; broken, or with any of the facts, it is closed."""
        for name, value in facts.items():
            setattr(self, name, value)
        if broken or facts:
            self.channel.close()
        self.owner.give_back(self)


def limited(**limits):
    return CircuitBreakers(thresholds=(CircuitBreakersThresholds(**limits),))


def common(**fields):
    return HttpProtocolOptions(**fields)


def live(services, **fields):
    return LiveCluster(config_of(A, **fields), services)


async def open_stream(cluster):
    return await cluster.open(LbContext())


def at_rest(cluster):
    """Nothing is counted as being in use."""
    stats, (host,), breakers = cluster.stats, cluster.hosts.hosts, cluster.breakers[0]
    return not any(
        [
            stats.upstream_rq_active,
            stats.upstream_rq_pending_active,
            host.rq_active,
            host.rq_pending_active,
            breakers.requests.count,
            breakers.pending.count,
        ]
    )


def connections(cluster):
    """How many are open, everywhere the same."""
    (host,) = cluster.hosts.hosts
    assert cluster.stats.upstream_cx_active == host.cx_active == cluster.breakers[0].connections.count
    return host.cx_active


async def serve(cluster, name, served, seconds, **facts):
    stream = await open_stream(cluster)
    served.append(name)
    await trio.sleep(seconds)
    stream.release(**facts)
