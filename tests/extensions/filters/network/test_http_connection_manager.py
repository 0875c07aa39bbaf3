"""envoy.filters.network.http_connection_manager."""

from tests.fakes import a_filter_context
from tests.hcm.served import Answering, filters, table
from trio_envoy import registry
from trio_envoy.config.hcm import HttpConnectionManager as Config
from trio_envoy.extensions.filters.network.http_connection_manager import make
from trio_envoy.hcm.manager import HttpConnectionManager
from trio_envoy.net.filter import TerminalFilter


def test_it_is_found_by_its_config_and_serves_connections():
    config = Config(stat_prefix="x", route_config=table(), http_filters=filters(Answering()))

    extension = registry.extension_for(registry.Category.NETWORK_FILTER, config)
    made = extension.factory(config, a_filter_context())

    assert extension.factory is make
    assert isinstance(made, HttpConnectionManager)
    assert isinstance(made, TerminalFilter)
