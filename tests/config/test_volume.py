"""Big files: what goes in comes out, and the last line is found. How long it takes is for the benchmark."""

import attrs
import pytest

from tests.config.volume import volume
from trio_envoy.config.loader import load
from trio_envoy.errors import ConfigErrors


@attrs.frozen
class Router:
    """Stands in for the router's config, which lives on a higher floor."""

    __proto__ = "envoy.extensions.filters.http.router.v3.Router"


@pytest.fixture
def with_router(resolve):
    return lambda name: Router if name == Router.__proto__ else resolve(name)


def test_five_hundred_clusters_and_routes(with_router, tmp_path):
    path = tmp_path / "big.yaml"
    path.write_text(volume(500))

    loaded = load(str(path), "", resolve=with_router)

    clusters = loaded.bootstrap.static_resources.clusters
    manager = loaded.bootstrap.static_resources.listeners[0].filter_chains[0].filters[0].typed_config
    routes = manager.route_config.virtual_hosts[0].routes
    assert len(clusters) == len(routes) == 500
    assert (
        clusters[-1].load_assignment.endpoints[0].lb_endpoints[0].endpoint.address.socket_address.port_value == 10_499
    )
    assert routes[-1].route.cluster == "cluster_499"
    assert loaded.warnings == ()


def test_a_fault_in_the_last_line_is_found(with_router, tmp_path):
    path = tmp_path / "big.yaml"
    text = volume(500).rstrip() + "x\n"
    path.write_text(text)

    with pytest.raises(ConfigErrors) as caught:
        load(str(path), "", resolve=with_router)

    assert len(caught.value.faults) == 1
    assert caught.value.faults[0].line == text.count("\n")
    assert "expected an integer, got '10499x'" in str(caught.value)
