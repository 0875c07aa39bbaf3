import pytest

from tests.upstream.fakes import connect_in_memory, make_services
from trio_envoy.upstream.transport import Dialer


@pytest.fixture
def services(monkeypatch):
    monkeypatch.setattr(Dialer, "_connected", connect_in_memory)
    return make_services()
