"""What is told of our own certificates: /certs, expiry gauges. `cryptography` is imported when the first one is read.

Source: envoy.admin.v3.Certificates; Envoy, common/tls/cert_validator and context_impl.cc.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import attrs

from trio_envoy.util import clock

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

_DAY: Final = 86400.0  # s
_MIN_RSA_BITS: Final = 2048
_KINDS: Final = ("dns", "uri", "ip_address")  # the order in which Envoy tells of them


class BadKey(Exception):
    """A private key can't be used; the text is BoringSSL's cause."""


@attrs.frozen
class Described:
    """One certificate.

    Attributes:
        path: of its file, or `<inline>`.
        serial_number: lower-case hex.
        names: (kind, text) of its subject alternative names; kind is `dns`, `uri` or `ip_address`.
        valid_from, expires: seconds since 1970.
    """

    path: str
    serial_number: str
    names: tuple[tuple[str, str], ...]
    valid_from: float
    expires: float

    def tree(self) -> dict[str, Any]:
        """As /certs prints it."""
        return {
            "path": self.path,
            "serial_number": self.serial_number,
            "subject_alt_names": [{kind: text} for kind, text in self.names],
            "days_until_expiration": str(self.days()),
            "valid_from": _timestamp(self.valid_from),
            "expiration_time": _timestamp(self.expires),
        }

    def days(self) -> int:
        """Whole days until it expires; 0 when it has."""
        return max(0, int((self.expires - clock.now()) // _DAY))


@attrs.frozen
class CertificateFacts:
    """The certificates of one TLS context.

    Attributes:
        ca: the first of the trusted ones.
        chain: our own.
    """

    ca: Described | None
    chain: Described | None

    def tree(self) -> dict[str, Any]:
        """As /certs prints it."""
        return {
            "ca_cert": [self.ca.tree()] if self.ca is not None else [],
            "cert_chain": [self.chain.tree()] if self.chain is not None else [],
        }

    def days(self) -> int | None:
        """Whole days until the first of them expires; None: there is none."""
        return min((found.days() for found in (self.ca, self.chain) if found is not None), default=None)


def describe(pem: bytes, path: str) -> Described:
    """The first certificate of a PEM text.

    Raises:
        ValueError: there is none.
    """
    certificate = _certificate(pem)
    serial = f"{certificate.serial_number:x}"
    return Described(
        path=path,
        serial_number=serial if len(serial) % 2 == 0 else f"0{serial}",
        names=tuple(sorted(_names(certificate), key=lambda name: _KINDS.index(name[0]))),
        valid_from=certificate.not_valid_before_utc.timestamp(),
        expires=certificate.not_valid_after_utc.timestamp(),
    )


def is_weak(pem: bytes) -> bool:
    """A certificate with an RSA key of less than 2048 bits, which Envoy does not take."""
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

    key = _certificate(pem).public_key()
    return isinstance(key, RSAPublicKey) and key.key_size < _MIN_RSA_BITS


def check_key(chain: bytes, key: bytes, password: bytes | None) -> None:
    """Is this the private key of the certificate?

    Raises:
        BadKey: no, or it can't be read.
    """
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    encrypted = b"ENCRYPTED" in key
    if encrypted and password is None:
        raise BadKey("error:09000068:PEM routines:OPENSSL_internal:BAD_PASSWORD_READ")
    try:
        private = load_pem_private_key(key, password if encrypted else None)
    except ValueError:
        raise BadKey(
            "error:1e000065:Cipher functions:OPENSSL_internal:BAD_DECRYPT"
            if encrypted
            else "error:0900006e:PEM routines:OPENSSL_internal:NO_START_LINE"
        ) from None
    if private.public_key() != _certificate(chain).public_key():
        raise BadKey("error:0b000074:X.509 certificate routines:OPENSSL_internal:KEY_VALUES_MISMATCH")


def _certificate(pem: bytes) -> Certificate:
    from cryptography.x509 import load_pem_x509_certificate

    return load_pem_x509_certificate(pem)


def _names(certificate: Certificate) -> Iterator[tuple[str, str]]:
    from cryptography import x509

    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return
    for name in names:
        match name:
            case x509.DNSName():
                yield "dns", name.value
            case x509.UniformResourceIdentifier():
                yield "uri", name.value
            case x509.IPAddress():
                yield "ip_address", str(name.value)
            case _:
                pass  # /certs does not tell of other kinds


def _timestamp(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
