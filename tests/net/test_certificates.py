from __future__ import annotations

import datetime as dt

import pytest
import trustme
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509 import (
    CertificateBuilder,
    Name,
    RFC822Name,
    SubjectAlternativeName,
    UniformResourceIdentifier,
    random_serial_number,
)

from trio_envoy.net.certificates import BadKey, CertificateFacts, check_key, describe, is_weak
from trio_envoy.util import clock

AUTHORITY = trustme.CA()


def pem_of(leaf) -> tuple[bytes, bytes]:
    return b"".join(blob.bytes() for blob in leaf.cert_chain_pems), leaf.private_key_pem.bytes()


def test_what_certs_prints():
    until = dt.datetime(2040, 1, 2, 3, 4, 5, tzinfo=dt.UTC)
    leaf = AUTHORITY.issue_cert("a.test", "127.0.0.1", "me@a.test", not_after=until)
    described = describe(pem_of(leaf)[0], "cert.pem")
    tree = described.tree()

    assert tree["path"] == "cert.pem"
    assert bytes.fromhex(tree["serial_number"])
    assert tree["subject_alt_names"] == [{"dns": "a.test"}, {"ip_address": "127.0.0.1"}]
    assert tree["expiration_time"] == "2040-01-02T03:04:05Z"
    assert tree["days_until_expiration"] == str(int((until.timestamp() - clock.now()) // 86400))
    assert described.expires == until.timestamp()


def test_expired_is_zero_days():
    leaf = AUTHORITY.issue_cert("a.test", not_after=dt.datetime(2020, 1, 1, tzinfo=dt.UTC))

    assert describe(pem_of(leaf)[0], "x").days() == 0


def test_an_authority_has_no_names():
    assert describe(AUTHORITY.cert_pem.bytes(), "ca.pem").tree()["subject_alt_names"] == []


def test_names_of_other_kinds():
    names = SubjectAlternativeName([UniformResourceIdentifier("spiffe://a/b"), RFC822Name("me@a.test")])

    assert describe(a_certificate(2048, names)[0], "x").names == (("uri", "spiffe://a/b"),)


def test_facts_of_a_context():
    soon = dt.datetime.fromtimestamp(clock.now() + 10 * 86400 + 100, dt.UTC)
    chain = describe(pem_of(AUTHORITY.issue_cert("a", not_after=soon))[0], "a.pem")
    ca = describe(AUTHORITY.cert_pem.bytes(), "ca.pem")

    assert CertificateFacts(ca, chain).tree() == {"ca_cert": [ca.tree()], "cert_chain": [chain.tree()]}
    assert CertificateFacts(ca, chain).days() == 10
    assert CertificateFacts(None, None).tree() == {"ca_cert": [], "cert_chain": []}
    assert CertificateFacts(None, None).days() is None


def test_no_certificate():
    with pytest.raises(ValueError, match="PEM"):
        describe(b"hi", "x")


def a_certificate(bits: int, names: SubjectAlternativeName | None = None) -> tuple[bytes, bytes]:
    key = rsa.generate_private_key(65537, bits)
    now = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    builder = (
        CertificateBuilder(Name([]), Name([]), key.public_key(), random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + dt.timedelta(days=1))
    )
    if names is not None:
        builder = builder.add_extension(names, critical=False)
    certificate = builder.sign(key, SHA256())
    return certificate.public_bytes(Encoding.PEM), key.private_bytes(
        Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()
    )


@pytest.mark.parametrize(("bits", "weak"), [(1024, True), (2048, False)])
def test_weak_keys(bits, weak):
    assert is_weak(a_certificate(bits)[0]) is weak
    assert not is_weak(pem_of(AUTHORITY.issue_cert("a"))[0])


def test_keys():
    chain, key = pem_of(AUTHORITY.issue_cert("a"))
    private = load_pem_private_key(key, None)
    locked = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret"))

    check_key(chain, key, None)
    check_key(chain, key, b"not needed")
    check_key(chain, locked, b"secret")


@pytest.mark.parametrize(
    ("which", "password", "cause"),
    [
        ("other", None, "error:0b000074:X.509 certificate routines:OPENSSL_internal:KEY_VALUES_MISMATCH"),
        ("garbage", None, "error:0900006e:PEM routines:OPENSSL_internal:NO_START_LINE"),
        ("locked", None, "error:09000068:PEM routines:OPENSSL_internal:BAD_PASSWORD_READ"),
        ("locked", b"wrong", "error:1e000065:Cipher functions:OPENSSL_internal:BAD_DECRYPT"),
    ],
)
def test_bad_keys(which, password, cause):
    chain, key = pem_of(AUTHORITY.issue_cert("a"))
    keys = {
        "other": pem_of(AUTHORITY.issue_cert("b"))[1],
        "garbage": b"hi",
        "locked": load_pem_private_key(key, None).private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")
        ),
    }

    with pytest.raises(BadKey) as caught:
        check_key(chain, keys[which], password)
    assert str(caught.value) == cause
