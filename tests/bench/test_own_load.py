"""Our own load generators, against small origins of this process's children."""

import http.server
import os
import sys
import threading

import pytest

from tests.bench import paced, websocket_load
from tests.bench.ports import free_port, wait_until_listening
from tests.bench.processes import running


class Hello(http.server.BaseHTTPRequestHandler):
    """64 bytes for each GET, on connections that stay open."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.send_response(200)
        self.send_header("content-length", "64")
        self.end_headers()
        self.wfile.write(b"x" * 64)

    def log_message(self, *arguments):
        """Silence."""


class Server(http.server.ThreadingHTTPServer):
    """With room for all connections of a load at once."""

    request_queue_size = 128


@pytest.fixture
def origin():
    """The port of one that says hello."""
    with Server(("127.0.0.1", 0), Hello) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server.server_port
        server.shutdown()


def test_an_open_loop_sends_what_was_asked_for(origin):
    times, taken = paced.load(origin, 0.5, 100)

    assert len(times) == 50
    assert taken >= 0.49
    assert all(time > 0.0 for time in times)


def test_a_wrong_answer_ends_the_echoes(origin):
    with pytest.raises(ConnectionError, match="no upgrade"):
        websocket_load.load(origin, 0.1, 1)


def test_echoes_are_counted(tmp_path):
    port, log = free_port(), tmp_path / "log"
    command = [sys.executable, "-m", "tests.bench.websocket_echo", str(port)]
    with running(command, on=frozenset(os.sched_getaffinity(0)), log=log) as process:
        wait_until_listening(port, process, log)
        times, taken = websocket_load.load(port, 0.1, 2)

    assert len(times) >= 2
    assert 0.1 <= taken < 5.0
