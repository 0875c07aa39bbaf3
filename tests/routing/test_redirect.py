"""Redirects; the locations are what Envoy 1.40.0 answered."""

import pytest

from tests.messages import a_request, a_runtime, from_yaml
from trio_envoy.config.route import Route
from trio_envoy.routing.redirect import compile_location, https_location, own_location
from trio_envoy.routing.rewrite import compile_path_rewrite


def location(match, redirect, path, host):
    config = from_yaml(f"match: {match}\nredirect: {redirect}", Route)
    request = a_request(path, ("x-forwarded-proto", "http"), host=host)
    rewrite = compile_path_rewrite(config.match, config.redirect, a_runtime())
    if rewrite is not None:
        rewrite(request, True)
    return compile_location(config.redirect)(request).decode()


@pytest.mark.parametrize(
    ("redirect", "path", "host", "expected"),
    [
        ("{}", "/r?q=1", "a.com", "http://a.com/r?q=1"),
        ("{https_redirect: true}", "/r?q=1", "a.com", "https://a.com/r?q=1"),
        ("{https_redirect: true}", "/r?q=1", "a.com:80", "https://a.com/r?q=1"),
        ("{https_redirect: true}", "/r?q=1", "a.com:443", "https://a.com:443/r?q=1"),
        ("{https_redirect: true}", "/r?q=1", "a.com:8080", "https://a.com:8080/r?q=1"),
        ("{https_redirect: true}", "/r", "[::1]:80", "https://[::1]/r"),
        ("{https_redirect: true}", "/r", "[::1]", "https://[::1]/r"),
        ("{https_redirect: false}", "/r", "a", "http://a/r"),
        ("{scheme_redirect: ftp}", "/r", "a.com:80", "ftp://a.com/r"),
        ("{port_redirect: 8080}", "/r?q", "a.com:99", "http://a.com:8080/r?q"),
        ("{port_redirect: 8080}", "/r", "[::1]", "http://[::1]:8080/r"),
        ("{host_redirect: h.com}", "/r?q=1", "a.com:5", "http://h.com/r?q=1"),
        ("{host_redirect: h.com, port_redirect: 81}", "/r", "a", "http://h.com:81/r"),
        ("{path_redirect: '/n?x=2', strip_query: true}", "/r?q=1", "a", "http://a/n?x=2"),
        ("{path_redirect: /n}", "/r?q=1", "a", "http://a/n?q=1"),
        ("{path_redirect: /n}", "/r", "a:80", "http://a:80/n"),
        ("{path_redirect: /n, strip_query: true}", "/r?q=1", "a", "http://a/n"),
        ("{strip_query: true}", "/r?q=1", "a", "http://a/r"),
        ("{strip_query: true}", "/r", "a", "http://a/r"),
        ("{path_redirect: 'n'}", "/r?x", "a", "http://a/n?x"),
    ],
)
def test_locations(redirect, path, host, expected):
    assert location("{prefix: /r}", redirect, path, host) == expected


@pytest.mark.parametrize(
    ("match", "redirect", "path", "expected"),
    [
        ("{prefix: /r/prefix}", "{prefix_rewrite: /new}", "/r/prefix/abc?q=1", "http://a/new/abc?q=1"),
        ("{prefix: /r/prefix}", "{prefix_rewrite: /new}", "/r/prefixabc?q=1", "http://a/newabc?q=1"),
        (
            "{prefix: /r}",
            r"{regex_rewrite: {pattern: {regex: '[0-9]+'}, substitution: '<\0>'}}",
            "/r/12/34?q=56",
            "http://a/r/<12>/<34>?q=56",
        ),
        ("{path: /r2/exact}", "{prefix_rewrite: /ex}", "/r2/exact?q", "http://a/ex?q"),
        ("{safe_regex: {regex: '/r2/re.*'}}", "{prefix_rewrite: /re}", "/r2/re/x?q", "http://a/re?q"),
        ("{path_separated_prefix: /r2/psp}", "{prefix_rewrite: /p}", "/r2/psp/x?q", "http://a/p/x?q"),
    ],
)
def test_rewritten_paths(match, redirect, path, expected):
    assert location(match, redirect, path, "a") == expected


def test_an_https_redirect_of_an_https_request_keeps_its_port():
    config = from_yaml("match: {prefix: /}\nredirect: {https_redirect: true}", Route)
    request = a_request("/x", ("x-forwarded-proto", "https"), host="a:80")

    assert compile_location(config.redirect)(request) == b"https://a:80/x"


def test_fixed_locations():
    request = a_request("/d?q", host="a:81")

    assert own_location(request) == b"http://a:81/d?q"
    assert https_location(request) == b"https://a:81/d?q"
