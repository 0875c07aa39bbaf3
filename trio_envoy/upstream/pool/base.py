"""What pools of every protocol share: limits, the queue of those who wait, and what is counted.

A pool holds the connections to one host, for one priority (and one TLS name, where the request gives it).
Source: Envoy, conn_pool/conn_pool_base.cc; the order of checks and counters is measured.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from math import inf
from typing import TYPE_CHECKING, Final

import attrs
import trio
from trio.lowlevel import Abort, current_task, reschedule, wait_task_rescheduled

from trio_envoy.errors import UpstreamFailure
from trio_envoy.http.codec import ClientStream
from trio_envoy.net.address import parse_ip
from trio_envoy.net.channel import Channel
from trio_envoy.net.services import Services
from trio_envoy.net.stream_info import UF, UO
from trio_envoy.upstream.breakers import Breakers
from trio_envoy.upstream.context import LbContext
from trio_envoy.upstream.host import Host
from trio_envoy.upstream.options import ClusterOptions
from trio_envoy.upstream.pool.keeper import Keeper
from trio_envoy.upstream.stats import ClusterStats

if TYPE_CHECKING:
    from trio_envoy.upstream.transport import Dialer

OVERFLOW: Final = "overflow"
TIMEOUT: Final = "connection timeout"
REMOTE: Final = "remote connection failure"


@attrs.frozen(eq=False)
class PoolContext:
    """What the pools of one cluster and priority have in common.

    Attributes:
        options: HTTP versions, timeouts, limits.
        stats: of the cluster.
        breakers: of cluster and priority.
        dialer: makes connections.
        keeper: looks after idle ones.
        services: of the process.
    """

    options: ClusterOptions
    stats: ClusterStats
    breakers: Breakers
    dialer: Dialer
    keeper: Keeper
    services: Services


class Waiter:
    """A task that waits for a stream; handed over at most once."""

    __slots__ = ("_failure", "_queue", "_stream", "_task")

    def __init__(self, queue: deque[Waiter]) -> None:
        self._queue = queue
        self._task = current_task()
        self._stream: ClientStream | None = None
        self._failure: UpstreamFailure | None = None

    async def wait(self) -> ClientStream | None:
        """The stream, or None: there is room, connect yourself.

        Raises:
            UpstreamFailure: see fail().

        Cancelled: it has left the queue, and nothing was handed over.
        """
        await wait_task_rescheduled(self._abort)
        if self._failure is not None:
            raise self._failure
        return self._stream

    def _abort(self, _raise_cancel: object) -> Abort:
        self._queue.remove(self)
        return Abort.SUCCEEDED

    def hand(self, stream: ClientStream | None) -> None:
        """Wake it with a stream, or with None. It must have left the queue."""
        self._stream = stream
        reschedule(self._task)

    def fail(self, failure: UpstreamFailure) -> None:
        """Wake it with a failure."""
        self._failure = failure
        reschedule(self._task)


class Line:
    """Those who wait for a stream on one host, and the connections that may serve them.

    A pool has one of its own; pools of one host that take each other's connections have one together.

    Attributes:
        waiting: first come, first served.
        connections: so many are connecting, idle or busy.
    """

    __slots__ = ("connections", "waiting")

    def __init__(self) -> None:
        self.waiting: deque[Waiter] = deque()
        self.connections = 0


class Pool:
    """Base of all pools.

    Attributes:
        host: whose connections these are.
        planned: see Keeper.
        stats: of the cluster.
    """

    def __init__(self, host: Host, context: PoolContext, name: str, line: Line | None = None) -> None:
        """An empty pool.

        Args:
            host: whose connections these are.
            context: what the pools of the cluster share.
            name: what requests call the upstream, for auto_sni and auto_san_validation; "" leaves TLS to the transport
                socket.
            line: that it has together with other pools.
        """
        self.host = host
        self.planned = inf
        self.generation = 0
        self._context = context
        self.stats = context.stats
        self._requests = context.breakers.requests
        wanted = context.options.upstream
        self._server_name = name if wanted.auto_sni and parse_ip(name) is None else ""
        self._verified_name = name if wanted.auto_san_validation else ""
        self._line = Line() if line is None else line
        self._waiting = self._line.waiting

    def take(self) -> ClientStream | None:
        """A stream on a connection that is there, or None.

        Raises:
            UpstreamFailure: overflow: max_requests of the circuit breakers.
        """
        raise NotImplementedError

    async def _obtain(self) -> ClientStream:
        """A stream, made or waited for."""
        raise NotImplementedError

    def expire(self, now: float) -> float:
        """See Keeper."""
        raise NotImplementedError

    def drain(self) -> None:
        """Use none of the present connections again: idle ones are closed, busy ones when they are done."""
        raise NotImplementedError

    async def wait(self, context: LbContext) -> ClientStream:
        """A stream on a connection that is made now, or that becomes free.

        Raises:
            UpstreamFailure: overflow (max_pending_requests or max_requests), or the connection could not be made.

        Cancelled: nothing stays counted; a connection under way for this call is closed.
        """
        stats, breakers, host = self._context.stats, self._context.breakers, self.host
        pending = breakers.pending
        if not pending.free:
            stats.upstream_rq_pending_overflow += 1
            context.host = None
            raise UpstreamFailure(OVERFLOW, UO, sent=False)
        pending.take()
        host.rq_pending_active += 1
        stats.upstream_rq_pending_active += 1
        stats.upstream_rq_pending_total += 1
        try:
            return await self._obtain()
        except UpstreamFailure as failure:
            if failure.flag != UO:
                stats.upstream_rq_pending_failure_eject += 1
            raise
        except trio.Cancelled:
            stats.upstream_rq_cancelled += 1
            raise
        finally:
            pending.give()
            host.rq_pending_active -= 1
            stats.upstream_rq_pending_active -= 1

    def _admit(self) -> None:
        """Count the beginning of a stream.

        Raises:
            UpstreamFailure: overflow: max_requests.
        """
        stats, host, requests = self.stats, self.host, self._requests
        if requests.count >= requests.limit:
            stats.upstream_rq_active_overflow += 1
            raise UpstreamFailure(OVERFLOW, UO, sent=False)
        requests.count += 1  # as requests.take(), without the call
        if requests.count >= requests.limit or requests.tracked is not None:
            requests.publish()
        host.rq_total += 1
        host.rq_active += 1
        stats.upstream_rq_total += 1
        stats.upstream_rq_active += 1

    def _end(self) -> None:
        """Count the end of a stream."""
        requests = self._requests
        requests.count -= 1  # as requests.give(), without the call
        if requests.count + 1 >= requests.limit or requests.tracked is not None:
            requests.publish()
        self.host.rq_active -= 1
        self.stats.upstream_rq_active -= 1

    async def _room_or_stream(self) -> ClientStream | None:
        """None when there is room for a connection; a stream if one becomes free while this waits for room.

        Raises:
            UpstreamFailure: of a connection that could not be made meanwhile.

        Cancelled: it no longer waits.
        """
        waited = False
        while not self._may_connect():
            waiter = Waiter(self._waiting)
            if waited:  # someone else took the room that it was told of
                self._waiting.appendleft(waiter)
            else:
                self._waiting.append(waiter)
            stream = await waiter.wait()
            if stream is not None:
                return stream
            waited = True
        return None

    def _may_connect(self) -> bool:
        """Whether the circuit breaker lets a connection be made; counts if not."""
        if self._context.breakers.connections.free or not self._line.connections:
            return True
        self._context.stats.upstream_cx_overflow += 1
        return False

    def _fail_waiting(self, failure: UpstreamFailure) -> None:
        """A connection could not be made: whoever waits is told so, as in Envoy."""
        waiting, reason, transport = self._waiting, failure.reason, failure.transport
        while waiting:
            waiting.popleft().fail(UpstreamFailure(reason, failure.flag, transport=transport, sent=False))

    async def _dial(self, alpn: Sequence[str], born: float) -> Channel:
        """A new connection, counted by _begun(); the caller counts its end by _ended().

        Args:
            alpn: protocols to offer over TLS.
            born: what _begun() gave.

        Raises:
            UpstreamFailure: it could not be made; that is counted, and whoever waits in the pool fails with it.

        Cancelled: nothing of it stays.
        """
        context, host = self._context, self.host
        stats = context.stats
        channel: Channel | None = None
        failure: UpstreamFailure | None = None
        try:
            with trio.move_on_after(context.options.connect_timeout):
                channel = await context.dialer.dial(
                    host.address,
                    hostname=host.hostname,
                    server_name=self._server_name,
                    verified_name=self._verified_name,
                    alpn=alpn,
                )
                info = channel.info
                info.connect_start, info.connect_end = born, trio.current_time()
                stats.upstream_cx_connect_ms.record((info.connect_end - born) * 1000)
                return channel
            stats.upstream_cx_connect_timeout += 1
            failure = UpstreamFailure(TIMEOUT, UF, sent=False)
        except UpstreamFailure as error:
            failure = error
        finally:
            if failure is not None:
                host.cx_connect_fail += 1
                stats.upstream_cx_connect_fail += 1
                self._fail_waiting(failure)
            if channel is None:
                self._ended(born, remote=failure is not None and failure.reason == REMOTE, active=False)
        raise failure

    def _begun(self) -> float:
        """Count the beginning of a connection, and its room; gives the trio time."""
        host, stats = self.host, self._context.stats
        self._line.connections += 1
        self._context.breakers.connections.take()
        host.cx_total += 1
        host.cx_active += 1
        stats.upstream_cx_total += 1
        stats.upstream_cx_active += 1
        return trio.current_time()

    def _ended(self, born: float, *, remote: bool, active: bool) -> None:
        """Count the end of a connection.

        Args:
            born: trio time at which it was begun.
            remote: the peer closed it, not we.
            active: streams were under way on it.
        """
        stats = self._context.stats
        self._line.connections -= 1
        self._context.breakers.connections.give()
        self.host.cx_active -= 1
        stats.upstream_cx_active -= 1
        stats.upstream_cx_destroy += 1
        if remote:
            stats.upstream_cx_destroy_remote += 1
        else:
            stats.upstream_cx_destroy_local += 1
        if active:
            stats.upstream_cx_destroy_with_active_rq += 1
            if remote:
                stats.upstream_cx_destroy_remote_with_active_rq += 1
            else:
                stats.upstream_cx_destroy_local_with_active_rq += 1
        stats.upstream_cx_length_ms.record((trio.current_time() - born) * 1000)
        self._room()

    def _room(self) -> None:
        """A connection has ended: who waits longest may make one, if the breaker allows."""
        if self._waiting and (self._context.breakers.connections.free or not self._line.connections):
            self._waiting.popleft().hand(None)
