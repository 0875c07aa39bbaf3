"""Route tables."""

import pytest

from tests.messages import a_request, an_info
from trio_envoy.errors import ConfigError
from trio_envoy.routing.entry import RedirectAction
from trio_envoy.routing.overrides import NO_OVERRIDES


def test_the_first_route_that_matches_wins(routes, matched):
    built = routes("""
- {name: a, match: {path: /a}, route: {cluster: c}}
- {name: b, match: {prefix: /}, route: {cluster: d}}
- {name: never, match: {prefix: /b}, route: {cluster: e}}
""")

    assert matched(built, a_request("/a?q")).name == "a"
    assert matched(built, a_request("/b")).name == "b"
    assert matched(built, a_request("/b")) is matched(built, a_request("/c"))
    assert matched(built, a_request("/b")).overrides is NO_OVERRIDES


def test_no_host_no_path_no_route(table, matched):
    built = table("""
name: rc
internal_only_headers: [X-Secret]
virtual_hosts:
- {name: v, domains: [a.com], routes: [{match: {prefix: /a}, route: {cluster: c}}]}
- {name: none, domains: [b.com]}
""")

    assert matched(built, a_request("/a")).virtual_host.name == "v"
    assert matched(built, a_request("/b")) is None
    assert matched(built, a_request("/a", host="b.com")) is None
    assert matched(built, a_request("/a", host="c.com")) is None
    assert matched(built, a_request("", host="a.com", method="CONNECT")) is None
    assert (built.name, built.internal_only_headers) == ("rc", (b"x-secret",))


def test_the_port_of_the_host_may_be_ignored(table, matched):
    hosts = "virtual_hosts: [{name: v, domains: [a.com], routes: [{match: {prefix: /}, route: {cluster: c}}]}]"

    assert matched(table(f"name: rc\n{hosts}"), a_request("/", host="a.com:80")) is None
    ignoring = table(f"name: rc\nignore_port_in_host_matching: true\n{hosts}")
    assert matched(ignoring, a_request("/", host="A.com:80")) is not None


TLS = """
name: rc
virtual_hosts:
- {{name: v, domains: ['*'], require_tls: {}, routes: [{{match: {{prefix: /}}, route: {{cluster: c}}}}]}}
"""


@pytest.mark.parametrize(
    ("requirement", "fields", "redirected"),
    [
        ("NONE", [("x-forwarded-proto", "http")], False),
        ("ALL", [("x-forwarded-proto", "http")], True),
        ("ALL", [("x-forwarded-proto", "http"), ("x-envoy-internal", "true")], True),
        ("ALL", [("x-forwarded-proto", "https")], False),
        ("ALL", [], True),
        ("EXTERNAL_ONLY", [("x-forwarded-proto", "http")], True),
        ("EXTERNAL_ONLY", [("x-forwarded-proto", "http"), ("x-envoy-internal", "true")], False),
        ("EXTERNAL_ONLY", [("x-forwarded-proto", "https")], False),
    ],
)
def test_tls_can_be_required(table, matched, requirement, fields, redirected):
    request = a_request("/p?q", *fields, host="a.com:80")
    route = matched(table(TLS.format(requirement)), request)

    if redirected:
        assert isinstance(route.action, RedirectAction)
        assert (route.action.status, route.action.location(request)) == (301, b"https://a.com:80/p?q")
        assert (route.name, route.virtual_host.name) == ("", "")
    else:
        assert route.action.cluster == "c"


def test_all_faults_are_told_at_once(table):
    with pytest.raises(ConfigError) as caught:
        table("""
name: rc
virtual_hosts:
- {name: v, domains: ['*', '*'], routes: [{match: {prefix: /}, route: {cluster: x}}]}
- name: w
  domains: [b]
  request_headers_to_remove: [host]
- name: z
  domains: [z]
  routes: [{match: {safe_regex: {regex: '('}}, route: {cluster: c}}, {match: {prefix: /}, route: {cluster: 'y'}}]
""")

    assert [fault.text for fault in (caught.value, *caught.value.others)] == [
        "route: unknown cluster 'x'",
        ":-prefixed or host headers may not be removed",
        "missing ): (",
        "route: unknown cluster 'y'",
        "Only a single wildcard domain is permitted in route rc",
    ]


def test_a_re_route_draws_no_new_number(routes):
    built = routes("""
- match: {prefix: /}
  route: {weighted_clusters: {clusters: [{name: c, weight: 1}, {name: d, weight: 1}]}}
""")
    info = an_info(random=None)

    assert len({built.match(a_request("/"), info).action.cluster for _ in range(20)}) == 1
    assert info.random is not None
