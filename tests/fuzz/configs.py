"""The configuration of both subjects: one listener for each set of options and slot.

A slot is a lane that one input uses at a time: its listeners lead to its own origin port and to no other, so what the
origin sees there belongs to the input that is under way.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

_HCM = "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
_ROUTER = "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"
_FILE = "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog"
_UPSTREAM = "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
# What an access log line tells; the address of the client says whose it is.
_LOG = {
    "client": "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%",
    "code": "%RESPONSE_CODE%",
    "details": "%RESPONSE_CODE_DETAILS%",
    "flags": "%RESPONSE_FLAGS%",
    "method": "%REQ(:METHOD)%",
    "path": "%REQ(:PATH)%",
    "authority": "%REQ(:AUTHORITY)%",
    "scheme": "%REQ(:SCHEME)%",
    "protocol": "%PROTOCOL%",
    "received": "%BYTES_RECEIVED%",
    "sent": "%BYTES_SENT%",
}

# name: (the HCM's options, the cluster's HTTP options)
SETS: dict[str, tuple[Mapping[str, Any], Mapping[str, Any]]] = {
    "default": ({}, {}),
    "permissive": (
        {
            "http_protocol_options": {
                "accept_http_10": True,
                "default_host_for_http_10": "default.example",
                "enable_trailers": True,
                "allow_chunked_length": True,
                "allow_custom_methods": True,
                "header_key_format": {"proper_case_words": {}},
            },
            "normalize_path": True,
            "merge_slashes": True,
            "path_with_escaped_slashes_action": "UNESCAPE_AND_FORWARD",
            "strip_any_host_port": True,
            "strip_trailing_host_dot": True,
            "stream_error_on_invalid_http_message": True,
            "proxy_100_continue": True,
            "common_http_protocol_options": {"headers_with_underscores_action": "DROP_HEADER"},
        },
        {
            "http_protocol_options": {
                "enable_trailers": True,
                "allow_chunked_length": True,
                "header_key_format": {"proper_case_words": {}},
                "send_fully_qualified_url": True,
            }
        },
    ),
    "strict": (
        {
            "http_protocol_options": {
                "enable_trailers": True,
                "accept_http_10": True,
                "allow_absolute_url": False,
            },
            "path_with_escaped_slashes_action": "REJECT_REQUEST",
            "normalize_path": True,
            "strip_matching_host_port": True,
            "stream_error_on_invalid_http_message": True,
            "common_http_protocol_options": {"headers_with_underscores_action": "REJECT_REQUEST"},
        },
        {"http_protocol_options": {"enable_trailers": True}},
    ),
    "small": (
        {
            "max_request_headers_kb": 1,
            "common_http_protocol_options": {"max_headers_count": 12, "max_requests_per_connection": 3},
            "path_with_escaped_slashes_action": "UNESCAPE_AND_REDIRECT",
            "http_protocol_options": {
                "override_stream_error_on_invalid_http_message": True,
                "allow_custom_methods": True,
            },
            "use_remote_address": True,
            "server_header_transformation": "PASS_THROUGH",
        },
        {
            "max_response_headers_kb": 1,
            "common": {"max_headers_count": 12},
            "http_protocol_options": {"allow_chunked_length": True},
        },
    ),
}


def text(sets: Sequence[str], origins: Sequence[int], log: str) -> str:
    """The configuration file (JSON is YAML).

    Args:
        sets: the names of the sets of options.
        origins: the port of each slot's origin.
        log: path of the access log.
    """
    lanes = [(name, slot) for name in sets for slot in range(len(origins))]
    return json.dumps(
        {
            "admin": {"address": _address(0)},
            "static_resources": {
                "listeners": [_listener(name, slot, log) for name, slot in lanes],
                "clusters": [_cluster(name, slot, origins[slot]) for name, slot in lanes],
            },
        }
    )


def lane(name: str, slot: int) -> str:
    """The name of a set's listener and cluster in a slot."""
    return f"{name}-{slot}"


def _address(port: int) -> dict[str, Any]:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def _listener(name: str, slot: int, log: str) -> dict[str, Any]:
    log_format = {"json_format": _LOG}
    manager = {
        "@type": _HCM,
        "stat_prefix": name,
        "delayed_close_timeout": "0.05s",
        "access_log": [
            {"name": "file", "typed_config": {"@type": _FILE, "path": log, "log_format": log_format}},
        ],
        "route_config": {
            "name": "local",
            "virtual_hosts": [
                {
                    "name": "local",
                    "domains": ["*"],
                    "routes": [{"match": {"prefix": "/"}, "route": {"cluster": lane(name, slot)}}],
                }
            ],
        },
        "http_filters": [{"name": "envoy.filters.http.router", "typed_config": {"@type": _ROUTER}}],
        **SETS[name][0],
    }
    return {
        "name": lane(name, slot),
        "address": _address(0),
        "filter_chains": [{"filters": [{"name": "hcm", "typed_config": manager}]}],
    }


def _cluster(name: str, slot: int, port: int) -> dict[str, Any]:
    own = SETS[name][1]
    common = dict(own.get("common", {}))
    if "max_response_headers_kb" in own:
        common["max_response_headers_kb"] = own["max_response_headers_kb"]
    options: dict[str, Any] = {
        "@type": _UPSTREAM,
        "explicit_http_config": {"http_protocol_options": own.get("http_protocol_options", {})},
    }
    if common:
        options["common_http_protocol_options"] = common
    return {
        "name": lane(name, slot),
        "connect_timeout": "2s",
        "load_assignment": {
            "cluster_name": lane(name, slot),
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": _address(port)}}]}],
        },
        "typed_extension_protocol_options": {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": options},
    }
