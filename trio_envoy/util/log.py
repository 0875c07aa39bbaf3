"""The application log: component loggers named as Envoy's, under the Python logger `envoy`.

Log lines belong to a component (`-l`, `--component-log-level`, /logging). Source: Envoy, source/common/common/logger.h.
"""

from __future__ import annotations

import logging
from typing import Final

ROOT: Final = "envoy"
TRACE: Final = 5

COMPONENTS: Final = tuple(  # in the order of /logging
    """
    a2a admin ai_protocol_manager alternate_protocols_cache aws assert backtrace basic_auth cache_filter client
    config connection conn_handler compression credential_injector decompression dns dubbo envoy_bug ext_authz
    ext_proc rocketmq file filter forward_proxy geolocation grpc happy_eyeballs hc health_checker http http2 hystrix
    init io jwt json_rpc kafka key_value_store lua local_rate_limit main matcher mcp misc mongo multi_connection
    notification oauth2 quic quic_stream pool rate_limit_quota rbac rds redis router runtime stats secret sse tap
    testing thrift tracing upstream udp wasm websocket golang stats_sinks dynamic_modules ip_tagging
    """.split()
)

# Envoy's words, lowest first; "warn" is taken as "warning" on the command line.
LEVELS: Final = {
    "trace": TRACE,
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
    "critical": logging.CRITICAL,
    "off": logging.CRITICAL + 10,
}
LEVEL_NAMES: Final = {number: name for name, number in LEVELS.items()}


def logger(component: str) -> logging.Logger:
    """The logger of a component."""
    assert component in COMPONENTS, component
    return logging.getLogger(f"{ROOT}.{component}")


def level_of(component: str) -> str:
    """The level of a component, in Envoy's word."""
    return LEVEL_NAMES.get(logger(component).getEffectiveLevel(), "info")
