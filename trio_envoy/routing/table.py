"""Route tables: from a request to its route.

Proto: envoy.config.route.v3.RouteConfiguration. Source: Envoy, router/config_impl.cc.
"""

from __future__ import annotations

from typing import Final

import attrs

from trio_envoy.config.route import RouteConfiguration, TlsRequirementType
from trio_envoy.config.route import VirtualHost as HostConfig
from trio_envoy.http.message import Request
from trio_envoy.net.stream_info import StreamInfo
from trio_envoy.routing.compile import TableCompiler
from trio_envoy.routing.context import RouteContext
from trio_envoy.routing.domains import Domains
from trio_envoy.routing.entry import RedirectAction, Route, VirtualHost
from trio_envoy.routing.match import Step, compile_steps, connects
from trio_envoy.routing.overrides import NO_OVERRIDES
from trio_envoy.routing.redirect import https_location

# What require_tls answers with; it belongs to no virtual host and has no headers of its own, as in Envoy.
_TO_HTTPS: Final = Route(
    name="", virtual_host=VirtualHost(""), overrides=NO_OVERRIDES, action=RedirectAction(301, https_location)
)


@attrs.frozen(eq=False)
class _Host:
    """A compiled virtual host.

    Attributes:
        steps: its routes.
        connects: those for CONNECT.
        require_tls: of whom; None: of nobody.
    """

    steps: tuple[Step, ...]
    connects: tuple[Step, ...]
    require_tls: TlsRequirementType | None


class RouteTable:
    """One compiled RouteConfiguration; never changed, only replaced.

    Attributes:
        name: RouteConfiguration.name.
        internal_only_headers: names that the HCM removes from requests of external clients.
    """

    def __init__(self, config: RouteConfiguration, context: RouteContext) -> None:
        """Compile.

        Raises:
            ConfigError: an unknown cluster, a duplicate domain, a bad regex, header or operator; all that is wrong
                comes with the first one, as its `others`.
        """
        self.name = config.name
        self.internal_only_headers = tuple(name.lower().encode() for name in config.internal_only_headers)
        compiler = TableCompiler(config, context)
        ignore_parameters = config.ignore_path_parameters_in_path_matching

        def host(source: HostConfig) -> _Host:
            candidates = tuple(compiler.candidates(source))
            by_path = [candidate for candidate in candidates if not connects(candidate.match)]
            others = [candidate for candidate in candidates if connects(candidate.match)]
            tls = source.require_tls
            return _Host(
                compile_steps(by_path, context, ignore_parameters=ignore_parameters),
                compile_steps(others, context, ignore_parameters=ignore_parameters),
                None if tls is TlsRequirementType.NONE else tls,
            )

        hosts = [(source, source.domains, host(source)) for source in config.virtual_hosts]
        with compiler.faults:
            self._domains = Domains(hosts, table=config.name, ignore_port=config.ignore_port_in_host_matching)
        compiler.faults.raise_all()
        self._only = self._domains.only

    def match(self, request: Request, info: StreamInfo) -> Route | None:
        """The route of this request, everything in it settled; None: 404, NR, `route_not_found`.

        The weighted cluster is drawn, and the cluster_header read, here: a filter that changes what routes look at
        calls match again and assigns stream.route.
        """
        host = self._only or self._domains.find(request.authority)
        if host is None or request.headers.first.get(b"x-forwarded-proto") == b"":  # as in Envoy
            return None
        if host.require_tls is not None and _must_use_tls(host.require_tls, request):
            return _TO_HTTPS
        for step in host.steps if request.path else host.connects:
            route = step(request, info)
            if route is not None:
                return route
        return None


def _must_use_tls(requirement: TlsRequirementType, request: Request) -> bool:
    first = request.headers.first
    if first.get(b"x-forwarded-proto", request.scheme) == b"https":
        return False
    return requirement is TlsRequirementType.ALL or first.get(b"x-envoy-internal") != b"true"
