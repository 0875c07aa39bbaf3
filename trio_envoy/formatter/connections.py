"""Operators that read connections: addresses, TLS facts, names of listener and filter chain.

Source: Envoy, configuration/observability/access_log/usage; formatter/stream_info_formatter.cc; measured.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterator, Mapping
from operator import attrgetter
from typing import Any, Final

from trio_envoy.formatter import certificates
from trio_envoy.formatter.command import Command
from trio_envoy.formatter.context import LogContext
from trio_envoy.formatter.inline import Getter
from trio_envoy.formatter.operator import Kind, Row, Takes, absent, constant, one_word, plain
from trio_envoy.formatter.times import UTC_DEFAULT, time_format
from trio_envoy.net.address import Address, IpAddress
from trio_envoy.net.stream_info import TlsInfo

_AddressOf = Callable[[LogContext], Address | None]
_TlsOf = Callable[[LogContext], TlsInfo | None]


def _client(context: LogContext) -> Address:
    """The trusted client of XFF, else the peer."""
    info = context.info
    return info.downstream_remote or info.connection.remote


def _host(context: LogContext) -> Address | None:
    host = context.info.upstream_host
    return None if host is None else host.address


def _upstream_local(context: LogContext) -> Address | None:
    connection = context.info.upstream_connection
    return None if connection is None else connection.local


def _upstream_remote(context: LogContext) -> Address | None:
    connection = context.info.upstream_connection
    return None if connection is None else connection.remote


def _address(address_of: _AddressOf) -> Row:
    def get(context: LogContext) -> bytes | None:
        address = address_of(context)
        return None if address is None else address.text

    return plain(Kind.TEXT, get)


def _without_port(address_of: _AddressOf) -> Row:
    """The IP; with a number as argument the network of that prefix length."""

    def make(command: Command) -> Getter:
        prefix = int(command.argument) if command.argument.isascii() and command.argument.isdigit() else None

        def get(context: LogContext) -> bytes | None:
            address = address_of(context)
            if address is None:
                return None
            return (address.ip if prefix is None else _network(address, prefix)).encode()

        return get

    return Row(Kind.TEXT, make, Takes.ARGUMENT)


def _network(address: Address, prefix: int) -> str:
    if not isinstance(address, IpAddress):
        return address.ip
    ip = ipaddress.ip_address(address.host.partition("%")[0])
    return str(ipaddress.ip_network((ip, min(prefix, ip.max_prefixlen)), strict=False))


def _port(address_of: _AddressOf) -> Row:
    def get(context: LogContext) -> int | None:
        address = address_of(context)
        return address.port if isinstance(address, IpAddress) else None

    return plain(Kind.NUMBER, get)


def _addresses(prefix: str, address_of: _AddressOf) -> Iterator[tuple[str, Row]]:
    yield f"{prefix}_ADDRESS", _address(address_of)
    yield f"{prefix}_ADDRESS_WITHOUT_PORT", _without_port(address_of)
    yield f"{prefix}_PORT", _port(address_of)


def _of_tls(tls_of: _TlsOf, attribute: str) -> Row:
    read = attrgetter(attribute)

    def get(context: LogContext) -> bytes | None:
        tls = tls_of(context)
        return None if tls is None else read(tls).encode() or None

    return plain(Kind.TEXT, get)


def _of_certificate(tls_of: _TlsOf, read: Callable[[bytes], Any]) -> Getter:
    def get(context: LogContext) -> Any:
        tls = tls_of(context)
        return None if tls is None or tls.peer_certificate is None else read(tls.peer_certificate)

    return get


def _certificate_text(tls_of: _TlsOf, read: Callable[[bytes], str]) -> Row:
    get = _of_certificate(tls_of, lambda der: read(der).encode() or None)
    return plain(Kind.TEXT, get)


def _certificate_time(tls_of: _TlsOf, read: Callable[[bytes], float]) -> Row:
    def make(command: Command) -> Getter:
        render = time_format(command.argument or UTC_DEFAULT)
        return _of_certificate(tls_of, lambda der: render(read(der)))

    return Row(Kind.TEXT, make, Takes.ARGUMENT)


def _peer(prefix: str, tls_of: _TlsOf) -> Iterator[tuple[str, Row]]:
    """What both sides tell of the peer's certificate."""
    yield f"{prefix}_CERT", _certificate_text(tls_of, certificates.pem_escaped)
    yield f"{prefix}_CERT_V_START", _certificate_time(tls_of, certificates.valid_from)
    yield f"{prefix}_CERT_V_END", _certificate_time(tls_of, certificates.valid_until)
    yield f"{prefix}_SUBJECT", _certificate_text(tls_of, certificates.subject)
    yield f"{prefix}_ISSUER", _certificate_text(tls_of, certificates.issuer)
    yield f"{prefix}_URI_SAN", _certificate_text(tls_of, certificates.uri_names)
    yield f"{prefix}_DNS_SAN", _certificate_text(tls_of, certificates.dns_names)
    yield f"{prefix}_IP_SAN", _certificate_text(tls_of, certificates.ip_names)


def _tls(prefix: str, tls_of: _TlsOf) -> Iterator[tuple[str, Row]]:
    yield f"{prefix}_VERSION", _of_tls(tls_of, "version")
    yield f"{prefix}_CIPHER", _of_tls(tls_of, "cipher")
    yield f"{prefix}_SESSION_ID", _of_tls(tls_of, "session_id")


def _downstream_tls(context: LogContext) -> TlsInfo | None:
    return context.info.connection.tls


def _upstream_tls(context: LogContext) -> TlsInfo | None:
    connection = context.info.upstream_connection
    return None if connection is None else connection.tls


def _text(attribute: str) -> Row:
    """A str of ConnectionInfo, "" for none."""
    read = attrgetter(f"info.connection.{attribute}")
    return plain(Kind.TEXT, lambda context: read(context).encode() or None)


ROWS: Final[Mapping[str, Row]] = {
    "CONNECTION_ID": plain(Kind.COUNT, attrgetter("info.connection.id")),
    "LISTENER_NAME": _text("listener"),
    "FILTER_CHAIN_NAME": _text("filter_chain"),
    "DOWNSTREAM_TRANSPORT_FAILURE_REASON": plain(
        Kind.TEXT, lambda context: one_word(context.info.connection.transport_failure)
    ),
    "CONNECTION_TERMINATION_DETAILS": _text("termination_details"),
    **dict(_addresses("DOWNSTREAM_LOCAL", attrgetter("info.connection.local"))),
    **dict(_addresses("DOWNSTREAM_REMOTE", _client)),
    **dict(_addresses("DOWNSTREAM_DIRECT_LOCAL", attrgetter("info.connection.local"))),
    **dict(_addresses("DOWNSTREAM_DIRECT_REMOTE", attrgetter("info.connection.direct_remote"))),
    **dict(_addresses("UPSTREAM_LOCAL", _upstream_local)),
    **dict(_addresses("UPSTREAM_REMOTE", _upstream_remote)),
    # Addresses of internal listeners have an endpoint id; there are none.
    "DOWNSTREAM_LOCAL_ADDRESS_ENDPOINT_ID": constant(b""),
    "DOWNSTREAM_DIRECT_LOCAL_ADDRESS_ENDPOINT_ID": constant(b""),
    "UPSTREAM_REMOTE_ADDRESS_ENDPOINT_ID": plain(Kind.TEXT, lambda c: None if _upstream_remote(c) is None else b""),
    **dict(_tls("DOWNSTREAM_TLS", _downstream_tls)),
    **dict(_tls("UPSTREAM_TLS", _upstream_tls)),
    **dict(_peer("DOWNSTREAM_PEER", _downstream_tls)),
    **dict(_peer("UPSTREAM_PEER", _upstream_tls)),
    "DOWNSTREAM_PEER_EMAIL_SAN": _certificate_text(_downstream_tls, certificates.email_names),
    "DOWNSTREAM_PEER_SERIAL": _certificate_text(_downstream_tls, certificates.serial),
    "DOWNSTREAM_PEER_FINGERPRINT_1": _certificate_text(_downstream_tls, certificates.fingerprint_1),
    "DOWNSTREAM_PEER_FINGERPRINT_256": _certificate_text(_downstream_tls, certificates.fingerprint_256),
    "TLS_JA3_FINGERPRINT": absent(),  # the tls_inspector's options that make them are refused
    "TLS_JA4_FINGERPRINT": absent(),
}
