"""Which load balancing policy a cluster has: load_balancing_policy, or lb_policy with its options.

Proto: envoy.config.cluster.v3.LoadBalancingPolicy and Cluster.LbPolicy.
"""

from __future__ import annotations

from typing import Any, Final, cast

from trio_envoy import registry
from trio_envoy.config.cluster import Cluster, LbPolicy
from trio_envoy.errors import ConfigError
from trio_envoy.registry import Category
from trio_envoy.upstream.balance import Policy
from trio_envoy.upstream.context import ClusterContext

_PREFIX: Final = "envoy.load_balancing_policies."
_MODULES: Final = {
    LbPolicy.ROUND_ROBIN: "round_robin",
    LbPolicy.LEAST_REQUEST: "least_request",
    LbPolicy.RANDOM: "random",
}
_NO_OPTIONS: Final[dict[LbPolicy, Any]] = {}  # one message for all clusters that configure nothing


def make_policy(context: ClusterContext) -> Policy:
    """The policy of a cluster.

    Raises:
        ConfigError: it is not supported here.
    """
    config = context.config
    if config.load_balancing_policy is not None:
        return _listed(config, context)
    if config.lb_policy is LbPolicy.LOAD_BALANCING_POLICY_CONFIG:
        raise ConfigError("cluster: field load_balancing_policy need to be set", at=config, field="lb_policy")
    module = _MODULES.get(config.lb_policy)
    if module is None:
        raise ConfigError(f"lb_policy {config.lb_policy} is not supported here", at=config, field="lb_policy")
    extension = registry.built_in(Category.LOAD_BALANCING_POLICY, _PREFIX + module, f"load_balancing_policies.{module}")
    assert extension.config is not None, "every policy has a message"
    least = config.least_request_lb_config
    if config.lb_policy is not LbPolicy.LEAST_REQUEST or least is None:
        if config.lb_policy not in _NO_OPTIONS:
            _NO_OPTIONS[config.lb_policy] = extension.config()
        return cast(Policy, extension.factory(_NO_OPTIONS[config.lb_policy], context))
    options = extension.config(choice_count=least.choice_count, active_request_bias=least.active_request_bias)
    return cast(Policy, extension.factory(options, context))


def _listed(config: Cluster, context: ClusterContext) -> Policy:
    assert config.load_balancing_policy is not None, "asked for"
    for entry in config.load_balancing_policy.policies:
        typed = entry.typed_extension_config
        if typed is None:
            continue
        extension = registry.extension_for(Category.LOAD_BALANCING_POLICY, typed.typed_config)
        if extension is not None:
            return cast(Policy, extension.factory(typed.typed_config, context))
    names = ", ".join(
        entry.typed_extension_config.name
        for entry in config.load_balancing_policy.policies
        if entry.typed_extension_config is not None
    )
    raise ConfigError(
        f"cluster: didn't find a registered load balancer factory implementation for cluster: '{config.name}' with "
        f"names from [{names}]",
        at=config,
        field="load_balancing_policy",
    )
