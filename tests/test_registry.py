import sys

import attrs
import pytest

from trio_envoy import registry
from trio_envoy.registry import AlreadyRegisteredError, Category, register


@attrs.frozen
class Config:
    __proto__ = "test.registry.Config"


@attrs.frozen
class PerRoute:
    __proto__ = "test.registry.PerRoute"


@attrs.frozen
class Part:
    __proto__ = "test.registry.Part"


@pytest.fixture(autouse=True)
def _as_before(monkeypatch):
    for table in ("_by_name", "_by_config", "_messages"):
        monkeypatch.setattr(registry, table, dict(getattr(registry, table)))


def make(config, context):
    return config, context


def test_an_extension_is_found_by_name_by_config_and_by_its_messages():
    assert register(Category.HTTP_FILTER, "test.one", config=Config, per_route=PerRoute)(make) is make

    found = registry.by_name(Category.HTTP_FILTER, "test.one")
    assert found is registry.extension_for(Category.HTTP_FILTER, Config())
    assert (found.factory, found.config, found.per_route) == (make, Config, PerRoute)
    assert registry.config_class("test.registry.Config") is Config
    assert registry.config_class("test.registry.PerRoute") is PerRoute
    assert found in registry.registered()


def test_a_name_is_taken_once_in_each_category():
    register(Category.HTTP_FILTER, "test.one")(make)
    register(Category.NETWORK_FILTER, "test.one")(make)

    with pytest.raises(AlreadyRegisteredError, match=r"envoy\.filters\.http: test\.one"):
        register(Category.HTTP_FILTER, "test.one")(make)


def test_a_config_belongs_to_one_category():
    register(Category.HTTP_FILTER, "test.one", config=Config)(make)

    assert registry.extension_for(Category.NETWORK_FILTER, Config()) is None


def test_further_messages_are_known_by_their_name():
    assert registry.message_class(Part) is Part
    assert registry.config_class("test.registry.Part") is Part


@pytest.mark.parametrize(
    ("name", "module"),
    [
        ("envoy.extensions.filters.http.router.v3.Router", "trio_envoy.extensions.filters.http.router"),
        ("envoy.extensions.a.b.v2alpha.C", "trio_envoy.extensions.a.b"),
        ("envoy.extensions.a.b.C", "trio_envoy.extensions.a.b"),
        ("envoy.extensions.a.vb.C", "trio_envoy.extensions.a.vb"),
        ("envoy.config.cluster.v3.Cluster", None),
    ],
)
def test_the_type_url_is_the_module_path(name, module):
    assert registry.module_of(name) == module


def test_a_module_is_imported_on_first_need():
    found = registry.config_class("envoy.extensions.filters.network.echo.v3.Echo")

    assert found.__proto__ == "envoy.extensions.filters.network.echo.v3.Echo"
    assert "trio_envoy.extensions.filters.network.echo" in sys.modules
    assert registry.built_in(Category.CLUSTER, "envoy.cluster.static", "clusters.static").config is None


@pytest.mark.parametrize(
    "name", ["envoy.extensions.filters.http.nope.v3.Nope", "envoy.extensions.filters.http.router.v3.Nope", "x.Y"]
)
def test_what_is_not_there_is_none(name):
    assert registry.config_class(name) is None


def test_a_module_that_lacks_a_package_says_so(monkeypatch):
    def missing(_):
        raise ModuleNotFoundError("no module named 'grpc'", name="grpc")

    monkeypatch.setattr(registry.importlib, "import_module", missing)

    with pytest.raises(ModuleNotFoundError):
        registry.config_class("envoy.extensions.filters.http.nope.v3.Nope")
