import pytest

from trio_envoy.config import aliases, schema


def test_every_alias_means_an_extension_of_its_category_or_one_that_is_gone():
    for category, names in aliases.ALIASES.items():
        for official in names.values():
            known = schema.extension(category, official) is not None
            assert known or official in aliases.GONE or official == "envoy.filters.http.gzip", official


def test_every_alias_that_envoy_lists_itself_is_known():
    listed = {
        (each.category, each.name)
        for each in schema.extensions()
        if each.category in (aliases.HTTP, aliases.NETWORK, aliases.LISTENER, "envoy.access_loggers", "envoy.tracers")
        if not each.types and each.name.count(".") < 3
    }

    assert listed <= {(category, name) for category, names in aliases.ALIASES.items() for name in names}


def test_the_place_decides_what_a_short_name_means():
    assert aliases.canonical("envoy.ext_authz", aliases.HTTP) == "envoy.filters.http.ext_authz"
    assert aliases.canonical("envoy.ext_authz", aliases.NETWORK) == "envoy.filters.network.ext_authz"
    assert aliases.canonical("mine", aliases.HTTP) == "mine"


@pytest.mark.parametrize(
    ("name", "category", "fqn"),
    [
        ("envoy.router", aliases.HTTP, "envoy.extensions.filters.http.router.v3.Router"),
        ("tls", aliases.UPSTREAM_SOCKET, "envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext"),
        ("tls", aliases.DOWNSTREAM_SOCKET, "envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext"),
        ("envoy.lightstep", "envoy.tracers", None),
        ("envoy.router", aliases.NETWORK, None),
    ],
)
def test_config_type(name, category, fqn):
    assert aliases.config_type(name, category) == fqn


@pytest.mark.parametrize(
    ("name", "fqn"),
    [
        ("envoy.cors", "envoy.extensions.filters.http.cors.v3.CorsPolicy"),
        ("envoy.fault", "envoy.extensions.filters.http.fault.v3.HTTPFault"),
        ("envoy.filters.http.lua", "envoy.extensions.filters.http.lua.v3.LuaPerRoute"),
        ("mine", None),
    ],
)
def test_route_type(name, fqn):
    assert aliases.route_type(name) == fqn


def test_known_names():
    assert {"envoy.router", "envoy.filters.http.router", "envoy.squash", "tls"} <= aliases.known_names()


def test_protocol_options_are_messages():
    assert all(schema.message(fqn) for fqn in aliases.PROTOCOL_OPTIONS.values())
