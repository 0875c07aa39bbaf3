import contextlib
import http.client
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from trio_envoy.demo.web import TRACE_HEADERS, Application


@contextlib.contextmanager
def serving(server):
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def get(port, path, headers=()):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    with contextlib.closing(connection):
        connection.request("GET", path, headers=dict(headers))
        response = connection.getresponse()
        return response.status, response.read().decode()


def an_application(service, egress=0):
    return Application(service, 0, egress)


@pytest.mark.parametrize(("service", "path"), [("1", "/service/1"), ("2", "/service/2"), ("2", "/trace/2")])
def test_it_greets(service, path):
    with serving(an_application(service)) as port:
        status, text = get(port, path)

    assert status == 200
    assert text.startswith(f"Hello from behind Envoy (service {service})! hostname: ")
    assert text.split("resolvedhostname: ")[1].strip()


@pytest.mark.parametrize("path", ["/", "/service", "/service/", "/nope/1"])
def test_it_knows_nothing_else(path):
    with serving(an_application("1")) as port:
        assert get(port, path) == (404, "not found\n")


def test_a_trace_calls_service_2_and_passes_the_tracing_headers_on():
    seen = []

    class Next(BaseHTTPRequestHandler):
        def do_GET(self):
            seen.append((self.path, dict(self.headers)))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    headers = {name: f"value of {name}" for name in TRACE_HEADERS}
    with serving(ThreadingHTTPServer(("127.0.0.1", 0), Next)) as egress, serving(an_application("1", egress)) as port:
        status, text = get(port, "/trace/1", {**headers, "X-Other": "stays"})

    ((path, passed),) = seen
    assert (status, path) == (200, "/trace/2")
    lower = {name.lower(): value for name, value in passed.items()}
    assert {name: lower.get(name.lower()) for name in headers} == headers
    assert "x-other" not in lower
    assert text.startswith("Hello from behind Envoy (service 1)!")


def test_a_trace_answers_even_when_service_2_does_not(capsys):
    with serving(an_application("1", egress=1)) as port:
        status, _ = get(port, "/trace/1")

    assert status == 200
    assert "service 1: no answer from service 2" in capsys.readouterr().err


def test_connections_are_kept():
    with serving(an_application("1")) as port:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        with contextlib.closing(connection):
            for _ in range(3):
                connection.request("GET", "/service/1")
                assert connection.getresponse().read()
                socket_used = connection.sock
            assert connection.sock is socket_used
