"""Facts of a certificate as Envoy prints them. `cryptography` is imported when the first one is asked for.

Source: Envoy, common/tls/utility.cc and connection_info_impl_base.cc; texts measured on 1.40.0.
"""

from __future__ import annotations

import functools
import hashlib
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

if TYPE_CHECKING:
    from cryptography.x509 import Certificate, Name, ObjectIdentifier, SubjectAlternativeName

_PARSED: Final = 256  # certificates of the peers seen last


@functools.lru_cache(_PARSED)
def _parse(der: bytes) -> Certificate:
    from cryptography.x509 import load_der_x509_certificate

    return load_der_x509_certificate(der)


def subject(der: bytes) -> str:
    r"""The subject by RFC 2253, `CN=...,OU=...`; bytes above 0x7f are written as \XX."""
    return _distinguished(_parse(der).subject)


def issuer(der: bytes) -> str:
    """The issuer by RFC 2253."""
    return _distinguished(_parse(der).issuer)


def _distinguished(name: Name) -> str:
    text = name.rfc4514_string(_short_names())
    return "".join([c if c.isascii() else "".join([f"\\{byte:02X}" for byte in c.encode()]) for c in text])


@functools.cache
def _short_names() -> dict[ObjectIdentifier, str]:
    """Names that OpenSSL has and RFC 4514 has not."""
    from cryptography.x509.oid import NameOID

    return {
        NameOID.EMAIL_ADDRESS: "emailAddress",
        NameOID.SERIAL_NUMBER: "serialNumber",
        NameOID.GIVEN_NAME: "GN",
        NameOID.SURNAME: "SN",
        NameOID.TITLE: "title",
        NameOID.DN_QUALIFIER: "dnQualifier",
        NameOID.POSTAL_CODE: "postalCode",
    }


def serial(der: bytes) -> str:
    """Lower-case hex."""
    text = f"{_parse(der).serial_number:x}"
    return text if len(text) % 2 == 0 else f"0{text}"


def fingerprint_1(der: bytes) -> str:
    """SHA-1 of the DER form, lower-case hex."""
    return hashlib.sha1(der, usedforsecurity=False).hexdigest()


def fingerprint_256(der: bytes) -> str:
    """SHA-256 of the DER form, lower-case hex."""
    return hashlib.sha256(der).hexdigest()


def pem_escaped(der: bytes) -> str:
    """The PEM form, URL-encoded."""
    from cryptography.hazmat.primitives.serialization import Encoding

    return quote(_parse(der).public_bytes(Encoding.PEM), safe="")


def valid_from(der: bytes) -> float:
    """Seconds of the epoch."""
    return _parse(der).not_valid_before_utc.timestamp()


def valid_until(der: bytes) -> float:
    """Seconds of the epoch."""
    return _parse(der).not_valid_after_utc.timestamp()


@functools.lru_cache(_PARSED)
def _names(der: bytes) -> SubjectAlternativeName | None:
    from cryptography import x509

    try:
        return _parse(der).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return None


def dns_list(der: bytes) -> list[str]:
    """DNS names."""
    from cryptography.x509 import DNSName

    names = _names(der)
    return [] if names is None else names.get_values_for_type(DNSName)


def dns_names(der: bytes) -> str:
    """DNS names, joined by a comma."""
    return ",".join(dns_list(der))


def uri_list(der: bytes) -> list[str]:
    """URIs."""
    from cryptography.x509 import UniformResourceIdentifier

    names = _names(der)
    return [] if names is None else names.get_values_for_type(UniformResourceIdentifier)


def uri_names(der: bytes) -> str:
    """URIs, joined by a comma."""
    return ",".join(uri_list(der))


def email_names(der: bytes) -> str:
    """Mail addresses, joined by a comma."""
    from cryptography.x509 import RFC822Name

    names = _names(der)
    return "" if names is None else ",".join(names.get_values_for_type(RFC822Name))


def ip_names(der: bytes) -> str:
    """IP addresses, joined by a comma."""
    from cryptography.x509 import IPAddress

    names = _names(der)
    return "" if names is None else ",".join(map(str, names.get_values_for_type(IPAddress)))
