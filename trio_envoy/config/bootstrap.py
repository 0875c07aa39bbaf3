"""envoy.config.bootstrap.v3.Bootstrap: the whole configuration file.

Source: envoy/config/bootstrap/v3/bootstrap.proto.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import attrs

from trio_envoy.config.accesslog import AccessLog
from trio_envoy.config.address import Address
from trio_envoy.config.cluster import Cluster
from trio_envoy.config.core import Node
from trio_envoy.config.listener import Listener
from trio_envoy.config.matcher import StringMatcher
from trio_envoy.config.metrics import StatsConfig
from trio_envoy.config.runtime_layers import LayeredRuntime


@attrs.frozen(kw_only=True)
class StaticResources:
    """What is there from the start.

    Attributes:
        listeners: in order.
        clusters: in order.
    """

    __proto__: ClassVar[str] = "envoy.config.bootstrap.v3.Bootstrap.StaticResources"

    listeners: tuple[Listener, ...] = ()
    clusters: tuple[Cluster, ...] = ()


@attrs.frozen(kw_only=True)
class LogFormat:
    """Format of the application log (oneof log_format, required).

    Attributes:
        json_format: one JSON object a line; each value is a pattern.
        text_format: a pattern of flags such as `%Y` and `%v`.
    """

    __proto__: ClassVar[str] = "envoy.config.bootstrap.v3.Bootstrap.ApplicationLogConfig.LogFormat"

    json_format: Mapping[str, Any] | None = None
    text_format: str | None = None


@attrs.frozen(kw_only=True)
class ApplicationLogConfig:
    """The application log.

    Attributes:
        log_format: the format; `--log-format` must be absent then.
    """

    __proto__: ClassVar[str] = "envoy.config.bootstrap.v3.Bootstrap.ApplicationLogConfig"

    log_format: LogFormat | None = None


@attrs.frozen(kw_only=True)
class Admin:
    """The administration interface.

    Attributes:
        access_log: logs of its requests.
        access_log_path: deprecated; a file with the default format.
        address: where it listens; None: it does not.
        allow_paths: only these paths are answered; empty is all.
    """

    __proto__: ClassVar[str] = "envoy.config.bootstrap.v3.Admin"

    access_log: tuple[AccessLog, ...] = ()
    access_log_path: str = ""
    address: Address | None = None
    allow_paths: tuple[StringMatcher, ...] = ()


@attrs.frozen(kw_only=True)
class Bootstrap:
    """The root.

    Attributes:
        node: who we are.
        static_resources: listeners and clusters.
        stats_config: tags, which stats there are, buckets of histograms.
        layered_runtime: sources of runtime values.
        admin: the administration interface.
        stats_flush_interval: seconds, at least 1 ms and less than 5 min; None is 5 s.
        stats_flush_on_admin: compute gauges and histograms when /stats is asked (excludes
            stats_flush_interval).
        application_log_config: format of the application log.
    """

    __proto__: ClassVar[str] = "envoy.config.bootstrap.v3.Bootstrap"

    node: Node | None = None
    static_resources: StaticResources | None = None
    stats_config: StatsConfig | None = None
    layered_runtime: LayeredRuntime | None = None
    admin: Admin | None = None
    stats_flush_interval: float | None = None
    stats_flush_on_admin: bool | None = None
    application_log_config: ApplicationLogConfig | None = None
