"""A worker: a process that serves the listeners, and follows the main process in everything else.

It has a Trio run, sockets, pools and counts of its own. Its clusters neither resolve nor check anything: the main
process tells what it has found. It ends when it is told to, and when the main process has gone.
"""

from __future__ import annotations

import gc
import socket
from collections.abc import Callable
from random import SystemRandom
from typing import TYPE_CHECKING, Final

import trio

from trio_envoy.net.sockets import BindError
from trio_envoy.server.workers.hosts import HostBook, HostReporter
from trio_envoy.server.workers.link import Link
from trio_envoy.server.workers.messages import (
    CannotListen,
    Collect,
    HostFailed,
    Listening,
    Open,
    Order,
    ReopenLogs,
    Report,
    Stop,
    ToWorker,
    UseHosts,
)
from trio_envoy.server.workers.orders import obey
from trio_envoy.stats.share import Reporter
from trio_envoy.upstream.cluster import Cluster
from trio_envoy.upstream.host import Host
from trio_envoy.util.log import logger

if TYPE_CHECKING:
    from trio_envoy.server.logs import ApplicationLog
    from trio_envoy.server.server import Server

_LOG: Final = logger("main")
_SEEDS: Final = SystemRandom()
_IDS_OF_ONE: Final = 10**9  # connection ids of the worker with the serial number n begin at n times so many
_FAREWELL: Final = 1.0  # s; for a last message to be taken


class Worker:
    """One worker, in its own process.

    Args:
        server: compiled, and as it was when this process was forked.
        log: of the process.
        book: of all hosts, from before that.
        sock: to the main process.
        index: its place.
        serial: no other worker ever has it.
    """

    def __init__(
        self, server: Server, log: ApplicationLog, book: HostBook, sock: socket.socket, index: int, serial: int
    ) -> None:
        self._server = server
        self._log = log
        self._book = book
        self._link = Link(sock)
        self._index = index
        self._serial = serial
        self._reporter = Reporter(server.services.stats)
        self._hosts = HostReporter(book)
        self._opened = trio.Event()
        self._code = 0

    def work(self) -> int:
        """Serve to the end; gives the exit code."""
        self._become()
        trio.run(self._run)
        return self._code

    def _become(self) -> None:
        """Share with the processes of the same memory only what is to be shared."""
        server, services = self._server, self._server.services
        services.random.seed(_SEEDS.getrandbits(128))
        services.poller.renew()
        services.log_files.share()
        services.next_connection_id = self._serial * _IDS_OF_ONE
        server.watchdog.become_worker(self._index)
        server.listeners.become_worker(self._index)
        for cluster in server.clusters.clusters.values():
            cluster.follow_main(services.options.concurrency, self._host_failed(cluster))

    def _host_failed(self, cluster: Cluster) -> Callable[[Host], None]:
        def tell(host: Host) -> None:
            number = self._book.number(cluster.name, host)
            if number is not None:
                self._link.post(HostFailed(cluster.name, number))

        return tell

    async def _run(self) -> None:
        server, services = self._server, self._server.services
        try:
            async with trio.open_nursery() as tasks:
                tasks.start_soon(self._link.run)
                tasks.start_soon(self._hear, tasks.cancel_scope)
                tasks.start_soon(services.timers.run)
                tasks.start_soon(services.poller.run)
                tasks.start_soon(services.log_files.run)
                tasks.start_soon(server.watchdog.run)
                await tasks.start(server.clusters.run)
                await self._opened.wait()
                try:
                    await tasks.start(server.listeners.run)
                except BindError as error:
                    self._link.post(CannotListen(str(error)))
                    self._code = 1
                    with trio.move_on_after(_FAREWELL):
                        await self._link.flush()
                    tasks.cancel_scope.cancel()
                else:
                    self._link.post(Listening())
                    gc.collect()
                    gc.freeze()  # what lives now lives on: later collections need not walk it
        finally:
            services.log_files.close()

    async def _hear(self, scope: trio.CancelScope) -> None:
        """Do what the main process says, until it says stop or has gone."""
        while True:
            message: ToWorker | None = await self._link.receive()
            match message:
                case None:
                    _LOG.error("worker %d: the main process has gone", self._index)
                    break
                case Stop():
                    break
                case Open():
                    for order in message.orders:
                        self._obey(order)
                    self._opened.set()
                case Collect():
                    await self._report(message.number)
                case _:
                    self._obey(message)
        scope.cancel()

    def _obey(self, order: Order) -> None:
        if isinstance(order, UseHosts):
            self._book.follow(order)
            return
        obey(self._server, order)
        if isinstance(order, ReopenLogs):
            self._log.reopen()

    async def _report(self, number: int) -> None:
        stats = await self._reporter.report()
        self._link.post(Report(number, self._server.listeners.connections(), stats, self._hosts.report()))
