"""Operators on connections."""

import pytest
import trustme
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import load_pem_x509_certificate

from tests.messages import a_connection, a_context
from trio_envoy.formatter.compile import compile_text
from trio_envoy.net.address import IpAddress, PipeAddress
from trio_envoy.net.stream_info import ConnectionInfo, TlsInfo


def rendered(template, **attributes):
    return compile_text(template).render(a_context(**attributes)).decode()


UPSTREAM = ConnectionInfo(9, IpAddress("::1", 1111), IpAddress("2001:db8::7", 443))


@pytest.mark.parametrize(
    ("operator", "expected"),
    [
        ("CONNECTION_ID", "7"),
        ("DOWNSTREAM_LOCAL_ADDRESS", "10.0.0.1:80"),
        ("DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT", "10.0.0.1"),
        ("DOWNSTREAM_LOCAL_PORT", "80"),
        ("DOWNSTREAM_REMOTE_ADDRESS", "192.0.2.9:0"),
        ("DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT", "192.0.2.9"),
        ("DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT(24)", "192.0.2.0/24"),
        ("DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT(99)", "192.0.2.9/32"),
        ("DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT(MASK_PREFIX_LEN=24)", "192.0.2.9"),
        ("DOWNSTREAM_REMOTE_PORT", "0"),
        ("DOWNSTREAM_DIRECT_REMOTE_ADDRESS", "10.1.2.3:4567"),
        ("DOWNSTREAM_DIRECT_LOCAL_ADDRESS", "10.0.0.1:80"),
        ("DOWNSTREAM_LOCAL_ADDRESS_ENDPOINT_ID", ""),
        ("UPSTREAM_LOCAL_ADDRESS", "[::1]:1111"),
        ("UPSTREAM_LOCAL_PORT", "1111"),
        ("UPSTREAM_REMOTE_ADDRESS", "[2001:db8::7]:443"),
        ("UPSTREAM_REMOTE_ADDRESS_WITHOUT_PORT", "2001:db8::7"),
        ("UPSTREAM_REMOTE_ADDRESS_WITHOUT_PORT(32)", "2001:db8::/32"),
        ("UPSTREAM_REMOTE_PORT", "443"),
        ("LISTENER_NAME", "-"),
        ("FILTER_CHAIN_NAME", "-"),
        ("CONNECTION_TERMINATION_DETAILS", "-"),
        ("DOWNSTREAM_TRANSPORT_FAILURE_REASON", "-"),
        ("DOWNSTREAM_TLS_VERSION", "-"),
        ("DOWNSTREAM_PEER_SUBJECT", "-"),
        ("TLS_JA3_FINGERPRINT", "-"),
    ],
)
def test_addresses(operator, expected):
    client = IpAddress("192.0.2.9", 0)

    assert rendered(f"%{operator}%", downstream_remote=client, upstream_connection=UPSTREAM) == expected


def test_without_an_upstream_connection_there_is_nothing():
    names = (
        "UPSTREAM_LOCAL_ADDRESS", "UPSTREAM_REMOTE_ADDRESS_WITHOUT_PORT", "UPSTREAM_REMOTE_PORT",
        "UPSTREAM_TLS_VERSION", "UPSTREAM_REMOTE_ADDRESS_ENDPOINT_ID",
    )  # fmt: skip

    assert [rendered(f"%{name}%") for name in names] == ["-"] * 5
    assert rendered("%UPSTREAM_REMOTE_ADDRESS_ENDPOINT_ID%", upstream_connection=UPSTREAM) == ""


def test_the_peer_is_the_client_when_nothing_else_is_known():
    assert rendered("%DOWNSTREAM_REMOTE_ADDRESS%") == "10.1.2.3:4567"


def test_a_unix_socket_has_a_path_and_no_port():
    pipe = ConnectionInfo(1, PipeAddress("/run/x"), PipeAddress(""))
    template = (
        "%DOWNSTREAM_LOCAL_ADDRESS%|%DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT%|"
        "%DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT(8)%|%DOWNSTREAM_LOCAL_PORT%"
    )
    context = a_context()
    context.info.connection = pipe

    assert compile_text(template).render(context) == b"/run/x|/run/x|/run/x|-"


def test_names_and_reasons():
    context = a_context()
    connection = context.info.connection
    connection.listener, connection.filter_chain = "l", "f"
    connection.transport_failure, connection.termination_details = "TLS error", "a b"
    template = (
        "%LISTENER_NAME% %FILTER_CHAIN_NAME% %DOWNSTREAM_TRANSPORT_FAILURE_REASON% %CONNECTION_TERMINATION_DETAILS%"
    )

    assert compile_text(template).render(context) == b"l f TLS_error a b"


def test_tls_of_both_sides():
    der = trustme.CA().issue_cert("a.example").cert_chain_pems[0].bytes()
    tls = TlsInfo(
        version="TLSv1.2", cipher="C", session_id="abc", sni="up.sni",
        peer_certificate=load_pem_x509_certificate(der).public_bytes(Encoding.DER),
    )  # fmt: skip
    upstream = a_connection()
    upstream.tls = tls
    context = a_context(upstream_connection=upstream)
    context.info.connection.tls = tls

    for side in ("DOWNSTREAM", "UPSTREAM"):
        template = f"%{side}_TLS_VERSION% %{side}_TLS_CIPHER% %{side}_TLS_SESSION_ID% %{side}_PEER_DNS_SAN%"
        assert compile_text(template).render(context) == b"TLSv1.2 C abc a.example"
    ends = compile_text("%DOWNSTREAM_PEER_CERT_V_START%|%UPSTREAM_PEER_CERT_V_END(%Y)%").render(context).decode()
    start, end = ends.split("|")
    assert start.endswith(".000Z")
    assert int(end) > int(start[:4])


def test_no_certificate_was_shown():
    context = a_context()
    context.info.connection.tls = TlsInfo(version="TLSv1.3")

    assert compile_text("%DOWNSTREAM_PEER_SUBJECT%|%DOWNSTREAM_TLS_SESSION_ID%").render(context) == b"-|-"
