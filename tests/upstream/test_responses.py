from tests.upstream.fakes import counted, make_services
from trio_envoy.stats.histogram import PENDING_LIMIT
from trio_envoy.upstream.responses import ResponseCounts


def test_nothing_exists_before_its_first_use():
    services = make_services()
    ResponseCounts(services.stats.scope("cluster.c."), ("", "external."))

    assert [name for name, *_ in services.stats] == []


def test_a_status_counts_under_each_prefix():
    services = make_services()
    counts = ResponseCounts(services.stats.scope("cluster.c."), ("", "external."))

    counts.count(200)
    counts.count(204)
    counts.count(503)

    assert counted(services) == {
        "upstream_rq_200": 1,
        "upstream_rq_204": 1,
        "upstream_rq_2xx": 2,
        "upstream_rq_503": 1,
        "upstream_rq_5xx": 1,
        "external.upstream_rq_200": 1,
        "external.upstream_rq_204": 1,
        "external.upstream_rq_2xx": 2,
        "external.upstream_rq_503": 1,
        "external.upstream_rq_5xx": 1,
        "external.upstream_rq_completed": 3,
    }


def test_two_that_share_a_prefix_count_together():
    services = make_services()
    scope = services.stats.scope("cluster.c.")
    outside, inside = ResponseCounts(scope, ("", "external.")), ResponseCounts(scope, ("", "internal."))

    outside.count(200)
    inside.count(200)

    assert counted(services)["upstream_rq_200"] == 2
    assert counted(services)["internal.upstream_rq_200"] == 1


def test_a_status_of_no_class():
    services = make_services()
    counts = ResponseCounts(services.stats.scope("cluster.c."), ("",))

    counts.count(700)

    assert counted(services) == {"upstream_rq_unknown": 1}


def test_time_is_recorded_under_each_prefix():
    services = make_services()
    counts = ResponseCounts(services.stats.scope("cluster.c."), ("", "external."))

    counts.time(12.5)
    counts.time(3.0)
    services.stats.flush()

    for name in ("upstream_rq_time", "external.upstream_rq_time"):
        assert sum(services.stats.value(f"cluster.c.{name}").total.values()) == 2


def test_times_beyond_what_is_kept_are_not_lost():
    services = make_services()
    counts = ResponseCounts(services.stats.scope("cluster.c."), ("",))

    for _ in range(2 * PENDING_LIMIT + 7):
        counts.time(1.0)
    services.stats.flush()

    assert sum(services.stats.value("cluster.c.upstream_rq_time").total.values()) == 2 * PENDING_LIMIT + 7
