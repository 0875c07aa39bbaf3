from pathlib import Path

import pytest

from trio_envoy.stats.prometheus import render_prometheus
from trio_envoy.stats.query import parse
from trio_envoy.stats.store import Store
from trio_envoy.stats.tag_rules import DEFAULT_RULES, root_of, rule
from trio_envoy.stats.tags import TagExtractor

RECORDED = [
    line.split("\t")
    for line in (Path(__file__).parent / "recorded_tags.txt").read_text().splitlines()
    if not line.startswith("#")
]


def test_names_are_shown_to_prometheus_as_envoy_shows_them():
    for name, series in RECORDED:
        store = Store()
        store.scope("", raw=True).counter(name)

        (exposition,) = [piece for piece in render_prometheus(store, parse({})) if piece]

        assert exposition.splitlines()[1] == f"{series} 0"


@pytest.mark.parametrize(
    ("regex", "root"),
    [
        (r"^cluster\.((.*?)\.)", "cluster"),
        (r"^cluster(?=\.).*", "cluster"),
        (r"^whole$", "whole"),
        (r"^(?:a|b)\.", ""),
        (r"_rq_(\d)", ""),
        (r"^ab*", ""),
    ],
)
def test_root_is_the_token_that_a_regex_demands(regex, root):
    assert root_of(regex) == root


def test_a_rule_with_a_root_is_anchored():
    anchored = rule("x", r"^http\.((.*?)\.)")
    free = rule("x", r"_((\d+))$")

    assert (anchored.anchored, anchored.roots) == (True, ("http",))
    assert (free.anchored, free.roots) == (False, ())


def test_tokens_between_may_be_absent():
    tags = TagExtractor(DEFAULT_RULES)

    assert tags.extract("mongo.db.collection.users.query.total").tags == (
        ("envoy.mongo_collection", "users"),
        ("envoy.mongo_prefix", "db"),
    )
    assert tags.extract("mongo.db.collection.users.callsite.cs.query.total").tags == (
        ("envoy.mongo_callsite", "cs"),
        ("envoy.mongo_collection", "users"),
        ("envoy.mongo_prefix", "db"),
    )


def test_a_policy_of_rbac_is_a_tag():
    found = TagExtractor(DEFAULT_RULES).extract("http.in.rbac.policy.p1.shadow_denied")

    assert found.tags == (("envoy.rbac_policy_name", "p1"), ("envoy.http_conn_manager_prefix", "in"))
    assert found.name == "http.rbac.policy.shadow_denied"
