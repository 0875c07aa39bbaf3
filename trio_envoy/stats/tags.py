"""Tags: the parts of a stat name that become labels.

`cluster.api.upstream_rq_200` is `cluster.upstream_rq` with envoy.response_code 200 and envoy.cluster_name api.

Rules:
1. Rules that are bound to no root come first, then those of the name's first token; each in the order of definition.
2. Of two rules with one tag the first that fits wins. All cuts are made in the whole name, at the end.
3. A name is looked at when it is exported first, never on the path of a request; what was found is kept for as many
   names as CACHED_NAMES, so that memory does not follow the number of clusters.

Sources: Envoy's TagProducerImpl, TagExtractorImpl.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from trio_envoy.stats.tag_rules import DEFAULT_RULES, Rule

CACHED_NAMES = 20_000  # about 6 MiB


class Extracted(NamedTuple):
    """A name and its tags.

    Attributes:
        name: without the parts that became tags.
        tags: (name, value) in order.
    """

    name: str
    tags: tuple[tuple[str, str], ...]


class TagExtractor:
    """Finds the tags of names.

    Args:
        rules: in order of definition.
    """

    def __init__(self, rules: Iterable[Rule] = DEFAULT_RULES) -> None:
        rules = [rule for rule in rules if rule.fixed or rule.regex.groups]
        self._free = [rule for rule in rules if not rule.anchored]
        self._anchored = [rule for rule in rules if rule.anchored]
        self._by_root: dict[str, list[Rule]] = {}
        self._cache: dict[str, Extracted] = {}

    def extract(self, name: str) -> Extracted:
        """The name without its tags, and the tags."""
        found = self._cache.get(name)
        if found is None:
            found = self._extract(name)
            if len(self._cache) < CACHED_NAMES:
                self._cache[name] = found
        return found

    def _rules(self, name: str) -> list[Rule]:
        root, dot, _ = name.partition(".")
        if not dot:
            return self._free
        rules = self._by_root.get(root)
        if rules is None:
            rules = [rule for rule in self._free if not rule.roots or root in rule.roots]
            rules += [rule for rule in self._anchored if root in rule.roots]
            if len(self._by_root) < CACHED_NAMES:
                self._by_root[root] = rules
        return rules

    def _extract(self, name: str) -> Extracted:
        tags: dict[str, str] = {}
        cuts: list[tuple[int, int]] = []
        for rule in self._rules(name):
            if rule.contains not in name:
                continue
            if rule.fixed:
                tags.setdefault(rule.tag, rule.fixed)
                continue
            match = rule.regex.search(name)
            if match is None or rule.tag in tags:
                continue
            value = match[rule.value_group]
            if value is None:
                value = match[1]
            if value is not None and value != rule.refuses:
                tags[rule.tag] = value
                cuts.append(match.span(1))
        return Extracted(_without(name, cuts), tuple(tags.items()))


def _without(name: str, cuts: list[tuple[int, int]]) -> str:
    if len(cuts) == 1:
        begin, end = cuts[0]
        return name[:begin] + name[end:]
    at = 0
    kept = []
    for begin, end in sorted(cuts):
        kept.append(name[at:begin])
        at = max(at, end)
    kept.append(name[at:])
    return "".join(kept)
