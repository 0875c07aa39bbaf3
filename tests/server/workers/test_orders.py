import pytest

from tests.server.workers.conftest import compiled
from trio_envoy.runtime import Entry, Snapshot
from trio_envoy.server.workers.messages import (
    DrainListeners,
    HealthFailed,
    LogLevels,
    ReopenLogs,
    UseHosts,
    UseRuntime,
)
from trio_envoy.server.workers.orders import obey
from trio_envoy.util.log import COMPONENTS, level_of, logger


@pytest.fixture
def server():
    return compiled("static_resources: {}")


@pytest.fixture(autouse=True)
def _levels_stay():
    before = {component: logger(component).level for component in COMPONENTS}
    yield
    for component, level in before.items():
        logger(component).setLevel(level)


def test_health(server):
    obey(server, HealthFailed(True))
    assert server.services.health_failed
    obey(server, HealthFailed(False))
    assert not server.services.health_failed


def test_levels(server):
    obey(server, LogLevels({"": "error", "http": "trace"}))

    assert (level_of("http"), level_of("main")) == ("trace", "error")


def test_runtime(server):
    entry = Entry("1", 1.0)
    snapshot = Snapshot((), {"a": entry})
    obey(server, UseRuntime(snapshot))

    assert server.services.runtime.snapshot is snapshot


def test_drains(server, monkeypatch):
    asked = []
    monkeypatch.setattr(server.listeners, "drain", lambda **options: asked.append(options))
    obey(server, DrainListeners(inbound_only=True, graceful=True, ago=3))

    assert asked == [{"inbound_only": True, "graceful": True, "skip_exit": False, "ago": 3}]


def test_logs(server, monkeypatch):
    asked = []
    monkeypatch.setattr(server.services.log_files, "reopen", lambda: asked.append(True))
    obey(server, ReopenLogs())

    assert asked == [True]


def test_hosts_are_for_workers_alone(server):
    with pytest.raises(AssertionError, match="for workers alone"):
        obey(server, UseHosts("c", (), (), {}))
