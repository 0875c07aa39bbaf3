"""Routes compiled; texts of faults as Envoy 1.40.0 has them."""

import pytest

from tests.messages import a_context, a_request, a_response, a_runtime
from trio_envoy.config.core import RoutingPriority
from trio_envoy.errors import ConfigError
from trio_envoy.routing.entry import DirectResponseAction, ForwardAction, RedirectAction
from trio_envoy.routing.retry import RetryOn


@pytest.fixture
def action(routes, matched):
    """YAML of one route -> its compiled action."""

    def compiled(text):
        return matched(routes(text), a_request("/")).action

    return compiled


def test_defaults_of_forwarding(action):
    forward = action("- {match: {prefix: /}, route: {cluster: c}}")

    assert isinstance(forward, ForwardAction)
    assert (forward.cluster, forward.not_found_status, forward.timeout, forward.idle_timeout) == ("c", 503, 15.0, None)
    assert (forward.retry, forward.rewrite, forward.priority) == (None, None, RoutingPriority.DEFAULT)
    assert (forward.auto_host_rewrite, forward.append_x_forwarded_host) == (False, False)


def test_all_of_forwarding(action):
    forward = action("""
- match: {prefix: /}
  route:
    cluster: c
    cluster_not_found_response_code: NOT_FOUND
    timeout: 0s
    idle_timeout: 0s
    retry_policy: {retry_on: reset}
    priority: HIGH
    auto_host_rewrite: true
    append_x_forwarded_host: true
    prefix_rewrite: /x
""")

    assert (forward.not_found_status, forward.timeout, forward.idle_timeout) == (404, None, 0.0)
    assert forward.retry.on == RetryOn.RESET
    assert forward.priority is RoutingPriority.HIGH
    assert forward.auto_host_rewrite
    assert forward.append_x_forwarded_host
    assert forward.rewrite is not None


def test_the_virtual_host_has_a_retry_policy_for_routes_without_one(table, matched):
    built = table("""
name: rc
virtual_hosts:
- name: v
  domains: ['*']
  retry_policy: {retry_on: reset}
  include_request_attempt_count: true
  include_attempt_count_in_response: true
  include_is_timeout_retry_header: true
  per_request_buffer_limit_bytes: 5
  routes:
  - {match: {prefix: /own}, route: {cluster: c, retry_policy: {retry_on: 5xx}}, request_body_buffer_limit: 7}
  - {match: {prefix: /}, route: {cluster: c}}
""")
    own, other = matched(built, a_request("/own")), matched(built, a_request("/"))

    assert (own.action.retry.on, other.action.retry.on) == (RetryOn.FIVE_XX, RetryOn.RESET)
    assert (own.body_buffer_limit, other.body_buffer_limit) == (7, 5)
    host = other.virtual_host
    assert own.virtual_host is host
    assert (host.name, host.include_request_attempt_count) == ("v", True)
    assert host.include_attempt_count_in_response
    assert host.include_is_timeout_retry_header


def test_a_redirect(action):
    redirect = action("- {match: {prefix: /}, redirect: {prefix_rewrite: /x, response_code: SEE_OTHER}}")

    assert isinstance(redirect, RedirectAction)
    assert redirect.status == 303
    request = a_request("/a?q")
    redirect.rewrite(request, True)
    assert redirect.location(request) == b"http://a.com/xa?q"


@pytest.mark.parametrize(
    ("status", "location"),
    [(200, None), (201, b"http://a.com/?q"), (204, None), (302, b"http://a.com/?q"), (404, None)],
)
def test_a_direct_response(action, status, location):
    direct = action(f"- {{match: {{prefix: /}}, direct_response: {{status: {status}, body: {{inline_string: hi}}}}}}")

    assert isinstance(direct, DirectResponseAction)
    assert (direct.status, direct.body) == (status, b"hi")
    assert (direct.location and direct.location(a_request("/?q"))) == location


def test_a_direct_response_without_a_body_or_from_a_file(action, tmp_path):
    (tmp_path / "body").write_bytes(b"\xff" * 4096)

    assert action("- {match: {prefix: /}, direct_response: {status: 200}}").body == b""
    from_file = f"- {{match: {{prefix: /}}, direct_response: {{status: 200, body: {{filename: '{tmp_path}/body'}}}}}}"
    assert action(from_file).body == b"\xff" * 4096


LEVELS = """
name: rc
{rest}
request_headers_to_add: [{{header: {{key: x-l, value: g}}}}]
response_headers_to_add: [{{header: {{key: x-l, value: g}}}}]
virtual_hosts:
- name: v
  domains: ['*']
  request_headers_to_add: [{{header: {{key: x-l, value: v}}}}]
  response_headers_to_add: [{{header: {{key: x-l, value: v}}}}]
  routes:
  - match: {{prefix: /}}
    request_headers_to_add:
    - {{header: {{key: x-l, value: r}}}}
    - {{header: {{key: x-host, value: '%REQ(:AUTHORITY)%'}}}}
    response_headers_to_add: [{{header: {{key: x-l, value: r}}}}]
    route:
      host_rewrite_literal: route.host
      append_x_forwarded_host: true
      prefix_rewrite: /z
      weighted_clusters:
        clusters:
        - name: c
          weight: 1
          host_rewrite_literal: w.host
          request_headers_to_add: [{{header: {{key: x-l, value: w}}}}]
          response_headers_to_add: [{{header: {{key: x-l, value: w}}}}]
"""


@pytest.mark.parametrize(
    ("rest", "order"),
    [("", "wrvg"), ("most_specific_header_mutations_wins: true", "wgvr")],
)
def test_the_order_of_levels(table, matched, rest, order):
    route = matched(table(LEVELS.format(rest=rest)), a_request("/"))
    request, response = a_request("/"), a_response()

    route.finalize_request(request, a_context(request), keep_original=True)
    route.finalize_response(response.headers, a_context(request, response))

    assert b"".join(request.headers.get_all(b"x-l")).decode() == order
    assert b"".join(response.headers.get_all(b"x-l")).decode() == order
    assert request.headers.get(b"x-host") == b"w.host"
    assert [(n, v) for n, v in request.headers if n not in {b"x-l", b"x-host"}] == [
        (b"x-envoy-original-host", b"w.host"),
        (b"x-forwarded-host", b"w.host"),
        (b"x-envoy-original-path", b"/"),
    ]
    assert (request.authority, request.path) == (b"route.host", b"/z")


WEIGHTED = "- match: {{prefix: /}}\n  route: {{weighted_clusters: {{clusters: [{}]}}}}"


def test_weighted_clusters_may_come_from_a_header(routes, matched):
    built = routes(WEIGHTED.format("{cluster_header: x-c, weight: 1}"))

    assert matched(built, a_request("/", ("x-c", "anything"))).action.cluster == "anything"


def test_a_runtime_prefix_names_the_weights(routes, matched):
    text = """
- match: {prefix: /}
  route:
    weighted_clusters:
      runtime_key_prefix: w
      clusters: [{name: c, weight: 1}, {name: d, weight: 1}]
"""
    built = routes(text, runtime=a_runtime(w__c=0))

    assert {matched(built, a_request("/"), random=n).action.cluster for n in range(20)} == {"d"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- {match: {prefix: /}, route: {cluster: x}}", "route: unknown cluster 'x'"),
        (WEIGHTED.format("{name: c, weight: 1}, {name: x, weight: 1}"), "route: unknown weighted cluster 'x'"),
        (WEIGHTED.format("{name: c, weight: 0}"), "Sum of weights in the weighted_cluster must be greater than 0."),
        (WEIGHTED.format("{name: c}"), "Field 'weight' is missing"),
        (
            WEIGHTED.format("{name: c, weight: 4294967295}, {name: d, weight: 1}"),
            "The sum of weights of all weighted clusters exceeds 4294967295",
        ),
        (
            WEIGHTED.format("{name: c, cluster_header: x, weight: 1}"),
            "Only one of name or cluster_header can be specified",
        ),
        (WEIGHTED.format("{weight: 1}"), "At least one of name or cluster_header need to be specified"),
        (
            f"- {{match: {{prefix: /}}, direct_response: {{status: 200, body: {{inline_string: {'x' * 4097}}}}}}}",
            "response body size is 4097 bytes; maximum is 4096",
        ),
        (
            "- {match: {prefix: /}, direct_response: {status: 200, body: {filename: /nonexistent}}}",
            "file /nonexistent does not exist",
        ),
        (
            "- {match: {safe_regex: {regex: '('}}, route: {cluster: c}}",
            "missing ): (",
        ),
        (
            "- match: {prefix: /}\n  request_headers_to_remove: [host]\n  route: {cluster: c}",
            ":-prefixed or host headers may not be removed",
        ),
    ],
)
def test_faults(routes, text, message):
    with pytest.raises(ConfigError) as caught:
        routes(text)

    assert caught.value.text == message
    assert caught.value.at is not None


def test_a_file_that_is_too_large(routes, tmp_path):
    (tmp_path / "body").write_bytes(b"x" * 6)
    text = f"- {{match: {{prefix: /}}, direct_response: {{status: 200, body: {{filename: '{tmp_path}/body'}}}}}}"

    with pytest.raises(ConfigError) as caught:
        routes(text, "max_direct_response_body_size_bytes: 5")

    assert caught.value.text == f"file {tmp_path}/body size is 6 bytes; maximum is 5"


@pytest.mark.parametrize(
    ("rest", "static", "refused"),
    [
        ("", True, True),
        ("", False, False),
        ("validate_clusters: false", True, False),
        ("validate_clusters: true", False, True),
    ],
)
def test_when_clusters_are_checked(routes, rest, static, refused):
    text = "- {match: {prefix: /}, route: {cluster: x}}"
    if refused:
        with pytest.raises(ConfigError, match="unknown cluster"):
            routes(text, rest, static=static)
    else:
        assert routes(text, rest, static=static) is not None
