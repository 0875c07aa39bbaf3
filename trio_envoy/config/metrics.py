"""envoy.config.metrics.v3: which stats there are and how they are shown.

Source: envoy/config/metrics/v3/stats.proto.
"""

from __future__ import annotations

from typing import ClassVar

import attrs

from trio_envoy.config.matcher import StringMatcher


@attrs.frozen(kw_only=True)
class ListStringMatcher:
    """Strings of which one must fit.

    Attributes:
        patterns: at least one.
    """

    __proto__: ClassVar[str] = "envoy.type.matcher.v3.ListStringMatcher"

    patterns: tuple[StringMatcher, ...] = ()


@attrs.frozen(kw_only=True)
class TagSpecifier:
    """A tag that is taken out of stat names, or put on all of them (oneof tag_value).

    Attributes:
        tag_name: of the tag, not empty; that of a default tag brings that one back when
            use_all_default_tags is false.
        regex: ECMAScript; the first group is cut out of the name, the second, or else the first, is the value.
        fixed_value: the value for all names.
    """

    __proto__: ClassVar[str] = "envoy.config.metrics.v3.TagSpecifier"

    tag_name: str = ""
    regex: str | None = None
    fixed_value: str | None = None


@attrs.frozen(kw_only=True)
class StatsMatcher:
    """Which stats exist (oneof stats_matcher, required).

    Attributes:
        reject_all: none.
        exclusion_list: all but these.
        inclusion_list: only these.
    """

    __proto__: ClassVar[str] = "envoy.config.metrics.v3.StatsMatcher"

    reject_all: bool | None = None
    exclusion_list: ListStringMatcher | None = None
    inclusion_list: ListStringMatcher | None = None


@attrs.frozen(kw_only=True)
class HistogramBucketSettings:
    """The buckets in which some histograms are shown.

    Attributes:
        match: their names.
        buckets: upper bounds, > 0, no two alike.
    """

    __proto__: ClassVar[str] = "envoy.config.metrics.v3.HistogramBucketSettings"

    match: StringMatcher
    buckets: tuple[float, ...] = ()


@attrs.frozen(kw_only=True)
class StatsConfig:
    """All of it.

    Attributes:
        stats_tags: tags of one's own, in order.
        use_all_default_tags: Envoy's tags are taken too; None is true.
        stats_matcher: which stats exist; None: all.
        histogram_bucket_settings: the first that fits a histogram counts.
    """

    __proto__: ClassVar[str] = "envoy.config.metrics.v3.StatsConfig"

    stats_tags: tuple[TagSpecifier, ...] = ()
    use_all_default_tags: bool | None = None
    stats_matcher: StatsMatcher | None = None
    histogram_bucket_settings: tuple[HistogramBucketSettings, ...] = ()
