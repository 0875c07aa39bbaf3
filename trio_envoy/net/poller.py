"""Readiness of all data-path sockets of a worker, and the receive buffer that its codecs share.

EpollPoller (Linux) is an edge-triggered epoll "pump": one task waits for the epoll descriptor with Trio's public
wait_readable and wakes the tasks that are parked on channels. A wake-up costs less than Trio's wait_readable on each
socket, and the peer's FIN is seen while nobody reads. PlainPoller is for the other systems and for debugging.

Rules:
1. One reader and one writer task per channel. Its slot is empty before it is rescheduled, and in abort.
2. can_read and can_write say whether a call is worth it. They are cleared by a short read, a short write or EAGAIN,
   and set by an edge. After the peer's FIN (`ended`) there is no further edge: can_read stays set.
3. A descriptor leaves the map before it is closed. Nothing that the dispatch loop calls may close or add one.
4. A loop that reads or writes without parking counts turns: after TURNS of them it awaits trio.lowlevel.checkpoint(),
   or one fast peer starves all others.
5. `buffer` may not be held across an await: copy what is left first.
"""

from __future__ import annotations

import contextlib
import select
import sys
from collections.abc import Awaitable, Callable
from typing import Any, Final, Protocol

import trio
from trio.lowlevel import (
    Abort,
    checkpoint,
    current_task,
    current_trio_token,
    reschedule,
    wait_readable,
    wait_writable,
)

from trio_envoy.util.log import logger
from trio_envoy.util.park import WOKEN, park, parking
from trio_envoy.util.wake import Wake

BUFFER_BYTES: Final = 64 * 1024  # 128 KiB and more make glibc map and unmap memory on each receive
TURNS: Final = 8  # reads or writes in a row before a checkpoint

_LOG: Final = logger("connection")
_BATCH: Final = 512  # events of one dispatch; what is left makes the epoll descriptor readable again
_SWEEP: Final = 0.1  # s; how often PlainPoller looks for peers that are gone


class Pollable:
    """What a poller knows of a channel that sits on a socket.

    Attributes:
        fd: the descriptor.
        poller: the worker's.
        can_read, can_write, ended: rule 2.
        reader, writer: the parked tasks.
    """

    __slots__ = ("_on_gone", "_parked", "can_read", "can_write", "ended", "fd", "poller", "reader", "writer")

    def __init__(self, fd: int, poller: Poller) -> None:
        self.fd = fd
        self.poller = poller
        self.can_read = False
        self.can_write = True
        self.ended = False
        self.reader: trio.lowlevel.Task | None = None
        self.writer: trio.lowlevel.Task | None = None
        self._on_gone: Callable[[], None] | None = None
        self._parked = parking(self.abort_read)

    def end_waiting(self) -> None:
        """Closed: from now on waiting returns at once. Breaks the cycle through `_parked`, so that all goes at once."""
        self.can_read = self.can_write = True
        self._parked = None

    @property
    def on_gone(self) -> Callable[[], None] | None:
        """Called once when the peer has gone while nobody reads; also when it had gone before this was set."""
        return self._on_gone

    @on_gone.setter
    def on_gone(self, callback: Callable[[], None] | None) -> None:
        self._on_gone = callback
        if callback is not None:
            if self.ended:
                current_trio_token().run_sync_soon(self.gone)
            else:
                self.poller.watch(self)

    def gone(self) -> None:
        """Tell on_gone, once. A fault in it is logged: it must not stop the poller."""
        callback, self._on_gone = self._on_gone, None
        if callback is not None:
            try:
                callback()
            except Exception:
                _LOG.exception("on_gone")

    def peer_ended(self) -> bool:
        """The peer has closed or reset, and no byte waits before that; asks the system."""
        raise NotImplementedError

    def abort_read(self, _raise_cancel: Any) -> Abort:
        """The reader is cancelled while it is parked."""
        self.reader = None
        return Abort.SUCCEEDED

    def abort_write(self, _raise_cancel: Any) -> Abort:
        """The writer is cancelled while it is parked."""
        self.writer = None
        return Abort.SUCCEEDED

    def wait_read(self) -> Awaitable[None]:
        """Return when recv_into is worth a try; at once (but for a checkpoint) when it already is."""
        if self.can_read:
            return checkpoint()  # noqa: ASYNC105 - the caller awaits it
        assert self.reader is None, "one reader at a time"
        self.reader = current_task()
        return park(self._parked) if self.poller.edges else self._wait_to_read_plainly()

    async def _wait_to_read_plainly(self) -> None:
        try:
            await wait_readable(self.fd)
        except trio.ClosedResourceError:
            pass
        finally:
            self.reader = None
        self.can_read = True

    def wait_write(self) -> Awaitable[None]:
        """Return when send is worth a try."""
        if self.can_write:
            return checkpoint()  # noqa: ASYNC105 - the caller awaits it
        if not self.poller.edges:
            return self._wait_to_write_plainly()
        assert self.writer is None, "one writer at a time"
        self.writer = current_task()
        return park(parking(self.abort_write))

    async def _wait_to_write_plainly(self) -> None:
        with contextlib.suppress(trio.ClosedResourceError):
            await wait_writable(self.fd)
        self.can_write = True


class Poller(Protocol):
    """One per worker.

    Attributes:
        buffer: where codecs receive into; rule 5.
        view: the same as a memoryview.
        edges: can_read tells the truth without asking the system, and run() wakes who is parked.
    """

    buffer: bytearray
    view: memoryview
    edges: bool

    def add(self, channel: Pollable) -> None:
        """Watch a channel from now on, before or while run() runs."""

    def remove(self, channel: Pollable) -> None:
        """Stop watching, before the descriptor is closed; who is parked goes on."""

    def replace(self, channel: Pollable, successor: Pollable) -> None:
        """The descriptor is another channel's from now on; nobody may be parked on the old one."""

    def watch(self, channel: Pollable) -> None:
        """on_gone was set."""

    async def run(self) -> None:
        """Wake tasks, until cancelled. A task of the server."""

    def renew(self) -> None:
        """In a process that has just been forked: share nothing with the other one. Nothing is watched yet."""


class EpollPoller:
    """Edge-triggered epoll for all channels of a worker."""

    def __init__(self) -> None:
        self.edges = True  # in the instance it is found faster than in the class
        self.buffer = bytearray(BUFFER_BYTES)
        self.view = memoryview(self.buffer)
        self._epoll = select.epoll()
        self._channels: dict[int, Pollable] = {}
        self._events = select.EPOLLIN | select.EPOLLOUT | select.EPOLLRDHUP | select.EPOLLET

    def add(self, channel: Pollable) -> None:
        self._channels[channel.fd] = channel
        self._epoll.register(channel.fd, self._events)

    def remove(self, channel: Pollable) -> None:
        del self._channels[channel.fd]
        self._epoll.unregister(channel.fd)  # close() alone would not do while a forked child holds a copy
        reader, channel.reader = channel.reader, None
        if reader is not None:
            reschedule(reader, WOKEN)
        writer, channel.writer = channel.writer, None
        if writer is not None:
            reschedule(writer, WOKEN)

    def replace(self, channel: Pollable, successor: Pollable) -> None:
        self._channels[channel.fd] = successor

    def watch(self, channel: Pollable) -> None:
        """Nothing to do: RDHUP is always watched."""

    def renew(self) -> None:
        self._epoll.close()
        self._epoll = select.epoll()

    async def run(self) -> None:
        get = self._channels.get
        poll = self._epoll.poll
        epoll_fd = self._epoll.fileno()
        ended = select.EPOLLRDHUP | select.EPOLLHUP | select.EPOLLERR
        read = select.EPOLLIN | ended
        write = select.EPOLLOUT | select.EPOLLHUP | select.EPOLLERR
        while True:
            await wait_readable(epoll_fd)
            for fd, flags in poll(0, _BATCH):
                channel = get(fd)
                if channel is None:
                    continue
                if flags & read:
                    channel.can_read = True
                    if flags & ended:
                        channel.ended = True
                        if channel.reader is None:
                            channel.gone()
                    task = channel.reader
                    if task is not None:
                        channel.reader = None
                        reschedule(task, WOKEN)
                if flags & write and not channel.can_write:
                    channel.can_write = True
                    task = channel.writer
                    if task is not None:
                        channel.writer = None
                        reschedule(task, WOKEN)


class PlainPoller:
    """Trio's wait_readable and wait_writable; on_gone by a sweep over the channels that have one."""

    edges = False

    def __init__(self) -> None:
        self.buffer = bytearray(BUFFER_BYTES)
        self.view = memoryview(self.buffer)
        self._watched: set[Pollable] = set()
        self._wake = Wake()

    def add(self, channel: Pollable) -> None:
        """Nothing to do."""

    def remove(self, channel: Pollable) -> None:
        self._watched.discard(channel)
        trio.lowlevel.notify_closing(channel.fd)

    def replace(self, channel: Pollable, successor: Pollable) -> None:
        self._watched.discard(channel)

    def watch(self, channel: Pollable) -> None:
        if not self._watched:
            self._wake.set()
        self._watched.add(channel)

    def renew(self) -> None:
        """Nothing to do."""

    async def run(self) -> None:
        while True:
            if not self._watched:
                await self._wake.wait()
            await trio.sleep(_SWEEP)
            for channel in tuple(self._watched):
                if channel.on_gone is None:
                    self._watched.discard(channel)
                elif channel.reader is None and channel.peer_ended():
                    self._watched.discard(channel)
                    channel.can_read = channel.ended = True
                    channel.gone()


def make_poller(*, plain: bool = False) -> Poller:
    """The best poller of this system, or PlainPoller for debugging."""
    return PlainPoller() if plain or sys.platform != "linux" else EpollPoller()
