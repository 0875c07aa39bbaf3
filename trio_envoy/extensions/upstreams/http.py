"""envoy.upstreams.http.http_protocol_options: which HTTP a cluster speaks, and its limits.

Config: envoy.extensions.upstreams.http.v3.HttpProtocolOptions; read by trio_envoy.upstream.options.
"""

from __future__ import annotations

from trio_envoy.config.upstreams import HttpProtocolOptions
from trio_envoy.registry import Category, register


@register(
    Category.UPSTREAM_OPTIONS,
    "envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
    config=HttpProtocolOptions,
)
def make(config: HttpProtocolOptions) -> HttpProtocolOptions:
    """Options have no live object."""
    return config
