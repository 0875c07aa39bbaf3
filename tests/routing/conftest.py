"""Route tables for tests: from YAML, with a few clusters."""

from random import Random

import attrs
import pytest

from tests.messages import a_runtime, an_info, from_yaml
from trio_envoy.config.route import RouteConfiguration
from trio_envoy.routing.context import RouteContext
from trio_envoy.routing.table import RouteTable


@pytest.fixture
def context():
    """Clusters c, d and e exist; the random numbers are the same in each test."""
    return RouteContext(runtime=a_runtime(), random=Random(1), cluster_exists={"c", "d", "e"}.__contains__)


@pytest.fixture
def table(context):
    """YAML of a RouteConfiguration -> RouteTable."""

    def build(text, **changes):
        return RouteTable(from_yaml(text, RouteConfiguration), attrs.evolve(context, **changes))

    return build


@pytest.fixture
def routes(table):
    """YAML list of routes -> RouteTable with one virtual host `v` for all domains."""

    def build(text, rest="", **changes):
        lines = "\n".join(f"    {line}" for line in text.strip("\n").splitlines())
        return table(f"name: rc\nvirtual_hosts:\n- name: v\n  domains: ['*']\n  routes:\n{lines}\n{rest}", **changes)

    return build


@pytest.fixture
def matched():
    """(table, request) -> the route."""

    def match(table, request, **attributes):
        return table.match(request, an_info(**attributes))

    return match
