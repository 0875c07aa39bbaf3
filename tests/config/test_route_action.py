import pytest

from trio_envoy.config.core import DataSource, RoutingPriority
from trio_envoy.config.route_action import (
    ClusterNotFoundResponseCode,
    ClusterWeight,
    DirectResponseAction,
    RedirectAction,
    RedirectResponseCode,
    RetryBackOff,
    RetryPolicy,
    RouteAction,
    WeightedCluster,
)


def test_to_a_cluster(structure):
    made = structure(
        """
        cluster: c
        cluster_not_found_response_code: NOT_FOUND
        prefix_rewrite: /
        auto_host_rewrite: true
        timeout: 0s
        priority: high
        retry_policy: {retry_on: 5xx, num_retries: 0, per_try_timeout: 1s, retry_back_off: {base_interval: 0.025s}}
        """,
        RouteAction,
    )

    assert made == RouteAction(
        cluster="c",
        cluster_not_found_response_code=ClusterNotFoundResponseCode.NOT_FOUND,
        prefix_rewrite="/",
        auto_host_rewrite=True,
        timeout=0.0,
        priority=RoutingPriority.HIGH,
        retry_policy=RetryPolicy(
            retry_on="5xx", num_retries=0, per_try_timeout=1.0, retry_back_off=RetryBackOff(base_interval=0.025)
        ),
    )


def test_to_weighted_clusters(structure):
    made = structure("weighted_clusters: {clusters: [{name: a, weight: 0}, {cluster_header: h}]}", RouteAction)

    assert made.weighted_clusters == WeightedCluster(
        clusters=(ClusterWeight(name="a", weight=0), ClusterWeight(cluster_header="h"))
    )


def test_a_redirect(structure):
    made = structure("{host_redirect: a, path_redirect: /b, response_code: found, strip_query: true}", RedirectAction)

    assert made == RedirectAction(
        host_redirect="a", path_redirect="/b", response_code=RedirectResponseCode.FOUND, strip_query=True
    )


def test_a_direct_response(structure):
    made = structure("{status: 503, body: {inline_string: x}}", DirectResponseAction)

    assert made == DirectResponseAction(status=503, body=DataSource(inline_string="x"))


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("{}", "$: one of cluster, cluster_header, weighted_clusters"),
        ("cluster: ''", "$.cluster: value length must be at least 1 characters"),
        (
            "{cluster: c, host_rewrite_literal: a, auto_host_rewrite: true}",
            "$.auto_host_rewrite: 'host_rewrite_literal' is set",
        ),
        (
            "{cluster: c, retry_policy: {retry_back_off: {}}}",
            "$.retry_policy.retry_back_off.base_interval: value is required",
        ),
        ("weighted_clusters: {}", "$.weighted_clusters.clusters: value must contain at least 1 item(s)"),
    ],
)
def test_what_an_action_may_not_be(faults, text, fault):
    (found,) = faults(text, RouteAction.__proto__)

    assert found.startswith(fault)
