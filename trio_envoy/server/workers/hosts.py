"""Hosts by number: how the main process and its workers speak of the same host, and add up what they count for it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from operator import attrgetter
from typing import Final

from trio_envoy.server.workers.messages import NewHost, UseHosts
from trio_envoy.upstream.cluster import Cluster
from trio_envoy.upstream.host import Host

COUNTS: Final = ("cx_connect_fail", "cx_total", "rq_error", "rq_success", "rq_timeout", "rq_total")
GAUGES: Final = ("cx_active", "rq_active", "rq_pending_active")
_ALL: Final = COUNTS + GAUGES
_counted: Final = attrgetter(*_ALL)
_NONE: Final = (0,) * len(_ALL)

HostRows = list[tuple[str, int, tuple[int, ...]]]


class HostBook:
    """The numbers of all hosts.

    Made before the first worker is forked, so that hosts of the configuration have the same number everywhere: their
    place. A host that comes later gets the next one in the main process, and workers are told.
    """

    def __init__(self, clusters: Mapping[str, Cluster]) -> None:
        self._clusters = clusters
        self._hosts = {name: dict(enumerate(cluster.hosts.hosts)) for name, cluster in clusters.items()}
        self._first = {name: len(hosts) for name, hosts in self._hosts.items()}
        self._next = dict(self._first)

    def host(self, cluster: str, number: int) -> Host | None:
        """The host of a number, while it is in its cluster."""
        return self._hosts.get(cluster, {}).get(number)

    def number(self, cluster: str, host: Host) -> int | None:
        """The number of a host, while it is in its cluster."""
        return next((number for number, known in self._hosts[cluster].items() if known is host), None)

    def tell(self, cluster: Cluster) -> UseHosts:
        """In the main process: the hosts of a cluster as they are now, for workers."""
        name, hosts = cluster.name, cluster.hosts.hosts
        numbers = {host: number for number, host in self._hosts[name].items()}
        for host in hosts:
            if host not in numbers:
                numbers[host] = self._next[name]
                self._next[name] += 1
        self._hosts[name] = {numbers[host]: host for host in hosts}
        first = self._first[name]
        return UseHosts(
            name,
            tuple(numbers[host] for host in hosts),
            tuple(host.flags for host in hosts),
            {numbers[host]: _told(host) for host in hosts if numbers[host] >= first},
        )

    def follow(self, told: UseHosts) -> None:
        """In a worker: take over what the main process has told."""
        known = self._hosts[told.cluster]
        for number, new in told.new.items():
            if number not in known:
                known[number] = _made(new)
        hosts = [known[number] for number in told.numbers]
        self._hosts[told.cluster] = dict(zip(told.numbers, hosts, strict=True))
        self._clusters[told.cluster].follow(hosts, told.flags)

    def __iter__(self) -> Iterator[tuple[str, int, Host]]:
        """(cluster, number, host) of all."""
        for name, hosts in self._hosts.items():
            for number, host in hosts.items():
                yield name, number, host


def _told(host: Host) -> NewHost:
    return NewHost(host.address, host.hostname, host.weight, host.locality, host.priority, host.canary)


def _made(new: NewHost) -> Host:
    return Host(
        new.address,
        hostname=new.hostname,
        weight=new.weight,
        locality=new.locality,
        priority=new.priority,
        canary=new.canary,
    )


class HostReporter:
    """In a worker: what was counted for hosts since the last report."""

    def __init__(self, book: HostBook) -> None:
        self._book = book
        self._sent: dict[tuple[str, int], tuple[int, ...]] = {}

    def report(self) -> HostRows:
        """What is new, of each host for which something is."""
        rows = []
        sent: dict[tuple[str, int], tuple[int, ...]] = {}
        for cluster, number, host in self._book:
            now = _counted(host)
            if any(now):
                before = self._sent.get((cluster, number), _NONE)
                sent[cluster, number] = now
                if now != before:
                    rows.append((cluster, number, tuple(new - old for new, old in zip(now, before, strict=True))))
        self._sent = sent
        return rows


class HostLedger:
    """In the main process: adds what workers report to the hosts there."""

    def __init__(self, book: HostBook) -> None:
        self._book = book
        self._gauges: dict[int, dict[tuple[str, int], list[int]]] = {}  # by worker

    def add(self, worker: int, rows: HostRows) -> None:
        """A worker has reported. Hosts that have gone meanwhile are passed over, and what it said of them goes."""
        known = self._book.host
        said = {key: active for key, active in self._gauges.get(worker, {}).items() if any(active) and known(*key)}
        for cluster, number, changes in rows:
            host = known(cluster, number)
            if host is None:
                continue
            _add(host, _ALL, changes)
            active = said.setdefault((cluster, number), [0] * len(GAUGES))
            for place, change in enumerate(changes[len(COUNTS) :]):
                active[place] += change
        self._gauges[worker] = said

    def forget(self, worker: int) -> None:
        """A worker has gone, and what was active in it with it."""
        for (cluster, number), said in self._gauges.pop(worker, {}).items():
            host = self._book.host(cluster, number)
            if host is not None:
                _add(host, GAUGES, [-value for value in said])


def _add(host: Host, names: Iterable[str], changes: Iterable[int]) -> None:
    for name, change in zip(names, changes, strict=True):
        if change:
            setattr(host, name, getattr(host, name) + change)
