import re

from trio_envoy.stats import tags
from trio_envoy.stats.tag_rules import DEFAULT_RULES, Rule, rule
from trio_envoy.stats.tags import TagExtractor


def test_a_name_gives_its_tags_up():
    name, found = TagExtractor().extract("cluster.api.upstream_rq_200")

    assert name == "cluster.upstream_rq"
    assert found == (("envoy.response_code", "200"), ("envoy.cluster_name", "api"))


def test_a_name_without_dots_is_left_alone():
    assert TagExtractor().extract("cluster") == ("cluster", ())


def test_the_first_rule_of_a_tag_wins():
    extractor = TagExtractor([rule("t", r"^a\.((x)\.)"), rule("t", r"^a\.(([xy])\.)")])

    assert extractor.extract("a.x.n") == ("a.n", (("t", "x"),))
    assert extractor.extract("a.y.n") == ("a.n", (("t", "y"),))


def test_rules_without_root_come_first():
    extractor = TagExtractor([rule("rooted", r"^a\.((\w+)\.)"), rule("free", r"_((\d))$")])

    assert extractor.extract("a.b.c_1").tags == (("free", "1"), ("rooted", "b"))


def test_fixed_tags_are_on_every_name():
    extractor = TagExtractor([*DEFAULT_RULES, Rule("zone", re.compile(""), fixed="z1")])

    assert extractor.extract("cluster.a.n").tags == (("zone", "z1"), ("envoy.cluster_name", "a"))
    assert extractor.extract("n") == ("n", (("zone", "z1"),))


def test_one_group_is_cut_out_and_is_the_value():
    assert TagExtractor([rule("t", r"(_\d+)")]).extract("a_12.b") == ("a.b", (("t", "_12"),))


def test_a_second_group_that_took_no_part_falls_back_to_the_first():
    assert TagExtractor([rule("t", r"(_(\d+)?)x")]).extract("a_x") == ("ax", (("t", "_"),))


def test_an_optional_group_that_took_no_part_is_no_tag():
    assert TagExtractor([rule("t", r"a(b)?")]).extract("ac") == ("ac", ())


def test_a_rule_without_groups_is_none():
    assert TagExtractor([rule("t", "a")]).extract("a.b") == ("a.b", ())


def test_overlapping_cuts_are_made_once():
    assert TagExtractor([rule("t", r"(bcd)"), rule("u", r"(cde)")]).extract("abcdef").name == "af"


def test_the_cache_is_bounded(monkeypatch):
    monkeypatch.setattr(tags, "CACHED_NAMES", 2)
    extractor = TagExtractor()

    for number in range(5):
        assert extractor.extract(f"r{number}.x_rq_200").name == f"r{number}.x_rq"

    assert len(extractor._cache) == 2
    assert len(extractor._by_root) == 2
