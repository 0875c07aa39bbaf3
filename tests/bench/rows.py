"""The rows of the benchmark: what is measured, and which bounds it has."""

from collections.abc import Callable, Sequence

import attrs

from tests.bench.configuration import Front
from tests.bench.figures import idle_memory, time_to_listening, validate
from tests.bench.growth import clusters, domains, growth, routes
from tests.bench.half_load import half_load
from tests.bench.load import H2Load, Handshakes, Resumptions, WebSocket, Wrk
from tests.bench.origin import GRPC_MESSAGE, GRPC_PATH
from tests.bench.processes import BenchError
from tests.bench.results import Bound, Result
from tests.bench.setting import Setting
from tests.bench.traffic import traffic
from tests.bench.workers import workers

_MIB = 1 << 20
_HTTP1 = Bound(1.25, 1.0)
_HTTP2 = Bound(2.0, 1.2)


@attrs.frozen
class Row:
    """A row: the name to ask for it, and the function that gives its results."""

    name: str
    measure: Callable[[Setting], Sequence[Result]]


def _tls(setting: Setting) -> Front:
    return Front(setting.origins.http, tls=True)


def _h2(setting: Setting) -> Front:
    if setting.origins.h2 is None:
        raise BenchError("no nghttpd")
    return Front(setting.origins.h2, origin_h2=True)


def _websocket(setting: Setting) -> Front:
    return Front(setting.origins.websocket, upgrade=True)


ROWS = (
    Row("h1-64", traffic("HTTP/1.1, 64 B, 32 connections", Wrk("/64", 32), bound=_HTTP1, others=True)),
    Row("h1-1k-32", traffic("HTTP/1.1, 1 KiB, 32 connections", Wrk("/1k", 32), bound=_HTTP1, others=True)),
    Row("h1-1k", traffic("HTTP/1.1, 1 KiB, 128 connections", Wrk("/1k", 128), bound=_HTTP1, others=True)),
    Row("h1-1m", traffic("HTTP/1.1, 1 MiB down, 16 connections", Wrk("/1m", 16), bound=_HTTP1, others=True)),
    Row(
        "h1-1m-up",
        traffic("HTTP/1.1, 1 MiB up, 16 connections", Wrk("/upload", 16, post=_MIB), bound=_HTTP1, others=True),
    ),
    Row("h1-post", traffic("HTTP/1.1, POST of 1 KiB, 32 connections", Wrk("/64", 32, post=1024))),
    Row(
        "h1-new",
        traffic("HTTP/1.1, 64 B, a new connection each, 32 at a time", Wrk("/64", 32, close=True), others=True),
    ),
    Row("h1-single", traffic("HTTP/1.1, 64 B, 1 connection", Wrk("/64", 1))),
    Row("h2-1x32", traffic("HTTP/2 to HTTP/1.1, 64 B, 1 connection x 32 streams", H2Load("/64", 1, 32), bound=_HTTP2)),
    Row("h2-4x16", traffic("HTTP/2 to HTTP/1.1, 64 B, 4 connections x 16 streams", H2Load("/64", 4, 16), bound=_HTTP2)),
    Row("h2-16x4", traffic("HTTP/2 to HTTP/1.1, 64 B, 16 connections x 4 streams", H2Load("/64", 16, 4), bound=_HTTP2)),
    Row("h2-32x1", traffic("HTTP/2 to HTTP/1.1, 64 B, 32 connections x 1 stream", H2Load("/64", 32, 1), bound=_HTTP2)),
    Row(
        "grpc",
        traffic(
            "HTTP/2 to HTTP/2, gRPC unary, 64 B, 4 connections x 16 streams",
            H2Load(GRPC_PATH, 4, 16, GRPC_MESSAGE),
            bound=_HTTP2,
            front=_h2,
        ),
    ),
    Row("tls-1k", traffic("TLS, HTTP/1.1, 1 KiB, 32 connections", Wrk("/1k", 32), bound=Bound(1.4, 1.1), front=_tls)),
    Row("tls-new", traffic("TLS, full handshakes", Handshakes(), bound=Bound(3.5, 2.2), front=_tls)),
    Row("tls-resume", traffic("TLS, resumed handshakes", Resumptions(), bound=Bound(3.5, 1.8), front=_tls)),
    Row(
        "websocket",
        traffic("WebSocket, echo of 125 B, 32 connections", WebSocket(32), bound=Bound(2.0, 1.5), front=_websocket),
    ),
    Row("half-load", half_load),
    Row("workers", workers),
    Row("routes", growth("routes", routes, bounded=True)),
    Row("domains", growth("virtual hosts", domains)),
    Row("clusters", growth("clusters", clusters)),
    Row("start", time_to_listening),
    Row("memory", idle_memory),
    Row("validate", validate),
)
QUICK = ("h1-64", "h1-1k", "h1-1m", "h2-4x16", "tls-1k")
