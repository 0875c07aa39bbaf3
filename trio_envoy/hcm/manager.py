"""The HTTP connection manager: from a connection to requests, through the filters, to the access log.

Proto: envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager. One HttpConnectionManager
serves all connections of a filter chain; hcm/connection.py serves one of them.
"""

from __future__ import annotations

from collections.abc import Coroutine, Sequence
from typing import Any, Final

import attrs
import trio

from trio_envoy import registry
from trio_envoy.accesslog.log import AccessLog
from trio_envoy.config.hcm import CodecType, ServerHeaderTransformation
from trio_envoy.config.hcm import HttpConnectionManager as Config
from trio_envoy.config.hcm import HttpFilter as FilterConfig
from trio_envoy.errors import ConfigError, Faults
from trio_envoy.hcm.codecs import Codecs
from trio_envoy.hcm.connection import HcmConnection
from trio_envoy.hcm.context import FilterContext
from trio_envoy.hcm.early_entries import early_entries
from trio_envoy.hcm.edge import Edge
from trio_envoy.hcm.filter import HttpFilter, HttpFilterChain, Slot, TerminalFilter
from trio_envoy.hcm.local_reply import to_response
from trio_envoy.hcm.proxy_status import ProxyStatus
from trio_envoy.hcm.reply_rules import reply_rules
from trio_envoy.hcm.route_resolution import Match, RouteResolution
from trio_envoy.hcm.stats import HcmStats, ListenerHttpStats, TracingStats
from trio_envoy.hcm.stream import HttpStream
from trio_envoy.hcm.target import TargetRules
from trio_envoy.hcm.upgrades import Upgrades
from trio_envoy.http.message import LocalReply, Request, Response
from trio_envoy.http.options import CodecOptions
from trio_envoy.net.filter import Connection
from trio_envoy.net.stream_info import StreamInfo
from trio_envoy.routing.context import RouteContext
from trio_envoy.routing.entry import Route
from trio_envoy.routing.table import RouteTable

DEFAULT_STREAM_IDLE_TIMEOUT: Final = 300.0  # s; HttpConnectionManager.stream_idle_timeout


class HttpConnectionManager:
    """The compiled config of one HCM; a terminal network filter.

    Attributes:
        stats, listener_stats: what is counted per request.
        services, context: the surroundings.
        draining: whether connections are to end with their next response.
        edge, target, routes, upgrades, chain: the steps of a request, in order.
        match: finds the route of a request.
        resolution: counts what that costs; None: nobody does.
        reply_rules: local_reply_config; None: replies stay as they are.
        access_logs: one entry a request in each.
    """

    def __init__(self, config: Config, context: FilterContext, terminal: TerminalFilter | None = None) -> None:
        """Compile all of it.

        Args:
            config: of the filter.
            context: of the filter chain.
            terminal: answers every request, without routes and filters (the admin interface).

        Raises:
            ConfigError: a filter that isn't there, a chain that does not end in a terminal filter, a bad route ...; all
                that is wrong, at once.
        """
        faults = Faults()
        with faults:
            _check(config)
        self.config = config
        self.context = context
        self.draining = context.draining
        self.services = context.services
        prefix = f"http.{config.stat_prefix}."
        self.scope = context.scope.scope(prefix)
        self.stats = self.scope.block(HcmStats)
        self.scope.scope("tracing.").block(TracingStats)
        self.listener_stats = context.listener_scope.scope(prefix).block(ListenerHttpStats)
        self.routes: RouteTable | None = None
        with faults:
            self.routes = self._routes() if terminal is None else None
        self.match: Match = self.routes.match if self.routes is not None else _no_route
        self.resolution: RouteResolution | None = None
        if config.record_route_resolution_stats:
            self.resolution = RouteResolution(self.scope)
            self.match = self.resolution.timed(self.match)
        self.reply_rules = None
        with faults:
            self.reply_rules = reply_rules(config.local_reply_config, self.services)
        hidden = self.routes.internal_only_headers if self.routes is not None else ()
        with faults:
            self.edge = Edge(config, self.services, hidden)
        with faults:
            self.chain = (
                self._chain(config.http_filters)
                if terminal is None
                else HttpFilterChain((), terminal.answer, self.local_response)
            )
        with faults:
            self.upgrades = Upgrades(config.upgrade_configs, self.stats, self._chain)
        self.access_logs: tuple[AccessLog, ...] = ()
        with faults:
            self.access_logs = tuple(AccessLog(entry, self.services) for entry in config.access_log)
        self.early_entries = None
        with faults:
            self.early_entries = early_entries(config, self.access_logs, self.services)
        faults.raise_all()
        self.server_name = config.server_name.encode() or b"envoy"
        self.server_header = config.server_header_transformation
        self.overwrite_server = config.server_header_transformation is ServerHeaderTransformation.OVERWRITE
        self.via = config.via.encode()
        self.proxy_status = None
        if config.proxy_status_config is not None:
            self.proxy_status = ProxyStatus(
                config.proxy_status_config, self.server_name, self.services.options.service_node
            )
        self.id_in_response = config.always_set_request_id_in_response
        common = config.common_http_protocol_options
        self.stream_idle_timeout = _seconds(config.stream_idle_timeout, DEFAULT_STREAM_IDLE_TIMEOUT)
        self.request_timeout = _seconds(config.request_timeout, None)
        self.max_stream_duration = _seconds(common.max_stream_duration if common else None, None)
        self.codec_options = CodecOptions.of_downstream(config, self.services.random)
        if self.reply_rules is not None:
            self.codec_options = attrs.evolve(self.codec_options, reshape=self.reply_rules.reshape)
        self.codecs = Codecs(self.codec_options, self.stats, self.services)

    def target_for(self, port: int) -> TargetRules:
        """Host and path rules for connections to this local port."""
        return TargetRules(self.config, self.services.runtime, self.stats, port)

    def _routes(self) -> RouteTable:
        config = self.config.route_config
        if config is None:
            raise ConfigError("route_config: required", at=self.config)
        context = RouteContext(
            random=self.services.random,
            runtime=self.services.runtime,
            cluster_exists=self.context.clusters.names.__contains__,
        )
        return RouteTable(config, context)

    def _chain(self, filters: Sequence[FilterConfig]) -> HttpFilterChain:
        slots: list[Slot] = []
        terminal: TerminalFilter = _Nobody()
        scheme = self.config.scheme_header_transformation
        context = attrs.evolve(
            self.context,
            stat_prefix=self.config.stat_prefix,
            upstream_scheme=scheme is not None and scheme.match_upstream,
        )
        for position, entry in enumerate(filters):
            made = self._make(entry, context)
            if made is None:
                continue
            last = position == len(filters) - 1
            if isinstance(made, TerminalFilter):
                if not last:
                    raise ConfigError(
                        f"terminal filter named {entry.name} must be the last filter in a http filter chain",
                        at=entry,
                    )
                if entry.disabled:
                    raise ConfigError(
                        f"the last (terminal) filter ({entry.name}) in the chain cannot be disabled by default.",
                        at=entry,
                        field="disabled",
                    )
                terminal = made
            elif last:
                raise ConfigError(
                    f"non-terminal filter named {entry.name} is the last filter in a http filter chain", at=entry
                )
            else:
                slots.append(Slot(entry.name, made, entry.disabled))
        return HttpFilterChain(slots, terminal.answer, self.local_response)

    def _make(self, entry: FilterConfig, context: FilterContext) -> HttpFilter | TerminalFilter | None:
        """The filter; None for one that isn't known and need not be."""
        config = entry.typed_config
        extension = registry.extension_for(registry.Category.HTTP_FILTER, config) if config is not None else None
        if extension is None:
            if entry.is_optional:
                return None
            raise ConfigError(f"Didn't find a registered implementation for {entry.name!r} with type URL: ''", at=entry)
        made: HttpFilter | TerminalFilter = extension.factory(config, context)
        return made

    def local_response(self, stream: HttpStream, reply: LocalReply) -> Response:
        """A reply of ours as a response; a 400 ends an HTTP/1 connection unless configured otherwise."""
        response = to_response(stream, reply, self.reply_rules)
        if reply.status == 400 and self.codec_options.close_on_bad_request and stream.info.protocol != "HTTP/2":
            stream.codec.close_after()
        return response

    def handshake_failed(self, seconds: float, *, local: bool) -> None:
        """Count a connection that ended before it could be served; see net.filter.HandshakeFailed."""
        stats = self.stats
        stats.downstream_cx_total += 1
        stats.downstream_cx_ssl_total += 1
        stats.downstream_cx_destroy += 1
        if local:
            stats.downstream_cx_destroy_local += 1
        else:
            stats.downstream_cx_destroy_remote += 1
        stats.downstream_cx_length_ms.record(seconds * 1000)

    def serve(self, connection: Connection) -> Coroutine[Any, Any, None]:
        """Serve the connection to its end; see TerminalFilter."""
        return HcmConnection(self, connection).serve()


def _check(config: Config) -> None:
    """What Envoy refuses when it builds an HCM.

    Raises:
        ConfigError: one of these things.
    """
    if config.codec_type is CodecType.HTTP3:
        raise ConfigError("HTTP/3 codec configured on non-QUIC listener.", at=config, field="codec_type")
    common = config.common_http_protocol_options
    if common is not None and common.max_response_headers_kb is not None:
        raise ConfigError(
            "max_response_headers_kb cannot be set on http_connection_manager.",
            at=common,
            field="max_response_headers_kb",
        )
    if config.strip_matching_host_port and config.strip_any_host_port:
        raise ConfigError(
            "Only one of `strip_matching_host_port` or `strip_any_host_port` can be set.",
            at=config,
            field="strip_matching_host_port",
        )


def _no_route(_request: Request, _info: StreamInfo) -> Route | None:
    return None


class _Nobody(TerminalFilter):
    """A chain without filters, which Envoy takes, too: nobody answers, and a deadline ends the request."""

    async def answer(self, stream: HttpStream) -> Response | LocalReply:
        body = stream.request.body
        while body is not None and await body.read():
            pass
        await trio.sleep_forever()


def _seconds(value: float | None, default: float | None) -> float | None:
    """A timeout with 0 for "off"."""
    if value is None:
        return default
    return value or None
