"""What is known about a connection and about one stream: the source of access logs and header operators.

Rare attributes have class-level defaults, so that making one costs only what differs.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import nan
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from trio_envoy.net.address import Address

# Response flags: (short, long). Envoy prints them in the order in which they came; so those that come before others
# stand first: a delay, a retry that was not allowed any more.
_FLAGS: Final = (
    ("DI", "DelayInjected"),
    ("URX", "UpstreamRetryLimitExceeded"),
    ("UO", "UpstreamOverflow"),
    ("LH", "FailedLocalHealthCheck"),
    ("UH", "NoHealthyUpstream"),
    ("UT", "UpstreamRequestTimeout"),
    ("LR", "LocalReset"),
    ("UR", "UpstreamRemoteReset"),
    ("UF", "UpstreamConnectionFailure"),
    ("UC", "UpstreamConnectionTermination"),
    ("NR", "NoRouteFound"),
    ("FI", "FaultInjected"),
    ("RL", "RateLimited"),
    ("UAEX", "UnauthorizedExternalService"),
    ("RLSE", "RateLimitServiceError"),
    ("DC", "DownstreamConnectionTermination"),
    ("SI", "StreamIdleTimeout"),
    ("IH", "InvalidEnvoyRequestHeaders"),
    ("DPE", "DownstreamProtocolError"),
    ("UMSDR", "UpstreamMaxStreamDurationReached"),
    ("RFCF", "ResponseFromCacheFilter"),
    ("NFCF", "NoFilterConfigFound"),
    ("DT", "DurationTimeout"),
    ("UPE", "UpstreamProtocolError"),
    ("NC", "NoClusterFound"),
    ("OM", "OverloadManagerTerminated"),
    ("DF", "DnsResolutionFailed"),
    ("DO", "DropOverload"),
    ("DR", "DownstreamRemoteReset"),
    ("UDO", "UnconditionalDropOverload"),
)
_BIT: Final = {short: 1 << i for i, (short, _) in enumerate(_FLAGS)}
UH: Final = _BIT["UH"]
UT: Final = _BIT["UT"]
LR: Final = _BIT["LR"]
UR: Final = _BIT["UR"]
UF: Final = _BIT["UF"]
UC: Final = _BIT["UC"]
UO: Final = _BIT["UO"]
NR: Final = _BIT["NR"]
DC: Final = _BIT["DC"]
URX: Final = _BIT["URX"]
SI: Final = _BIT["SI"]
IH: Final = _BIT["IH"]
DPE: Final = _BIT["DPE"]
UMSDR: Final = _BIT["UMSDR"]
DT: Final = _BIT["DT"]
UPE: Final = _BIT["UPE"]
NC: Final = _BIT["NC"]
DR: Final = _BIT["DR"]
LH: Final = _BIT["LH"]


def flag(short: str) -> int:
    """The bit of a flag by its short name."""
    return _BIT[short]


def flags_short(flags: int) -> str:
    """%RESPONSE_FLAGS%: short names joined by a comma, "-" for none."""
    return _render(flags, 0)


def flags_long(flags: int) -> str:
    """%RESPONSE_FLAGS_LONG%."""
    return _render(flags, 1)


def _render(flags: int, column: int) -> str:
    if not flags:
        return "-"
    return ",".join(names[column] for i, names in enumerate(_FLAGS) if flags >> i & 1)


class TlsInfo:
    """What a finished handshake told; strings as Envoy prints them."""

    __slots__ = ("alpn", "cipher", "local_uris", "peer_certificate", "session_id", "sni", "version")

    def __init__(
        self,
        *,
        version: str = "",
        cipher: str = "",
        sni: str = "",
        alpn: str = "",
        session_id: str = "",
        peer_certificate: bytes | None = None,
        local_uris: tuple[str, ...] = (),
    ) -> None:
        self.version = version
        self.cipher = cipher
        self.sni = sni
        self.alpn = alpn
        self.session_id = session_id
        self.peer_certificate = peer_certificate  # DER
        self.local_uris = local_uris  # alternative names of our certificate


class ConnectionInfo:
    """One connection, downstream or upstream.

    Attributes:
        id: counts up per process.
        local, remote: addresses; `remote` may be moved by PROXY protocol, `direct_remote` never.
        server_name: SNI as a listener filter found it, "" when none did; tls.sni is what the handshake told.
        filter_chain: name of the filter chain; listener: name of the listener.
        bytes_received, bytes_sent: counted by the channel, above TLS.
        flags: response flags of the connection itself, for the log of the listener.
        transport_failure: why the transport socket failed, as Envoy words it.
        connect_start, connect_end: trio times (upstream): connecting began, hands were shaken; nan when unknown.
    """

    tls: TlsInfo | None = None
    server_name: str = ""
    filter_chain: str = ""
    listener: str = ""
    direction: str = "UNSPECIFIED"
    bytes_received: int = 0
    bytes_sent: int = 0
    flags: int = 0
    transport_failure: str = ""
    termination_details: str = ""
    connect_start: float = nan
    connect_end: float = nan

    def __init__(self, connection_id: int, local: Address, remote: Address) -> None:
        self.id = connection_id
        self.local = local
        self.remote = remote
        self.direct_remote = remote


class StreamInfo:
    """One stream (an HTTP exchange, or a TCP session).

    Times are trio times in seconds, nan where the point was not reached; `start_wall` is wall clock.
    Byte counts: *_bytes are payload, *_header_bytes decoded header bytes, wire_* what the sockets moved for it.
    What every request sets has a slot; the rest has a default in the class.
    """

    __slots__ = (
        "__dict__",
        "bytes_received",
        "bytes_sent",
        "connection",
        "details",
        "downstream_remote",
        "end",
        "flags",
        "header_bytes_received",
        "header_bytes_sent",
        "health_check",
        "hosts_attempted",
        "internal",
        "original_path",
        "protocol",
        "request_end",
        "request_id",
        "response_start",
        "route_name",
        "start",
        "start_wall",
        "status",
        "upstream_attempts",
        "upstream_cluster",
        "upstream_connection",
        "upstream_first_byte_received",
        "upstream_first_byte_sent",
        "upstream_header_bytes_received",
        "upstream_header_bytes_sent",
        "upstream_host",
        "upstream_last_byte_received",
        "upstream_last_byte_sent",
        "upstream_protocol",
        "upstream_transport_failure",
        "upstream_wire_bytes_received",
        "upstream_wire_bytes_sent",
        "virtual_host",
        "wire_bytes_received",
        "wire_bytes_sent",
    )

    random: int | None = None  # 64 bits, drawn when a route first needs them: runtime fractions, weighted clusters
    upstream_connect_start: float = nan
    upstream_connect_end: float = nan
    termination_details: str = ""
    log_type: bytes | None = None  # %ACCESS_LOG_TYPE% while an entry is written before the end
    local_reply_body: bytes = b""
    route_resolution_us: int = 0  # what it took to find the route, where that is measured
    metadata: dict[str, dict[str, Any]] | None = None
    response_trailers: Any = None

    def __init__(self, start: float, start_wall: float, connection: ConnectionInfo) -> None:
        self.start = start
        self.start_wall = start_wall
        self.connection = connection
        self.internal = False
        self.health_check = False  # answered by or passed through the health_check filter: not_health_check_filter
        self.original_path: bytes | None = None
        self.request_id: bytes | None = None
        self.downstream_remote: Address | None = None  # the trusted client (XFF); None: the connection's
        self.upstream_host: Any = None  # upstream.host.Host (a floor above)
        self.hosts_attempted: Sequence[Any] = ()
        self.upstream_connection: ConnectionInfo | None = None
        self.status = self.flags = self.upstream_attempts = 0  # status 0: no response was sent
        self.protocol = ""  # "HTTP/1.1", "HTTP/2", "HTTP/1.0"
        self.details = self.route_name = self.virtual_host = ""
        self.upstream_cluster = self.upstream_protocol = self.upstream_transport_failure = ""
        self.bytes_received = self.bytes_sent = 0
        self.header_bytes_received = self.header_bytes_sent = 0
        self.wire_bytes_received = self.wire_bytes_sent = 0
        self.upstream_wire_bytes_received = self.upstream_wire_bytes_sent = 0
        self.upstream_header_bytes_received = self.upstream_header_bytes_sent = 0
        self.request_end = nan  # last byte of the request received
        self.response_start = nan  # first byte of the response sent downstream
        self.end = nan  # stream complete
        self.upstream_first_byte_sent = self.upstream_last_byte_sent = nan
        self.upstream_first_byte_received = self.upstream_last_byte_received = nan
