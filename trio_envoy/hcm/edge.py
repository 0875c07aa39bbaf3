"""The edge: whom to believe, and what a request must look like before anything else sees it.

Trust, XFF, x-forwarded-proto, x-envoy-* control headers, x-request-id and via, in the order of Envoy's
ConnectionManagerUtility::mutateRequestHeaders. Sources: Envoy, configuration/http/http_conn_man/headers; measured.
"""

from __future__ import annotations

import ipaddress
from typing import Final

import attrs

from trio_envoy.config.hcm import HttpConnectionManager, InternalAddressConfig
from trio_envoy.hcm.request_id import request_ids
from trio_envoy.http.headers import Headers
from trio_envoy.http.message import Request
from trio_envoy.net.address import Address, IpAddress, PipeAddress
from trio_envoy.net.services import Services
from trio_envoy.net.stream_info import ConnectionInfo, StreamInfo

XFF: Final = b"x-forwarded-for"
XFP: Final = b"x-forwarded-proto"
REQUEST_ID: Final = b"x-request-id"

# Stripped from every request that is not internal (cleanInternalHeaders).
_CONTROL: Final = frozenset(
    {
        b"x-envoy-internal",
        b"x-envoy-retriable-status-codes",
        b"x-envoy-retriable-header-names",
        b"x-envoy-retry-on",
        b"x-envoy-retry-grpc-on",
        b"x-envoy-max-retries",
        b"x-envoy-upstream-alt-stat-name",
        b"x-envoy-upstream-rq-timeout-ms",
        b"x-envoy-upstream-rq-per-try-timeout-ms",
        b"x-envoy-upstream-rq-timeout-alt-response",
        b"x-envoy-expected-rq-timeout-ms",
        b"x-envoy-force-trace",
        b"x-envoy-ip-tags",
        b"x-envoy-original-url",
        b"x-envoy-hedge-on-per-try-timeout",
    }
)
# Stripped also, when this is the edge: use_remote_address and not internal.
_EDGE_CONTROL: Final = _CONTROL | {
    b"x-envoy-decorator-operation",
    b"x-envoy-downstream-service-cluster",
    b"x-envoy-downstream-service-node",
}


@attrs.frozen
class PeerFacts:
    """What the edge needs to know of a connection; made once when it is accepted.

    Attributes:
        address: the immediate peer.
        xff: what is appended to x-forwarded-for for it: its IP, or our own for a loopback or pipe peer.
        scheme: b"https" on TLS, else b"http".
        port: local port, for x-forwarded-port; b"" on a pipe.
        internal: the peer's address is in internal_address_config.
    """

    address: Address
    xff: bytes
    scheme: bytes
    port: bytes
    internal: bool


class Edge:
    """The edge rules of one HTTP connection manager, compiled."""

    def __init__(self, config: HttpConnectionManager, services: Services) -> None:
        self._own_ip = services.local_address.encode()
        self._use_remote = bool(config.use_remote_address)
        self._hops = config.xff_num_trusted_hops
        self._append_xff = self._use_remote and not config.skip_xff_append
        self._append_port = config.append_x_forwarded_port
        self._via = config.via.encode()
        self._internal = InternalAddresses(config.internal_address_config)
        self._generate_id = config.generate_request_id is not False
        self._preserve_id = config.preserve_external_request_id
        self._new_id = request_ids(services.random)
        self._user_agent = services.options.service_cluster.encode() if config.add_user_agent else b""
        self._node = services.options.service_node.encode()

    def facts(self, connection: ConnectionInfo) -> PeerFacts:
        """What stays the same for all requests of this connection."""
        peer = connection.remote
        loopback = isinstance(peer, PipeAddress) or ipaddress.ip_address(peer.host).is_loopback
        local = connection.local
        return PeerFacts(
            address=peer,
            xff=self._own_ip if loopback else _ip_text(peer).encode(),
            scheme=b"https" if connection.tls is not None else b"http",
            port=b"%d" % local.port if isinstance(local, IpAddress) else b"",
            internal=self._internal.contains(peer),
        )

    def apply(self, request: Request, info: StreamInfo, peer: PeerFacts) -> None:
        """Settle the client's address and whether it is internal; clean and complete the headers."""
        headers = request.headers
        if self._use_remote:
            client, internal = self._from_peer(headers, peer)
        else:
            client, internal = self._from_xff(headers, peer)
        proto = headers.first.get(XFP)
        if proto is None:
            headers.add(XFP, peer.scheme)
            proto = peer.scheme
        if self._append_port and peer.port and b"x-forwarded-port" not in headers.first:
            headers.add(b"x-forwarded-port", peer.port)
        if not request.scheme:
            request.scheme = proto if proto in {b"http", b"https"} else peer.scheme
        info.downstream_remote = client
        info.internal = internal
        edge = self._use_remote and not internal
        if internal:
            headers.set(b"x-envoy-internal", b"true")
        else:
            self._strip(headers, _EDGE_CONTROL if edge else _CONTROL)
        if self._user_agent:
            self._add_user_agent(headers)
        if self._via:
            before = headers.joined(b"via", b", ")
            headers.set(b"via", self._via if before is None else before + b", " + self._via)
        if edge and isinstance(client, IpAddress):
            headers.set(b"x-envoy-external-address", client.host.encode())
        if self._generate_id:
            present = headers.first.get(REQUEST_ID)
            if not present or (edge and not self._preserve_id):
                present = self._new_id()
                headers.set(REQUEST_ID, present)
            info.request_id = present
        else:
            info.request_id = headers.first.get(REQUEST_ID)

    def _from_peer(self, headers: Headers, peer: PeerFacts) -> tuple[Address, bool]:
        """use_remote_address: the peer is the client, unless trusted hops put the client into XFF."""
        present = headers.joined(XFF)
        client = None
        if self._hops and present is not None:
            client = _from_right(present, self._hops - 1)
        if self._append_xff:
            headers.set(XFF, peer.xff if present is None else present + b"," + peer.xff)
        if self._hops == 0 or XFP not in headers.first:
            headers.set(XFP, peer.scheme)
        if self._append_port and peer.port and (self._hops == 0 or b"x-forwarded-port" not in headers.first):
            headers.set(b"x-forwarded-port", peer.port)
        if client is not None:
            return client, present is None and self._internal.contains(client)
        return peer.address, present is None and peer.internal

    def _from_xff(self, headers: Headers, peer: PeerFacts) -> tuple[Address, bool]:
        """Not use_remote_address: who is in front of us has put the client into XFF."""
        if XFF not in headers.first:
            return peer.address, False
        present = headers.joined(XFF)
        assert present is not None, "the field was there a line ago"
        client = _from_right(present, self._hops)
        if client is None:
            return peer.address, False
        return client, self._hops == 0 and b"," not in present and self._internal.contains(client)

    @staticmethod
    def _strip(headers: Headers, names: frozenset[bytes]) -> None:
        if names.isdisjoint(headers.first):
            return
        for name in names.intersection(headers.first):
            headers.remove(name)

    def _add_user_agent(self, headers: Headers) -> None:
        headers.set(b"x-envoy-downstream-service-cluster", self._user_agent)
        if b"user-agent" not in headers.first:
            headers.add(b"user-agent", self._user_agent)
        if self._node:
            headers.set(b"x-envoy-downstream-service-node", self._node)


class InternalAddresses:
    """internal_address_config: which addresses are inside. Without one, none is (Envoy 1.33 and later)."""

    def __init__(self, config: InternalAddressConfig | None) -> None:
        self._pipes = config is not None and config.unix_sockets
        ranges = config.cidr_ranges if config is not None else ()
        self._networks = tuple(
            ipaddress.ip_network(f"{cidr.address_prefix}/{cidr.prefix_len or 0}", strict=False) for cidr in ranges
        )

    def contains(self, address: Address) -> bool:
        """Whether that address is inside."""
        if isinstance(address, PipeAddress):
            return self._pipes
        if not self._networks:
            return False
        ip = ipaddress.ip_address(address.host)
        return any(ip.version == network.version and ip in network for network in self._networks)


def _ip_text(address: Address) -> str:
    return address.host if isinstance(address, IpAddress) else ""


def _from_right(forwarded: bytes, skip: int) -> IpAddress | None:
    """The address `skip` entries from the right of x-forwarded-for; None if there is none or it is no address."""
    entries = forwarded.rsplit(b",", skip + 1)
    if len(entries) < skip + 1:
        return None
    entry = entries[-1 - skip].strip(b" \t").decode("latin-1")
    try:
        ip = ipaddress.ip_address(entry)
    except ValueError:
        return None
    return IpAddress(str(ip), 0)
