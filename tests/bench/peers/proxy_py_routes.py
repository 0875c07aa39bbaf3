"""A plugin of proxy.py that sends every path to the origin of the benchmark (BENCH_ORIGIN, a port)."""

import os

from proxy.http.parser import HttpParser
from proxy.http.server import ReverseProxyBasePlugin
from proxy.http.url import Url

_ORIGIN = f"http://127.0.0.1:{os.environ['BENCH_ORIGIN']}".encode()


class Routes(ReverseProxyBasePlugin):
    """One route for all paths."""

    def routes(self):
        """All paths."""
        return ["/"]

    def handle_route(self, request: HttpParser, pattern):
        """The same path at the origin."""
        return Url.from_bytes(_ORIGIN + request.path)
