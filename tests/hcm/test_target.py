"""Host and path rules; expectations are measured on Envoy 1.40."""

import pytest

from trio_envoy.config.hcm import HttpConnectionManager
from trio_envoy.config.hcm import PathWithEscapedSlashesAction as Action
from trio_envoy.hcm.stats import HcmStats
from trio_envoy.hcm.target import TargetRules, split_port
from trio_envoy.http.headers import Headers
from trio_envoy.http.message import Request
from trio_envoy.runtime import Runtime, RuntimeStats


def apply(config, path, *, method=b"GET", authority=b"a.com", port=80):
    stats = HcmStats()
    rules = TargetRules(HttpConnectionManager(**config), Runtime(None, RuntimeStats()), stats, port)
    request = Request(method, authority or b"", path, b"http", Headers(), host_missing=authority is None)
    return rules.apply(request), request, stats


@pytest.mark.parametrize(
    ("path", "authority", "method", "status", "details"),
    [
        (b"/", None, b"GET", 400, "missing_host_header"),
        (b"", b"a.com", b"GET", 404, "missing_path_rejected"),
        (b"*", b"a.com", b"OPTIONS", 404, "absolute_path_rejected"),
        (b"/up#frag", b"a.com", b"GET", 400, "path_normalization_failed"),
    ],
)
def test_what_is_refused(path, authority, method, status, details):
    reply, _, _ = apply({}, path, method=method, authority=authority)

    assert (reply.status, reply.details) == (status, details)


def test_an_empty_host_is_one():
    assert apply({"strip_any_host_port": True}, b"/", authority=b"")[0] is None


def test_connect_has_no_path():
    assert apply({}, b"", method=b"CONNECT")[0] is None


@pytest.mark.parametrize(
    ("config", "path", "expected"),
    [
        ({}, b"/up/../etc/./x//y%2fz", b"/up/../etc/./x//y%2fz"),
        ({"normalize_path": True, "merge_slashes": True}, b"/up/../up/./x//y", b"/up/x/y"),
        ({"normalize_path": True}, b"/up/%2e%2e/up/%41", b"/up/A"),
        ({"merge_slashes": True}, b"/a//b?c=//d", b"/a/b?c=//d"),
        ({"path_with_escaped_slashes_action": Action.UNESCAPE_AND_FORWARD}, b"/a%2Fb%5c", b"/a/b\\"),
        ({"path_with_escaped_slashes_action": Action.KEEP_UNCHANGED}, b"/a%2Fb", b"/a%2Fb"),
    ],
)
def test_paths(config, path, expected):
    reply, request, _ = apply(config, path)

    assert reply is None
    assert request.path == expected


def test_escaped_slashes_are_refused_or_redirected():
    refused, _, stats = apply({"path_with_escaped_slashes_action": Action.REJECT_REQUEST}, b"/a%2Fb")
    assert (refused.status, stats.downstream_rq_failed_path_normalization) == (400, 1)

    refused, _, stats = apply({"normalize_path": True}, b"/a%00")
    assert (refused.status, stats.downstream_rq_failed_path_normalization) == (400, 1)

    config = {"path_with_escaped_slashes_action": Action.UNESCAPE_AND_REDIRECT, "normalize_path": True}
    redirected, _, stats = apply(config, b"/up/a%2Fb")
    assert (redirected.status, redirected.headers) == (307, ((b"location", b"/up/a/b"),))
    assert stats.downstream_rq_redirected_with_normalized_path == 1


@pytest.mark.parametrize(
    ("config", "authority", "expected"),
    [
        ({}, b"a.com:80", b"a.com:80"),
        ({"strip_any_host_port": True}, b"a.com:99", b"a.com"),
        ({"strip_any_host_port": True}, b"[::1]:99", b"[::1]"),
        ({"strip_any_host_port": True}, b"[::1]", b"[::1]"),
        ({"strip_matching_host_port": True}, b"a.com:80", b"a.com"),
        ({"strip_matching_host_port": True}, b"a.com:81", b"a.com:81"),
        ({"strip_trailing_host_dot": True}, b"a.com.:80", b"a.com:80"),
        ({"strip_trailing_host_dot": True}, b"a.com.", b"a.com"),
    ],
)
def test_hosts(config, authority, expected):
    _, request, _ = apply(config, b"/", authority=authority)

    assert request.authority == expected


@pytest.mark.parametrize(
    ("authority", "parts"),
    [(b"a", (b"a", b"")), (b"a:1", (b"a", b":1")), (b"a:x", (b"a:x", b"")), (b"[::1]", (b"[::1]", b""))],
)
def test_split_port(authority, parts):
    assert split_port(authority) == parts
