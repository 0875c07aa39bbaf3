"""The configuration that Envoy and ours are both given."""

import json
from collections.abc import Sequence
from pathlib import Path

import attrs
import trustme

_EXTENSIONS = "type.googleapis.com/envoy.extensions"
_HTTP_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"

_TYPE = "@type"

Json = dict[str, object]


@attrs.frozen
class Front:
    """What a proxy has to do.

    Attributes:
        origin: port of the origin on 127.0.0.1.
        port: where it listens on 127.0.0.1; 0: where it likes.
        tls: it has a certificate.
        origin_h2: it speaks HTTP/2 (prior knowledge) to the origin.
        upgrade: it lets WebSockets through.
        workers: its --concurrency.
        routes: prefix routes on the last virtual host; the last one takes all paths.
        domains: virtual hosts; of more than one each has a domain, host0.example.com and so on.
        clusters: clusters; the last one is routed to.
    """

    origin: int
    port: int = 0
    tls: bool = False
    origin_h2: bool = False
    upgrade: bool = False
    workers: int = 1
    routes: int = 3
    domains: int = 1
    clusters: int = 1


def write(place: Path, front: Front) -> Path:
    """Write the file, and with `tls` certificate and key, into that place."""
    chain: Json = {"filters": [_manager(place, front)]}
    if front.tls:
        chain |= {"transport_socket": _transport_socket(place)}
    clusters = [_cluster(f"cluster_{number}", front.origin) for number in range(front.clusters - 1)]
    configuration = {
        "admin": {"address": _address(0)},
        "static_resources": {
            "listeners": [{"name": "ingress", "address": _address(front.port), "filter_chains": [chain]}],
            "clusters": [*clusters, _cluster("origin", front.origin, h2=front.origin_h2)],
        },
    }
    path = place / "proxy.json"
    path.write_text(json.dumps(configuration))
    return path


def _manager(place: Path, front: Front) -> Json:
    """HTTP connection manager, router, access log of the default format to a file."""
    others = [
        {"name": f"host_{number}", "domains": [f"host{number}.example.com"], "routes": [_route("/")]}
        for number in range(front.domains - 1)
    ]
    domain = f"host{front.domains - 1}.example.com" if front.domains > 1 else "*"
    paths = [*(f"/service/{number}/" for number in range(front.routes - 1)), "/"]
    host = {"name": "local", "domains": [domain], "routes": [_route(path) for path in paths]}
    manager = {
        _TYPE: f"{_EXTENSIONS}.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "ingress",
        "access_log": [
            {
                "name": "envoy.access_loggers.file",
                "typed_config": {
                    _TYPE: f"{_EXTENSIONS}.access_loggers.file.v3.FileAccessLog",
                    "path": str(place / "access.log"),
                },
            }
        ],
        "route_config": {"name": "local", "virtual_hosts": [*others, host]},
        "http_filters": [
            {
                "name": "envoy.filters.http.router",
                "typed_config": {_TYPE: f"{_EXTENSIONS}.filters.http.router.v3.Router"},
            }
        ],
    }
    if front.upgrade:
        manager["upgrade_configs"] = [{"upgrade_type": "websocket"}]
    return {"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}


def _route(prefix: str) -> Json:
    return {"match": {"prefix": prefix}, "route": {"cluster": "origin"}}


def _cluster(name: str, port: int, *, h2: bool = False) -> Json:
    endpoints: Sequence[Json] = [{"lb_endpoints": [{"endpoint": {"address": _address(port)}}]}]
    cluster: Json = {
        "name": name,
        "type": "STATIC",
        "connect_timeout": "1s",
        "load_assignment": {"cluster_name": name, "endpoints": endpoints},
    }
    if not h2:
        return cluster
    options = {
        _TYPE: f"type.googleapis.com/{_HTTP_OPTIONS}",
        "explicit_http_config": {"http2_protocol_options": {}},
    }
    return cluster | {"typed_extension_protocol_options": {_HTTP_OPTIONS: options}}


def _transport_socket(place: Path) -> Json:
    chain, key = place / "chain.pem", place / "key.pem"
    certificate = trustme.CA().issue_cert("localhost")
    chain.write_bytes(b"".join(part.bytes() for part in certificate.cert_chain_pems))
    key.write_bytes(certificate.private_key_pem.bytes())
    return {
        "name": "envoy.transport_sockets.tls",
        "typed_config": {
            _TYPE: f"{_EXTENSIONS}.transport_sockets.tls.v3.DownstreamTlsContext",
            "common_tls_context": {
                "tls_certificates": [
                    {"certificate_chain": {"filename": str(chain)}, "private_key": {"filename": str(key)}}
                ]
            },
        },
    }


def _address(port: int) -> Json:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}
