"""A certificate for localhost, and who trusts it."""

import ssl
from pathlib import Path

import trustme


class Certificates:
    """Made anew each time.

    Attributes:
        key, chain: PEM files.
        authority: PEM of who signed it.
    """

    def __init__(self, directory: Path) -> None:
        self._authority = trustme.CA()
        self._leaf = self._authority.issue_cert("localhost", "127.0.0.1")
        self.authority = self._authority.cert_pem.bytes()
        self.key = directory / "key.pem"
        self.chain = directory / "chain.pem"
        self._leaf.private_key_pem.write_to_path(str(self.key))
        self.chain.write_bytes(b"".join(blob.bytes() for blob in self._leaf.cert_chain_pems))

    @property
    def pair(self) -> tuple[bytes, bytes]:
        """(private key, chain) in PEM."""
        return self.key.read_bytes(), self.chain.read_bytes()

    def server(self) -> ssl.SSLContext:
        """Serves with it."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._leaf.configure_cert(context)
        return context

    def client(self) -> ssl.SSLContext:
        """Trusts it."""
        context = ssl.create_default_context()
        self._authority.configure_trust(context)
        return context
