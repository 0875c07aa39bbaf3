"""Access-log files: buffered, appended to, shared by path.

Rules:
1. Writing is appending to a list. A buffer goes to the disk when it holds FLUSH_BYTES, when the flush interval is over,
   and at the very first line of a file, so that one sees at once that it works (as Envoy does).
2. The disk is written to by a thread, one at a time for each file, so a slow disk or a full pipe delays nobody. What it
   doesn't take is buffered up to LIMIT_BYTES; further lines are dropped and counted.
3. reopen() (SIGUSR1, /reopen_logs) opens the path anew at the next flush, which is at once; what was buffered goes to
   the new file. If it can't be opened, the old one is written on, and it is tried again at each flush.
4. When run() is cancelled, what is buffered is written, as far as the file takes it without waiting.
5. Several processes may write to one file (share()). A regular one takes any write whole, because it is appended to; a
   pipe only up to PIPE_BUF bytes, so it gets whole lines up to that size at a time, and a longer line alone.

Source: Envoy's AccessLogFileImpl and AccessLogManagerImpl; measured against 1.40. It differs in rule 2 (Envoy's buffer
has no bound) and in rule 3 (Envoy loses lines until the path can be opened).
"""

from __future__ import annotations

import os
import select
import stat
from collections.abc import Iterator
from contextlib import suppress
from typing import Protocol

import trio

from trio_envoy.util.wake import Wake

FLUSH_BYTES = 64 * 1024  # AccessLogFileImpl::MIN_FLUSH_SIZE
LIMIT_BYTES = 16 * 1024 * 1024  # a file's buffer; ours
DEFAULT_FLUSH_INTERVAL = 10.0  # s; --file-flush-interval-msec
_MODE = 0o644
_LAST_WAIT = 0.2  # s, for a pipe to take more, at the end
PIPE_BYTES = 4096  # a pipe that is ready takes so much at once, and nothing in between (Linux's PIPE_BUF)


class FileCounts(Protocol):
    """What is counted: `filesystem.*` (stats.filesystem.FilesystemStats)."""

    flushed_by_timer: int
    reopen_failed: int
    write_buffered: int
    write_completed: int
    write_failed: int
    write_total_buffered: int


class LogFile:
    """One file. Made by LogFiles.

    Attributes:
        path: or "stdout", "stderr".
        discards: nothing that is written can be read (/dev/null): one need not make the line.
    """

    __slots__ = (
        "_fd",
        "_flush_bytes",
        "_lines",
        "_one_thread",
        "_owned",
        "_regular",
        "_reopen",
        "_shared",
        "_size",
        "_stats",
        "_wake",
        "_written_to",
        "discards",
        "path",
    )

    def __init__(
        self, path: str, fd: int, stats: FileCounts, *, owned: bool = True, flush_bytes: int = FLUSH_BYTES
    ) -> None:
        self.path = path
        self.discards = path == os.devnull
        self._fd = fd
        self._flush_bytes = flush_bytes
        self._owned = owned  # may be reopened and closed
        self._stats = stats
        self._lines: list[bytes] = []
        self._size = 0
        self._reopen = False
        self._written_to = False
        self._wake = Wake()
        self._one_thread = trio.CapacityLimiter(1)
        self._regular = stat.S_ISREG(os.fstat(fd).st_mode)
        self._shared = False

    def write(self, data: bytes) -> None:
        """Append whole lines. Never waits; lines that the buffer has no room for are dropped and counted as failed."""
        stats = self._stats
        size = self._size + len(data)
        if size > LIMIT_BYTES:
            stats.write_failed += 1
            return
        stats.write_buffered += 1
        if self.discards:
            return
        stats.write_total_buffered += len(data)
        self._size = size
        self._lines.append(data)
        if size > self._flush_bytes or not self._written_to:
            self._written_to = True
            self._wake.set()

    def reopen(self) -> None:
        """Open the path anew before the next line is written."""
        self._reopen = self._owned and not self.discards
        self._wake.set()

    async def run(self, interval: float) -> None:
        """Flush when it is time, until cancelled."""
        tick = trio.current_time() + interval
        try:
            while True:
                with trio.move_on_at(tick) as scope:
                    await self._wake.wait()
                if scope.cancelled_caught:
                    self._stats.flushed_by_timer += 1
                    tick = trio.current_time() + interval
                await self.flush()
        finally:
            self._flush_at_the_end()

    async def flush(self) -> None:
        """Write what is buffered, in a thread.

        Cancelled: what the thread has not begun with stays buffered. To a regular file it writes its data to the end
        before the cancellation is delivered; with another one (a pipe that nobody reads) it is left alone.
        """
        data = self._take()
        reopen, self._reopen = self._reopen, False
        if not data and not reopen:
            return
        claim = [True]  # who pops it has the data: the thread to write it, or we to put it back
        try:
            reopened, written = await trio.to_thread.run_sync(
                self._work, claim, data, reopen, abandon_on_cancel=not self._regular, limiter=self._one_thread
            )
        except trio.Cancelled:
            with suppress(IndexError):
                claim.pop()
                self._put_back(data, reopen)
            raise
        self._count(data, reopened, written)
        self._reopen |= not reopened

    def _take(self) -> bytes:
        data = b"".join(self._lines)
        self._lines.clear()
        self._size = 0
        self._stats.write_total_buffered -= len(data)
        return data

    def _put_back(self, data: bytes, reopen: bool) -> None:
        self._lines.insert(0, data)
        self._size += len(data)
        self._stats.write_total_buffered += len(data)
        self._reopen |= reopen

    def _count(self, data: bytes, reopened: bool, written: bool) -> None:
        if not reopened:
            self._stats.reopen_failed += 1
        if data:
            if written:
                self._stats.write_completed += 1
            else:
                self._stats.write_failed += 1

    def _work(self, claim: list[bool], data: bytes, reopen: bool) -> tuple[bool, bool]:
        """In a thread: (it was reopened if that was wanted, all was written)."""
        try:
            claim.pop()
        except IndexError:
            return True, True  # cancelled meanwhile, and put back
        reopened = not reopen or self._open_anew()
        written = 0
        with suppress(OSError):
            for piece in self._pieces(data):
                written += _write_all(self._fd, piece)
        return reopened, written == len(data)

    def _pieces(self, data: bytes) -> Iterator[memoryview]:
        """What is written at a time; see rule 5."""
        whole = memoryview(data)
        begin = 0
        while self._shared and not self._regular and len(data) - begin > PIPE_BYTES:
            end = data.rfind(b"\n", begin, begin + PIPE_BYTES) + 1 or data.find(b"\n", begin) + 1 or len(data)
            yield whole[begin:end]
            begin = end
        yield whole[begin:]

    def share(self) -> None:
        """Other processes write to the same file; see rule 5."""
        self._shared = True

    def reopen_now(self) -> None:
        """Open the path anew under the same descriptor; in a process that writes nothing itself."""
        if self._owned and not self.discards:
            with suppress(OSError):
                fd = _open(self.path)
                os.dup2(fd, self._fd, inheritable=False)
                os.close(fd)

    def _open_anew(self) -> bool:
        try:
            fd = _open(self.path)
        except OSError:
            return False
        old, self._fd = self._fd, fd
        with suppress(OSError):
            os.close(old)
        return True

    def _flush_at_the_end(self) -> None:
        """Without a thread, and without waiting for long."""
        if self._reopen:
            self._open_anew()
        data = self._take()
        written = 0
        ready = select.poll()
        ready.register(self._fd, select.POLLOUT)
        with suppress(OSError):
            for piece in self._pieces(data):
                left = piece
                while left and (self._regular or ready.poll(_LAST_WAIT * 1000)):
                    left = left[os.write(self._fd, left if self._regular else left[:PIPE_BYTES]) :]
                written += len(piece) - len(left)
                if left:
                    break
        self._count(data, True, written == len(data))

    def close(self) -> None:
        """Close the descriptor; not of stdout and stderr, and not while a thread still writes to it."""
        if self._owned and not self._one_thread.borrowed_tokens:
            os.close(self._fd)


class LogFiles:
    """All log files of a process, by path. They stay until the end, as in Envoy.

    Args:
        stats: what is counted; None: nothing is.
        flush_interval: seconds.
        flush_bytes: a buffer that holds more is written at once (--file-flush-min-size-kb).
    """

    def __init__(
        self,
        stats: FileCounts | None = None,
        flush_interval: float = DEFAULT_FLUSH_INTERVAL,
        flush_bytes: int = FLUSH_BYTES,
    ) -> None:
        self._stats = _Counts() if stats is None else stats
        self._interval = flush_interval
        self._flush_bytes = flush_bytes
        self._files: dict[str | int, LogFile] = {}  # by path, or by descriptor
        self._tasks: trio.Nursery | None = None
        self._shared = False

    def open(self, path: str) -> LogFile:
        """The file of this path, appended to; it is made if it isn't there.

        Raises:
            OSError: it can't be opened.
        """
        return self._files.get(path) or self._add(path, self._make(path, _open(path)))

    def stdout(self) -> LogFile:
        """Standard output, buffered as any file."""
        return self._files.get(1) or self._add(1, self._make("stdout", 1, owned=False))

    def stderr(self) -> LogFile:
        """Standard error, buffered as any file."""
        return self._files.get(2) or self._add(2, self._make("stderr", 2, owned=False))

    def _make(self, path: str, fd: int, *, owned: bool = True) -> LogFile:
        return LogFile(path, fd, self._stats, owned=owned, flush_bytes=self._flush_bytes)

    def _add(self, key: str | int, file: LogFile) -> LogFile:
        self._files[key] = file
        if self._shared:
            file.share()
        if self._tasks is not None:
            self._tasks.start_soon(file.run, self._interval)
        return file

    def reopen(self) -> None:
        """Open all paths anew (SIGUSR1)."""
        for file in self._files.values():
            file.reopen()

    def reopen_now(self) -> None:
        """The same, at once; see LogFile.reopen_now()."""
        for file in self._files.values():
            file.reopen_now()

    def share(self) -> None:
        """Other processes write to the same files."""
        self._shared = True
        for file in self._files.values():
            file.share()

    async def flush(self) -> None:
        """Write what all of them have buffered."""
        async with trio.open_nursery() as nursery:
            for file in self._files.values():
                nursery.start_soon(file.flush)

    async def run(self) -> None:
        """Flush all files, those that are opened later too, until cancelled."""
        async with trio.open_nursery() as nursery:
            self._tasks = nursery
            try:
                for file in self._files.values():
                    nursery.start_soon(file.run, self._interval)
                await trio.sleep_forever()
            finally:
                self._tasks = None

    def close(self) -> None:
        """Close all descriptors; to be called after run()."""
        for file in self._files.values():
            file.close()
        self._files.clear()


class _Counts:
    """Counts that nobody sees."""

    def __init__(self) -> None:
        self.flushed_by_timer = self.reopen_failed = self.write_buffered = 0
        self.write_completed = self.write_failed = self.write_total_buffered = 0


def _write_all(fd: int, data: memoryview) -> int:
    """Write it all; gives its length.

    Raises:
        OSError: not all of it could be written.
    """
    left = data
    while left:
        left = left[os.write(fd, left) :]
    return len(data)


def _open(path: str) -> int:
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, _MODE)
