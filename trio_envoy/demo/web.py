"""The web application behind a sidecar: what the tutorial's Flask application answers, on the standard library.

`GET /service/<n>` greets; `GET /trace/<n>` of service 1 first calls service 2 through its sidecar's egress listener and
passes the tracing headers on.
"""

from __future__ import annotations

import contextlib
import socket
import sys
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final

from trio_envoy.demo.parent import end_with_parent

TRACE_HEADERS: Final = (
    "X-Ot-Span-Context",
    "X-Request-Id",
    "X-B3-TraceId",
    "X-B3-SpanId",
    "X-B3-ParentSpanId",
    "X-B3-Sampled",
    "X-B3-Flags",
    "uber-trace-id",
)
_CALL_TIMEOUT: Final = 5.0  # s


class Application(ThreadingHTTPServer):
    """One service.

    Args:
        service: its number, "1" or "2".
        port: on 127.0.0.1.
        egress: port on 127.0.0.1 of the way to service 2; 0: this service calls nobody.
    """

    daemon_threads = True
    request_queue_size = 128  # the standard library's 5 refuses a proxy that connects quickly

    def __init__(self, service: str, port: int, egress: int) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.service = service
        self.egress = egress

    def greeting(self, number: str) -> str:
        """As in the tutorial."""
        host = socket.gethostname()
        try:
            resolved = socket.gethostbyname(host)
        except OSError:
            resolved = "127.0.0.1"
        where = f"hostname: {host}-{self.service} resolvedhostname: {resolved}"
        return f"Hello from behind Envoy (service {number})! {where}\n"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Answer the two paths; all others are 404."""
        kind, _, number = self.path.lstrip("/").partition("/")
        application = self.server
        assert isinstance(application, Application), "it makes us"
        if kind == "trace" and application.egress:
            self._call_next(application)
        if kind in {"service", "trace"} and number:
            self._answer(200, application.greeting(number))
        else:
            self._answer(404, "not found\n")

    def _call_next(self, application: Application) -> None:
        """GET /trace/2 through the sidecar; what comes of it is for the traces only."""
        headers = {name: self.headers[name] for name in TRACE_HEADERS if name in self.headers}
        request = urllib.request.Request(f"http://127.0.0.1:{application.egress}/trace/2", headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=_CALL_TIMEOUT) as response:  # noqa: S310 - always http
                response.read()
        except (urllib.error.URLError, OSError) as error:
            print(f"service {application.service}: no answer from service 2: {error}", file=sys.stderr)  # noqa: T201

    def _answer(self, status: int, text: str) -> None:
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Quiet: the proxies log."""


def main() -> None:
    """`python -m trio_envoy.demo.web SERVICE PORT EGRESS`."""
    end_with_parent()
    service, port, egress = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    with contextlib.suppress(KeyboardInterrupt):
        Application(service, port, egress).serve_forever()


if __name__ == "__main__":
    main()
