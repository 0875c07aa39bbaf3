"""Facts of certificates, against what Envoy 1.40.0 wrote of this one."""

import datetime as dt
import hashlib
import ipaddress
from urllib.parse import unquote

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from trio_envoy.formatter import certificates

ISSUER = [
    (NameOID.COUNTRY_NAME, "DE"),
    (NameOID.ORGANIZATION_NAME, "Ca, Inc."),
    (NameOID.COMMON_NAME, "my ca"),
]
SUBJECT = [
    (NameOID.COUNTRY_NAME, "DE"),
    (NameOID.ORGANIZATION_NAME, 'Ä, "Inc"+ #1;'),
    (NameOID.ORGANIZATIONAL_UNIT_NAME, " lead <x>=y\\z "),
    (NameOID.COMMON_NAME, "#client,1"),
    (NameOID.EMAIL_ADDRESS, "a@b.c"),
]
NAMES = [
    x509.DNSName("a.example"),
    x509.DNSName("*.b.example"),
    x509.UniformResourceIdentifier("spiffe://x/y"),
    x509.IPAddress(ipaddress.ip_address("10.0.0.1")),
    x509.IPAddress(ipaddress.ip_address("::1")),
    x509.RFC822Name("m@x.y"),
]


def named(attributes):
    return x509.Name([x509.NameAttribute(oid, value) for oid, value in attributes])


def made(serial=0x0ABCDEF0123456789, names=NAMES):
    key = ec.generate_private_key(ec.SECP256R1())
    builder = (
        x509.CertificateBuilder()
        .subject_name(named(SUBJECT))
        .issuer_name(named(ISSUER))
        .public_key(key.public_key())
        .serial_number(serial)
        .not_valid_before(dt.datetime(2026, 1, 5, 3, 4, 5, tzinfo=dt.UTC))
        .not_valid_after(dt.datetime(2036, 11, 1, tzinfo=dt.UTC))
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)


@pytest.fixture(scope="module")
def der():
    return made()


def test_names(der):
    assert certificates.subject(der) == (
        r"emailAddress=a@b.c,CN=\#client\,1,OU=\ lead \<x\>=y\\z\ ,O=\C3\84\, \"Inc\"\+ #1\;,C=DE"
    )
    assert certificates.issuer(der) == r"CN=my ca,O=Ca\, Inc.,C=DE"
    assert certificates.dns_names(der) == "a.example,*.b.example"
    assert certificates.uri_names(der) == "spiffe://x/y"
    assert certificates.ip_names(der) == "10.0.0.1,::1"
    assert certificates.email_names(der) == "m@x.y"


def test_numbers(der):
    assert certificates.serial(der) == "abcdef0123456789"
    assert certificates.serial(made(serial=5)) == "05"
    assert certificates.fingerprint_256(der) == hashlib.sha256(der).hexdigest()
    assert certificates.fingerprint_1(der) == hashlib.sha1(der).hexdigest()
    assert certificates.valid_until(der) == 2109110400
    assert certificates.valid_from(der) == 1767582245


def test_the_pem_form_is_escaped(der):
    text = certificates.pem_escaped(der)

    assert text.startswith("-----BEGIN%20CERTIFICATE-----%0AMI")
    assert x509.load_pem_x509_certificate(unquote(text).encode()).public_bytes(Encoding.DER) == der


def test_without_alternative_names():
    bare = made(names=[])

    reads = (certificates.dns_names, certificates.uri_names, certificates.ip_names, certificates.email_names)
    assert [read(bare) for read in reads] == [""] * 4
