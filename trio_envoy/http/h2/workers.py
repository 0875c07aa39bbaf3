"""The tasks that serve the streams of one downstream connection: each serves one stream after the other.

A task and a guard are dearer than a small request, so whoever is done with a stream waits for the next one. Each stream
still has a task to itself as long as it lasts, and a deadline or a reset ends that stream and no other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import trio

from trio_envoy.http.codec import Handler
from trio_envoy.util.deadlines import Guard, Timers
from trio_envoy.util.wake import Wake

if TYPE_CHECKING:
    from trio_envoy.http.h2.server import Http2ServerConnection
    from trio_envoy.http.h2.server_stream import Http2ServerStream

_SPARE: Final = 1  # tasks that a connection without streams keeps


class Worker:
    """One task.

    Attributes:
        guard: its deadlines; those of the stream that it serves.
        stream: that one, or None.
        running: the task is there.
        wake: set when there is a stream, or when there will be none any more.
    """

    __slots__ = ("guard", "running", "stream", "wake")

    def __init__(self, timers: Timers) -> None:
        self.guard = Guard(timers)
        self.stream: Http2ServerStream | None = None
        self.running = False
        self.wake = Wake()


class Workers:
    """All of a connection.

    Args:
        connection: is told when a stream is over.
        handler: answers requests.
        timers: for the guards.
        tasks: where the tasks run.
    """

    def __init__(
        self, connection: Http2ServerConnection, handler: Handler, timers: Timers, tasks: trio.Nursery
    ) -> None:
        self._connection = connection
        self._handler = handler
        self._timers = timers
        self._tasks = tasks
        self._idle: list[Worker] = []  # the last one was busy last
        self._over = False

    def take(self) -> Worker:
        """One without a stream; it gets one and is told: start()."""
        return self._idle.pop() if self._idle else Worker(self._timers)

    def start(self, worker: Worker, stream: Http2ServerStream) -> None:
        """Let it serve this stream."""
        worker.stream = stream
        if worker.running:
            worker.wake.set()
        else:
            worker.running = True
            self._tasks.start_soon(self._run, worker)

    def rest(self) -> None:
        """There is no stream: few will do."""
        for worker in self._idle[_SPARE:]:
            worker.wake.set()
        del self._idle[_SPARE:]

    def end(self) -> None:
        """There will be no stream any more; those that are there are served to their end."""
        self._over = True
        for worker in self._idle:
            worker.wake.set()
        self._idle.clear()

    async def _run(self, worker: Worker) -> None:
        guard, handler = worker.guard, self._handler
        try:
            while True:
                with guard.open():
                    await self._serve(worker)
                stream, cause = worker.stream, guard.fired
                if stream is None:
                    if cause is None:
                        return
                    continue
                try:
                    if cause is not None and not stream.finished:
                        with guard.open():
                            await handler.interrupted(stream, cause)
                finally:
                    self._finish(worker, stream)
        finally:
            guard.close()
            if worker.stream is not None:  # cancelled, or a fault of ours
                self._finish(worker, worker.stream)

    async def _serve(self, worker: Worker) -> None:
        """Serve streams until the guard has fired, which uses its scope up, or no more will come."""
        guard, handle = worker.guard, self._handler.handle
        while True:
            stream = worker.stream
            if stream is None:
                if self._over or guard.fired is not None:
                    return
                self._idle.append(worker)
                try:
                    await worker.wake.wait()
                except trio.Cancelled:
                    if worker in self._idle:
                        self._idle.remove(worker)
                    raise
                if worker.stream is None:
                    return
                continue
            if stream.ended_by is not None:  # in the same bytes as its head
                guard.fire(stream.ended_by)
            if b"expect" in stream.request.headers.first:
                await stream.greet()
            await handle(stream)
            if guard.fired is not None:
                return
            self._finish(worker, stream)

    def _finish(self, worker: Worker, stream: Http2ServerStream) -> None:
        worker.stream = None
        worker.guard.disarm_exchange()
        self._connection.finished(stream)
