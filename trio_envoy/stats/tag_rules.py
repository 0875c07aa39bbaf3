"""Envoy's default tags: which part of a stat name becomes a label. The order is the order of the labels.

A rule is either a regular expression whose first group is cut out of the name and whose second is the value, or a
pattern of tokens between dots: `$` is the value (cut out with its dot), `*` any token, `**` any tokens.

Source: Envoy's well_known_names.cc (1.40); tried name by name against the binary.
"""

from __future__ import annotations

import re

import attrs


@attrs.frozen
class Rule:
    """How one tag is found.

    Attributes:
        tag: its name.
        regex: searched in the name.
        contains: text without which the regex is not tried.
        refuses: a value that is no value.
        roots: first tokens of the names that it is tried on; empty: all.
        anchored: in Envoy it hangs at one root; such rules come after all others.
        fixed: the value of every name; the regex is not asked.
    """

    tag: str
    regex: re.Pattern[str]
    contains: str = ""
    refuses: str | None = None
    roots: tuple[str, ...] = ()
    anchored: bool = False
    fixed: str = ""
    value_group: int = attrs.field(init=False)

    @value_group.default
    def _two_or_one(self) -> int:
        return min(self.regex.groups, 2)


_WORDS = {
    "<address>": r"(?:(?:\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}|\[[a-fA-F_\d]+\])_\d+)",
    "<listener or cluster>": r"(?:listener|cluster)\..*?",
    "<cipher>": r"[\w-]+",
    "<route>": r"[\w\-./]+",
    "<scope>": r"[\w\-.]+",
    "<v>": r"[^.]+",
}

_LISTENER_OR_CLUSTER = ("listener", "cluster")
_HAVE_WORKERS = ("listener", "server", "listener_manager", "thread_local_cluster_manager")


def root_of(regex: str) -> str:
    r"""The first token that a regular expression demands, as `^cluster\.` does, or ""."""
    found = re.match(r"\^(\w+)(?:\\\.|\(\?=\\\.\)|\$$)", regex, re.ASCII)
    return found[1] if found else ""


def rule(tag: str, regex: str, *, contains: str = "", refuses: str | None = None, roots: tuple[str, ...] = ()) -> Rule:
    """A rule by regular expression.

    Raises:
        re.error: the expression is wrong.
    """
    root = root_of(regex)
    return Rule(tag, re.compile(regex, re.ASCII), contains, refuses, (root,) if root else roots, bool(root))


def _default(
    tag: str, regex: str, *, contains: str = "", refuses: str | None = None, roots: tuple[str, ...] = ()
) -> Rule:
    for word, meaning in _WORDS.items():
        regex = regex.replace(word, meaning)
    return rule(tag, regex, contains=contains, refuses=refuses, roots=roots)


_REGEXES = (
    _default("envoy.response_code", r"_rq(_(\d{3}))$", contains="_rq_"),
    _default("envoy.response_code_class", r"_rq_((\d))xx$", contains="_rq_"),
    _default(
        "envoy.dynamo_partition_id",
        r"^http\.<v>\.dynamodb\.table\.<v>\.capacity\.<v>(\.__partition_id=(\w{7}))$",
        contains=".dynamodb.table.",
    ),
    _default(
        "envoy.dynamo_operation",
        r"^http\.<v>\.dynamodb.(?:operation|table\.<v>\.capacity)(\.(<v>))(?:\.|$)",
        contains=".dynamodb.",
    ),
    _default("envoy.dynamo_table", r"^http\.<v>\.dynamodb.(?:table|error)\.((<v>)\.)", contains=".dynamodb."),
    _default("envoy.ssl_cipher", r"^listener\..*?\.ssl\.ciphers(\.(<cipher>))$", contains=".ssl.ciphers."),
    _default(
        "envoy.ssl_curve",
        r"^<listener or cluster>\.ssl\.curves(\.(<cipher>))$",
        contains=".ssl.curves.",
        roots=_LISTENER_OR_CLUSTER,
    ),
    _default(
        "envoy.ssl_sigalg",
        r"^<listener or cluster>\.ssl\.sigalgs(\.(<cipher>))$",
        contains=".ssl.sigalgs.",
        roots=_LISTENER_OR_CLUSTER,
    ),
    _default(
        "envoy.ssl_version",
        r"^<listener or cluster>\.ssl\.versions(\.(TLSv\d\.\d))$",
        contains=".ssl.versions.",
        roots=_LISTENER_OR_CLUSTER,
    ),
    _default("cipher_suite", r"^cluster\.<v>\.ssl\.ciphers(\.(<cipher>))$", contains=".ssl.ciphers."),
    _default("envoy.http_conn_manager_prefix", r"^listener\..*?\.http\.((<v>)\.)", contains=".http."),
    _default(
        "envoy.worker_id",
        r"^(?:listener\.(?:<address>|<v>)|server|listener_manager|thread_local_cluster_manager)\.worker_((\d+)\.)",
        contains=".worker_",
        roots=_HAVE_WORKERS,
    ),
    _default("envoy.listener_address", r"^listener\.((<address>|<v>)\.)", refuses="admin"),
    _default("envoy.rds_route_config", r"^http\.<v>\.rds\.((<route>)\.)\w+?$", contains=".rds."),
    _default("envoy.scoped_rds_config", r"^http\.<v>\.scoped_rds\.((<scope>)\.)\w+?$", contains=".scoped_rds."),
    _default(
        "envoy.rbac_policy_name",
        r"^http\.<v>\.rbac\.(?:<v>\.)?policy\.((<v>)\.)(?:allowed|shadow_allowed|denied|shadow_denied)$",
        contains=".rbac.",
    ),
    _default("envoy.rbac_http_prefix", r"^http\.<v>\.rbac\.((<v>)\.)", contains=".rbac.", refuses="policy"),
    _default("envoy.proxy_protocol_prefix", r"^proxy_proto\.((<v>)\.).+$", refuses="versions"),
    _default("envoy.proxy_protocol_version", r"^proxy_proto\.((?:<v>\.)?versions\.v(\d)\.)\w+$"),
    _default(
        "envoy.tls_certificate",
        r"^<listener or cluster>\.ssl\.certificate\.((<v>)\.)",
        contains=".ssl.certificate",
        roots=_LISTENER_OR_CLUSTER,
    ),
    _default("envoy.health_check_name", r"^cluster\.<v>\.health_check(\.name\.(<v>))\..+", contains=".health_check."),
    _default("envoy.xds_resource_name", r"^sds\.((<v>)\.).+"),
)

_TOKENS: tuple[tuple[str, str], ...] = (
    ("envoy.mongo_callsite", "mongo.*.collection.*.callsite.$.query.**"),
    ("envoy.mongo_collection", "mongo.*.collection.$.**.query.*"),
    ("envoy.mongo_cmd", "mongo.*.cmd.$.**"),
    ("envoy.grpc_bridge_method", "cluster.*.grpc.*.$.**"),
    ("envoy.http_user_agent", "http.*.user_agent.$.**"),
    ("envoy.virtual_cluster", "vhost.*.vcluster.$.**"),
    ("envoy.fault_downstream_cluster", "http.*.fault.$.**"),
    ("envoy.grpc_bridge_service", "cluster.*.grpc.$.**"),
    ("envoy.tcp_prefix", "tcp.$.**"),
    ("envoy.udp_prefix", "udp.$.**"),
    ("envoy.clientssl_prefix", "auth.clientssl.$.**"),
    ("envoy.ratelimit_prefix", "ratelimit.$.**"),
    ("envoy.cluster_name", "cluster.$.**"),
    ("envoy.ext_authz_prefix", "cluster.*.ext_authz.$.**"),
    ("envoy.ext_authz_prefix", "http.*.ext_authz.$.**"),
    ("envoy.http_conn_manager_prefix", "http.$.**"),
    ("envoy.virtual_host", "vhost.$.**"),
    ("envoy.mongo_prefix", "mongo.$.**"),
    ("envoy.route", "vhost.*.route.$.**"),
    ("envoy.thrift_prefix", "thrift.$.**"),
    ("envoy.redis_prefix", "redis.$.**"),
    ("envoy.local_http_ratelimit_prefix", "$.http_local_rate_limit.**"),
    ("envoy.local_network_ratelimit_prefix", "local_rate_limit.$.**"),
    ("envoy.local_listener_ratelimit_prefix", "listener_local_ratelimit.$.**"),
    ("envoy.dns_filter_prefix", "dns_filter.$.**"),
    ("envoy.connection_limit_prefix", "connection_limit.$.**"),
    ("envoy.rbac_prefix", "$.rbac.**"),
    ("envoy.google_grpc_client_prefix", "grpc.$.**"),
)


def _token_rule(tag: str, pattern: str) -> Rule:
    first, *inner = pattern.split(".")
    parts = {"$": r"(([^.]*)\.)", "*": r"[^.]*\.", "**": r"(?:.*\.)?"}
    *body, final = (first, *inner)
    regex = "^" + "".join(parts.get(token, re.escape(token) + r"\.") for token in body)
    regex += {"**": "", "*": "[^.]*$"}[final]
    literal = next((f".{token}." for token in inner if token not in parts), "")
    root = () if first == "$" else (first,)
    return Rule(tag, re.compile(regex), contains=literal, roots=root, anchored=bool(root))


DEFAULT_RULES: tuple[Rule, ...] = (*_REGEXES, *(_token_rule(tag, pattern) for tag, pattern in _TOKENS))
