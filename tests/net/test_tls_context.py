from __future__ import annotations

import ssl

import attrs
import pytest
import trustme

from trio_envoy.config.core import DataSource
from trio_envoy.config.matcher import StringMatcher
from trio_envoy.config.tls import (
    CertificateValidationContext,
    CommonTlsContext,
    SanType,
    SubjectAltNameMatcher,
    TlsCertificate,
    TlsParameters,
    TlsProtocol,
)
from trio_envoy.errors import ConfigError
from trio_envoy.net import tls_context
from trio_envoy.net.tls_context import compile_tls, make_context

AUTHORITY = trustme.CA()
LEAF = AUTHORITY.issue_cert("a.test")
OTHER = AUTHORITY.issue_cert("b.test")
TLSv1_2, TLSv1_3 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3


def chain_of(leaf) -> bytes:
    return b"".join(blob.bytes() for blob in leaf.cert_chain_pems)


def inline(data: bytes) -> DataSource:
    return DataSource(inline_bytes=data)


def a_certificate(**changes) -> TlsCertificate:
    certificate = TlsCertificate(
        certificate_chain=inline(chain_of(LEAF)), private_key=inline(LEAF.private_key_pem.bytes())
    )
    return attrs.evolve(certificate, **changes)


def a_common(**changes) -> CommonTlsContext:
    return attrs.evolve(CommonTlsContext(tls_certificates=(a_certificate(),)), **changes)


CA = CertificateValidationContext(trusted_ca=inline(AUTHORITY.cert_pem.bytes()))


class TestDefaults:
    def test_of_a_server(self):
        compiled = compile_tls(a_common(), server=True)
        context = make_context(compiled.spec)

        assert (context.minimum_version, context.maximum_version) == (TLSv1_2, TLSv1_3)
        assert context.verify_mode is ssl.CERT_NONE
        assert context.options & ssl.OP_NO_RENEGOTIATION
        assert context.options & ssl.OP_IGNORE_UNEXPECTED_EOF
        assert compiled.facts.chain.path == "<inline>"
        assert compiled.facts.ca is None

    def test_of_a_client(self):
        compiled = compile_tls(CommonTlsContext(), server=False)
        context = make_context(compiled.spec)

        assert (context.minimum_version, context.maximum_version) == (TLSv1_2, TLSv1_2)
        assert context.verify_mode is ssl.CERT_NONE
        assert not context.check_hostname
        assert compiled.facts is None

    def test_of_ciphers(self):
        context = make_context(compile_tls(CommonTlsContext(), server=False).spec)

        assert [cipher["name"] for cipher in context.get_ciphers() if cipher["protocol"] != "TLSv1.3"] == [
            "ECDHE-ECDSA-AES128-GCM-SHA256",
            "ECDHE-ECDSA-CHACHA20-POLY1305",
            "ECDHE-RSA-AES128-GCM-SHA256",
            "ECDHE-RSA-CHACHA20-POLY1305",
            "ECDHE-ECDSA-AES256-GCM-SHA384",
            "ECDHE-RSA-AES256-GCM-SHA384",
        ]


@pytest.mark.parametrize(
    ("server", "required", "mode"),
    [
        (False, False, ssl.CERT_REQUIRED),
        (True, False, ssl.CERT_OPTIONAL),
        (True, True, ssl.CERT_REQUIRED),
    ],
)
def test_who_must_present_a_certificate(server, required, mode):
    compiled = compile_tls(a_common(validation_context=CA), server=server, required=required)

    assert make_context(compiled.spec).verify_mode is mode
    assert compiled.facts.ca.path == "<inline>"


def test_requiring_a_certificate_without_an_authority_requires_nothing():
    assert make_context(compile_tls(a_common(), server=True, required=True).spec).verify_mode is ssl.CERT_NONE


def test_parameters():
    parameters = TlsParameters(
        tls_minimum_protocol_version=TlsProtocol.TLSv1_0,
        tls_maximum_protocol_version=TlsProtocol.TLSv1_3,
        cipher_suites=("[ECDHE-ECDSA-AES128-GCM-SHA256|ECDHE-ECDSA-CHACHA20-POLY1305]", "ECDHE-RSA-AES128-SHA"),
        ecdh_curves=("P-256",),
    )
    compiled = compile_tls(a_common(tls_params=parameters, alpn_protocols=("h2,http/1.1", "x")), server=False)
    context = make_context(compiled.spec)

    assert (context.minimum_version, context.maximum_version) == (ssl.TLSVersion.TLSv1, TLSv1_3)
    assert context.security_level == 0
    assert [cipher["name"] for cipher in context.get_ciphers() if cipher["protocol"] != "TLSv1.3"] == [
        "ECDHE-ECDSA-AES128-GCM-SHA256",
        "ECDHE-ECDSA-CHACHA20-POLY1305",
        "ECDHE-RSA-AES128-SHA",
    ]
    assert compiled.spec.curve == "prime256v1"
    assert compiled.spec.alpn == ("h2", "http/1.1", "x")


def test_equal_ones_share_a_context():
    first = compile_tls(a_common(validation_context=CA), server=False)
    second = compile_tls(a_common(validation_context=CA), server=False)

    assert make_context(first.spec) is make_context(second.spec)


def test_files_and_passwords(tmp_path):
    from cryptography.hazmat.primitives.serialization import (
        BestAvailableEncryption,
        Encoding,
        PrivateFormat,
        load_pem_private_key,
    )

    private = load_pem_private_key(LEAF.private_key_pem.bytes(), None)
    (tmp_path / "cert.pem").write_bytes(chain_of(LEAF))
    (tmp_path / "key.pem").write_bytes(
        private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret"))
    )
    certificate = TlsCertificate(
        certificate_chain=DataSource(filename=str(tmp_path / "cert.pem")),
        private_key=DataSource(filename=str(tmp_path / "key.pem")),
        password=DataSource(inline_string="secret"),
    )
    compiled = compile_tls(CommonTlsContext(tls_certificates=(certificate,)), server=True)

    assert compiled.facts.chain.path == str(tmp_path / "cert.pem")


def test_a_password_that_cannot_be_read_is_none():
    certificate = a_certificate(password=DataSource(filename="nope"))

    assert compile_tls(CommonTlsContext(tls_certificates=(certificate,)), server=True).spec.identity.password == b""


def test_systems_without_memfd_use_a_private_file(monkeypatch):
    monkeypatch.delattr("os.memfd_create")
    make_context.cache_clear()

    assert compile_tls(a_common(), server=True).spec.identity is not None


def test_secrets_are_not_printed():
    assert b"PRIVATE KEY" not in repr(compile_tls(a_common(), server=True)).encode()


LONG = CommonTlsContext(alpn_protocols=("a" * 256,))
FAULTS = [
    (CommonTlsContext(), True, "No TLS certificates found for server context"),
    (
        CommonTlsContext(tls_certificates=(a_certificate(), a_certificate())),
        False,
        "Multiple TLS certificates are not supported for client contexts",
    ),
    (
        CommonTlsContext(tls_certificates=(a_certificate(), a_certificate())),
        True,
        "more than one certificate in a server context is not supported here",
    ),
    (
        CommonTlsContext(tls_certificates=(TlsCertificate(),)),
        True,
        "Server TlsCertificates must have a certificate specified",
    ),
    (
        a_common(tls_certificates=(a_certificate(certificate_chain=DataSource(filename="nope.pem")),)),
        True,
        "Failed to load incomplete certificate from nope.pem: certificate chain not set",
    ),
    (
        a_common(tls_certificates=(a_certificate(certificate_chain=None),)),
        True,
        "Failed to load incomplete certificate from : certificate chain not set",
    ),
    (
        a_common(tls_certificates=(a_certificate(private_key=DataSource(filename="nope")),)),
        True,
        "Failed to load incomplete private key from path: nope",
    ),
    (
        a_common(tls_certificates=(a_certificate(certificate_chain=inline(b"foo")),)),
        True,
        "Failed to load certificate chain from <inline>",
    ),
    (
        a_common(tls_certificates=(a_certificate(private_key=inline(OTHER.private_key_pem.bytes())),)),
        True,
        "Failed to load private key from <inline>, Cause: error:0b000074:X.509 certificate routines:OPENSSL_internal:"
        "KEY_VALUES_MISMATCH",
    ),
    (
        CommonTlsContext(validation_context=CertificateValidationContext(trusted_ca=DataSource(filename="nope"))),
        False,
        "Invalid path: nope",
    ),
    (
        CommonTlsContext(validation_context=CertificateValidationContext(trusted_ca=inline(b"hi"))),
        False,
        "Failed to load trusted CA certificates from <inline>",
    ),
    (
        CommonTlsContext(validation_context=CertificateValidationContext(trusted_ca=inline(b""))),
        False,
        "DataSource cannot be empty",
    ),
    (
        CommonTlsContext(
            validation_context=CertificateValidationContext(
                match_typed_subject_alt_names=(
                    SubjectAltNameMatcher(san_type=SanType.DNS, matcher=StringMatcher(exact="a")),
                )
            )
        ),
        False,
        "SAN-based verification of peer certificates without trusted CA is insecure and not allowed",
    ),
    (
        CommonTlsContext(tls_params=TlsParameters(cipher_suites=("FOO", "ECDHE-RSA-AES128-GCM-SHA256", "BAR"))),
        False,
        "Failed to initialize cipher suites FOO:ECDHE-RSA-AES128-GCM-SHA256:BAR. The following ciphers were rejected "
        "when tried individually: FOO, BAR",
    ),
    (
        CommonTlsContext(tls_params=TlsParameters(cipher_suites=("TLS_AES_128_GCM_SHA256",))),
        False,
        "Failed to initialize cipher suites TLS_AES_128_GCM_SHA256. The following ciphers were rejected when tried "
        "individually: TLS_AES_128_GCM_SHA256",
    ),
    (
        CommonTlsContext(tls_params=TlsParameters(ecdh_curves=("FOO",))),
        False,
        "Failed to initialize ECDH curves FOO",
    ),
    (
        CommonTlsContext(tls_params=TlsParameters(ecdh_curves=("X25519", "P-256"))),
        False,
        "more than one of ecdh_curves is not supported here",
    ),
    (LONG, False, "Invalid ALPN protocol string"),
]


@pytest.mark.parametrize(("common", "server", "text"), FAULTS)
def test_faults(common, server, text):
    with pytest.raises(ConfigError) as caught:
        compile_tls(common, server=server)

    assert str(caught.value) == text
    assert caught.value.at is not None


def test_an_empty_certificate_of_a_client_is_none():
    for empty in (TlsCertificate(), TlsCertificate(password=DataSource(inline_string="x"))):
        assert compile_tls(CommonTlsContext(tls_certificates=(empty,)), server=False).spec.identity is None


def test_all_faults_come_at_once():
    common = CommonTlsContext(
        tls_params=TlsParameters(cipher_suites=("NOPE",), ecdh_curves=("P-12",)),
        validation_context=CertificateValidationContext(trusted_ca=DataSource(inline_string="")),
        alpn_protocols=("a" * 256,),
    )

    with pytest.raises(ConfigError) as caught:
        compile_tls(common, server=True)

    assert len((caught.value, *caught.value.others)) == 5


def test_a_weak_key():
    from tests.net.test_certificates import a_certificate as weak

    chain, key = weak(1024)
    certificate = TlsCertificate(certificate_chain=inline(chain), private_key=inline(key))

    with pytest.raises(ConfigError, match="only RSA certificates with 2048-bit or larger keys are supported"):
        compile_tls(CommonTlsContext(tls_certificates=(certificate,)), server=True)


def test_what_openssl_alone_knows_is_a_fault_too(monkeypatch):
    def fail(_spec):
        raise ssl.SSLError(1, "odd")

    monkeypatch.setattr(tls_context, "make_context", fail)

    with pytest.raises(ConfigError, match="Failed to create a TLS context"):
        compile_tls(a_common(), server=True)
