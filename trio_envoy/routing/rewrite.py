"""Rewrites of path and authority of a request that goes up.

Rules, as measured on 1.40.0 (router/config_impl.cc, finalizeHostHeader and finalizePathHeader):
1. The authority comes first, then the path. Each leaves its old value in x-envoy-original-host, x-envoy-original-path.
2. The query stays. A regex rewrite to nothing is not done.
"""

from __future__ import annotations

from collections.abc import Callable

from trio_envoy.config.route_action import RedirectAction, RouteAction
from trio_envoy.config.route_match import RouteMatch
from trio_envoy.errors import ConfigError
from trio_envoy.http.message import Request
from trio_envoy.http.query import bare_path
from trio_envoy.matching.regex import substitution
from trio_envoy.runtime import Runtime

Rewrite = Callable[[Request, bool], None]
"""Change path and authority of a request that goes up.

The flag: tell the old ones in x-envoy-original-path and x-envoy-original-host (Router.suppress_envoy_headers is off).
"""

_PathOf = Callable[[bytes], bytes]
"""From the path without query to the new one; b"": leave it."""
_HostOf = Callable[[Request], bytes | None]
"""The new authority; None: leave it."""


def set_host(request: Request, host: bytes, *, append_forwarded: bool, keep_original: bool) -> None:
    """Change the authority, and say what it was.

    Args:
        request: changed.
        host: the new authority.
        append_forwarded: RouteAction.append_x_forwarded_host: the old one is added to x-forwarded-host, unless it is
            the last one there.
        keep_original: the old one goes to x-envoy-original-host.
    """
    old = request.authority
    headers = request.headers
    if keep_original and old:
        headers.set(b"x-envoy-original-host", old)
    if append_forwarded and old:
        before = headers.joined(b"x-forwarded-host")
        if before is None or before.rpartition(b",")[2] != old:
            headers.append(b"x-forwarded-host", old)
    request.authority = host


def compile_rewrite(match: RouteMatch, action: RouteAction, runtime: Runtime) -> Rewrite | None:
    """What the route action rewrites, auto_host_rewrite aside; None: nothing.

    Raises:
        ConfigError: a bad regex, or two ways to rewrite the path.
    """
    if action.prefix_rewrite and action.regex_rewrite is not None:
        text = "Specify only one of prefix_rewrite, regex_rewrite or path_rewrite_policy"
        raise ConfigError(text, at=action, field="regex_rewrite")
    host_of = _host(action, runtime)
    path_of = _path(match, action, runtime)
    if host_of is None:
        return None if path_of is None else _path_rewrite(path_of)
    change_path = None if path_of is None else _path_rewrite(path_of)
    append_forwarded = action.append_x_forwarded_host

    def rewrite(request: Request, keep_original: bool) -> None:
        host = host_of(request)
        if host:
            set_host(request, host, append_forwarded=append_forwarded, keep_original=keep_original)
        if change_path is not None:
            change_path(request, keep_original)

    return rewrite


def compile_path_rewrite(match: RouteMatch, action: RedirectAction, runtime: Runtime) -> Rewrite | None:
    """prefix_rewrite and regex_rewrite of a redirect; None: it has neither.

    Raises:
        ConfigError: a bad regex.
    """
    path_of = _path(match, action, runtime)
    return None if path_of is None else _path_rewrite(path_of)


def _path_rewrite(path_of: _PathOf) -> Rewrite:
    def rewrite(request: Request, keep_original: bool) -> None:
        old = request.path
        if not old:  # CONNECT
            return
        bare = bare_path(old)
        new = path_of(bare)
        if new:
            if keep_original:
                request.headers.set(b"x-envoy-original-path", old)
            request.path = new + old[len(bare) :]

    return rewrite


def _path(match: RouteMatch, action: RouteAction | RedirectAction, runtime: Runtime) -> _PathOf | None:
    if action.regex_rewrite is not None:
        return substitution(action.regex_rewrite, runtime)
    if not action.prefix_rewrite:
        return None
    new = action.prefix_rewrite.encode()
    matched = next((m for m in (match.prefix, match.path_separated_prefix, match.path) if m is not None), None)
    if matched is None:  # a regex matches all of it
        return lambda _: new
    length = len(matched.encode())
    return lambda path: new + path[length:]


def _host(action: RouteAction, runtime: Runtime) -> _HostOf | None:
    if action.host_rewrite_literal is not None:
        literal = action.host_rewrite_literal.encode()
        return lambda _: literal
    if action.host_rewrite_header is not None:
        name = action.host_rewrite_header.lower().encode()
        return lambda request: request.headers.first.get(name)
    if action.host_rewrite_path_regex is not None:
        replace = substitution(action.host_rewrite_path_regex, runtime)
        return lambda request: replace(bare_path(request.path))
    return None
