"""TLS contexts from configuration, with Envoy's defaults and Envoy's words for what is wrong.

Defaults: TLS 1.2 to 1.3 on servers, 1.2 alone on clients; nothing is verified without trusted_ca.
Source: envoy/extensions/transport_sockets/tls/v3/{tls,common}.proto; Envoy, common/tls/context_impl.cc.
"""

from __future__ import annotations

import functools
import os
import ssl
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import attrs

from trio_envoy.config.core import DataSource
from trio_envoy.config.tls import CommonTlsContext, TlsCertificate, TlsParameters, TlsProtocol
from trio_envoy.errors import ConfigError, Faults
from trio_envoy.net.certificates import BadKey, CertificateFacts, Described, check_key, describe, is_weak
from trio_envoy.net.data_source import read

_DEFAULT_CIPHERS: Final = (
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-CHACHA20-POLY1305",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-RSA-CHACHA20-POLY1305",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384",
)
_VERSIONS: Final = {
    TlsProtocol.TLSv1_0: ssl.TLSVersion.TLSv1,
    TlsProtocol.TLSv1_1: ssl.TLSVersion.TLSv1_1,
    TlsProtocol.TLSv1_2: ssl.TLSVersion.TLSv1_2,
    TlsProtocol.TLSv1_3: ssl.TLSVersion.TLSv1_3,
}
_CURVES: Final = {"X25519": "X25519", "P-256": "prime256v1", "P-384": "secp384r1", "P-521": "secp521r1"}
_MAX_ALPN_BYTES: Final = 255
_INLINE: Final = "<inline>"
_CONTEXTS: Final = 256  # kept; thousands of clusters with one bundle of authorities must not load it each


@attrs.frozen
class Identity:
    """Our certificate: PEM of the chain and of its key."""

    chain: bytes
    key: bytes = attrs.field(repr=False)
    password: bytes = attrs.field(repr=False)


@attrs.frozen
class Spec:
    """All that a context depends on; equal ones share a context.

    Attributes:
        server: the side.
        identity: our certificate.
        trusted_ca: PEM; b"" verifies nothing.
        required: the peer must present a certificate.
        minimum, maximum: versions of TLS.
        ciphers: OpenSSL's list, for TLS 1.2 and less.
        curve: the only one; "" leaves OpenSSL's list.
        alpn: protocols, in order.
    """

    server: bool
    identity: Identity | None
    trusted_ca: bytes
    required: bool
    minimum: ssl.TLSVersion
    maximum: ssl.TLSVersion
    ciphers: str
    curve: str
    alpn: tuple[str, ...]


@attrs.frozen
class Compiled:
    """A CommonTlsContext, read and checked.

    Attributes:
        spec: for make_context().
        facts: of its certificates, when it has any.
    """

    spec: Spec
    facts: CertificateFacts | None


def compile_tls(common: CommonTlsContext, *, server: bool, required: bool = False) -> Compiled:
    """Read files, check everything, and try the context once.

    Args:
        common: the configuration.
        server: for a listener.
        required: require_client_certificate.

    Raises:
        ConfigError: a file can't be read, a key does not fit, a cipher is unknown ...; all that is wrong, at once.
    """
    faults = Faults()
    identity, chain = None, None
    with faults:
        identity, chain = _identity(common, server=server)
    trusted_ca, ca = b"", None
    with faults:
        trusted_ca, ca = _trusted(common)
    parameters = common.tls_params or TlsParameters()
    minimum = _VERSIONS.get(parameters.tls_minimum_protocol_version, ssl.TLSVersion.TLSv1_2)
    ciphers, curve = "", ""
    alpn: tuple[str, ...] = ()
    with faults:
        ciphers = _ciphers(parameters)
    with faults:
        curve = _curve(parameters)
    with faults:
        alpn = _alpn(common)
    faults.raise_all()
    newest = ssl.TLSVersion.TLSv1_3 if server else ssl.TLSVersion.TLSv1_2
    spec = Spec(
        server=server,
        identity=identity,
        trusted_ca=trusted_ca,
        required=bool(trusted_ca) and (required or not server),
        minimum=minimum,
        maximum=_VERSIONS.get(parameters.tls_maximum_protocol_version, newest),
        ciphers=ciphers,
        curve=curve,
        alpn=alpn,
    )
    try:
        make_context(spec)
    except ssl.SSLError as error:
        raise ConfigError(f"Failed to create a TLS context: {error}", at=common) from error
    return Compiled(spec, CertificateFacts(ca, chain) if ca is not None or chain is not None else None)


@functools.lru_cache(_CONTEXTS)
def make_context(spec: Spec) -> ssl.SSLContext:
    """The context; one for all that ask for the same.

    Raises:
        ssl.SSLError: what compile_tls() can't foresee.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if spec.server else ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = (
        ssl.CERT_REQUIRED if spec.required else ssl.CERT_OPTIONAL if spec.trusted_ca else ssl.CERT_NONE
    )
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.options |= ssl.OP_IGNORE_UNEXPECTED_EOF  # as BoringSSL; OpenSSL would send an alert to a peer that has gone
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # TLS 1.0 and 1.1, where they are asked for
        context.minimum_version = spec.minimum
        context.maximum_version = spec.maximum
    # BoringSSL has no security levels; OpenSSL does TLS 1.0 and 1.1 at level 0 alone
    level = 0 if spec.minimum < ssl.TLSVersion.TLSv1_2 else 1
    context.set_ciphers(f"{spec.ciphers}:@SECLEVEL={level}")
    if spec.curve:
        context.set_ecdh_curve(spec.curve)
    if spec.alpn:
        context.set_alpn_protocols(list(spec.alpn))
    if spec.trusted_ca:
        context.load_verify_locations(cadata=spec.trusted_ca.decode("ascii", "replace"))
    if spec.identity is not None:
        with _in_a_file(spec.identity.chain + b"\n" + spec.identity.key) as path:
            context.load_cert_chain(path, password=spec.identity.password)
    return context


def _identity(common: CommonTlsContext, *, server: bool) -> tuple[Identity | None, Described | None]:
    certificates = common.tls_certificates
    if not certificates:
        if server:
            raise ConfigError("No TLS certificates found for server context", at=common)
        return None, None
    if not server and (all(each == TlsCertificate() for each in certificates) or _is_none(certificates)):
        return None, None  # Envoy takes it for none
    if len(certificates) > 1:
        raise ConfigError(
            "Multiple TLS certificates are not supported for client contexts"
            if not server
            else "more than one certificate in a server context is not supported here",
            at=common,
            field="tls_certificates",
        )
    return _certificate(certificates[0])


def _is_none(certificates: Sequence[TlsCertificate]) -> bool:
    """Whether it is one entry without a chain and a key, with a password at most."""
    return len(certificates) == 1 and (certificates[0].certificate_chain or certificates[0].private_key) is None


def _certificate(config: TlsCertificate) -> tuple[Identity, Described]:
    if config.certificate_chain is None and config.private_key is None:
        raise ConfigError("Server TlsCertificates must have a certificate specified", at=config)
    path, key_path = _path(config.certificate_chain), _path(config.private_key)
    chain, key = _bytes(config.certificate_chain), _bytes(config.private_key)
    if not chain:
        raise ConfigError(f"Failed to load incomplete certificate from {path}: certificate chain not set", at=config)
    if not key:
        raise ConfigError(f"Failed to load incomplete private key from path: {key_path}", at=config)
    password = _password(config)
    try:
        described = describe(chain, path or _INLINE)
    except ValueError:
        raise ConfigError(
            f"Failed to load certificate chain from {path or _INLINE}", at=config, field="certificate_chain"
        ) from None
    if is_weak(chain):
        raise ConfigError(
            f"Failed to load certificate chain from {path or _INLINE}, only RSA certificates with 2048-bit or larger "
            "keys are supported",
            at=config,
            field="certificate_chain",
        )
    try:
        check_key(chain, key, password)
    except BadKey as error:
        raise ConfigError(
            f"Failed to load private key from {key_path or _INLINE}, Cause: {error}", at=config, field="private_key"
        ) from error
    return Identity(chain, key, password or b""), described


def _password(config: TlsCertificate) -> bytes | None:
    """That of the key; one that can't be read is none, as in Envoy: only a key that needs it can't be loaded then."""
    try:
        return read(config.password) if config.password is not None else None
    except ConfigError:
        return None


def _trusted(common: CommonTlsContext) -> tuple[bytes, Described | None]:
    validation = common.validation_context
    if validation is None or validation.trusted_ca is None:
        if validation is not None and validation.match_typed_subject_alt_names:
            raise ConfigError(
                "SAN-based verification of peer certificates without trusted CA is insecure and not allowed",
                at=validation,
                field="match_typed_subject_alt_names",
            )
        return b"", None
    pem = read(validation.trusted_ca)
    if not pem:
        raise ConfigError("DataSource cannot be empty", at=validation.trusted_ca)
    path = _path(validation.trusted_ca) or _INLINE
    try:
        return pem, describe(pem, path)
    except ValueError:
        raise ConfigError(
            f"Failed to load trusted CA certificates from {path}", at=validation, field="trusted_ca"
        ) from None


def _ciphers(parameters: TlsParameters) -> str:
    wanted = ":".join(parameters.cipher_suites)
    if not wanted:
        return ":".join(_DEFAULT_CIPHERS)
    suites = [suite for suite in parameters.cipher_suites if suite]
    rejected = [suite for suite in suites if not _is_cipher(suite)]
    if rejected or not suites:
        raise ConfigError(
            f"Failed to initialize cipher suites {wanted}. The following ciphers were "
            f"rejected when tried individually: {', '.join(rejected)}",
            at=parameters,
            field="cipher_suites",
        )
    return ":".join(_without_groups(suite) for suite in suites)


def _without_groups(suite: str) -> str:
    """BoringSSL's [A|B], either at equal preference, is A:B to OpenSSL."""
    return suite.strip("[]").replace("|", ":")


def _is_cipher(suite: str) -> bool:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).set_ciphers(_without_groups(suite))
    except ssl.SSLError:
        return False
    return True


def _curve(parameters: TlsParameters) -> str:
    curves = () if parameters.ecdh_curves == ("",) else parameters.ecdh_curves
    unknown = [curve for curve in curves if curve not in _CURVES]
    if unknown:
        raise ConfigError(f"Failed to initialize ECDH curves {':'.join(curves)}", at=parameters, field="ecdh_curves")
    if len(curves) > 1:
        raise ConfigError("more than one of ecdh_curves is not supported here", at=parameters, field="ecdh_curves")
    return _CURVES[curves[0]] if curves else ""


def _alpn(common: CommonTlsContext) -> tuple[str, ...]:
    """An entry may hold several, joined by commas, as Envoy takes them; Python's library takes ASCII alone."""
    protocols = tuple(name for entry in common.alpn_protocols for name in entry.split(",") if name)
    if any(len(name) > _MAX_ALPN_BYTES or not name.isascii() for name in protocols):
        raise ConfigError("Invalid ALPN protocol string", at=common, field="alpn_protocols")
    return protocols


def _path(source: DataSource | None) -> str:
    return (source.filename or "") if source is not None else ""


def _bytes(source: DataSource | None) -> bytes:
    """The bytes of a certificate or key; Envoy takes what can't be read for missing."""
    if source is None:
        return b""
    try:
        return read(source)
    except ConfigError:
        return b""


@contextmanager
def _in_a_file(data: bytes) -> Iterator[str]:
    """A path for OpenSSL's sake; on Linux nothing goes to a disk."""
    memfd_create: Any = getattr(os, "memfd_create", None)
    if memfd_create is None:
        with tempfile.TemporaryDirectory() as directory:
            path = os.path.join(directory, "identity.pem")
            with open(path, "xb", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
                file.write(data)
            yield path
        return
    fd = memfd_create("identity")
    try:
        with os.fdopen(fd, "wb", closefd=False) as file:
            file.write(data)
        yield f"/proc/self/fd/{fd}"
    finally:
        os.close(fd)
