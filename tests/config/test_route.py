import pytest

from trio_envoy.config import route, route_action, route_match
from trio_envoy.config.route import RouteConfiguration, TlsRequirementType


def test_a_route_table(structure):
    made = structure(
        """
        name: r
        validate_clusters: false
        response_headers_to_remove: x-a
        virtual_hosts:
        - name: v
          domains: ["a.com", "*.b.com"]
          require_tls: ALL
          include_request_attempt_count: true
          routes:
          - {name: one, match: {prefix: /}, route: {cluster: c}}
          - {match: {path: /x}, redirect: {https_redirect: true}}
          - {match: {path: /y}, direct_response: {status: 200}}
        """,
        RouteConfiguration,
    )
    host = made.virtual_hosts[0]

    assert made.validate_clusters is False
    assert made.response_headers_to_remove == ("x-a",)
    assert host.domains == ("a.com", "*.b.com")
    assert host.require_tls is TlsRequirementType.ALL
    assert [each.name for each in host.routes] == ["one", "", ""]
    assert host.routes[0].route.cluster == "c"
    assert host.routes[1].redirect.https_redirect is True
    assert host.routes[2].direct_response.status == 200


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("virtual_hosts: [{name: v}]", "$.virtual_hosts[0].domains: value must contain at least 1 item(s)"),
        ("virtual_hosts: [{domains: a}]", "$.virtual_hosts[0].name: value length must be at least 1 characters"),
        (
            'internal_only_headers: ["a\\nb"]',
            "$.internal_only_headers[0]: value is not a valid header name, got 'a\\nb'",
        ),
    ],
)
def test_what_a_table_may_not_be(faults, text, fault):
    assert faults(text, RouteConfiguration.__proto__) == [fault]


def test_everything_of_route_v3_can_be_imported_from_here():
    for module in (route_match, route_action):
        for name in vars(module):
            if getattr(vars(module)[name], "__module__", "") == module.__name__:
                assert getattr(route, name) is vars(module)[name]
                assert name in route.__all__
