"""Channels as Trio streams, for filters that only read and write; and Trio streams as channels, for our codecs."""

from __future__ import annotations

import trio

from trio_envoy.net.channel import Buffer, Channel, send_all
from trio_envoy.net.memory_channel import MemoryChannel, memory_channel_pair
from trio_envoy.net.poller import BUFFER_BYTES
from trio_envoy.net.stream_info import ConnectionInfo


class _OneAtATime:
    """A context that raises trio.BusyResourceError when a second task enters it."""

    __slots__ = ("_busy", "_what")

    def __init__(self, what: str) -> None:
        self._busy = False
        self._what = what

    def __enter__(self) -> None:
        if self._busy:
            raise trio.BusyResourceError(self._what)
        self._busy = True

    def __exit__(self, *_exc: object) -> None:
        self._busy = False


class ChannelStream(trio.abc.HalfCloseableStream):
    """A channel shown as a Trio stream; it owns the channel. Off the request path: each receive allocates."""

    def __init__(self, channel: Channel) -> None:
        self.channel = channel
        self._eof_sent = False
        self._sending = _OneAtATime("another task is sending on this stream")
        self._receiving = _OneAtATime("another task is receiving from this stream")

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        if max_bytes is not None and max_bytes < 1:
            raise ValueError("max_bytes must be >= 1")
        buffer = bytearray(min(max_bytes or BUFFER_BYTES, BUFFER_BYTES))
        with self._receiving:
            await trio.lowlevel.checkpoint_if_cancelled()
            try:
                while (received := self.channel.recv_into(buffer)) is None:
                    await self.channel.wait_read()
            except OSError as error:
                raise self._translated(error) from error
            await trio.lowlevel.cancel_shielded_checkpoint()
        return bytes(memoryview(buffer)[:received])

    async def send_all(self, data: Buffer) -> None:
        with self._sending:
            self._check_sendable()
            await trio.lowlevel.checkpoint()
            try:
                await send_all(self.channel, data)
            except OSError as error:
                raise self._translated(error) from error

    async def wait_send_all_might_not_block(self) -> None:
        with self._sending:
            self._check_sendable()
            await self.channel.wait_write()
            self._check_open()

    async def send_eof(self) -> None:
        with self._sending:
            self._check_open()
            self._eof_sent = True
            self.channel.shutdown_write()
            await trio.lowlevel.checkpoint()

    async def aclose(self) -> None:
        self.channel.close()
        await trio.lowlevel.checkpoint()

    def _check_open(self) -> None:
        if self.channel.closed:
            raise trio.ClosedResourceError("this stream was closed")

    def _check_sendable(self) -> None:
        self._check_open()
        if self._eof_sent:
            raise trio.ClosedResourceError("send_eof() was called")

    def _translated(self, error: OSError) -> trio.ClosedResourceError | trio.BrokenResourceError:
        if self.channel.closed:
            return trio.ClosedResourceError("this stream was closed")
        return trio.BrokenResourceError(str(error))


def as_channel(stream: trio.abc.Stream, info: ConnectionInfo, tasks: trio.Nursery) -> Channel:
    """A Trio stream shown as a channel, which owns it.

    Two pumps in a task of `tasks` move the bytes. What was sent before close() still goes out.

    Args:
        stream: any; half-close works if it is a HalfCloseableStream, otherwise shutdown_write() does nothing.
        info: of the connection.
        tasks: whose cancellation cuts the connection.
    """
    near, far = memory_channel_pair()
    near.info = info
    tasks.start_soon(_pump, stream, far)
    return near


async def _pump(stream: trio.abc.Stream, far: MemoryChannel) -> None:
    """Both directions, until the channel is closed or the stream is broken."""
    try:
        async with trio.open_nursery() as both:
            both.start_soon(_receive, stream, far)
            await _send(stream, far)
            both.cancel_scope.cancel()
    finally:
        far.close()
        await trio.aclose_forcefully(stream)


async def _receive(stream: trio.abc.Stream, far: MemoryChannel) -> None:
    try:
        while data := await stream.receive_some():
            await send_all(far, data)
        far.shutdown_write()
    except trio.BrokenResourceError:
        far.reset()
    except (trio.ClosedResourceError, OSError):
        return  # the channel was closed: _send has closed the stream, or ends the rest


async def _send(stream: trio.abc.Stream, far: MemoryChannel) -> None:
    buffer = bytearray(BUFFER_BYTES)
    try:
        while True:
            received = far.recv_into(buffer)
            if received:
                await stream.send_all(bytes(memoryview(buffer)[:received]))
            elif received is None:
                await far.wait_read()
            else:
                break
        if not far.peer_closed.is_set() and isinstance(stream, trio.abc.HalfCloseableStream):
            await stream.send_eof()
        await far.peer_closed.wait()
        await stream.aclose()
    except trio.BrokenResourceError:
        far.reset()
    except OSError:
        return  # reset by the channel's owner, or _receive found the stream broken
