"""Config routes -> compiled routes: everything that can be settled at load is settled here."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import attrs

from trio_envoy.config import route as config
from trio_envoy.config.core import DataSource
from trio_envoy.config.route_action import (
    ClusterNotFoundResponseCode,
    ClusterWeight,
    DirectResponseAction,
    RedirectAction,
    RouteAction,
    WeightedCluster,
)
from trio_envoy.errors import ConfigError, Faults
from trio_envoy.net import data_source
from trio_envoy.routing import entry
from trio_envoy.routing.context import RouteContext
from trio_envoy.routing.filter_config import OverridesGatherer
from trio_envoy.routing.header_ops import Level, combine, request_level, response_level
from trio_envoy.routing.match import Candidate, Target, compile_candidate
from trio_envoy.routing.redirect import STATUS, compile_location, own_location
from trio_envoy.routing.retry import compile_retry
from trio_envoy.routing.rewrite import compile_path_rewrite, compile_rewrite
from trio_envoy.routing.tunnels import compile_tunnels
from trio_envoy.routing.weighted import ByHeader, ByWeight, Share

DEFAULT_MAX_BODY_BYTES: Final = 4096  # RouteConfiguration.max_direct_response_body_size_bytes
_MAX_TOTAL_WEIGHT: Final = (1 << 32) - 1
_NOT_FOUND_STATUS: Final = {
    ClusterNotFoundResponseCode.SERVICE_UNAVAILABLE: 503,
    ClusterNotFoundResponseCode.NOT_FOUND: 404,
    ClusterNotFoundResponseCode.INTERNAL_SERVER_ERROR: 500,
}


@attrs.frozen(eq=False)
class _Levels:
    """Header changes of one config message."""

    request: Level | None
    response: Level | None


_NO_LEVELS: Final = _Levels(None, None)


def _levels(source: config.RouteConfiguration | config.VirtualHost | config.Route) -> _Levels:
    return _Levels(request_level(source), response_level(source))


class TableCompiler:
    """Compiles the routes of one RouteConfiguration, and collects what is wrong with them.

    Attributes:
        faults: of the table, and of the routes compiled so far.
    """

    def __init__(self, table: config.RouteConfiguration, context: RouteContext) -> None:
        """Compile what all routes share."""
        self.faults = Faults()
        self._table = table
        self._context = context
        self._levels = _NO_LEVELS
        with self.faults:
            self._levels = _levels(table)
        self._gatherer = OverridesGatherer()
        self._ignore_parameters = table.ignore_path_parameters_in_path_matching
        validate = table.validate_clusters
        self._check_clusters = context.static if validate is None else validate
        limit = table.max_direct_response_body_size_bytes
        self._max_body = DEFAULT_MAX_BODY_BYTES if limit is None else limit

    def candidates(self, host: config.VirtualHost) -> Iterator[Candidate]:
        """The routes of a virtual host, in order; one with a fault is left out."""
        compiled = entry.VirtualHost(
            host.name,
            include_request_attempt_count=host.include_request_attempt_count,
            include_attempt_count_in_response=host.include_attempt_count_in_response,
            include_is_timeout_retry_header=host.include_is_timeout_retry_header,
        )
        levels = _NO_LEVELS
        with self.faults:
            levels = _levels(host)
        for route in host.routes:
            with self.faults:
                target = self._target(_Place(host, compiled, levels, route, _levels(route)))
                yield compile_candidate(route.match, target, self._context, ignore_parameters=self._ignore_parameters)

    def _target(self, place: _Place) -> Target:
        route = place.route
        if route.redirect is not None:
            return self._route(place, self._redirect(route.match, route.redirect))
        if route.direct_response is not None:
            return self._route(place, self._direct(route.direct_response))
        if route.route is None:
            raise ConfigError("a route needs one of route, redirect, direct_response", at=route)
        return self._forward(place, route.route)

    def _route(self, place: _Place, action: entry.Action, weight: ClusterWeight | None = None) -> entry.Route:
        """A route with this action; `weight`: for this one of several clusters."""
        headers = [place.levels, place.host_levels, self._levels]
        if self._table.most_specific_header_mutations_wins:
            headers.reverse()
        if weight is not None:  # comes first either way
            authority = (weight.host_rewrite_literal or "").encode() or None
            headers.insert(0, _Levels(request_level(weight, authority), response_level(weight)))
        said = (self._table, place.host, place.route, *(() if weight is None else (weight,)))
        return entry.Route(
            name=place.route.name,
            virtual_host=place.compiled_host,
            overrides=self._gatherer.gather(said),
            action=action,
            request_headers=combine(level.request for level in headers),
            response_headers=combine(level.response for level in headers),
            body_buffer_limit=_body_limit(place),
        )

    def _forward(self, place: _Place, action: RouteAction) -> Target:
        runtime = self._context.runtime
        retry = action.retry_policy or place.host.retry_policy
        timeout = entry.DEFAULT_TIMEOUT if action.timeout is None else action.timeout
        forward = entry.ForwardAction(
            cluster=action.cluster or "",
            not_found_status=_NOT_FOUND_STATUS[action.cluster_not_found_response_code],
            timeout=timeout or None,
            idle_timeout=action.idle_timeout,
            retry=compile_retry(retry, runtime) if retry is not None else None,
            priority=action.priority,
            rewrite=compile_rewrite(place.route.match, action, runtime),
            auto_host_rewrite=bool(action.auto_host_rewrite),
            append_x_forwarded_host=action.append_x_forwarded_host,
            tunnels=compile_tunnels(action.upgrade_configs) if action.upgrade_configs else None,
        )
        if action.weighted_clusters is not None:
            return self._weighted(place, forward, action.weighted_clusters)
        if action.cluster_header is not None:
            return ByHeader(action.cluster_header, self._route(place, forward), forward).pick
        self._check(action.cluster or "", action, "cluster")
        return self._route(place, forward)

    def _weighted(self, place: _Place, forward: entry.ForwardAction, several: WeightedCluster) -> Target:
        faults = Faults()
        shares = []
        for cluster in several.clusters:
            with faults:
                shares.append(self._share(place, forward, cluster, several))
        faults.raise_all()
        total = sum(share.weight for share in shares)
        if total == 0:
            raise ConfigError("Sum of weights in the weighted_cluster must be greater than 0.", at=several)
        if total > _MAX_TOTAL_WEIGHT:
            raise ConfigError(f"The sum of weights of all weighted clusters exceeds {_MAX_TOTAL_WEIGHT}", at=several)
        return ByWeight(shares, self._context).pick

    def _share(
        self, place: _Place, forward: entry.ForwardAction, cluster: ClusterWeight, several: WeightedCluster
    ) -> Share:
        if cluster.name and cluster.cluster_header:
            raise ConfigError("Only one of name or cluster_header can be specified", at=cluster)
        if not cluster.name and not cluster.cluster_header:
            raise ConfigError("At least one of name or cluster_header need to be specified", at=cluster)
        if cluster.weight is None:
            raise ConfigError("Field 'weight' is missing", at=cluster)
        prefix = several.runtime_key_prefix
        key = f"{prefix}.{cluster.name}" if prefix else ""
        action = attrs.evolve(forward, cluster=cluster.name)
        route = self._route(place, action, cluster)
        if cluster.cluster_header:
            return Share(ByHeader(cluster.cluster_header, route, action).pick, cluster.weight, key)
        self._check(cluster.name, cluster, "weighted cluster", "name")
        return Share(route, cluster.weight, key)

    def _check(self, name: str, at: object, kind: str, field: str = "cluster") -> None:
        if self._check_clusters and not self._context.cluster_exists(name):
            raise ConfigError(f"route: unknown {kind} '{name}'", at=at, field=field)

    def _redirect(self, match: config.RouteMatch, redirect: RedirectAction) -> entry.RedirectAction:
        rewrite = compile_path_rewrite(match, redirect, self._context.runtime)
        return entry.RedirectAction(STATUS[redirect.response_code], compile_location(redirect), rewrite)

    def _direct(self, direct: DirectResponseAction) -> entry.DirectResponseAction:
        body = b"" if direct.body is None else _read_body(direct.body, self._max_body)
        located = direct.status == 201 or 300 <= direct.status < 400
        return entry.DirectResponseAction(direct.status, body, own_location if located else None)


@attrs.frozen(eq=False)
class _Place:
    """A config route and what is around it."""

    host: config.VirtualHost
    compiled_host: entry.VirtualHost
    host_levels: _Levels
    route: config.Route
    levels: _Levels


def _read_body(source: DataSource, limit: int) -> bytes:
    """The body of a direct response, not longer than limit bytes; 0 is no limit."""
    if source.filename is not None:
        path = Path(source.filename)
        if not path.exists():
            raise ConfigError(f"file {path} does not exist", at=source, field="filename")
        if limit and (size := path.stat().st_size) > limit:  # before it is read
            text = f"file {path} size is {size} bytes; maximum is {limit}"
            raise ConfigError(text, at=source, field="filename")
    body = data_source.read(source)
    if limit and len(body) > limit:
        raise ConfigError(f"response body size is {len(body)} bytes; maximum is {limit}", at=source)
    return body


def _body_limit(place: _Place) -> int | None:
    """The closest that is set; the new field of a message before its deprecated one."""
    for source in (place.route, place.host):
        for limit in (source.request_body_buffer_limit, source.per_request_buffer_limit_bytes):
            if limit is not None:
                return limit
    return None
