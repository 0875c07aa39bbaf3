"""Host and path of a request before routing: what is missing, what is normalised, what is refused.

Sources: HttpConnectionManager.normalize_path and its neighbours; ConnectionManagerUtility::maybeNormalizePath/Host;
measured on 1.40.
"""

from __future__ import annotations

from typing import Final

import trio_envoy.http.path as paths
from trio_envoy.config.hcm import HttpConnectionManager, PathWithEscapedSlashesAction
from trio_envoy.hcm.stats import HcmStats
from trio_envoy.http.message import LocalReply, Request
from trio_envoy.runtime import Runtime

_MISSING_HOST: Final = LocalReply(400, details="missing_host_header")
_MISSING_TYPE: Final = LocalReply(400, details="query_missing_content_type")
_MISSING_PATH: Final = LocalReply(404, details="missing_path_rejected")
_ABSOLUTE: Final = LocalReply(404, details="absolute_path_rejected")
_NOT_NORMAL: Final = LocalReply(400, details="path_normalization_failed")

_ACTIONS: Final = PathWithEscapedSlashesAction


class TargetRules:
    """Checks and rewrites of authority and path of one HCM; most requests pass three comparisons."""

    def __init__(self, config: HttpConnectionManager, runtime: Runtime, stats: HcmStats, port: int) -> None:
        self._stats = stats
        self._strip_any = bool(config.strip_any_host_port)
        self._strip_matching = b":%d" % port if config.strip_matching_host_port else b""
        self._strip_dot = config.strip_trailing_host_dot
        self._touch_host = self._strip_any or bool(self._strip_matching) or self._strip_dot
        normalize = config.normalize_path
        if normalize is None:
            normalize = runtime.snapshot.get_bool("http_connection_manager.normalize_path", default=False)
        self._normalize = normalize
        self._merge = config.merge_slashes
        self._escaped = config.path_with_escaped_slashes_action
        self._unescape = self._escaped not in {_ACTIONS.IMPLEMENTATION_SPECIFIC_DEFAULT, _ACTIONS.KEEP_UNCHANGED}
        self._touch_path = self._normalize or self._merge or self._unescape

    def apply(self, request: Request) -> LocalReply | None:
        """Make the target what routing may rely on, or say why not."""
        if request.host_missing:
            return _MISSING_HOST
        target = request.path
        if target[:1] != b"/":
            if request.method == b"CONNECT" and not target:
                return None
            self._stats.downstream_rq_non_relative_path += 1
            return _ABSOLUTE if target else _MISSING_PATH
        if request.method == b"QUERY" and not request.headers.first.get(b"content-type"):
            return _MISSING_TYPE
        if b"#" in target:
            return self._refuse()
        if self._touch_path:
            reply = self._rewrite(request)
            if reply is not None:
                return reply
        if self._touch_host:
            request.authority = self._host(request.authority)
        return None

    def _refuse(self) -> LocalReply:
        self._stats.downstream_rq_failed_path_normalization += 1
        return _NOT_NORMAL

    def _rewrite(self, request: Request) -> LocalReply | None:
        redirect = False
        if self._unescape and paths.has_escaped_slashes(request.path):
            request.path = paths.unescape_slashes(request.path)  # a log shows it so, too
            if self._escaped is _ACTIONS.REJECT_REQUEST:
                return self._refuse()
            redirect = self._escaped is _ACTIONS.UNESCAPE_AND_REDIRECT
        if self._normalize:
            normal = paths.normalize(request.path)
            if normal is None:
                return self._refuse()
            request.path = normal
        if self._merge:
            request.path = paths.merge_slashes(request.path)
        if redirect:
            self._stats.downstream_rq_redirected_with_normalized_path += 1
            return LocalReply(307, details="path_normalization_failed", headers=((b"location", request.path),))
        return None

    def _host(self, authority: bytes) -> bytes:
        if self._strip_dot:
            name, dot, rest = authority.rpartition(b".")
            if dot and (not rest or rest[:1] == b":"):
                authority = name + rest
        name, port = split_port(authority)
        if port and (self._strip_any or port == self._strip_matching):
            port = b""
        return name + port


def split_port(authority: bytes) -> tuple[bytes, bytes]:
    """(name, b":port" or b""); an IPv6 literal keeps its brackets."""
    colon = authority.rfind(b":")
    if colon < 0 or authority.endswith(b"]") or not authority[colon + 1 :].isdigit():
        return authority, b""
    return authority[:colon], authority[colon:]
