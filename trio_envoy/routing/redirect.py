"""Where a redirect leads: the value of `location`.

Source: Envoy, http/utility.cc newUri and router/config_impl.cc; measured on 1.40.0.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from trio_envoy.config.route_action import RedirectAction, RedirectResponseCode
from trio_envoy.http.message import Request

Location = Callable[[Request], bytes]

STATUS: Final = {
    RedirectResponseCode.MOVED_PERMANENTLY: 301,
    RedirectResponseCode.FOUND: 302,
    RedirectResponseCode.SEE_OTHER: 303,
    RedirectResponseCode.TEMPORARY_REDIRECT: 307,
    RedirectResponseCode.PERMANENT_REDIRECT: 308,
}
_DEFAULT_PORTS: Final = {b"http": b":80", b"https": b":443"}


def compile_location(config: RedirectAction) -> Location:
    """The function that gives `location`; a path rewrite of the redirect must have been made already."""
    scheme = b"https" if config.https_redirect else (config.scheme_redirect or "").encode()
    port = b":%d" % config.port_redirect if config.port_redirect else b""
    host = config.host_redirect.encode()
    path_of = _path(config)

    def location(request: Request) -> bytes:
        new_scheme = scheme or request.scheme
        new_host = host or _request_host(request, new_scheme, port)
        return b"%b://%b%b%b" % (new_scheme, new_host, port, path_of(request.path))

    return location


def https_location(request: Request) -> bytes:
    """require_tls: the same place over https."""
    return b"https://" + request.authority + request.path


def own_location(request: Request) -> bytes:
    """The place of the request itself; what Envoy adds to a direct 201 or 3xx."""
    return b"%b://%b%b" % (request.scheme, request.authority, request.path)


def _path(config: RedirectAction) -> Callable[[bytes], bytes]:
    if config.path_redirect:
        fixed = config.path_redirect.encode()
        if not fixed.startswith(b"/"):
            fixed = b"/" + fixed
        if b"?" in fixed or config.strip_query:  # its own query wins, and is not stripped
            return lambda _: fixed
        return lambda path: fixed + _query(path)
    if config.strip_query:
        return lambda path: path[: path.index(b"?")] if b"?" in path else path
    return lambda path: path


def _query(path: bytes) -> bytes:
    """The query with its `?`, or b""."""
    return path[path.index(b"?") :] if b"?" in path else b""


def _request_host(request: Request, new_scheme: bytes, new_port: bytes) -> bytes:
    """The request's authority; without its port when there is a new one, or when it was the old scheme's default."""
    host = request.authority
    colon = host.rfind(b":")
    if colon < 0 or host.rfind(b"]") > colon:
        return host
    old_scheme = request.headers.first.get(b"x-forwarded-proto", request.scheme)
    if new_port or (new_scheme != old_scheme and host[colon:] == _DEFAULT_PORTS.get(old_scheme)):
        return host[:colon]
    return host
