"""Operators on what happened upstream."""

import attrs
import pytest

from tests.messages import a_connection, a_context
from trio_envoy.formatter.compile import compile_text
from trio_envoy.net.address import IpAddress
from trio_envoy.net.stream_info import TlsInfo


@attrs.frozen
class Host:
    address: IpAddress
    hostname: str = ""


PLAIN = Host(IpAddress("127.0.0.1", 1))
NAMED = Host(IpAddress("::1", 2), "svc.local:8080")
BARE = Host(IpAddress("127.0.0.1", 3), "localhost")


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        (None, "- - -"),
        (PLAIN, "127.0.0.1:1 127.0.0.1:1 127.0.0.1"),
        (NAMED, "[::1]:2 svc.local:8080 svc.local"),
        (BARE, "127.0.0.1:3 localhost localhost"),
    ],
)
def test_the_host(host, expected):
    template = "%UPSTREAM_HOST% %UPSTREAM_HOST_NAME% %UPSTREAM_HOST_NAME_WITHOUT_PORT%"

    assert compile_text(template).render(a_context(upstream_host=host)).decode() == expected


def test_attempts():
    template = (
        "%UPSTREAM_HOSTS_ATTEMPTED% %UPSTREAM_HOSTS_ATTEMPTED_WITHOUT_PORT% %UPSTREAM_HOST_NAMES_ATTEMPTED% "
        "%UPSTREAM_HOST_NAMES_ATTEMPTED_WITHOUT_PORT% %UPSTREAM_REQUEST_ATTEMPT_COUNT%"
    )

    assert compile_text(template).render(a_context()) == b"- - - - 0"
    assert compile_text(template).render(a_context(hosts_attempted=(PLAIN, NAMED), upstream_attempts=2)) == (
        b"127.0.0.1:1,[::1]:2 127.0.0.1,::1 127.0.0.1:1,svc.local:8080 127.0.0.1,svc.local 2"
    )


def test_the_rest():
    template = (
        "%UPSTREAM_CLUSTER% %UPSTREAM_CONNECTION_ID% %UPSTREAM_PROTOCOL% %UPSTREAM_SERVER_NAME% "
        "%UPSTREAM_TRANSPORT_FAILURE_REASON%"
    )
    connection = a_connection()
    connection.tls = TlsInfo(sni="up.sni")
    context = a_context(
        upstream_cluster="c",
        upstream_connection=connection,
        upstream_protocol="HTTP/2",
        upstream_transport_failure="x y",
    )

    assert compile_text(template).render(context) == b"c 7 HTTP/2 up.sni x_y"
    assert compile_text(template).render(a_context()) == b"- 0 - - -"
