import pytest

from trio_envoy.config.matcher import StringMatcher
from trio_envoy.config.metrics import (
    HistogramBucketSettings,
    ListStringMatcher,
    StatsConfig,
    StatsMatcher,
    TagSpecifier,
)
from trio_envoy.errors import ConfigError
from trio_envoy.stats.histogram import DEFAULT_BUCKETS
from trio_envoy.stats.settings import Settings, compile_settings


def starts(matcher: StringMatcher):
    return lambda name: name.startswith(matcher.prefix)


def patterns(*prefixes: str) -> ListStringMatcher:
    return ListStringMatcher(patterns=tuple(StringMatcher(prefix=prefix) for prefix in prefixes))


def settings(**fields) -> Settings:
    return compile_settings(StatsConfig(**fields), starts)


def test_without_config_all_is_default():
    made = compile_settings(None, starts)

    assert made.accepts is None
    assert made.buckets("x") == DEFAULT_BUCKETS
    assert made.tags.extract("cluster.a.b").tags == (("envoy.cluster_name", "a"),)


@pytest.mark.parametrize(
    ("matcher", "accepted"),
    [
        (StatsMatcher(exclusion_list=patterns("a.", "b.")), ["c.x"]),
        (StatsMatcher(inclusion_list=patterns("a.", "b.")), ["a.x", "b.x"]),
        (StatsMatcher(reject_all=True), []),
    ],
)
def test_stats_matcher(matcher, accepted):
    accepts = settings(stats_matcher=matcher).accepts

    assert [name for name in ("a.x", "b.x", "c.x") if accepts(name)] == accepted


def test_reject_all_false_accepts_all():
    assert settings(stats_matcher=StatsMatcher(reject_all=False)).accepts is None


def test_the_first_bucket_setting_that_fits_counts_and_is_sorted():
    made = settings(
        histogram_bucket_settings=(
            HistogramBucketSettings(match=StringMatcher(prefix="a."), buckets=(5, 1)),
            HistogramBucketSettings(match=StringMatcher(prefix="a"), buckets=(7,)),
        )
    )

    assert [made.buckets(name) for name in ("a.x", "ab", "b")] == [(1, 5), (7,), DEFAULT_BUCKETS]


def test_own_tags_come_with_or_without_the_default_ones():
    own = (
        TagSpecifier(tag_name="zone", fixed_value="z"),
        TagSpecifier(tag_name="what", regex=r"^cluster\.[^.]+\.((\w+)\.)"),
    )
    both = settings(stats_tags=own).tags.extract("cluster.a.ssl.n")
    alone = settings(stats_tags=own, use_all_default_tags=False).tags.extract("cluster.a.ssl.n")

    assert both.tags == (("zone", "z"), ("envoy.cluster_name", "a"), ("what", "ssl"))
    assert alone == ("cluster.a.n", (("zone", "z"), ("what", "ssl")))


def test_a_default_tag_is_brought_back_by_its_name():
    made = settings(stats_tags=(TagSpecifier(tag_name="envoy.cluster_name"),), use_all_default_tags=False)

    assert made.tags.extract("cluster.a.upstream_rq_200") == (
        "cluster.upstream_rq_200",
        (("envoy.cluster_name", "a"),),
    )


@pytest.mark.parametrize(
    ("specifier", "text"),
    [
        (TagSpecifier(regex="(a)"), "tag_name cannot be empty"),
        (TagSpecifier(tag_name="x"), "No regex specified for tag specifier and no default regex for name: 'x'"),
        (TagSpecifier(tag_name="x", regex="("), r"Invalid regex '\('"),
    ],
)
def test_a_wrong_tag_is_refused(specifier, text):
    with pytest.raises(ConfigError, match=text) as caught:
        settings(stats_tags=(specifier,))

    assert caught.value.at is specifier
