"""Certificates for cases that speak TLS, made once per run with trustme."""

import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import trustme

# Name of a certificate -> the names it is good for.
_NAMES = {
    "cert": ("localhost", "127.0.0.1", "service.test"),
    "wrong": ("elsewhere.test",),
    "client": ("client.test",),
}
# What Python offers in TLS 1.2 unless its packager chose otherwise; recordings must not depend on who built it.
_CIPHERS = "@SECLEVEL=2:ECDH+AESGCM:ECDH+CHACHA20:ECDH+AES:DHE+AES:!aNULL:!eNULL:!aDSS:!SHA1:!AESCCM"


class Certificates:
    """Files in a directory: ca.pem, other_ca.pem and <name>.pem / <name>.key for each certificate."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        authority = trustme.CA()
        authority.cert_pem.write_to_path(str(directory / "ca.pem"))
        trustme.CA().cert_pem.write_to_path(str(directory / "other_ca.pem"))
        for name, identities in _NAMES.items():
            leaf = authority.issue_cert(*identities)
            leaf.private_key_pem.write_to_path(str(directory / f"{name}.key"))
            for blob in leaf.cert_chain_pems[:1]:
                blob.write_to_path(str(directory / f"{name}.pem"))

    def placeholders(self) -> dict[str, str]:
        """`${ca}`, `${other_ca}`, `${cert}`, `${cert_key}`, `${client}`, ... as paths."""
        paths = {"ca": "ca.pem", "other_ca": "other_ca.pem"}
        for name in _NAMES:
            paths |= {name: f"{name}.pem", f"{name}_key": f"{name}.key"}
        return {name: str(self.directory / path) for name, path in paths.items()}

    def server(self, options: Mapping[str, Any]) -> ssl.SSLContext:
        """For a scripted upstream: {cert, alpn, client_ca}."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.set_ciphers(_CIPHERS)
        self._load(context, options.get("cert", "cert"))
        if options.get("client_ca"):
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(self.directory / "ca.pem")
        if options.get("alpn"):
            context.set_alpn_protocols(options["alpn"])
        return context

    def client(self, options: Mapping[str, Any]) -> ssl.SSLContext:
        """For the client of a case: {alpn, cert, version}; the server's certificate must be by our CA."""
        context = ssl.create_default_context(cafile=str(self.directory / "ca.pem"))
        context.set_ciphers(_CIPHERS)
        if options.get("cert"):
            self._load(context, options["cert"])
        if options.get("alpn"):
            context.set_alpn_protocols(options["alpn"])
        if options.get("version"):
            context.minimum_version = context.maximum_version = ssl.TLSVersion[options["version"]]
        return context

    def _load(self, context: ssl.SSLContext, name: str) -> None:
        context.load_cert_chain(self.directory / f"{name}.pem", self.directory / f"{name}.key")
