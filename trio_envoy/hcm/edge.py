"""The edge: whom to believe, and what a request must look like before anything else sees it.

Trust, XFF, x-forwarded-proto, x-envoy-* control headers, x-request-id and via, in the order of Envoy's
ConnectionManagerUtility::mutateRequestHeaders. Sources: Envoy, configuration/http/http_conn_man/headers; measured.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import attrs

from trio_envoy.config.hcm import HttpConnectionManager, InternalAddressConfig
from trio_envoy.hcm.client_address import XFF, detectors, from_right
from trio_envoy.hcm.client_certificate import XFCC, CertificateRules
from trio_envoy.hcm.early_mutation import early_mutations
from trio_envoy.hcm.referer import is_valid_referer
from trio_envoy.hcm.request_id import new_ids
from trio_envoy.http.headers import Headers
from trio_envoy.http.message import LocalReply, Request
from trio_envoy.net.address import Address, IpAddress, PipeAddress
from trio_envoy.net.cidr import in_any, parse_cidr
from trio_envoy.net.services import Services
from trio_envoy.net.stream_info import ConnectionInfo, StreamInfo

XFP: Final = b"x-forwarded-proto"
REQUEST_ID: Final = b"x-request-id"
_REFERER: Final = b"referer"
_LOOPBACK: Final = frozenset({"127.0.0.1", "::1"})  # for Envoy the rest of 127.0.0.0/8 is no loopback (measured)
_INTERNAL: Final = b"x-envoy-internal"

# Stripped from every request that is not internal (cleanInternalHeaders).
_CONTROL: Final = frozenset(
    {
        _INTERNAL,
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
    b"x-envoy-original-path",
    b"x-envoy-original-host",
}
_LOOKED_AT: Final = frozenset({XFCC, _REFERER})  # taken away from any request when they are not as they should be


@attrs.frozen
class PeerFacts:
    """What the edge needs to know of a connection; made once when it is accepted.

    Attributes:
        address: the immediate peer.
        xff: what is appended to x-forwarded-for for it: its IP, or our own for a loopback peer; b"" for a pipe.
        scheme: b"https" on TLS, else b"http".
        port: local port, for x-forwarded-port; b"" on a pipe.
        internal: the peer's address is in internal_address_config.
        authenticated: it presented a client certificate.
        certificate: what is told of that in x-forwarded-client-cert; b"": nothing.
    """

    address: Address
    xff: bytes
    scheme: bytes
    port: bytes
    internal: bool
    authenticated: bool
    certificate: bytes


class Edge:
    """The edge rules of one HTTP connection manager, compiled."""

    def __init__(
        self, config: HttpConnectionManager, services: Services, internal_only_headers: Iterable[bytes] = ()
    ) -> None:
        """Compile.

        Args:
            config: of the HCM.
            services: of the process.
            internal_only_headers: of the route table: taken from external requests too.

        Raises:
            ConfigError: an internal address range that is none, an extension that isn't known or at fault.
        """
        self._own_ip = services.local_address.encode()
        self._use_remote = bool(config.use_remote_address)
        self._hops = config.xff_num_trusted_hops
        self._append_xff = self._use_remote and not config.skip_xff_append
        self._detectors = detectors(config, services)
        self._early = early_mutations(config.early_header_mutation_extensions, services)
        scheme = config.scheme_header_transformation
        self._scheme = (scheme.scheme_to_overwrite or "").encode() if scheme is not None else b""
        self._append_port = config.append_x_forwarded_port
        self._via = config.via.encode()
        self._internal = InternalAddresses(config.internal_address_config)
        self._generate_id = config.generate_request_id is not False
        self._preserve_id = config.preserve_external_request_id
        self._new_id = new_ids(config.request_id_extension, services)
        self._add_agent = bool(config.add_user_agent)
        self._user_agent = services.options.service_cluster.encode()
        self._node = services.options.service_node.encode()
        self._certificates = CertificateRules(config)
        external = _CONTROL.union(internal_only_headers)
        self._strip_inside = _LOOKED_AT | {_INTERNAL}
        self._strip_outside = external | _LOOKED_AT
        self._strip_edge = external | _EDGE_CONTROL | _LOOKED_AT

    def facts(self, connection: ConnectionInfo) -> PeerFacts:
        """What stays the same for all requests of this connection."""
        peer = connection.remote
        loopback = isinstance(peer, IpAddress) and peer.host in _LOOPBACK
        local, tls = connection.local, connection.tls
        return PeerFacts(
            address=peer,
            xff=self._own_ip if loopback else _ip_text(peer).encode(),
            scheme=b"https" if tls is not None else b"http",
            port=b"%d" % local.port if isinstance(local, IpAddress) else b"",
            internal=self._internal.contains(peer),
            authenticated=tls is not None and tls.peer_certificate is not None,
            certificate=self._certificates.told(tls) if tls is not None else b"",
        )

    def apply(self, request: Request, info: StreamInfo, peer: PeerFacts) -> LocalReply | None:
        """Settle the client's address and whether it is internal; clean and complete the headers.

        Returns:
            An answer for a request whose client could not be told, where that is asked for; None for all others.
        """
        for mutation in self._early:
            mutation.mutate(request, info)
        headers = request.headers
        first = headers.first
        client, internal = peer.address, False
        if self._use_remote:
            client, internal = self._from_peer(headers, peer)
        elif self._detectors:
            found = self._detect(headers, peer)
            if isinstance(found, LocalReply):
                return found
            client, internal = found
        elif XFF in first:
            client, internal = self._from_xff(headers, peer)
        proto = first.get(XFP)
        if proto is None:
            proto = peer.scheme
            headers.set(XFP, proto)
        if self._append_port and peer.port and b"x-forwarded-port" not in first:
            headers.add(b"x-forwarded-port", peer.port)
        if self._scheme:
            request.scheme = self._scheme
            headers.set(XFP, self._scheme)
        elif not request.scheme:
            request.scheme = proto if proto in {b"http", b"https"} else peer.scheme
        info.downstream_remote = client
        info.internal = internal
        edge = self._use_remote and not internal
        strip = self._strip_inside if internal else self._strip_edge if edge else self._strip_outside
        if not strip.isdisjoint(first):
            self._clean(headers, strip, peer)
        if internal:
            headers.add(_INTERNAL, b"true")
        if self._add_agent:
            self._add_user_agent(headers)
        if self._via:
            headers.append(b"via", self._via, b", ")
        if edge and isinstance(client, IpAddress):
            headers.set(b"x-envoy-external-address", client.host.encode())
        if self._generate_id:
            present = first.get(REQUEST_ID)
            if not present or (edge and not self._preserve_id):
                make = self._new_id  # called as a method it would be looked up in the class first
                present = make()
                headers.set(REQUEST_ID, present)
            info.request_id = present
        else:
            info.request_id = headers.first.get(REQUEST_ID)
        if peer.certificate:
            self._certificates.tell(headers, peer.certificate)
        return None

    def _from_peer(self, headers: Headers, peer: PeerFacts) -> tuple[Address, bool]:
        """use_remote_address: the peer is the client, unless trusted hops put the client into XFF."""
        present = headers.joined(XFF)
        client = None
        if self._hops and present is not None:
            client = from_right(present, self._hops - 1)
        if self._append_xff and peer.xff:
            headers.append(XFF, peer.xff)
        if self._hops == 0 or XFP not in headers.first:
            headers.set(XFP, peer.scheme)
        if self._append_port and peer.port and (self._hops == 0 or b"x-forwarded-port" not in headers.first):
            headers.set(b"x-forwarded-port", peer.port)
        if client is not None:
            return client, False  # who comes through another proxy is not inside
        return peer.address, present is None and peer.internal

    def _from_xff(self, headers: Headers, peer: PeerFacts) -> tuple[Address, bool]:
        """Not use_remote_address: who is in front of us has put the client into XFF."""
        present = headers.joined(XFF)
        assert present is not None, "the caller has seen it"
        client = from_right(present, self._hops)
        if client is None:
            return peer.address, False
        return client, self._hops == 0 and b"," not in present and self._internal.contains(client)

    def _detect(self, headers: Headers, peer: PeerFacts) -> tuple[Address, bool] | LocalReply:
        """original_ip_detection_extensions: the first that finds an address, or refuses the request."""
        for detector in self._detectors:
            found = detector.detect(headers, peer.address)
            if isinstance(found, LocalReply):
                return found
            if found.append and peer.xff:
                headers.append(XFF, peer.xff)
            if found.address is not None:
                return found.address, found.internal and self._internal.contains(found.address)
        return peer.address, False

    def _clean(self, headers: Headers, strip: frozenset[bytes], peer: PeerFacts) -> None:
        """Take away what the client may not say; the few that may stay are looked at."""
        for name in strip.intersection(headers.first):
            if name == _REFERER:
                value = headers.joined(_REFERER) or b""
                keep = is_valid_referer(value)
                if keep and value != headers.first[_REFERER]:
                    headers.set(_REFERER, value)
            else:
                keep = name == XFCC and self._certificates.keeps(authenticated=peer.authenticated)
            if not keep:
                headers.remove(name)

    def _add_user_agent(self, headers: Headers) -> None:
        headers.set(b"x-envoy-downstream-service-cluster", self._user_agent)
        if not headers.first.get(b"user-agent"):
            headers.set(b"user-agent", self._user_agent)
        if self._node:
            headers.set(b"x-envoy-downstream-service-node", self._node)


class InternalAddresses:
    """internal_address_config: which addresses are inside. Without one, none is (Envoy 1.33 and later)."""

    def __init__(self, config: InternalAddressConfig | None) -> None:
        self._pipes = config is not None and config.unix_sockets
        ranges = config.cidr_ranges if config is not None else ()
        self._ranges = tuple(parse_cidr(cidr) for cidr in ranges)

    def contains(self, address: Address) -> bool:
        """Whether that address is inside."""
        if isinstance(address, PipeAddress):
            return self._pipes
        return bool(self._ranges) and in_any(self._ranges, address.host)


def _ip_text(address: Address) -> str:
    return address.host if isinstance(address, IpAddress) else ""
