"""Fields of routes, virtual hosts and their matchers that v3 hasn't."""

from __future__ import annotations

from typing import Any

import re2

from trio_envoy.config.v2.run import At, Run, is_true, listed
from trio_envoy.config.v2.walk import Era, Node, rule
from trio_envoy.errors import Path


def safe_regex(run: Run, pattern: Any, path: Path) -> dict[str, Any]:
    """A regular expression as v3 has it. v2's were ECMAScript, v3's are RE2: what RE2 doesn't take is a fault."""
    options = re2.Options()
    options.log_errors = False
    try:
        re2.compile(str(pattern), options)
    except re2.error as error:
        reason = error.args[0].decode() if isinstance(error.args[0], bytes) else str(error)
        run.fault(path, f"the regular expression {pattern!r} isn't one of RE2, which v3 takes: {reason}")
    return {"safe_regex": {"regex": At(pattern, path)}}


@rule("api.v2.route.RouteAction", "host_rewrite")
def host_rewrite(node: Node, name: str, value: Any) -> None:
    """`host_rewrite` -> host_rewrite_literal. v3 has a host_rewrite too, which is a format string."""
    path = node.at(name)
    if node.era is not Era.V2 and not node.run.is_v2:
        node.run.depends()
        node.keep(node.key(name), value)
        return
    node.put("host_rewrite_literal" if node.key(name) == name else "hostRewriteLiteral", value, path)
    node.run.change(path, f"{node.key(name)} is now called host_rewrite_literal")


@rule("api.v2.route.RouteMatch", "regex")
def route_regex(node: Node, name: str, value: Any) -> None:
    """`regex` -> safe_regex: the whole path, without the query."""
    path = node.at(name)
    node.put("safe_regex", safe_regex(node.run, value, path)["safe_regex"], path)
    node.run.change(path, "regex becomes safe_regex")


@rule("type.matcher.StringMatcher", "regex")
def string_regex(node: Node, name: str, value: Any) -> None:
    """`regex` -> safe_regex: the whole string."""
    route_regex(node, name, value)


@rule("api.v2.route.HeaderMatcher", "regex_match")
def header_regex(node: Node, name: str, value: Any) -> None:
    """`regex_match` -> string_match.safe_regex: the whole value."""
    path = node.at(name)
    node.put("string_match", safe_regex(node.run, value, path), path)
    node.run.change(path, "regex_match becomes string_match.safe_regex")


@rule("api.v2.route.HeaderMatcher", "value", "regex")
def header_value(node: Node, name: str, value: Any) -> None:
    """Drafts before 1.8: {name, value} is exact, with `regex: true` a regular expression, without value presence."""
    _value_and_regex(node, name)


@rule("api.v2.route.QueryParameterMatcher", "value", "regex")
def query_value(node: Node, name: str, value: Any) -> None:
    """The same for query parameters, where it has been so up to 1.17."""
    _value_and_regex(node, name)


def _value_and_regex(node: Node, name: str) -> None:
    path = node.at("value") if node.get("value") is not None else node.at(name)
    value, regex = node.take("value"), node.take("regex")
    if value is None or value == "":
        node.put("present_match", True, path)
        node.run.change(path, "becomes present_match: no value means that any will do")
    elif is_true(regex):
        node.put("string_match", safe_regex(node.run, value, path), path)
        node.run.change(path, "value becomes string_match.safe_regex")
    else:
        node.put("string_match", {"exact": At(value, path)}, path)
        node.run.change(path, "value becomes string_match.exact")


@rule("api.v2.route.CorsPolicy", "allow_origin")
def allow_origin(node: Node, name: str, value: Any) -> None:
    """`allow_origin` -> allow_origin_string_match, exact; "*" is special there too."""
    path = node.at(name)
    origins = node.strings(name)
    node.append("allow_origin_string_match", [At(*_placed(node, {"exact": each}, each.path)) for each in origins], path)
    node.run.change(path, "allow_origin becomes allow_origin_string_match")


@rule("api.v2.route.CorsPolicy", "allow_origin_regex")
def allow_origin_regex(node: Node, name: str, value: Any) -> None:
    """`allow_origin_regex` -> allow_origin_string_match, safe_regex."""
    path = node.at(name)
    items = [At(*_placed(node, safe_regex(node.run, each.value, each.path), each.path)) for each in node.strings(name)]
    node.append("allow_origin_string_match", items, path)
    node.run.change(path, "allow_origin_regex becomes allow_origin_string_match")


def _placed(node: Node, value: Any, path: Path) -> tuple[Any, Path]:
    return node.run.place(value, path), path


@rule("api.v2.route.CorsPolicy", "enabled")
def cors_enabled(node: Node, name: str, value: Any) -> None:
    """`enabled` -> filter_enabled for all or none; where filter_enabled is set too, that counted."""
    path = node.at(name)
    if node.get("filter_enabled") is not None:
        node.drop(name, "filter_enabled counts where both are set")
        return
    node.take(name)
    percent = 100 if is_true(value) else 0
    node.put("filter_enabled", {"default_value": {"numerator": percent, "denominator": "HUNDRED"}}, path)
    node.run.change(path, f"enabled becomes filter_enabled of {percent} %")


@rule("api.v2.route.RouteAction", "request_mirror_policy")
def request_mirror_policy(node: Node, name: str, value: Any) -> None:
    """`request_mirror_policy` -> a list of one in request_mirror_policies."""
    path = node.at(name)
    node.take(name)
    if node.get("request_mirror_policies") is not None:
        node.run.fault(path, "stands beside request_mirror_policies; only one of them can be set")
        return
    policies = [At(node.upgraded("request_mirror_policies", each, where), where) for each, where in listed(value, path)]
    node.put("request_mirror_policies", policies, path)
    node.run.change(path, "request_mirror_policy becomes request_mirror_policies")


@rule("api.v2.route.RouteAction.RequestMirrorPolicy", "runtime_key")
def mirror_runtime_key(node: Node, name: str, value: Any) -> None:
    """`runtime_key` -> runtime_fraction, off by default; where runtime_fraction is set too, that counted."""
    path = node.at(name)
    if value == "" or node.get("runtime_fraction") is not None:
        node.drop(name, "it is empty" if value == "" else "runtime_fraction counts where both are set")
        return
    node.take(name)
    fraction = {"default_value": {"numerator": 0, "denominator": "HUNDRED"}, "runtime_key": At(value, path)}
    node.put("runtime_fraction", fraction, path)
    node.run.change(path, "runtime_key becomes runtime_fraction: its value counts in percent now, not in 1/100 percent")


@rule("api.v2.route.VirtualCluster", "pattern", "method")
def virtual_cluster(node: Node, name: str, value: Any) -> None:
    """`pattern` and method -> matchers of the pseudo headers :path and :method."""
    path = node.at(name)
    if value in ("", "METHOD_UNSPECIFIED"):
        node.drop(name, "it says nothing")
        return
    node.take(name)
    if name == "pattern":
        matcher: dict[str, Any] = {"name": ":path", "string_match": safe_regex(node.run, value, path)}
    else:
        matcher = {"name": ":method", "string_match": {"exact": At(value, path)}}
    node.append("headers", [At(node.run.place(matcher, path), path)], path)
    node.run.change(path, f"{name} becomes headers")


@rule("api.v2.route.RouteAction", "use_websocket")
def use_websocket(node: Node, name: str, value: Any) -> None:
    """Drafts before 1.10: use_websocket -> upgrade_configs."""
    path = node.at(name)
    if not is_true(value):
        node.drop(name, "it is off")
        return
    node.take(name)
    node.append("upgrade_configs", [{"upgrade_type": "websocket"}], path)
    node.run.change(path, "use_websocket becomes upgrade_configs")
