"""What the tests above the codecs share: config objects out of YAML, requests, contexts of logs."""

from __future__ import annotations

from random import Random
from typing import Any, TypeVar

from trio_envoy import registry
from trio_envoy.config.check import check
from trio_envoy.config.converter import ConfigConverter
from trio_envoy.config.document import parse
from trio_envoy.config.findings import Findings
from trio_envoy.config.runtime_layers import LayeredRuntime, RuntimeLayer
from trio_envoy.formatter.context import Logged
from trio_envoy.http.headers import Headers
from trio_envoy.http.message import Request, Response
from trio_envoy.net.address import IpAddress
from trio_envoy.net.stream_info import ConnectionInfo, StreamInfo
from trio_envoy.runtime import Runtime, RuntimeStats

T = TypeVar("T")


def from_yaml(text: str, cls: type[T]) -> T:
    """The config object of a YAML text; whatever is wrong with it fails the test."""
    found = Findings()
    tree = check(parse(text, "test.yaml").root, cls.__proto__, found)
    assert found.faults == []
    converter = ConfigConverter(registry.config_class)
    made = converter.structure(tree, cls)
    assert [complaint.text for complaint in converter.faults] == []
    return made


def a_runtime(**values: Any) -> Runtime:
    """A runtime with these values; `__` in a name is a dot."""
    layer = RuntimeLayer(name="test", static_layer={key.replace("__", "."): value for key, value in values.items()})
    return Runtime(LayeredRuntime(layers=(layer,)), RuntimeStats())


def a_request(path: str = "/", *headers: tuple[str, str], method: str = "GET", host: str = "a.com") -> Request:
    """A request over http, without a body."""
    fields = Headers((name.lower().encode(), value.encode()) for name, value in headers)
    return Request(method.encode(), host.encode(), path.encode(), b"http", fields)


def a_response(status: int = 200, *headers: tuple[str, str]) -> Response:
    """A response without a body."""
    return Response(status, Headers((name.encode(), value.encode()) for name, value in headers))


def a_connection() -> ConnectionInfo:
    """A connection from 10.1.2.3:4567 to 10.0.0.1:80."""
    return ConnectionInfo(7, IpAddress("10.0.0.1", 80), IpAddress("10.1.2.3", 4567))


def an_info(**attributes: Any) -> StreamInfo:
    """A stream that began at trio time 100.0, 2026-11-24T10:20:48.892522Z, and ended 3.4 ms later."""
    info = StreamInfo(100.0, 1795515648.892522, a_connection())
    info.end = 100.0034
    info.random = Random(1).getrandbits(64)
    for name, value in attributes.items():
        setattr(info, name, value)
    return info


def a_context(request: Request | None = None, response: Response | None = None, **attributes: Any) -> Logged:
    """What operators read."""
    return Logged(an_info(**attributes), request, response)
