"""What envoy.config.metrics.v3.StatsConfig asks for, in the form that the store and the renderers use.

All of stats_tags, use_all_default_tags, stats_matcher and histogram_bucket_settings (but for `bins`, which shapes
Prometheus' native histograms) is honoured. A stat that stats_matcher refuses is counted but nowhere shown.

Source: Envoy's TagProducerImpl, StatsMatcherImpl, HistogramSettingsImpl.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence

import attrs

from trio_envoy.config.matcher import StringMatcher
from trio_envoy.config.metrics import StatsConfig, StatsMatcher, TagSpecifier
from trio_envoy.errors import ConfigError
from trio_envoy.stats.histogram import DEFAULT_BUCKETS
from trio_envoy.stats.tag_rules import DEFAULT_RULES, Rule, rule
from trio_envoy.stats.tags import TagExtractor

NameTest = Callable[[str], bool]


@attrs.frozen(eq=False)
class Settings:
    """Which stats there are and how they are shown.

    Attributes:
        accepts: name -> it exists (stats_matcher); None: all do.
        tags: takes labels out of names (stats_tags, use_all_default_tags).
        bucket_rules: (test of the name, upper bounds); the first that fits gives a histogram's buckets.
    """

    accepts: NameTest | None = None
    tags: TagExtractor = attrs.Factory(TagExtractor)
    bucket_rules: Sequence[tuple[NameTest, tuple[float, ...]]] = ()

    def buckets(self, name: str) -> tuple[float, ...]:
        """Upper bounds of the buckets of the histogram of this name, ascending."""
        for test, bounds in self.bucket_rules:
            if test(name):
                return bounds
        return DEFAULT_BUCKETS


def compile_settings(config: StatsConfig | None, string_test: Callable[[StringMatcher], NameTest]) -> Settings:
    """Make settings of a configuration.

    Args:
        config: Bootstrap.stats_config.
        string_test: makes the test of a StringMatcher (the floor that can do it lies above this one).

    Raises:
        ConfigError: a tag that can't be taken out of names.
    """
    if config is None:
        return Settings()
    defaults = () if config.use_all_default_tags is False else DEFAULT_RULES
    own = [found for specifier in config.stats_tags for found in _rules(specifier)]
    return Settings(
        _accepts(config.stats_matcher, string_test),
        TagExtractor((*defaults, *own)),
        [(string_test(setting.match), tuple(sorted(setting.buckets))) for setting in config.histogram_bucket_settings],
    )


def _rules(specifier: TagSpecifier) -> Iterator[Rule]:
    name = specifier.tag_name
    if not name:
        raise ConfigError("tag_name cannot be empty", at=specifier, field="tag_name")
    if specifier.fixed_value is not None:
        yield Rule(name, re.compile(""), fixed=specifier.fixed_value)
    elif specifier.regex:
        try:
            yield rule(name, specifier.regex)
        except re.error as error:
            raise ConfigError(f"Invalid regex {specifier.regex!r}: {error}", at=specifier, field="regex") from None
    else:
        found = [default for default in DEFAULT_RULES if default.tag == name]
        if not found:
            text = f"No regex specified for tag specifier and no default regex for name: {name!r}"
            raise ConfigError(text, at=specifier, field="regex")
        yield from found


def _accepts(matcher: StatsMatcher | None, string_test: Callable[[StringMatcher], NameTest]) -> NameTest | None:
    if matcher is None:
        return None
    if matcher.exclusion_list is not None:
        refused = [string_test(pattern) for pattern in matcher.exclusion_list.patterns]
        return lambda name: not any(test(name) for test in refused)
    if matcher.inclusion_list is not None:
        wanted = [string_test(pattern) for pattern in matcher.inclusion_list.patterns]
        return lambda name: any(test(name) for test in wanted)
    return (lambda name: False) if matcher.reject_all else None
