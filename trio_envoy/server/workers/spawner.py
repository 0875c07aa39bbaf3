"""The process that forks workers: started before any Trio run (a fork inside of one can't start another), no threads.

It holds the compiled configuration, whose memory all workers share, and the listening sockets: so a worker that takes
the place of a dead one begins at once, with the same sockets, and no connection that waits in them is lost.

Rules:
1. It does what the main process says over a socket pair (Spawn, CloseListener, Mute, ReopenFiles) and tells when a
   worker has begun and how it has ended (Spawned, Ended). A packet is a message; Spawn brings the worker's end of its
   own socket pair.
2. It ends when the main process has gone, and kills what has not ended by then.
3. Signals are for the main process: this one and its workers ignore those of a terminal or of a service manager, which
   send them to all processes.
"""

from __future__ import annotations

import gc
import os
import pickle
import selectors
import signal
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Final, NoReturn

import attrs
import trio

from trio_envoy.util.log import logger

if TYPE_CHECKING:
    from trio_envoy.server.logs import ApplicationLog
    from trio_envoy.server.server import Server

_LOG: Final = logger("main")
_PACKET_BYTES: Final = 4096
_LAST_WAIT: Final = 10.0  # s; for workers to end after the main process
_STEP: Final = 0.1  # s
_BUG: Final = 70  # exit code of a worker that met a bug of ours (sysexits.h: EX_SOFTWARE)
_IGNORED: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1)

Work = Callable[[socket.socket, int, int], int]
"""What a worker does with (its end of the socket pair, its place, its serial number), to its exit code."""


@attrs.frozen
class Spawn:
    """Fork a worker; its end of the socket pair comes along.

    Attributes:
        serial: no two workers have the same.
        index: its place, from 0.
    """

    serial: int
    index: int


@attrs.frozen
class CloseListener:
    """Close the sockets of the listener at this place; later workers don't have it."""

    place: int


@attrs.frozen
class Mute:
    """The worker at this place can't be started: its sockets take no connections until one listens on them again."""

    index: int


@attrs.frozen
class ReopenFiles:
    """Open the log files anew: later workers begin with them."""


@attrs.frozen
class Spawned:
    """A worker has been forked."""

    serial: int
    pid: int


@attrs.frozen
class Ended:
    """A worker has ended, or could not be forked.

    Attributes:
        serial: which one.
        code: exit code, or minus the number of the signal; None when it could not be forked.
        reason: why it could not.
    """

    serial: int
    code: int | None
    reason: str = ""


Command = Spawn | CloseListener | Mute | ReopenFiles


class Spawner:
    """The main process's end.

    Attributes:
        pid: of the process that forks.
    """

    def __init__(self, server: Server, log: ApplicationLog, work: Work) -> None:
        """Fork it. The server is compiled and its listeners are bound; this process gives its sockets up.

        Args:
            server: as workers will have it.
            log: of the process.
            work: what a worker does.
        """
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        sys.stdout.flush()
        sys.stderr.flush()
        gc.freeze()  # no collection of a child walks, and so copies, what it shares with the others
        self.pid = os.fork()
        if self.pid == 0:
            ours.close()
            _leave(lambda: _Forking(theirs, server, log, work).run())
        theirs.close()
        ours.setblocking(False)
        self._sock = ours
        server.listeners.close()

    def send(self, command: Command, *fds: int) -> None:
        """Say what is to be done. Never waits.

        Raises:
            OSError: it has gone, or is stuck.
        """
        socket.send_fds(self._sock, [pickle.dumps(command)], fds)

    async def receive(self) -> Spawned | Ended | None:
        """What it tells; None when it has gone."""
        while True:
            await trio.lowlevel.wait_readable(self._sock)
            try:
                packet = self._sock.recv(_PACKET_BYTES)
            except BlockingIOError:
                continue
            except OSError:
                return None
            told: Spawned | Ended | None = pickle.loads(packet) if packet else None  # noqa: S301 - see messages.py
            return told

    def end(self) -> None:
        """Let it end, with all workers that there still are, and wait for that; not in a Trio run."""
        self._sock.close()
        with suppress(ChildProcessError):
            os.waitpid(self.pid, 0)


def _leave(run: Callable[[], int]) -> NoReturn:
    """The whole life of a forked process; it never returns into its parent's code."""
    code = _BUG
    try:
        code = run()
    except BaseException:
        _LOG.exception("a forked process met a bug")
    finally:
        with suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


class _Forking:
    """The forked process itself."""

    def __init__(self, sock: socket.socket, server: Server, log: ApplicationLog, work: Work) -> None:
        self._sock = sock
        self._server = server
        self._log = log
        self._work = work
        self._children: dict[int, int] = {}  # pid -> serial
        self._selector = selectors.DefaultSelector()
        self._woken, self._wake = os.pipe()

    def run(self) -> int:
        """Until the main process has gone."""
        _name("fork")
        self._server.services.stats.clear()  # workers count from 0, and share the memory of what they don't use
        for number in _IGNORED:
            signal.signal(number, signal.SIG_IGN)
        os.set_blocking(self._woken, False)
        os.set_blocking(self._wake, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._wake, warn_on_full_buffer=False)
        self._selector.register(self._sock, selectors.EVENT_READ)
        self._selector.register(self._woken, selectors.EVENT_READ)
        while True:
            for key, _ in self._selector.select():
                if key.fd == self._woken:
                    self._reap()
                elif not self._next_command():
                    self._end()
                    return 0

    def _next_command(self) -> bool:
        try:
            packet, fds, _, _ = socket.recv_fds(self._sock, _PACKET_BYTES, 1)
        except ConnectionResetError:  # it has gone with something of ours unread
            return False
        if not packet:
            return False
        command: Command = pickle.loads(packet)  # noqa: S301 - see messages.py
        listeners = self._server.listeners.listeners
        match command:
            case Spawn():
                self._spawn(command, socket.socket(fileno=fds[0]))
            case CloseListener():
                listeners[command.place].close()
            case Mute():
                for listener in listeners:
                    listener.mute(command.index)
            case ReopenFiles():
                self._log.reopen()
                self._server.services.log_files.reopen_now()
        return True

    def _spawn(self, command: Spawn, sock: socket.socket) -> None:
        try:
            pid = os.fork()
        except OSError as error:
            sock.close()
            self._tell(Ended(command.serial, None, error.strerror or str(error)))
            return
        if pid == 0:
            _leave(lambda: self._become_worker(command, sock))
        sock.close()
        self._children[pid] = command.serial
        self._tell(Spawned(command.serial, pid))

    def _become_worker(self, command: Spawn, sock: socket.socket) -> int:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        self._selector.close()
        self._sock.close()
        os.close(self._woken)
        os.close(self._wake)
        _name(str(command.index))
        return self._work(sock, command.index, command.serial)

    def _reap(self) -> None:
        with suppress(BlockingIOError):
            os.read(self._woken, _PACKET_BYTES)
        while self._children:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                return
            serial = self._children.pop(pid, None)
            if serial is not None:
                self._tell(Ended(serial, os.waitstatus_to_exitcode(status)))

    def _tell(self, what: Spawned | Ended) -> None:
        with suppress(OSError):  # the main process has gone: we shall see it
            self._sock.send(pickle.dumps(what))

    def _end(self) -> None:
        """Workers see by themselves that the main process has gone; who does not is killed."""
        self._server.listeners.close()
        self._selector.unregister(self._sock)
        for _ in range(round(_LAST_WAIT / _STEP)):
            if self._children and self._selector.select(_STEP):
                self._reap()
        for pid in self._children:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            with suppress(ChildProcessError):
                os.waitpid(pid, 0)


def _name(role: str) -> None:
    """How `top` and `ps -o comm` call this process; 15 letters are kept."""
    with suppress(OSError), open("/proc/self/comm", "w", encoding="ascii") as comm:
        comm.write(f"trio-envoy:{role}")
