"""Ports on loopback: a free one, and waiting for somebody to listen on it."""

import socket
import subprocess
import time
from pathlib import Path

from tests.bench.processes import BenchError

_PATIENCE = 60.0  # s until a process must listen
_STEP = 0.001  # s between two looks


def free_port() -> int:
    """A TCP port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_until_listening(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    """Return as soon as a connection is accepted.

    Raises:
        BenchError: the process ended or took too long; with the end of its log.
    """
    end = time.monotonic() + _PATIENCE
    while time.monotonic() < end and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(_STEP)
    raise BenchError(f"nothing listens (exit {process.returncode}): {log.read_text(errors='replace')[-2000:]}")
