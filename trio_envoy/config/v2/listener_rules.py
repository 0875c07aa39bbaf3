"""Fields of listeners and of network filters that v3 hasn't."""

from __future__ import annotations

from typing import Any

from trio_envoy.config.v2.run import At, Run, listed
from trio_envoy.config.v2.walk import Node, rule, upgrade_message
from trio_envoy.errors import Path

_FILTER_CHAIN = "envoy.config.listener.v3.FilterChain"
_CIDR = "envoy.config.core.v3.CidrRange"


@rule("api.v2.listener.FilterChainMatch", "sni_domains")
def sni_domains(node: Node, name: str, value: Any) -> None:
    """Drafts before 1.8: sni_domains -> server_names."""
    path = node.at(name)
    node.append("server_names", node.strings(name), path)
    node.run.change(path, "sni_domains is now called server_names")


@rule("api.v2.listener.UdpListenerConfig", "udp_listener_name", "config", "typed_config")
def udp_listener(node: Node, name: str, value: Any) -> None:
    """The raw UDP listener is the only kind but QUIC, whose v2 form was an experiment without HTTP/3."""
    if node.get("udp_listener_name") in (None, "", "raw_udp_listener"):
        node.drop(name, "listener_filters make a UDP listener")
    else:
        node.fault(name, f"the UDP listener {node.get('udp_listener_name')!r} has no v3 form; write quic_options")
        node.take(name)


@rule("api.v2.listener.QuicProtocolOptions", "max_concurrent_streams")
def quic_streams(node: Node, name: str, value: Any) -> None:
    """`max_concurrent_streams` -> quic_protocol_options.max_concurrent_streams."""
    path = node.at(name)
    node.take(name)
    node.merge("quic_protocol_options", {"max_concurrent_streams": At(value, path)}, path)
    node.run.change(path, "max_concurrent_streams becomes quic_protocol_options.max_concurrent_streams")


@rule("config.filter.network.redis_proxy.v2.RedisProxy", "cluster")
def redis_cluster(node: Node, name: str, value: Any) -> None:
    """`cluster` -> prefix_routes.catch_all_route.cluster."""
    path = node.at(name)
    if value == "":
        node.drop(name, "it is empty")
        return
    node.take(name)
    node.merge("prefix_routes", {"catch_all_route": {"cluster": At(value, path)}}, path)
    node.run.change(path, "cluster becomes prefix_routes.catch_all_route.cluster")


@rule("config.filter.network.redis_proxy.v2.RedisProxy.PrefixRoutes", "catch_all_cluster")
def redis_catch_all(node: Node, name: str, value: Any) -> None:
    """`catch_all_cluster` -> catch_all_route.cluster."""
    path = node.at(name)
    if value == "":
        node.drop(name, "it is empty")
        return
    node.take(name)
    node.merge("catch_all_route", {"cluster": At(value, path)}, path)
    node.run.change(path, "catch_all_cluster becomes catch_all_route.cluster")


@rule("data.tap.v2alpha.Connection", "local_address", "remote_address")
def tap_address(node: Node, name: str, value: Any) -> None:
    """The two have changed their numbers, not their meaning."""
    node.keep(node.key(name), node.upgraded(name, value, node.at(name)))


@rule("config.filter.network.tcp_proxy.v2.TcpProxy", "deprecated_v1")
def tcp_routes(node: Node, name: str, value: Any) -> None:
    """`deprecated_v1.routes` -> `cluster` if one route takes all, else a filter chain for each route."""
    path = node.at(name)
    node.take(name)
    routes = list(listed(value.get("routes"), (*path, "routes"))) if isinstance(value, dict) else []
    if not routes or not all(isinstance(route, dict) for route, _ in routes):
        node.run.fault(path, "deprecated_v1 holds a list of routes")
        return
    first, where = routes[0]
    if _is_for_all(first):
        node.put("cluster", At(first.get("cluster"), (*where, "cluster")), path)
        node.run.change(path, "deprecated_v1 becomes cluster")
        return
    chain = node.ancestor(_FILTER_CHAIN)
    listener = chain.parent if chain is not None else None
    if chain is None or listener is None or chain.get("filter_chain_match") is not None:
        node.run.fault(path, "deprecated_v1.routes can be upgraded in a filter chain without filter_chain_match only")
        return
    matches = [_chain_match(node, route, where) for route, where in routes]
    if any(match is None for match in matches):
        return
    index = _filter_index(node)
    clusters = [At(route.get("cluster"), (*where, "cluster")) for route, where in routes]

    def split() -> None:
        _split_chain(listener, chain, index, matches, clusters)

    listener.last.append(split)
    node.run.change(path, "each of deprecated_v1.routes becomes a filter chain of its own")


def _is_for_all(route: dict[str, Any]) -> bool:
    return not any(value for key, value in route.items() if key != "cluster")


def _chain_match(node: Node, route: dict[str, Any], path: Path) -> At | None:
    """What a route of v1 matches, as a filter chain match; None if that can't be said, which is noted."""
    match: dict[str, Any] = {}
    for old, new in (("destination_ip_list", "prefix_ranges"), ("source_ip_list", "source_prefix_ranges")):
        ranges = [
            At(upgrade_message(node.run, each, where, _CIDR, node.era, node), where)
            for each, where in listed(route.get(old), (*path, old))
        ]
        if ranges:
            match[new] = ranges
    ports = _ports(route.get("destination_ports"))
    if ports is None or len(ports) > 1:
        node.run.fault((*path, "destination_ports"), "a filter chain matches one destination port only")
        return None
    if ports:
        match["destination_port"] = At(ports[0], (*path, "destination_ports"))
    sources = _ports(route.get("source_ports"))
    if sources is None:
        node.run.fault((*path, "source_ports"), "is a list of ports and ranges such as '80,100-200'")
        return None
    if sources:
        match["source_ports"] = [At(port, (*path, "source_ports")) for port in sources]
    return At(node.run.place(match, path), path)


def _ports(text: Any) -> list[int] | None:
    """Give "80,100-102" as [80, 100, 101, 102]; None if it isn't of that form."""
    ports: list[int] = []
    for part in str(text or "").split(",") if text else ():
        low, _, high = part.partition("-")
        if not low.strip().isdigit() or (high and not high.strip().isdigit()):
            return None
        ports.extend(range(int(low), int(high or low) + 1))
    return ports


def _filter_index(node: Node) -> int:
    """The index of the filter that this message is the config of, in its chain."""
    holder = node.ancestor("envoy.config.listener.v3.Filter")
    assert holder is not None, "a TcpProxy in a filter chain is in a filter"
    last = holder.path[-1]
    return last if isinstance(last, int) else 0


def _split_chain(listener: Node, chain: Node, index: int, matches: list[At | None], clusters: list[At]) -> None:
    """Put one chain for each route where the chain with the routes was."""
    run, chains = listener.run, listener.new[listener.key("filter_chains")]
    chains = chains if isinstance(chains, list) else [chains]
    made: list[Any] = []
    for position, each in enumerate(chains):
        if each is not chain.new:
            made.append(At(each, (*listener.path, "filter_chains", position)))
            continue
        made += [
            At(_chain_for(run, each, index, match, cluster, chain.path), chain.path)
            for match, cluster in zip(matches, clusters, strict=True)
        ]
    listener.put(listener.key("filter_chains"), made, listener.at("filter_chains"))


def _chain_for(run: Run, chain: dict[str, Any], index: int, match: At | None, cluster: At, path: Path) -> Any:
    """A copy of the chain for one route."""
    assert match is not None, "checked before"
    filters = chain["filters"] if isinstance(chain["filters"], list) else [chain["filters"]]
    places: list[Path] = [(*path, "filters", position) for position in range(len(filters))]
    holder = filters[index]
    key = "typed_config" if "typed_config" in holder else "typedConfig"
    config = _at_home(holder[key], (*places[index], key)) | {"cluster": cluster}
    items: list[Any] = [At(each, place) for each, place in zip(filters, places, strict=True)]
    items[index] = At(run.place(_at_home(holder, places[index]) | {key: config}, places[index]), places[index])
    return run.place({"filter_chain_match": match} | _at_home(chain, path) | {"filters": items}, path)


def _at_home(old: dict[str, Any], path: Path) -> dict[str, Any]:
    """The fields of a message as parts of a new value that stay where they stand."""
    return {key: At(value, (*path, key)) for key, value in old.items()}
