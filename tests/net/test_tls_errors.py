from __future__ import annotations

import errno
import ssl

import pytest

from trio_envoy.net.tls_errors import failure_text, reason_of, wrong_names_text


def ssl_error(reason, cls=ssl.SSLError):
    error = cls(1, f"[SSL: {reason}] text")
    error.reason = reason
    return error


def verify_error(message):
    error = ssl_error("CERTIFICATE_VERIFY_FAILED", ssl.SSLCertVerificationError)
    error.verify_message = message
    return error


# Recorded from Envoy 1.40.0, with the blanks that access logs make underscores of.
RECORDED = [
    (ssl_error("TLSV1_ALERT_PROTOCOL_VERSION"), "268436526:SSL routines:OPENSSL_internal:TLSV1_ALERT_PROTOCOL_VERSION"),
    (ssl_error("TLSV1_ALERT_UNKNOWN_CA"), "268436504:SSL routines:OPENSSL_internal:TLSV1_ALERT_UNKNOWN_CA"),
    (ssl_error("WRONG_VERSION_NUMBER"), "268435703:SSL routines:OPENSSL_internal:WRONG_VERSION_NUMBER"),
    (ssl_error("UNSUPPORTED_PROTOCOL"), "268435696:SSL routines:OPENSSL_internal:UNSUPPORTED_PROTOCOL"),
    (ssl_error("HTTP_REQUEST"), "268435612:SSL routines:OPENSSL_internal:HTTP_REQUEST"),
    (
        ssl_error("PEER_DID_NOT_RETURN_A_CERTIFICATE"),
        "268435648:SSL routines:OPENSSL_internal:PEER_DID_NOT_RETURN_A_CERTIFICATE:"
        "peer did not provide required client certificate",
    ),
    (
        verify_error("certificate has expired"),
        "268435581:SSL routines:OPENSSL_internal:CERTIFICATE_VERIFY_FAILED:verify cert failed: X509_verify_cert: "
        "certificate verification error at depth 0: certificate has expired",
    ),
    (
        OSError(errno.ECONNRESET, "x"),
        "33554536:system library:OPENSSL_internal:Connection reset by peer",
    ),
]


@pytest.mark.parametrize(("error", "text"), RECORDED)
def test_texts_are_envoys(error, text):
    assert failure_text(error) == f"TLS_error:|{text}:TLS_error_end"


def test_wrong_names():
    assert wrong_names_text("SAN matcher, certificate SANs are [localhost, service.test]") == (
        "TLS_error:|268435581:SSL routines:OPENSSL_internal:CERTIFICATE_VERIFY_FAILED:verify cert failed: SAN matcher, "
        "certificate SANs are [localhost, service.test]:TLS_error_end"
    )


@pytest.mark.parametrize(
    ("reason", "name"),
    [
        ("TLSV13_ALERT_CERTIFICATE_REQUIRED", "TLSV1_ALERT_CERTIFICATE_REQUIRED"),
        ("TLSV1_UNRECOGNIZED_NAME", "TLSV1_ALERT_UNRECOGNIZED_NAME"),
        ("sslv3 alert handshake failure", "SSLV3_ALERT_HANDSHAKE_FAILURE"),
        ("SOMETHING_NEW", "SOMETHING_NEW"),
        (None, ""),
    ],
)
def test_openssls_names_become_boringssls(reason, name):
    assert reason_of(ssl_error(reason)) == name


def test_an_unknown_reason_still_has_its_library():
    assert failure_text(ssl_error("SOMETHING_NEW")) == (
        "TLS_error:|268435456:SSL routines:OPENSSL_internal:SOMETHING_NEW:TLS_error_end"
    )


@pytest.mark.parametrize("error", [ssl_error("UNEXPECTED_EOF", ssl.SSLEOFError), OSError("closed")])
def test_a_peer_that_just_closes_has_no_text(error):
    assert failure_text(error) == ""
