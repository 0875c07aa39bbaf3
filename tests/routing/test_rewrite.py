"""Rewrites; the outcomes are what Envoy 1.40.0 sent."""

import pytest

from tests.messages import a_request, a_runtime, from_yaml
from trio_envoy.config.route import Route
from trio_envoy.errors import ConfigError
from trio_envoy.routing.rewrite import compile_path_rewrite, compile_rewrite, set_host


def rewritten(route, path, *headers, keep_original=True):
    config = from_yaml(route, Route)
    rewrite = compile_rewrite(config.match, config.route, a_runtime())
    request = a_request(path, *headers)
    if rewrite is not None:
        rewrite(request, keep_original)
    return request


def told(request):
    return [f"{name.decode()}: {value.decode()}" for name, value in request.headers if name != b"x-host"]


def regex(pattern, replacement):
    return f"{{pattern: {{regex: '{pattern}'}}, substitution: '{replacement}'}}"


@pytest.mark.parametrize(
    ("match", "action", "path", "expected"),
    [
        ("prefix: /a/pfx", "prefix_rewrite: /n", "/a/pfx/1?q", "/n/1?q"),
        ("prefix: /a/pfx", "prefix_rewrite: /n", "/a/pfxx", "/nx"),
        ("prefix: /a/slash/", "prefix_rewrite: /", "/a/slash/x", "/x"),
        ("prefix: /a/root", "prefix_rewrite: /", "/a/root/x", "//x"),
        ("prefix: /a/root", "prefix_rewrite: /", "/a/root", "/"),
        ("{prefix: /a/CI, case_sensitive: false}", "prefix_rewrite: /n", "/A/ci/x", "/n/x"),
        ("path: /a/exact", "prefix_rewrite: /n", "/a/exact?q=1", "/n?q=1"),
        ("path: /a/exq", "prefix_rewrite: '/n?z=1'", "/a/exq?q=1", "/n?z=1?q=1"),
        ("safe_regex: {regex: '/a/re.*'}", "prefix_rewrite: /n", "/a/re/x?q", "/n?q"),
        ("path_separated_prefix: /a/psp", "prefix_rewrite: /", "/a/psp/x", "//x"),
        ("path_separated_prefix: /a/psp", "prefix_rewrite: /n/", "/a/psp", "/n/"),
        (
            "prefix: /",
            r"regex_rewrite: {pattern: {regex: '/([a-z]+)'}, substitution: '[\1]'}",
            "/a/rx/ab1cd?q=/zz",
            "[a][rx][ab]1cd?q=/zz",
        ),
        ("prefix: /", f"regex_rewrite: {regex('zzz', 'y')}", "/a/nomatch", "/a/nomatch"),
        ("prefix: /", f"regex_rewrite: {regex('/a/noslash', 'abc')}", "/a/noslash/x?q", "abc/x?q"),
    ],
)
def test_paths(match, action, path, expected):
    match = match if match.startswith("{") else f"{{{match}}}"
    request = rewritten(f"match: {match}\nroute: {{cluster: c, {action}}}", path)

    assert request.path == expected.encode()
    assert told(request) == [f"x-envoy-original-path: {path}"]


def test_a_rewrite_to_nothing_is_not_done():
    request = rewritten(f"match: {{prefix: /}}\nroute: {{cluster: c, regex_rewrite: {regex('.*', '')}}}", "/a?q")

    assert request.path == b"/a?q"
    assert told(request) == []


@pytest.mark.parametrize(
    ("action", "host", "headers"),
    [
        ("host_rewrite_literal: new.host", "new.host", ["x-envoy-original-host: a.com"]),
        ("host_rewrite_literal: a.com", "a.com", ["x-envoy-original-host: a.com"]),
        ("host_rewrite_literal: ''", "a.com", []),
        ("host_rewrite_header: X-Host", "from.header", ["x-envoy-original-host: a.com"]),
        ("host_rewrite_header: x-nope", "a.com", []),
        (
            r"host_rewrite_path_regex: {pattern: {regex: '^/h/rx/([a-z.]+).*'}, substitution: '\1'}",
            "foo.com",
            ["x-envoy-original-host: a.com"],
        ),
        (f"host_rewrite_path_regex: {regex('zz', '')}", "/h/rx/foo.com/x", ["x-envoy-original-host: a.com"]),
        (
            "host_rewrite_literal: new, append_x_forwarded_host: true",
            "new",
            ["x-envoy-original-host: a.com", "x-forwarded-host: a.com"],
        ),
        ("append_x_forwarded_host: true", "a.com", []),
        ("auto_host_rewrite: true, append_x_forwarded_host: true", "a.com", []),
    ],
)
def test_hosts(action, host, headers):
    route = f"match: {{prefix: /}}\nroute: {{cluster: c, {action}}}"
    request = rewritten(route, "/h/rx/foo.com/x?q=bar", ("x-host", "from.header"))

    assert request.authority == host.encode()
    assert told(request) == headers


BOTH = """
match: {prefix: /h}
route: {cluster: c, host_rewrite_literal: new, prefix_rewrite: /z, append_x_forwarded_host: true}
"""


def test_the_host_comes_before_the_path():
    assert told(rewritten(BOTH, "/h")) == [
        "x-envoy-original-host: a.com", "x-forwarded-host: a.com", "x-envoy-original-path: /h",
    ]  # fmt: skip


def test_old_values_are_replaced_in_place_and_x_forwarded_host_grows():
    old = (("x-forwarded-host", "old"), ("x-envoy-original-path", "/old"), ("x-envoy-original-host", "oldh"))

    assert told(rewritten(BOTH, "/h", *old)) == [
        "x-forwarded-host: old,a.com", "x-envoy-original-path: /h", "x-envoy-original-host: a.com",
    ]  # fmt: skip


def test_old_values_are_not_told_when_envoy_headers_are_suppressed():
    request = rewritten(BOTH, "/h", keep_original=False)

    assert told(request) == ["x-forwarded-host: a.com"]
    assert (request.authority, request.path) == (b"new", b"/z")


def test_a_host_that_is_the_last_forwarded_one_is_not_repeated():
    request = a_request("/", ("x-forwarded-host", "b.com,a.com"))

    set_host(request, b"n", append_forwarded=True, keep_original=False)

    assert told(request) == ["x-forwarded-host: b.com,a.com"]


def test_an_empty_host_leaves_no_word_of_it():
    request = a_request("/", host="")

    set_host(request, b"n", append_forwarded=True, keep_original=True)

    assert told(request) == []
    assert request.authority == b"n"


def test_two_ways_to_rewrite_the_path_are_refused():
    both = f"match: {{prefix: /}}\nroute: {{cluster: c, prefix_rewrite: /x, regex_rewrite: {regex('a', 'b')}}}"

    with pytest.raises(ConfigError, match="Specify only one of prefix_rewrite, regex_rewrite or path_rewrite_policy"):
        rewritten(both, "/")


def test_nothing_to_rewrite_is_none():
    config = from_yaml("match: {prefix: /}\nroute: {cluster: c}", Route)
    assert compile_rewrite(config.match, config.route, a_runtime()) is None

    config = from_yaml("match: {prefix: /}\nredirect: {host_redirect: h}", Route)
    assert compile_path_rewrite(config.match, config.redirect, a_runtime()) is None
