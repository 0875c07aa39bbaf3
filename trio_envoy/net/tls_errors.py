"""Why TLS failed, in the words of Envoy: `TLS_error:|268435581:SSL routines:OPENSSL_internal:...:TLS_error_end`.

Numbers and names are BoringSSL's (include/openssl/ssl.h): a library in the upper byte, a reason below it. OpenSSL,
which Python has, uses the same names for nearly all of them. Texts measured on 1.40.0.
"""

from __future__ import annotations

import os
import ssl
from typing import Final

_SSL: Final = 16 << 24  # ERR_LIB_SSL
_SYSTEM: Final = 2 << 24  # ERR_LIB_SYS

VERIFY_FAILED: Final = "CERTIFICATE_VERIFY_FAILED"
NO_CERTIFICATE: Final = "PEER_DID_NOT_RETURN_A_CERTIFICATE"

_REASONS: Final = {
    "BAD_PACKET_LENGTH": 112,
    "BAD_SIGNATURE": 114,
    VERIFY_FAILED: 125,
    "CLIENTHELLO_TLSEXT": 132,
    "DECODE_ERROR": 137,
    "DECRYPTION_FAILED": 138,
    "DECRYPTION_FAILED_OR_BAD_RECORD_MAC": 139,
    "DIGEST_CHECK_FAILED": 142,
    "ENCRYPTED_LENGTH_TOO_LONG": 146,
    "EXCESSIVE_MESSAGE_SIZE": 150,
    "HTTPS_PROXY_REQUEST": 155,
    "HTTP_REQUEST": 156,
    "INAPPROPRIATE_FALLBACK": 157,
    "LENGTH_MISMATCH": 162,
    "NO_CERTIFICATE_SET": 174,
    "NO_RENEGOTIATION": 182,
    "NO_SHARED_CIPHER": 184,
    NO_CERTIFICATE: 192,
    "RECORD_TOO_LARGE": 200,
    "UNEXPECTED_MESSAGE": 223,
    "UNEXPECTED_RECORD": 225,
    "UNKNOWN_CIPHER_RETURNED": 229,
    "UNKNOWN_PROTOCOL": 233,
    "UNSAFE_LEGACY_RENEGOTIATION_DISABLED": 236,
    "UNSUPPORTED_PROTOCOL": 240,
    "WRONG_CIPHER_RETURNED": 242,
    "WRONG_CURVE": 243,
    "WRONG_SIGNATURE_TYPE": 245,
    "WRONG_SSL_VERSION": 246,
    "WRONG_VERSION_NUMBER": 247,
    "NO_COMMON_SIGNATURE_ALGORITHMS": 253,
    "NO_SHARED_GROUP": 266,
    "NO_APPLICATION_PROTOCOL": 307,
    "SSLV3_ALERT_CLOSE_NOTIFY": 1000,
    "SSLV3_ALERT_UNEXPECTED_MESSAGE": 1010,
    "SSLV3_ALERT_BAD_RECORD_MAC": 1020,
    "TLSV1_ALERT_DECRYPTION_FAILED": 1021,
    "TLSV1_ALERT_RECORD_OVERFLOW": 1022,
    "SSLV3_ALERT_DECOMPRESSION_FAILURE": 1030,
    "SSLV3_ALERT_HANDSHAKE_FAILURE": 1040,
    "SSLV3_ALERT_NO_CERTIFICATE": 1041,
    "SSLV3_ALERT_BAD_CERTIFICATE": 1042,
    "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE": 1043,
    "SSLV3_ALERT_CERTIFICATE_REVOKED": 1044,
    "SSLV3_ALERT_CERTIFICATE_EXPIRED": 1045,
    "SSLV3_ALERT_CERTIFICATE_UNKNOWN": 1046,
    "SSLV3_ALERT_ILLEGAL_PARAMETER": 1047,
    "TLSV1_ALERT_UNKNOWN_CA": 1048,
    "TLSV1_ALERT_ACCESS_DENIED": 1049,
    "TLSV1_ALERT_DECODE_ERROR": 1050,
    "TLSV1_ALERT_DECRYPT_ERROR": 1051,
    "TLSV1_ALERT_EXPORT_RESTRICTION": 1060,
    "TLSV1_ALERT_PROTOCOL_VERSION": 1070,
    "TLSV1_ALERT_INSUFFICIENT_SECURITY": 1071,
    "TLSV1_ALERT_INTERNAL_ERROR": 1080,
    "TLSV1_ALERT_INAPPROPRIATE_FALLBACK": 1086,
    "TLSV1_ALERT_USER_CANCELLED": 1090,
    "TLSV1_ALERT_NO_RENEGOTIATION": 1100,
    "TLSV1_ALERT_UNSUPPORTED_EXTENSION": 1110,
    "TLSV1_ALERT_CERTIFICATE_UNOBTAINABLE": 1111,
    "TLSV1_ALERT_UNRECOGNIZED_NAME": 1112,
    "TLSV1_ALERT_BAD_CERTIFICATE_STATUS_RESPONSE": 1113,
    "TLSV1_ALERT_BAD_CERTIFICATE_HASH_VALUE": 1114,
    "TLSV1_ALERT_UNKNOWN_PSK_IDENTITY": 1115,
    "TLSV1_ALERT_CERTIFICATE_REQUIRED": 1116,
    "TLSV1_ALERT_NO_APPLICATION_PROTOCOL": 1120,
}
_OTHER_NAMES: Final = {  # OpenSSL 3 -> BoringSSL
    "NO_SUITABLE_SIGNATURE_ALGORITHM": "NO_COMMON_SIGNATURE_ALGORITHMS",
    "NO_SUITABLE_KEY_SHARE": "NO_SHARED_GROUP",
    "NO_SUITABLE_GROUPS": "NO_SHARED_GROUP",
    "TLSV1_UNRECOGNIZED_NAME": "TLSV1_ALERT_UNRECOGNIZED_NAME",
    "TLSV1_UNSUPPORTED_EXTENSION": "TLSV1_ALERT_UNSUPPORTED_EXTENSION",
    "TLSV1_CERTIFICATE_UNOBTAINABLE": "TLSV1_ALERT_CERTIFICATE_UNOBTAINABLE",
    "TLSV1_BAD_CERTIFICATE_STATUS_RESPONSE": "TLSV1_ALERT_BAD_CERTIFICATE_STATUS_RESPONSE",
    "TLSV1_BAD_CERTIFICATE_HASH_VALUE": "TLSV1_ALERT_BAD_CERTIFICATE_HASH_VALUE",
}
_DETAILS: Final = {NO_CERTIFICATE: ":peer did not provide required client certificate"}


def reason_of(error: OSError) -> str:
    """BoringSSL's name of what went wrong, "" when it wasn't TLS."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return VERIFY_FAILED
    if not isinstance(error, ssl.SSLError) or isinstance(error, ssl.SSLEOFError):
        return ""
    name = (getattr(error, "reason", "") or "").replace(" ", "_").replace("TLSV13_", "TLSV1_").upper()
    return _OTHER_NAMES.get(name, name)


def failure_text(error: OSError) -> str:
    """The failure as %UPSTREAM_TRANSPORT_FAILURE_REASON% tells it; "" when the peer just closed."""
    reason = reason_of(error)
    if isinstance(error, ssl.SSLCertVerificationError):
        detail = f"X509_verify_cert: certificate verification error at depth 0: {error.verify_message}"
        return _text(_SSL | _REASONS[reason], "SSL routines", f"{reason}:verify cert failed: {detail}")
    if reason:
        return _text(_SSL | _REASONS.get(reason, 0), "SSL routines", reason + _DETAILS.get(reason, ""))
    if isinstance(error, ssl.SSLError) or not error.errno:
        return ""
    return _text(_SYSTEM | error.errno, "system library", os.strerror(error.errno))


def wrong_names_text(wrong: str) -> str:
    """The certificate is good, but its names are not those that were asked for: in which way."""
    return _text(_SSL | _REASONS[VERIFY_FAILED], "SSL routines", f"{VERIFY_FAILED}:verify cert failed: {wrong}")


def _text(number: int, library: str, reason: str) -> str:
    return f"TLS_error:|{number}:{library}:OPENSSL_internal:{reason}:TLS_error_end"
