import pytest

from tests.upstream.fakes import address
from trio_envoy.config.endpoint import HealthStatus
from trio_envoy.upstream.host import HealthFlag, Host, HostSet


def host(flags=0):
    made = Host(address("10.0.0.1:80"))
    made.flags = int(flags)
    return made


@pytest.mark.parametrize(
    ("status", "text", "healthy", "degraded"),
    [
        (HealthStatus.UNKNOWN, "healthy", True, False),
        (HealthStatus.HEALTHY, "healthy", True, False),
        (HealthStatus.UNHEALTHY, "/failed_eds_health", False, False),
        (HealthStatus.TIMEOUT, "/failed_eds_health", False, False),
        (HealthStatus.DRAINING, "/eds_status_draining", False, False),
        (HealthStatus.DEGRADED, "/degraded_eds_health", False, True),
    ],
)
def test_configured_status(status, text, healthy, degraded):
    made = Host(address("10.0.0.1:80"), status=status)

    assert (made.flags_text(), made.healthy, made.degraded) == (text, healthy, degraded)


def test_flags_are_told_in_envoys_order():
    flags = HealthFlag.ACTIVE_HC_TIMEOUT | HealthFlag.FAILED_ACTIVE_HC | HealthFlag.PENDING_DYNAMIC_REMOVAL

    assert host(flags).flags_text() == "/failed_active_hc/pending_dynamic_removal/active_hc_timeout"


def test_an_unhealthy_host_is_not_degraded():
    both = host(HealthFlag.FAILED_ACTIVE_HC | HealthFlag.DEGRADED_ACTIVE_HC)

    assert not both.healthy
    assert not both.degraded


def test_host_set_sorts_by_health():
    good, bad, weak = host(), host(HealthFlag.FAILED_ACTIVE_HC), host(HealthFlag.DEGRADED_ACTIVE_HC)
    out = host(HealthFlag.FAILED_ACTIVE_HC | HealthFlag.EXCLUDED_VIA_IMMEDIATE_HC_FAIL)

    hosts = HostSet.of([good, bad, weak, out])

    assert hosts.hosts == (good, bad, weak, out)
    assert hosts.healthy == (good,)
    assert hosts.degraded == (weak,)
    assert hosts.excluded == 1


def test_host_set_of_healthy_hosts_shares_its_tuple():
    hosts = HostSet.of([host(), host()])

    assert hosts.healthy is hosts.hosts
    assert hosts.degraded == ()


def test_repr_names_address_and_health():
    assert repr(host(HealthFlag.FAILED_ACTIVE_HC)) == "<Host 10.0.0.1:80 /failed_active_hc>"
