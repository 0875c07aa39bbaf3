"""Operators on the stream and the process."""

import socket
import uuid
from math import nan

import pytest

from tests.messages import a_context, a_request
from trio_envoy.formatter.compile import compile_text
from trio_envoy.net.stream_info import UF, URX


def rendered(template, **attributes):
    return compile_text(template).render(a_context(**attributes)).decode()


@pytest.mark.parametrize(
    ("operator", "attributes", "expected", "unset"),
    [
        ("ACCESS_LOG_TYPE", {"end": nan}, "NotSet", "DownstreamEnd"),
        ("ACCESS_LOG_TYPE", {"end": nan, "log_type": b"DownstreamStart"}, "DownstreamStart", "DownstreamEnd"),
        ("PROTOCOL", {"protocol": "HTTP/2"}, "HTTP/2", "-"),
        ("RESPONSE_CODE", {"status": 503}, "503", "0"),
        ("RESPONSE_CODE_DETAILS", {"details": "a b c"}, "a_b_c", "-"),
        ("RESPONSE_CODE_DETAILS(ALLOW_WHITESPACES)", {"details": "a b"}, "a b", "-"),
        ("RESPONSE_CODE_DETAILS(X Y)", {"details": "via_upstream"}, "via_upstream", "-"),
        ("RESPONSE_FLAGS", {"flags": UF | URX}, "URX,UF", "-"),
        (
            "RESPONSE_FLAGS_LONG",
            {"flags": UF | URX},
            "UpstreamRetryLimitExceeded,UpstreamConnectionFailure",
            "-",
        ),
        ("BYTES_RECEIVED", {"bytes_received": 1}, "1", "0"),
        ("BYTES_SENT", {"bytes_sent": 2}, "2", "0"),
        ("BYTES_RETRANSMITTED", {}, "0", "0"),
        ("PACKETS_RETRANSMITTED", {}, "0", "0"),
        ("DOWNSTREAM_WIRE_BYTES_RECEIVED", {"wire_bytes_received": 3}, "3", "0"),
        ("DOWNSTREAM_WIRE_BYTES_SENT", {"wire_bytes_sent": 4}, "4", "0"),
        ("DOWNSTREAM_HEADER_BYTES_RECEIVED", {"header_bytes_received": 5}, "5", "0"),
        ("DOWNSTREAM_HEADER_BYTES_SENT", {"header_bytes_sent": 6}, "6", "0"),
        ("UPSTREAM_WIRE_BYTES_RECEIVED", {"upstream_wire_bytes_received": 7}, "7", "0"),
        ("UPSTREAM_WIRE_BYTES_SENT", {"upstream_wire_bytes_sent": 8}, "8", "0"),
        ("UPSTREAM_HEADER_BYTES_RECEIVED", {"upstream_header_bytes_received": 9}, "9", "0"),
        ("UPSTREAM_HEADER_BYTES_SENT", {"upstream_header_bytes_sent": 10}, "10", "0"),
        ("ROUTE_RESOLUTION_COUNT", {}, "0", "0"),
        ("ROUTE_NAME", {"route_name": "r"}, "r", "-"),
        ("VIRTUAL_CLUSTER_NAME", {}, "-", "-"),
        ("STREAM_ID", {"request_id": b"abc"}, "abc", "-"),
        ("TRACE_ID", {}, "-", "-"),
        ("CUSTOM_FLAGS", {}, "", ""),
        ("CLUSTER_METADATA(a:b)", {}, "-", "-"),
    ],
)
def test_operators(operator, attributes, expected, unset):
    assert rendered(f"%{operator}%", **attributes) == expected
    assert rendered(f"%{operator}%") == unset


def test_metadata_is_walked_by_its_path():
    metadata = {"ns": {"a": {"b": "v"}, "n": 1.5}}

    assert rendered("%DYNAMIC_METADATA(ns)%", metadata=metadata) == '{"a":{"b":"v"},"n":1.5}'
    assert rendered("%DYNAMIC_METADATA(ns:a:b)%", metadata=metadata) == "v"
    assert rendered("%METADATA(DYNAMIC:ns:a:b):1%|%METADATA(ROUTE:ns)%", metadata=metadata) == "v|-"
    assert rendered("%DYNAMIC_METADATA(ns:a:b:c)%|%DYNAMIC_METADATA(x)%", metadata=metadata) == "-|-"


def test_the_environment_is_read_at_load(monkeypatch):
    monkeypatch.setenv("TE_TEST", "value")
    compiled = compile_text("%ENVIRONMENT(TE_TEST)%|%ENVIRONMENT(TE_TEST):3%|%ENVIRONMENT(TE_NOPE)%")
    monkeypatch.setenv("TE_TEST", "other")

    assert compiled.render(a_context()) == b"value|val|-"


def test_process_and_ids():
    assert rendered("%HOSTNAME%") == socket.gethostname()
    first, second = rendered("%UNIQUE_ID% %UNIQUE_ID%").split()
    assert first != second
    assert uuid.UUID(first).version == 4


def test_a_request_has_looked_for_its_route_once():
    request = a_request()

    assert compile_text("%ROUTE_RESOLUTION_COUNT%").render(a_context(request)) == b"1"
