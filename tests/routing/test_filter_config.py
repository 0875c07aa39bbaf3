"""typed_per_filter_config gathered."""

from typing import ClassVar

import attrs
import pytest

from trio_envoy.config.route import FilterConfig, Route, RouteConfiguration, RouteMatch, VirtualHost
from trio_envoy.config.route_action import ClusterWeight
from trio_envoy.errors import ConfigError
from trio_envoy.registry import Category, register
from trio_envoy.routing.filter_config import OverridesGatherer
from trio_envoy.routing.overrides import NO_OVERRIDES, Override


@attrs.frozen
class PerRoute:
    __proto__: ClassVar[str] = "test.routing.PerRoute"
    value: str = ""


@attrs.frozen
class Unknown:
    __proto__: ClassVar[str] = "test.routing.Unknown"


register(Category.HTTP_FILTER, "test.routing.filter", per_route=PerRoute)(lambda config, context: None)


def levels(table=(), host=(), route=(), cluster=()):
    return (
        RouteConfiguration(typed_per_filter_config=dict(table)),
        VirtualHost(typed_per_filter_config=dict(host)),
        Route(match=RouteMatch(), typed_per_filter_config=dict(route)),
        ClusterWeight(typed_per_filter_config=dict(cluster)),
    )


T, H, R, C = PerRoute("t"), PerRoute("h"), PerRoute("r"), PerRoute("c")
OFF = FilterConfig(disabled=True)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (levels(route={"f": R}), {"f": Override(False, (R,))}),
        (levels({"f": T}, {"f": H}, {"f": R}, {"f": C}), {"f": Override(False, (T, H, R, C))}),
        (levels({"f": T}, {"f": OFF}), {"f": Override(True, (T,))}),
        (levels({"f": T}, {"f": OFF}, {"f": R}), {"f": Override(False, (T, R))}),
        (levels({"f": OFF}, route={"f": FilterConfig(config=R)}), {"f": Override(False, (R,))}),
        (levels({"f": OFF}, route={"g": R}), {"f": Override(True), "g": Override(False, (R,))}),
        (levels(route={"f": FilterConfig(is_optional=True)}), {"f": Override(False)}),
        (levels(route={"f": FilterConfig(config=R, disabled=True)}), {"f": Override(True)}),
    ],
)
def test_what_is_closest_decides_and_all_configs_are_kept(said, expected):
    assert OverridesGatherer().gather(said).by_name == expected


def test_nothing_said_is_one_object():
    assert OverridesGatherer().gather(levels()) is NO_OVERRIDES


def test_equal_overrides_are_one_object():
    gatherer = OverridesGatherer()
    table, host, _, _ = levels({"f": T}, {"g": OFF})

    first = gatherer.gather((table, host))

    assert gatherer.gather((table, host)) is first
    assert gatherer.gather((table,)) is not first


def test_a_message_that_no_filter_takes_per_route_is_refused():
    _, _, route, _ = said = levels(route={"f": Unknown()})

    with pytest.raises(ConfigError) as caught:
        OverridesGatherer().gather(said)

    assert caught.value.text == "The filter f doesn't support virtual host or route specific configurations"
    assert (caught.value.at, caught.value.field) == (route, ("typed_per_filter_config", "f"))


def test_an_empty_filter_config_is_refused():
    with pytest.raises(ConfigError, match="Empty route/virtual host per filter configuration for f filter"):
        OverridesGatherer().gather(levels(route={"f": FilterConfig()}))
