import pytest

from tests.messages import a_request, an_info
from trio_envoy.config.route_action import ConnectConfig, RouteUpgradeConfig
from trio_envoy.errors import ConfigError
from trio_envoy.routing.tunnels import compile_tunnels


def upgrade(kind, **fields):
    return RouteUpgradeConfig(upgrade_type=kind, **fields)


def a_connect(*headers):
    return a_request("", *headers, method="CONNECT")


def test_types_are_told_apart_whatever_their_case():
    tunnels = compile_tunnels([upgrade("WebSocket"), upgrade("foo", enabled=False)])

    assert tunnels.enabled == {"websocket": True, "foo": False}
    assert not tunnels.terminated


@pytest.mark.parametrize(("post", "methods"), [(False, {b"CONNECT"}), (True, {b"CONNECT", b"POST"})])
def test_what_ends_here(post, methods):
    assert compile_tunnels([upgrade("connect", connect_config=ConnectConfig(allow_post=post))]).terminated == methods


@pytest.mark.parametrize(
    ("configs", "text", "field"),
    [
        ([upgrade("a"), upgrade("A")], "Duplicate upgrade A", "upgrade_type"),
        (
            [upgrade("a", connect_config=ConnectConfig())],
            "Non-CONNECT upgrade type a has ConnectConfig",
            "connect_config",
        ),
        ([upgrade("CONNECT-UDP")], "upgrade_type: CONNECT-UDP is not supported here", "upgrade_type"),
    ],
)
def test_what_is_refused(configs, text, field):
    with pytest.raises(ConfigError) as caught:
        compile_tunnels(configs)

    assert text in str(caught.value)
    assert caught.value.at is configs[-1]
    assert caught.value.field == (field,)


def test_only_a_connect_matcher_takes_what_has_no_path(routes):
    table = routes("""
- {match: {prefix: /}, route: {cluster: c}, name: all}
- {match: {connect_matcher: {}, headers: [{name: x}]}, route: {cluster: d}, name: some}
- {match: {connect_matcher: {}}, route: {cluster: e}, name: tunnels}
""")

    assert table.match(a_request(), an_info()).name == "all"
    assert table.match(a_connect(), an_info()).name == "tunnels"
    assert table.match(a_connect(("x", "y")), an_info()).name == "some"


def test_without_a_connect_matcher_connect_has_no_route(routes):
    assert routes("- {match: {prefix: /}, route: {cluster: c}}").match(a_connect(), an_info()) is None


def test_a_connect_has_no_path_to_rewrite(routes):
    table = routes("- {match: {connect_matcher: {}}, route: {cluster: c, prefix_rewrite: /x}}")
    request = a_connect()

    table.match(request, an_info()).action.rewrite(request, True)

    assert (request.path, list(request.headers)) == (b"", [])
