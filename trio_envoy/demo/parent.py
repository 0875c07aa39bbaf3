"""A child of the demo ends with it, however the demo ends: its standard input is a pipe that the demo holds open."""

from __future__ import annotations

import os
import signal
import stat
import sys
import threading


def end_with_parent() -> None:
    """From now on this process is told to terminate when its standard input ends, if that is a pipe."""
    if sys.stdin is not None and stat.S_ISFIFO(os.fstat(sys.stdin.fileno()).st_mode):
        threading.Thread(target=_wait, args=(sys.stdin.fileno(),), daemon=True).start()


def _wait(stdin: int) -> None:
    while os.read(stdin, 4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
