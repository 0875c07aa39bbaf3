"""envoy.extensions.transport_sockets.tls.v3: TLS on either side.

Source: envoy/extensions/transport_sockets/tls/v3/{tls,common}.proto.
"""

from __future__ import annotations

import enum
from typing import ClassVar

import attrs

from trio_envoy.config.core import DataSource
from trio_envoy.config.matcher import StringMatcher


class TlsProtocol(enum.StrEnum):
    """Version of TLS; TLS_AUTO is 1.2 as the least, and 1.3 (server) or 1.2 (client) as the most.

    Proto: envoy.extensions.transport_sockets.tls.v3.TlsParameters.TlsProtocol
    """

    TLS_AUTO = "TLS_AUTO"
    TLSv1_0 = "TLSv1_0"
    TLSv1_1 = "TLSv1_1"
    TLSv1_2 = "TLSv1_2"
    TLSv1_3 = "TLSv1_3"


@attrs.frozen(kw_only=True)
class TlsParameters:
    """What is negotiated.

    Attributes:
        tls_minimum_protocol_version: the least.
        tls_maximum_protocol_version: the most.
        cipher_suites: BoringSSL's names, for TLS 1.2 and less; empty is the default list.
        ecdh_curves: in order; empty is the default list.
    """

    __proto__: ClassVar[str] = "envoy.extensions.transport_sockets.tls.v3.TlsParameters"

    tls_minimum_protocol_version: TlsProtocol = TlsProtocol.TLS_AUTO
    tls_maximum_protocol_version: TlsProtocol = TlsProtocol.TLS_AUTO
    cipher_suites: tuple[str, ...] = ()
    ecdh_curves: tuple[str, ...] = ()


@attrs.frozen(kw_only=True)
class TlsCertificate:
    """A certificate and its key.

    Attributes:
        certificate_chain: PEM.
        private_key: PEM.
        password: of the key.
    """

    __proto__: ClassVar[str] = "envoy.extensions.transport_sockets.tls.v3.TlsCertificate"

    certificate_chain: DataSource | None = None
    private_key: DataSource | None = None
    password: DataSource | None = None


class SanType(enum.StrEnum):
    """Kind of a subject alternative name.

    Proto: envoy.extensions.transport_sockets.tls.v3.SubjectAltNameMatcher.SanType
    """

    SAN_TYPE_UNSPECIFIED = "SAN_TYPE_UNSPECIFIED"
    EMAIL = "EMAIL"
    DNS = "DNS"
    URI = "URI"
    IP_ADDRESS = "IP_ADDRESS"
    OTHER_NAME = "OTHER_NAME"


@attrs.frozen(kw_only=True)
class SubjectAltNameMatcher:
    """A name that the peer's certificate must carry.

    Attributes:
        san_type: kind; required.
        matcher: the name; required.
    """

    __proto__: ClassVar[str] = "envoy.extensions.transport_sockets.tls.v3.SubjectAltNameMatcher"

    san_type: SanType = SanType.SAN_TYPE_UNSPECIFIED
    matcher: StringMatcher


@attrs.frozen(kw_only=True)
class CertificateValidationContext:
    """What the peer must present.

    Attributes:
        trusted_ca: PEM; without it nothing is verified.
        match_typed_subject_alt_names: one of them; needs trusted_ca.
    """

    __proto__: ClassVar[str] = "envoy.extensions.transport_sockets.tls.v3.CertificateValidationContext"

    trusted_ca: DataSource | None = None
    match_typed_subject_alt_names: tuple[SubjectAltNameMatcher, ...] = ()


@attrs.frozen(kw_only=True)
class CommonTlsContext:
    """What both sides share (oneof validation_context_type).

    Attributes:
        tls_params: versions and ciphers.
        tls_certificates: our own; the server has one.
        validation_context: the peer's.
        alpn_protocols: in order.
    """

    __proto__: ClassVar[str] = "envoy.extensions.transport_sockets.tls.v3.CommonTlsContext"

    tls_params: TlsParameters | None = None
    tls_certificates: tuple[TlsCertificate, ...] = ()
    validation_context: CertificateValidationContext | None = None
    alpn_protocols: tuple[str, ...] = ()


@attrs.frozen(kw_only=True)
class UpstreamTlsContext:
    """TLS to an upstream.

    Attributes:
        common_tls_context: certificates, validation, versions.
        sni: at most 255 bytes; empty sends none.
        auto_host_sni: SNI is the hostname of the endpoint.
    """

    __proto__: ClassVar[str] = "envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext"

    common_tls_context: CommonTlsContext | None = None
    sni: str = ""
    auto_host_sni: bool = False


@attrs.frozen(kw_only=True)
class DownstreamTlsContext:
    """TLS to a client.

    Attributes:
        common_tls_context: certificates, validation, versions.
        require_client_certificate: refuse clients that have none; None is False.
    """

    __proto__: ClassVar[str] = "envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext"

    common_tls_context: CommonTlsContext | None = None
    require_client_certificate: bool | None = None
