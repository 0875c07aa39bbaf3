import pytest

from tests.fakes import a_chain, a_route, a_stream, counted
from tests.hcm.served import Managed, filters
from trio_envoy.config.hcm import HttpFilter, UpgradeConfig
from trio_envoy.errors import ConfigError
from trio_envoy.hcm.upgrades import Upgrades
from trio_envoy.routing.entry import ForwardAction, Tunnels

OWN = (HttpFilter(name="own"),)


class Wanted:
    """A request that wants to go on with a protocol, and what becomes of it."""

    def __init__(self, protocol, *configs, on=None, method=b"GET", path=b"/", route=True):
        self.managed = Managed()
        self.made = []
        self.upgrades = Upgrades(configs, self.managed.stats, self._make)
        tunnels = None if on is None else Tunnels(on)
        self.stream = a_stream(method, path, route=a_route(ForwardAction("c", tunnels=tunnels)) if route else None)
        self.stream.request.protocol = protocol
        self.reply = self.upgrades.admit(self.stream)

    def _make(self, filters):
        self.made.append(a_chain())
        return self.made[-1]

    @property
    def counts(self):
        return counted(self.managed.services, "http.ingress.downstream_")


@pytest.mark.parametrize(
    ("protocol", "configs", "on", "allowed"),
    [
        (b"websocket", [UpgradeConfig(upgrade_type="WebSocket")], None, True),
        (b"WEBSOCKET", [UpgradeConfig(upgrade_type="websocket")], None, True),
        (b"websocket", [], None, False),
        (b"other", [UpgradeConfig(upgrade_type="websocket")], None, False),
        (b" ", [UpgradeConfig(upgrade_type="")], None, False),
        (b"websocket", [UpgradeConfig(upgrade_type="websocket", enabled=False)], None, False),
        (b"websocket", [UpgradeConfig(upgrade_type="websocket", enabled=False)], {"websocket": True}, True),
        (b"websocket", [UpgradeConfig(upgrade_type="websocket")], {"websocket": False}, False),
        (b"websocket", [UpgradeConfig(upgrade_type="websocket")], {"other": False}, True),
        (b"websocket", [], {"websocket": True}, True),
    ],
)
def test_the_route_has_the_last_word(protocol, configs, on, allowed):
    wanted = Wanted(protocol, *configs, on=on)

    assert (wanted.reply is None) is allowed
    assert wanted.stream.codec.closes is not allowed
    if allowed:
        assert wanted.counts == {"cx_upgrades_total": 1, "cx_upgrades_active": 1}
    else:
        assert (wanted.reply.status, wanted.reply.details) == (403, "upgrade_failed")
        assert wanted.counts == {"rq_ws_on_non_ws_route": 1}


def test_it_is_active_until_its_stream_is_over():
    wanted = Wanted(b"websocket", UpgradeConfig(upgrade_type="websocket"))

    for callback in wanted.stream.on_complete:
        callback()

    assert wanted.counts == {"cx_upgrades_total": 1}


def test_connect_is_an_upgrade_type_too():
    assert Wanted(b"", UpgradeConfig(upgrade_type="CONNECT"), method=b"CONNECT", path=b"").reply is None
    assert Wanted(b"", UpgradeConfig(upgrade_type="websocket"), method=b"CONNECT", path=b"").reply.status == 403


def test_without_a_route_the_router_shall_say_so():
    wanted = Wanted(b"websocket", route=False)

    assert wanted.reply is None
    assert wanted.counts == {}


def test_filters_of_its_own():
    wanted = Wanted(b"a", UpgradeConfig(upgrade_type="a", filters=OWN), UpgradeConfig(upgrade_type="b"))
    other = Wanted(b"b", UpgradeConfig(upgrade_type="a", filters=OWN), UpgradeConfig(upgrade_type="b"))
    by_route = Wanted(b"a", UpgradeConfig(upgrade_type="a", filters=OWN, enabled=False), on={"a": True})

    assert [wanted.stream.chain] == wanted.made
    assert other.stream.chain is None
    assert [by_route.stream.chain] == by_route.made


@pytest.mark.parametrize(
    ("protocol", "path", "status"),
    [
        (b"connect-udp", b"/x", 404),
        (b"Connect-UDP", b"/x", 404),
        (b"connect-udp", b"/.well-known/masque/udp/a/1/", None),
        (b"websocket", b"/x", None),
    ],
)
def test_connect_udp_needs_a_target_in_its_path(protocol, path, status):
    wanted = Wanted(protocol, path=path)

    reply = wanted.upgrades.misplaced(wanted.stream.request)

    assert (None if reply is None else reply.status) == status


@pytest.mark.parametrize(
    ("configs", "text"),
    [
        (
            (UpgradeConfig(upgrade_type="a"), UpgradeConfig(upgrade_type="A")),
            "Error: multiple upgrade configs with the same name: 'A'",
        ),
        ((UpgradeConfig(upgrade_type="connect-udp"),), "CONNECT-UDP is not supported here"),
        ((UpgradeConfig(upgrade_type="a", filters=filters()[:0] + OWN),), "Didn't find a registered implementation"),
    ],
)
def test_what_is_refused(configs, text):
    with pytest.raises(ConfigError) as caught:
        Managed(upgrade_configs=configs)

    assert text in str(caught.value)
