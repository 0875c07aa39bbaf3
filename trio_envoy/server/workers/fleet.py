"""The main process's side of --concurrency N: starts the workers, tells them what changes, adds up what they count.

    main process ── fork server (spawner.py) ── N workers (worker.py)
         └───────────── a socket pair each ───────┘

Rules:
1. What must happen once happens in the main process: admin, signals, DNS, health checks, runtime files. It serves no
   connections of listeners.
2. A worker that ends by itself is replaced after a pause, which grows while it ends again and again. Its gauges leave
   the sum; its counters stay.
3. A worker that does not answer is logged and counted, not killed: it may be busy, and its connections with it. Only
   one that takes nothing until no more can be kept for it (messages.MAX_BYTES), or that sends no messages, is.
"""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import attrs
import trio

from trio_envoy.net.sockets import BindError
from trio_envoy.runtime import Snapshot
from trio_envoy.server.workers.hosts import HostBook, HostLedger
from trio_envoy.server.workers.link import Link
from trio_envoy.server.workers.messages import (
    CannotListen,
    Collect,
    DrainListeners,
    HealthFailed,
    HostFailed,
    Listening,
    LogLevels,
    Open,
    Order,
    ProtocolFault,
    ReopenLogs,
    Report,
    Stop,
    ToMain,
    UseRuntime,
)
from trio_envoy.server.workers.spawner import CloseListener, Ended, Mute, ReopenFiles, Spawn, Spawned, Spawner
from trio_envoy.server.workers.worker import Worker
from trio_envoy.stats.declare import Counter, Gauge, StatsBlock
from trio_envoy.stats.share import Ledger
from trio_envoy.upstream.cluster import Cluster
from trio_envoy.util.backoff import JitteredBackoff
from trio_envoy.util.log import COMPONENTS, level_of, logger

if TYPE_CHECKING:
    from trio_envoy.server.logs import ApplicationLog
    from trio_envoy.server.server import Server

_LOG: Final = logger("main")
_FIRST_PAUSE: Final = 0.1  # s, at most, before a worker that has ended is replaced
_LONGEST_PAUSE: Final = 10.0  # s
_LONG_LIFE: Final = 10.0  # s; a worker that lived so long was all right
_FAILING: Final = 2  # ends in a row after which the server is not ready
_ANSWER: Final = 1.0  # s; for a report that the admin waits for
_WATCH: Final = 5.0  # s; between two reports that nobody asked for
_RECENT: Final = 4.0  # s; so lately somebody has asked, and it has answered
_HUNG: Final = 5.0  # s without an answer
_STOP: Final = 5.0  # s; for workers to end before they are killed
_EXIT_CODE: Final = 2.0  # s; to learn it


class WorkersStats(StatsBlock):
    """`workers.`: of the processes that serve; ours, Envoy's workers are threads."""

    died: Counter  # ended without having been told to
    hung: Counter  # did not answer for 5 s
    live: Gauge  # take connections


@attrs.define(eq=False)
class _Seat:
    """A place for a worker, and who has it.

    Attributes:
        index: of the place.
        serial: of the worker, the last one while there is none; -1 before the first one.
        pid: of its process; 0 until that is known.
        link: to it.
        failures: workers in a row that ended young.
        opened: it has been told to take connections, and is told what changes.
        listening: it takes connections.
        connections: it has open, as far as we know.
        asked, answered: numbers of the last Collect and of the last Report.
        asked_at: when the first Collect that it has not answered was sent.
        told_hung: that has been logged.
        fault: why it can't listen.
        end: how it has ended; None until that is known.
    """

    index: int
    serial: int = -1
    pid: int = 0
    link: Link | None = None
    failures: int = 0
    opened: bool = False
    listening: bool = False
    connections: int = 0
    asked: int = 0
    answered: int = 0
    asked_at: float = 0.0
    told_hung: bool = False
    fault: str = ""
    end: Ended | None = None


class Fleet:
    """All workers of a main process.

    Attributes:
        count: of them.
        stats: `workers.`.
        lost: no worker is left, and none can be started.
    """

    def __init__(self, server: Server, log: ApplicationLog) -> None:
        """Bind the listeners and fork the fork server; not in a Trio run.

        Args:
            server: compiled; it becomes that of a main process.
            log: of the process.

        Raises:
            BindError: an address is taken or not ours.
        """
        self._server = server
        self.count = server.services.options.concurrency
        self.stats = server.services.stats.scope("workers.").block(WorkersStats)
        self._book = HostBook(server.clusters.clusters)
        server.listeners.bind(self.count)
        self._spawner = Spawner(server, log, lambda *place: Worker(server, log, self._book, *place).work())
        self._spawner_gone = False
        self.lost = False
        self._seats = [_Seat(index) for index in range(self.count)]
        self._next_serial = self.count  # the first ones are numbered by their seats
        self._ledger = Ledger(server.services.stats)
        self._hosts = HostLedger(self._book)
        self._drains: dict[DrainListeners, float] = {}  # when it was ordered first; again changes nothing
        self._opened = trio.Event()
        self._changed = trio.Event()  # set, and replaced, when something about a worker has changed
        self._lead()

    def _lead(self) -> None:
        """Make the server that of a main process."""
        server = self._server
        server.fleet = self
        server.services.stats.lead()
        server.lifecycle.lacking = self.failing
        server.watchdog.lead()
        server.listeners.on_stop = self._listener_stopped
        server.services.runtime.on_change = self._runtime_changed
        for cluster in server.clusters.clusters.values():
            cluster.on_change = self._hosts_changed
            for breakers in cluster.breakers:
                breakers.leave()

    # --- what others ask ------------------------------------------------------------------------

    def failing(self) -> bool:
        """Whether a worker can't be started again and again."""
        return any(seat.failures >= _FAILING and not seat.listening for seat in self._seats)

    def connections(self) -> int:
        """How many downstream connections all workers had open at their last reports."""
        return sum(seat.connections for seat in self._seats)

    def pids(self) -> tuple[int, ...]:
        """Of the fork server and of the workers."""
        return (self._spawner.pid, *(seat.pid for seat in self._seats if seat.pid))

    def tell(self, order: Order) -> None:
        """Let all workers obey; the main process does so by itself."""
        match order:
            case DrainListeners():
                self._drains.setdefault(order, trio.current_time())
            case ReopenLogs():
                self._command(ReopenFiles())
        for seat in self._seats:
            if seat.opened:
                self._post(seat, order)

    async def collect(self) -> None:
        """Bring the stats up to date: ask all workers, and wait for their answers, but not for long."""
        asked = [(seat, self._ask(seat)) for seat in self._seats if seat.link is not None]
        with trio.move_on_after(_ANSWER):
            for seat, number in asked:
                while seat.link is not None and seat.answered < number:
                    await self._changed.wait()

    async def open(self) -> None:
        """Clusters are warm: return when all workers take connections.

        Raises:
            BindError: one of them can't.
        """
        self._opened.set()
        while not all(seat.listening for seat in self._seats):
            for seat in self._seats:
                if seat.fault:
                    raise CannotStart(seat.fault)
            await self._changed.wait()

    def _tell_change(self) -> None:
        self._changed.set()
        self._changed = trio.Event()

    # --- what changes ---------------------------------------------------------------------------

    def _listener_stopped(self, place: int) -> None:
        self._command(CloseListener(place))

    def _runtime_changed(self, snapshot: Snapshot) -> None:
        for cluster in self._server.clusters.clusters.values():
            for breakers in cluster.breakers:
                breakers.follow(snapshot)
        self.tell(UseRuntime(snapshot))

    def _hosts_changed(self, cluster: Cluster) -> None:
        self.tell(self._book.tell(cluster))

    def _in_force(self) -> Iterator[Order]:
        """All that a new worker has to obey."""
        services = self._server.services
        yield LogLevels({component: level_of(component) for component in COMPONENTS})
        yield HealthFailed(services.health_failed)
        yield UseRuntime(services.runtime.snapshot)
        for cluster in self._server.clusters.clusters.values():
            if cluster.looping:
                yield self._book.tell(cluster)
        now = trio.current_time()
        for drain, begun in self._drains.items():
            yield attrs.evolve(drain, ago=now - begun)

    # --- the life of the workers ----------------------------------------------------------------

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Keep all workers alive until cancelled; started() at once, see open().

        Cancelled: they are told to end, and killed if they don't.
        """
        _LOG.info("starting %d workers", self.count)
        try:
            async with trio.open_nursery() as tasks:
                tasks.start_soon(self._hear_spawner)
                for seat in self._seats:
                    tasks.start_soon(self._keep, seat)
                tasks.start_soon(self._watch)
                task_status.started()
        finally:
            with trio.CancelScope(shield=True):
                await self._end()

    def close(self) -> None:
        """After the Trio run: return when no process is left."""
        self._spawner.end()

    async def _keep(self, seat: _Seat) -> None:
        """A worker on this seat, and another one when it has ended, until cancelled."""
        random = self._server.services.random
        backoff = JitteredBackoff(_FIRST_PAUSE, _LONGEST_PAUSE, random)
        while True:
            begun = trio.current_time()
            await self._serve(seat)
            old = trio.current_time() - begun > _LONG_LIFE
            if old:
                backoff.reset()
            pause = backoff.next()
            await self._gone(seat, pause)
            seat.failures = 0 if old else seat.failures + 1
            if self._spawner_gone:
                self._not_replaced(seat)
                return
            if seat.failures >= _FAILING:
                self._command(Mute(seat.index))
            await trio.sleep(pause)

    def _not_replaced(self, seat: _Seat) -> None:
        seat.failures = _FAILING
        if all(other.link is None for other in self._seats):
            _LOG.critical("no worker is left, and none can be started")
            self.lost = True
            self._server.lifecycle.stop()

    async def _serve(self, seat: _Seat) -> None:
        """Start a worker, and hear what it says until it has gone."""
        ours, theirs = socket.socketpair()
        if seat.serial < 0:
            seat.serial = seat.index
        else:
            seat.serial, self._next_serial = self._next_serial, self._next_serial + 1
        seat.link = link = Link(ours)
        seat.asked = seat.answered = 0
        seat.end = None
        seat.fault = ""
        self._command(Spawn(seat.serial, seat.index), theirs.fileno())
        theirs.close()
        try:
            async with trio.open_nursery() as tasks:
                tasks.start_soon(link.run)
                tasks.start_soon(self._let_open, seat)
                while (message := await link.receive()) is not None:
                    self._heard(seat, message)
                tasks.cancel_scope.cancel()
        except* ProtocolFault as group:
            _LOG.error("worker %d (pid %d): %s", seat.index, seat.pid, group.exceptions[0])
            self._kill(seat)

    async def _let_open(self, seat: _Seat) -> None:
        await self._opened.wait()
        seat.opened = True
        self._post(seat, Open(tuple(self._in_force())))

    def _heard(self, seat: _Seat, message: ToMain) -> None:
        match message:
            case Listening():
                seat.listening = True
                self.stats.live += 1
                _LOG.info("worker %d (pid %d) takes connections", seat.index, seat.pid)
            case CannotListen():
                seat.fault = message.reason
            case HostFailed():
                host = self._book.host(message.cluster, message.number)
                if host is not None:
                    self._server.clusters.clusters[message.cluster].fail_health(host)
            case Report():
                seat.answered = message.number
                seat.connections = message.connections
                seat.told_hung = False
                if seat.answered < seat.asked:
                    seat.asked_at = trio.current_time()
                self._ledger.add(seat.serial, message.stats)
                self._hosts.add(seat.serial, message.hosts)
        self._tell_change()

    async def _gone(self, seat: _Seat, pause: float) -> None:
        """A worker has ended by itself: say so, and take what it had off the sum."""
        with trio.move_on_after(_EXIT_CODE):
            while seat.end is None and not self._spawner_gone:
                await self._changed.wait()
        self.stats.died += 1
        text = "worker %d (pid %d) %s; another one takes its place in %.1f s"
        _LOG.error(text, seat.index, seat.pid, _ending(seat.end), pause)
        self._leave(seat)

    def _leave(self, seat: _Seat) -> None:
        if seat.listening:
            self.stats.live -= 1
        assert seat.link is not None, "it had one"
        seat.link.close()
        self._ledger.forget(seat.serial)
        self._hosts.forget(seat.serial)
        seat.link = None
        seat.opened = seat.listening = False
        seat.pid = seat.connections = 0
        self._tell_change()

    async def _hear_spawner(self) -> None:
        """Learn who has begun and who has ended."""
        while (told := await self._spawner.receive()) is not None:
            for seat in self._seats:
                if seat.serial == told.serial:
                    if isinstance(told, Spawned):
                        seat.pid = told.pid
                    else:
                        seat.end = told
                    self._tell_change()
        self._spawner_gone = True
        self._tell_change()
        _LOG.critical("the process that starts workers has gone: a worker that ends is not replaced")

    async def _watch(self) -> None:
        """Ask for reports now and then, so that little is lost with a worker, and look who doesn't answer."""
        while True:
            await trio.sleep(_WATCH)
            for seat in self._seats:
                if seat.link is None:
                    continue
                waited = trio.current_time() - seat.asked_at
                if seat.answered == seat.asked:
                    if waited >= _RECENT:
                        self._ask(seat)
                elif waited >= _HUNG and not seat.told_hung:
                    seat.told_hung = True
                    self.stats.hung += 1
                    _LOG.error("worker %d (pid %d) has not answered for %.0f s", seat.index, seat.pid, waited)

    def _ask(self, seat: _Seat) -> int:
        if seat.answered == seat.asked:
            seat.asked_at = trio.current_time()
        seat.asked += 1
        self._post(seat, Collect(seat.asked))
        return seat.asked

    def _post(self, seat: _Seat, message: Order | Open | Collect | Stop) -> None:
        if seat.link is not None:
            try:
                seat.link.post(message)
            except ProtocolFault as fault:
                _LOG.error("worker %d (pid %d): %s", seat.index, seat.pid, fault)
                self._kill(seat)

    def _command(self, command: Spawn | CloseListener | Mute | ReopenFiles, *fds: int) -> None:
        try:
            self._spawner.send(command, *fds)
        except OSError as error:
            _LOG.error("the process that starts workers takes no command: %s", error.strerror)

    def _kill(self, seat: _Seat) -> None:
        """While its end of the socket pair is open, the pid is its own."""
        if seat.pid:
            with suppress(ProcessLookupError):
                os.kill(seat.pid, signal.SIGKILL)

    async def _end(self) -> None:
        """Tell all workers to end, and wait for that, for a while."""
        async with trio.open_nursery() as tasks:
            for seat in self._seats:
                if seat.link is not None:
                    tasks.start_soon(self._end_one, seat, seat.link)

    async def _end_one(self, seat: _Seat, link: Link) -> None:
        self._post(seat, Stop())
        with trio.move_on_after(_STOP) as scope, suppress(ProtocolFault):
            await link.flush()
            while await link.receive() is not None:
                pass
        if scope.cancelled_caught:
            _LOG.error("worker %d (pid %d) does not end: it is killed", seat.index, seat.pid)
            self._kill(seat)
        link.close()


class CannotStart(BindError):
    """A worker can't take connections; the text is that of its BindError."""

    def __init__(self, reason: str) -> None:
        OSError.__init__(self, reason)


def _ending(end: Ended | None) -> str:
    if end is None:
        return "has gone"
    if end.code is None:
        return f"could not be forked ({end.reason})"
    if end.code >= 0:
        return f"has ended with exit code {end.code}"
    return f"was ended by signal {-end.code} ({signal.strsignal(-end.code)})"
