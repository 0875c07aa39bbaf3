"""The tasks that serve the streams of one downstream connection: each serves one stream after the other.

To make a task and its scope costs a good part of what a small request costs, so whoever is done with a stream waits a
while for the next one. Each stream still has a task to itself as long as it lasts, and a deadline or a reset ends that
stream and no other.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Final

import trio

from trio_envoy.http.codec import Handler
from trio_envoy.util.deadlines import Cause, Guard, Timers
from trio_envoy.util.wake import Wake

if TYPE_CHECKING:
    from trio_envoy.http.h2.server import Http2ServerConnection
    from trio_envoy.http.h2.server_stream import Http2ServerStream

_PATIENCE: Final = 2.0  # s; a task that has no stream for so long goes
_IDLE: Final = int(Cause.CONNECTION_IDLE)  # a plain number is cheaper


class StreamTask:
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


class StreamTasks:
    """All of a connection.

    Args:
        connection: is told when a stream is over.
        handler: answers requests.
        timers: for the guards.
        nursery: where they run.
    """

    def __init__(
        self, connection: Http2ServerConnection, handler: Handler, timers: Timers, nursery: trio.Nursery
    ) -> None:
        self._connection = connection
        self._handler = handler
        self._timers = timers
        self._nursery = nursery
        self._idle: list[StreamTask] = []  # the last one was busy last
        self._over = False
        self._now = connection.now

    def take(self) -> StreamTask:
        """One without a stream; it gets one and is told: start()."""
        while self._idle:
            task = self._idle.pop()
            if task.guard.fired is None:  # else it is about to go
                task.guard.at[_IDLE] = inf
                return task
        return StreamTask(self._timers)

    def start(self, task: StreamTask, stream: Http2ServerStream) -> None:
        """Let it serve this stream."""
        task.stream = stream
        if task.running:
            task.wake.set()
        else:
            task.running = True
            self._nursery.start_soon(self._run, task)

    def end(self) -> None:
        """There will be no stream any more; those that are there are served to their end."""
        self._over = True
        for task in self._idle:
            task.wake.set()
        self._idle.clear()

    async def _run(self, task: StreamTask) -> None:
        guard, handler = task.guard, self._handler
        try:
            while True:
                with guard.open():
                    await self._serve(task)
                stream, cause = task.stream, guard.fired
                if stream is None:
                    return
                try:
                    if cause is not None and not stream.finished:
                        if cause is Cause.STREAM_FLUSH:
                            stream.flush_timed_out()
                        with guard.open():
                            await handler.interrupted(stream, cause)
                finally:
                    self._finish(task, stream)
        finally:
            guard.close()
            if task.stream is not None:  # cancelled, or a fault of ours
                self._finish(task, task.stream)

    async def _serve(self, task: StreamTask) -> None:
        """Serve streams until the guard has fired, which uses its scope up, or no more will come."""
        guard, handle = task.guard, self._handler.handle
        while True:
            stream = task.stream
            if stream is None:
                if self._over:
                    return
                at = guard.at[_IDLE] = self._now() + _PATIENCE
                if at < guard.planned:
                    guard.plan(at)
                self._idle.append(task)
                try:
                    await task.wake.wait()
                except trio.Cancelled:
                    if task in self._idle:
                        self._idle.remove(task)
                    raise
                if task.stream is None:
                    return
                continue
            if stream.ended_by is not None:  # in the same bytes as its head
                guard.fire(stream.ended_by)
            if b"expect" in stream.request.headers.first:
                await stream.greet()
            await handle(stream)
            if guard.fired is not None:
                return
            self._finish(task, stream)

    def _finish(self, task: StreamTask, stream: Http2ServerStream) -> None:
        task.stream = None
        task.guard.disarm_exchange()
        self._connection.finished(stream)
