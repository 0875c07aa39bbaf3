"""Messages that hold an extension: its name, and its config as an Any, once as an untyped Struct.

An old file says which extension it means by `name`, and configures it by `config` (a Struct) or not at all; Envoy looks
at the `@type` of `typed_config` only. So `config` becomes `typed_config` with the @type that the name stands for, and
one that is absent, empty or without @type gets it too: until 1.21 Envoy did that lookup itself, so v3 files have it as
well. A name that Envoy doesn't know is left alone, unless there is a `config` that can't be read without it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from trio_envoy.config import aliases, schema
from trio_envoy.config.v2.run import At
from trio_envoy.config.v2.walk import HOLDERS, MAPS, REPLACED, Era, Node, each_item, rule, upgrade_any, upgrade_message
from trio_envoy.errors import Path

GZIP: Final = "envoy.filters.http.gzip"
_REPLACED_NAMES: Final[Mapping[str, str]] = {GZIP: "envoy.config.filter.http.gzip.v2.Gzip"}
"""Extensions of v2 that are another one today -> their v2 message."""

CATEGORIES: Final[Mapping[str, tuple[str, ...]]] = {
    "envoy.config.accesslog.v3.AccessLog": ("envoy.access_loggers",),
    "envoy.config.accesslog.v3.ExtensionFilter": ("envoy.access_loggers.extension_filters",),
    "envoy.config.cluster.v3.Cluster.CustomClusterType": ("envoy.clusters",),
    "envoy.config.core.v3.GrpcService.GoogleGrpc.CallCredentials.MetadataCredentialsFromPlugin": (
        "envoy.grpc_credentials",
    ),
    "envoy.config.core.v3.HealthCheck.CustomHealthCheck": ("envoy.health_checkers",),
    "envoy.config.core.v3.TransportSocket": (aliases.UPSTREAM_SOCKET, aliases.DOWNSTREAM_SOCKET),
    "envoy.config.listener.v3.Filter": (aliases.NETWORK,),
    "envoy.config.listener.v3.ListenerFilter": (aliases.LISTENER, aliases.UDP_LISTENER),
    "envoy.config.metrics.v3.StatsSink": ("envoy.stats_sinks",),
    "envoy.config.overload.v3.ResourceMonitor": ("envoy.resource_monitors",),
    "envoy.config.route.v3.RetryPolicy.RetryHostPredicate": ("envoy.retry_host_predicates",),
    "envoy.config.route.v3.RetryPolicy.RetryPriority": ("envoy.retry_priorities",),
    "envoy.config.trace.v3.Tracing.Http": ("envoy.tracers",),
    "envoy.extensions.filters.network.dubbo_proxy.v3.DubboFilter": ("envoy.dubbo_proxy.filters",),
    "envoy.extensions.filters.network.http_connection_manager.v3.HttpFilter": (aliases.HTTP,),
    "envoy.extensions.filters.network.thrift_proxy.v3.ThriftFilter": ("envoy.thrift_proxy.filters",),
    "envoy.extensions.transport_sockets.tls.v3.PrivateKeyProvider": ("envoy.tls.key_providers",),
}
"""v3 message that holds an extension -> where its name is looked up."""

_BELOW_CLUSTER: Final = "envoy.config.cluster.v3.Cluster"
_BELOW_LISTENER: Final = ("envoy.config.listener.v3.FilterChain", "envoy.config.listener.v3.Listener")


def _categories(node: Node) -> tuple[str, ...]:
    """Where the name in a holder is looked up; of transport sockets by the side they are on."""
    categories = CATEGORIES[node.v3.fqn]
    if node.v3.fqn == "envoy.config.core.v3.TransportSocket":
        around = node.ancestor(_BELOW_CLUSTER, *_BELOW_LISTENER)
        if around is not None and around.v3.fqn != _BELOW_CLUSTER:
            return categories[::-1]
    return categories


def _hold(node: Node) -> None:
    """Settle name and config of a message that holds an extension."""
    categories = _categories(node)
    name_field = "name" if "name" in node.v3.fields else "provider_name"
    name = node.get(name_field)
    typed = node.get("typed_config")
    struct = node.get("config") if node.v2 is not None and "config" in node.v2.fields else None
    if isinstance(typed, dict) and "@type" in typed:
        if struct is not None:
            node.fault("config", "stands beside typed_config; only one of them can be set")
            node.take("config")
        if isinstance(name, str) and (node.era is Era.V2 or node.run.is_v2):
            _name(node, name_field, name, categories)
    elif isinstance(name, str) and node.get("config_discovery") is None:
        source = "config" if struct is not None else "typed_config"
        if _config(node, aliases.canonical(name, *categories), source, categories):
            _name(node, name_field, name, categories)


def _name(node: Node, field: str, name: str, categories: tuple[str, ...]) -> None:
    """Have the canonical name written for an older one."""
    official = aliases.canonical(name, *categories)
    official = "envoy.filters.http.compressor" if official == GZIP else official
    if official != name:

        def write() -> None:
            node.put(field, official, node.at(field))
            node.change(field, f"{name!r} is now called {official!r}", v2=False)

        node.actions[node.key(field)] = write


def _config(node: Node, name: str, source: str, categories: tuple[str, ...]) -> bool:
    """Have the typed_config of an extension known by name made out of `source`; tells whether that can be done."""
    old = node.get(source)
    if not isinstance(old, dict | None):
        return False
    path = node.at(source) if old is not None else node.path
    if old is not None and old.get("deprecated_v1") is not None and "value" in old:
        _refuse(node, source, "holds a v1 configuration (deprecated_v1), which has no v3 form")
        return False
    replaced = _REPLACED_NAMES.get(name) if node.v2 is not None else None
    fqn = aliases.config_type(name, *categories)
    if replaced is None and fqn is None:
        if name in aliases.GONE or source == "config":
            _refuse(node, source, _unknown(name, categories))
        return False

    def write() -> None:
        fields = old or {}
        if replaced is not None:
            new = REPLACED[replaced](node.run, fields, path, node)
        else:
            assert fqn is not None, "told above"
            era = Era.V3 if node.era is Era.V3 else Era.V2 if source == "config" else Era.EITHER
            new = upgrade_message(node.run, fields, path, fqn, era, node, schema.TYPE_URL_PREFIX + fqn)
            what = (
                "config becomes typed_config" if source == "config" else "the type that the name stands for is written"
            )
            node.run.change(path, f"{what}: {fqn}", v2=source == "config")
        node.put("typed_config", At(new, path), path)

    if node.key(source) in node.old:
        node.actions[node.key(source)] = write
    else:
        node.last.append(write)
    return True


def _refuse(node: Node, field: str, text: str) -> None:
    """Note that the config of an extension can't be upgraded, and leave it out."""
    node.fault(field, text) if node.get(field) is not None else node.run.fault(node.path, text)
    node.take(field)


def _unknown(name: str, categories: tuple[str, ...]) -> str:
    if name in aliases.GONE:
        return f"the extension {name!r} {aliases.GONE[name]}"
    names = tuple(each.name for each in schema.extensions() if each.category in categories and each.types)
    near = schema.nearest(name, names)
    return f"Envoy knows no extension {name!r} of {categories[0]}" + (f"; did you mean {near!r}?" if near else "")


def _typed_by_name(node: Node, key: str, value: Any) -> None:
    """typed_per_filter_config: a map from the name of an HTTP filter to what a route overrides in it."""

    def single(each: Any, path: Path) -> Any:
        if not isinstance(each, dict) or "@type" in each:
            return upgrade_any(node.run, each, path, node.era, node)
        fqn = aliases.route_type(str(path[-1]))
        if fqn is None:
            return each
        node.run.change(path, f"the type is written: {fqn}", v2=False)
        era = Era.V3 if node.era is Era.V3 else Era.EITHER
        return upgrade_message(node.run, each, path, fqn, era, node, schema.TYPE_URL_PREFIX + fqn)

    node.keep(key, each_item(node.run, value, (*node.path, key), single))
    if isinstance(value, dict) and (node.era is Era.V2 or node.run.is_v2):
        _canonical_keys(node, key, (*node.path, key))


def _canonical_keys(node: Node, key: str, path: Path) -> None:
    """The keys must be the names of the filters, which are written in their canonical form."""
    names = {name: aliases.canonical(name, aliases.HTTP) for name in node.new[key]}
    if any(name != official for name, official in names.items()):
        node.keep(
            key,
            node.run.place({names[name]: At(each, (*path, name)) for name, each in node.new[key].items()}, path),
        )
        for name, official in names.items():
            if name != official:
                node.run.change((*path, name), f"{name!r} is now called {official!r}", v2=False)


@rule("api.v2.route.Route", "per_filter_config")
@rule("api.v2.route.VirtualHost", "per_filter_config")
@rule("api.v2.route.WeightedCluster.ClusterWeight", "per_filter_config")
def per_filter_config(node: Node, name: str, value: Any) -> None:
    """per_filter_config -> typed_per_filter_config, each Struct as the message of the filter its key names."""
    _typed_map(node, name, value, "typed_per_filter_config", aliases.HTTP, aliases.route_type)


@rule("api.v2.Cluster", "extension_protocol_options")
def extension_protocol_options(node: Node, name: str, value: Any) -> None:
    """extension_protocol_options -> typed_extension_protocol_options, by the name of the network filter."""
    _typed_map(node, name, value, "typed_extension_protocol_options", aliases.NETWORK, aliases.PROTOCOL_OPTIONS.get)


def _typed_map(node: Node, name: str, value: Any, new_name: str, category: str, type_of: Any) -> None:
    path = node.at(name)
    node.take(name)
    if not isinstance(value, dict):
        node.run.fault(path, f"{name} is a map from names of filters to their config")
        return
    made: dict[str, Any] = {}
    for key, each in value.items():
        official = aliases.canonical(key, category)
        fqn = type_of(official)
        if fqn is None:
            node.run.fault((*path, key), _unknown(official, (category,)))
            continue
        new = upgrade_message(node.run, each, (*path, key), fqn, Era.V2, node, schema.TYPE_URL_PREFIX + fqn)
        made[official] = At(new, (*path, key))
    node.run.change(path, f"{name} becomes {new_name}")
    if made:
        node.merge(new_name, made, path)


HOLDERS.update(dict.fromkeys(CATEGORIES, _hold))
MAPS["typed_per_filter_config"] = _typed_by_name
