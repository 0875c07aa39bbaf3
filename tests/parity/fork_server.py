"""Starts trio_envoy quickly: one process that has everything imported forks a child per command.

`python -m tests.parity.fork_server` reads commands as JSON lines from stdin, {"args", "stdout", "stderr"},
and writes {"pid"} for each, later {"pid", "exit"}. No trio here: a fork inside a run could not start another.
"""

import contextlib
import ctypes
import gc
import importlib
import json
import os
import pkgutil
import selectors
import signal
import sys
import traceback
from typing import Any, NoReturn

import trio_envoy

_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Serve until stdin ends; children that still run are terminated."""
    _import_everything()
    gc.freeze()
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wake)
    selector = selectors.DefaultSelector()
    selector.register(sys.stdin.fileno(), selectors.EVENT_READ)
    selector.register(woken, selectors.EVENT_READ)
    children: set[int] = set()
    pending = b""
    while True:
        for key, _ in selector.select():
            data = os.read(key.fd, 65536)
            if key.fd == woken:
                _reap(children)
                continue
            if not data:
                for child in children:
                    os.kill(child, signal.SIGTERM)
                return
            *lines, pending = (pending + data).split(b"\n")
            for line in lines:
                children.add(_spawn(json.loads(line)))


def _import_everything() -> None:
    """So that a child imports nothing; a module that can't be imported fails in the child that needs it."""
    for module in pkgutil.walk_packages(trio_envoy.__path__, "trio_envoy."):
        if not module.name.endswith("__main__"):
            with contextlib.suppress(Exception):
                importlib.import_module(module.name)


def _spawn(command: dict[str, Any]) -> int:
    pid = os.fork()
    if pid == 0:
        _become(command)
    _say(pid=pid)
    return pid


def _become(command: dict[str, Any]) -> NoReturn:
    """The child: wire the descriptors, run the command line, never come back."""
    code = 70
    try:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)  # no orphans when a test run is killed
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        for target, path in ((1, command["stdout"]), (2, command["stderr"])):
            os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644), target)
        os.closerange(3, 64)
        sys.argv = ["trio-envoy", *command["args"]]
        code = importlib.import_module("trio_envoy.cli").main(command["args"])
    except SystemExit as leaving:
        code = leaving.code if isinstance(leaving.code, int) else 1
    except BaseException:  # the end of a process: say why and leave
        traceback.print_exc()
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def _reap(children: set[int]) -> None:
    while children:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            return
        children.discard(pid)
        _say(pid=pid, exit=os.waitstatus_to_exitcode(status))


def _say(**fields: int) -> None:
    print(json.dumps(fields), flush=True)


if __name__ == "__main__":
    main()
