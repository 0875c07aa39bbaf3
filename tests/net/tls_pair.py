"""A server's and a client's TLS channel of ours, over a pair of sockets."""

from __future__ import annotations

import ssl

import trio
import trustme

from tests.fakes import socket_channel, tcp_pair
from trio_envoy.net.tls import note_server_name, wrap
from trio_envoy.net.tls_counts import TlsCounts
from trio_envoy.stats.declare import Kind
from trio_envoy.stats.store import Store

AUTHORITY = trustme.CA()
LEAF = AUTHORITY.issue_cert("a.test", "127.0.0.1", "::1", "me@a.test")
CLIENT = AUTHORITY.issue_cert("client.test")


def server_context(version=None, **options) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    LEAF.configure_cert(context)
    context.sni_callback = note_server_name
    return _configured(context, version, **options)


def client_context(version=None, **options) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    AUTHORITY.configure_trust(context)
    return _configured(context, version, **options)


def _configured(context, version, *, alpn=(), ask=False, cert=None):
    context.options |= ssl.OP_IGNORE_UNEXPECTED_EOF  # as net.tls_context sets it
    if version is not None:
        context.minimum_version = context.maximum_version = version
    if alpn:
        context.set_alpn_protocols(alpn)
    if ask:
        context.verify_mode = ssl.CERT_REQUIRED
        AUTHORITY.configure_trust(context)
    if cert is not None:
        cert.configure_cert(context)
    return context


VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]


class Pair:
    """A server and a client of ours, not shaken hands yet; `store` has the server's stats under s., the client's c."""

    def __init__(self, poller, server, client, *, pair=tcp_pair, server_name="a.test", session=None):
        left, right = pair()
        self.store = Store()
        self.counts = TlsCounts(self.store.scope("s.")), TlsCounts(self.store.scope("c."))
        self.server = wrap(socket_channel(left, poller), server, self.counts[0])
        self.client = wrap(
            socket_channel(right, poller), client, self.counts[1], server_name=server_name, session=session
        )

    async def shake(self):
        async with trio.open_nursery() as both:
            both.start_soon(self.server.shake_hands)
            both.start_soon(self.client.shake_hands)
        return self.server, self.client

    def counters(self, prefix="s."):
        found = {}
        for batch in self.store.select([Kind.COUNTER], used_only=True):
            found |= {name.removeprefix(f"{prefix}ssl."): value for name, value in batch if name.startswith(prefix)}
        return found
