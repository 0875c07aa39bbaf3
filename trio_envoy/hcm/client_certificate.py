"""x-forwarded-client-cert: what a client said, and what we say, of the certificate of a client.

Source: HttpConnectionManager.forward_client_cert_details; Envoy, ConnectionManagerUtility::mutateXfccRequestHeader;
measured on 1.40.
"""

from __future__ import annotations

from typing import Final

from trio_envoy.config.hcm import ForwardClientCertDetails, HttpConnectionManager, SetCurrentClientCertDetails
from trio_envoy.formatter import certificates
from trio_envoy.http.headers import Headers
from trio_envoy.net.stream_info import TlsInfo

XFCC: Final = b"x-forwarded-client-cert"
_NOTHING: Final = SetCurrentClientCertDetails()
_MODES: Final = ForwardClientCertDetails


class CertificateRules:
    """The rules of one HTTP connection manager, compiled."""

    def __init__(self, config: HttpConnectionManager) -> None:
        self._mode = config.forward_client_cert_details
        self._tells = self._mode in {_MODES.APPEND_FORWARD, _MODES.SANITIZE_SET}
        self._details = config.set_current_client_cert_details or _NOTHING

    def keeps(self, *, authenticated: bool) -> bool:
        """Whether what the client says stays (until tell() replaces it).

        Args:
            authenticated: it has presented a certificate.
        """
        if self._mode is _MODES.ALWAYS_FORWARD_ONLY:
            return True
        return authenticated and self._mode is not _MODES.SANITIZE

    def told(self, tls: TlsInfo) -> bytes:
        """What we say of the client of this connection; b"": nothing."""
        der = tls.peer_certificate
        if der is None or not self._tells:
            return b""
        details = self._details
        parts = [f"By={uri}" for uri in tls.local_uris]
        parts.append(f"Hash={certificates.fingerprint_256(der)}")
        if details.cert:
            parts.append(f'Cert="{certificates.pem_escaped(der)}"')
        if details.subject:
            parts.append(f'Subject="{certificates.subject(der)}"')
        if details.uri:
            parts += [f"URI={uri}" for uri in certificates.uri_list(der) or ("",)]
        if details.dns:
            parts += [f"DNS={name}" for name in certificates.dns_list(der)]
        if details.issuer:
            parts.append(f'Issuer="{certificates.issuer(der)}"')
        return ";".join(parts).encode("latin-1", "replace")

    def tell(self, headers: Headers, told: bytes) -> None:
        """Say it: behind what others said, or instead of it."""
        if self._mode is _MODES.APPEND_FORWARD:
            headers.append(XFCC, told)
        else:
            headers.set(XFCC, told)
