"""x-forwarded-client-cert; expectations are measured on Envoy 1.40."""

import datetime as dt
import re

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.fakes import headers
from trio_envoy.config.hcm import ForwardClientCertDetails as Forward
from trio_envoy.config.hcm import HttpConnectionManager, SetCurrentClientCertDetails
from trio_envoy.hcm.client_certificate import XFCC, CertificateRules
from trio_envoy.net.stream_info import TlsInfo

DNS, URI = x509.DNSName, x509.UniformResourceIdentifier


def a_certificate(name, *alternatives):
    """DER of a certificate that signs itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(oid, text) for oid, text in name])
    builder = x509.CertificateBuilder(
        issuer_name=subject,
        subject_name=subject,
        public_key=key.public_key(),
        serial_number=1,
        not_valid_before=dt.datetime(2020, 1, 1),
        not_valid_after=dt.datetime(2040, 1, 1),
    )
    if alternatives:
        builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


NAMED = a_certificate(
    [(NameOID.COMMON_NAME, 'cli "q" ; x'), (NameOID.ORGANIZATION_NAME, "O, Inc")],
    DNS("c1.test"),
    DNS("c2.test"),
    URI("spiffe://c/1"),
    URI("spiffe://c/2"),
)
BARE = a_certificate([])
OURS = ("spiffe://s/1", "spiffe://s/2")


def rules(mode, **details):
    return CertificateRules(
        HttpConnectionManager(
            forward_client_cert_details=mode, set_current_client_cert_details=SetCurrentClientCertDetails(**details)
        )
    )


def told(der, *, ours=OURS, mode=Forward.SANITIZE_SET, **details):
    """What is told, with the hash as `Hash=<>` and the PEM as `Cert="<>"`."""
    text = rules(mode, **details).told(TlsInfo(peer_certificate=der, local_uris=ours)).decode()
    return re.sub('Cert="[^"]+"', 'Cert="<>"', re.sub("Hash=[0-9a-f]{64}", "Hash=<>", text))


def test_hash_and_our_own_names_are_always_told():
    assert told(NAMED) == "By=spiffe://s/1;By=spiffe://s/2;Hash=<>"
    assert told(NAMED, ours=()) == "Hash=<>"


def test_all_there_is():
    assert told(NAMED, ours=(), subject=True, cert=True, dns=True, uri=True) == (
        r'Hash=<>;Cert="<>";Subject="O=O\, Inc,CN=cli \"q\" \; x"'
        ";URI=spiffe://c/1;URI=spiffe://c/2;DNS=c1.test;DNS=c2.test"
    )


def test_the_issuer_comes_last():
    assert told(NAMED, ours=(), dns=True, issuer=True) == (
        r'Hash=<>;DNS=c1.test;DNS=c2.test;Issuer="O=O\, Inc,CN=cli \"q\" \; x"'
    )


def test_a_certificate_without_names():
    assert told(BARE, ours=(), subject=True, dns=True, uri=True) == 'Hash=<>;Subject="";URI='


def test_the_certificate_is_told_as_encoded_pem():
    text = rules(Forward.SANITIZE_SET, cert=True).told(TlsInfo(peer_certificate=BARE)).decode()

    assert 'Cert="-----BEGIN%20CERTIFICATE-----%0A' in text


@pytest.mark.parametrize(
    ("mode", "der"),
    [
        (Forward.SANITIZE_SET, None),
        (Forward.SANITIZE, NAMED),
        (Forward.FORWARD_ONLY, NAMED),
        (Forward.ALWAYS_FORWARD_ONLY, NAMED),
    ],
)
def test_nothing_to_tell(mode, der):
    assert told(der, mode=mode) == ""


@pytest.mark.parametrize(
    ("mode", "authenticated", "keeps"),
    [
        (Forward.SANITIZE, True, False),
        (Forward.FORWARD_ONLY, True, True),
        (Forward.FORWARD_ONLY, False, False),
        (Forward.APPEND_FORWARD, True, True),
        (Forward.APPEND_FORWARD, False, False),
        (Forward.SANITIZE_SET, True, True),
        (Forward.SANITIZE_SET, False, False),
        (Forward.ALWAYS_FORWARD_ONLY, False, True),
    ],
)
def test_what_the_client_says_stays(mode, authenticated, keeps):
    assert rules(mode).keeps(authenticated=authenticated) is keeps


@pytest.mark.parametrize(
    ("mode", "before", "after"),
    [
        (Forward.APPEND_FORWARD, [], [b"x"]),
        (Forward.APPEND_FORWARD, ["By=me", "By=you"], [b"By=me,By=you,x"]),
        (Forward.SANITIZE_SET, ["By=me", "By=you"], [b"x"]),
    ],
)
def test_it_is_told_behind_or_instead_of_what_others_said(mode, before, after):
    found = headers([(XFCC, value) for value in before])

    rules(mode).tell(found, b"x")

    assert found.get_all(XFCC) == after
