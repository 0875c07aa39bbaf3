import pytest

from tests.upstream.fakes import LiveCluster, config_of
from trio_envoy import registry
from trio_envoy.config.cluster import (
    LbPolicy,
    LeastRequestLbConfig,
    LoadBalancingPolicy,
    LoadBalancingPolicyPolicy,
)
from trio_envoy.config.core import RuntimeDouble, TypedExtensionConfig
from trio_envoy.errors import ConfigError
from trio_envoy.extensions.load_balancing_policies.least_request import LeastRequest, LeastRequestPolicy
from trio_envoy.extensions.load_balancing_policies.random import Random, RandomPolicy
from trio_envoy.extensions.load_balancing_policies.round_robin import RoundRobin, RoundRobinPolicy


def policy_of(services, **fields):
    return LiveCluster(config_of("10.0.0.1:80", **fields), services).cluster._policy


def listed(*configs):
    return LoadBalancingPolicy(
        policies=tuple(
            LoadBalancingPolicyPolicy(typed_extension_config=TypedExtensionConfig(name=f"p{n}", typed_config=config))
            for n, config in enumerate(configs)
        )
    )


@pytest.mark.parametrize("message", [RoundRobin, LeastRequest, Random])
def test_messages_are_found_by_type(message):
    assert registry.config_class(message.__proto__) is message


@pytest.mark.parametrize(
    ("policy", "kind"),
    [
        (LbPolicy.ROUND_ROBIN, RoundRobinPolicy),
        (LbPolicy.LEAST_REQUEST, LeastRequestPolicy),
        (LbPolicy.RANDOM, RandomPolicy),
    ],
)
def test_lb_policy(services, policy, kind):
    assert isinstance(policy_of(services, lb_policy=policy), kind)


def test_options_of_the_deprecated_field_count_for_their_policy_alone(services):
    options = LeastRequestLbConfig(
        choice_count=5, active_request_bias=RuntimeDouble(default_value=2.0, runtime_key="b")
    )

    policy = policy_of(services, lb_policy=LbPolicy.LEAST_REQUEST, least_request_lb_config=options)

    assert (policy._choices, policy._bias.default_value) == (5, 2.0)
    assert isinstance(policy_of(services, name="d", least_request_lb_config=options), RoundRobinPolicy)


@pytest.mark.parametrize("policy", [LbPolicy.RING_HASH, LbPolicy.MAGLEV, LbPolicy.CLUSTER_PROVIDED])
def test_others_are_refused_by_name(services, policy):
    with pytest.raises(ConfigError, match=f"lb_policy {policy} is not supported here"):
        policy_of(services, lb_policy=policy)


def test_the_list_wins_and_its_first_policy_is_taken(services):
    policies = listed(LeastRequest(choice_count=3), RoundRobin())

    policy = policy_of(services, lb_policy=LbPolicy.RANDOM, load_balancing_policy=policies)

    assert isinstance(policy, LeastRequestPolicy)
    assert policy._choices == 3


def test_what_is_no_policy_is_passed_over(services):
    policies = LoadBalancingPolicy(policies=(LoadBalancingPolicyPolicy(), *listed(object(), Random()).policies))

    assert isinstance(policy_of(services, load_balancing_policy=policies), RandomPolicy)


@pytest.mark.parametrize(("configs", "names"), [([], ""), ([object(), object()], "p0, p1")])
def test_a_list_without_a_policy(services, configs, names):
    with pytest.raises(ConfigError, match=rf"implementation for cluster: 'c' with names from \[{names}\]"):
        policy_of(services, load_balancing_policy=listed(*configs))


def test_policy_config_needs_a_list(services):
    with pytest.raises(ConfigError, match="field load_balancing_policy need to be set"):
        policy_of(services, lb_policy=LbPolicy.LOAD_BALANCING_POLICY_CONFIG)
