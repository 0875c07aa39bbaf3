from trio_envoy.stats.prometheus import render_prometheus
from trio_envoy.stats.query import parse
from trio_envoy.stats.store import Store


def exposition(store: Store, **query: str) -> list[str]:
    return "".join(render_prometheus(store, parse(query, prometheus=True))).splitlines()


def test_samples_of_one_metric_stand_together_in_the_order_of_tokens():
    store = Store()
    for cluster in ("c-x", "c", "b"):
        store.scope(f"cluster.{cluster}.").counter("total").value += 1
    store.scope("cluster_manager.").counter("added")

    assert exposition(store) == [
        "# TYPE envoy_cluster_total counter",
        'envoy_cluster_total{envoy_cluster_name="b"} 1',
        'envoy_cluster_total{envoy_cluster_name="c"} 1',
        'envoy_cluster_total{envoy_cluster_name="c-x"} 1',
        "# TYPE envoy_cluster_manager_added counter",
        "envoy_cluster_manager_added{} 0",
    ]


def test_label_values_are_escaped():
    store = Store()
    store.scope('cluster.a"b\\c\nd.').gauge("n")

    assert exposition(store)[1] == 'envoy_cluster_n{envoy_cluster_name="a\\"b\\\\c\\nd"} 0'


def test_text_readouts_are_gauges_on_demand():
    store = Store()
    store.scope("cluster.c.").text("v").value = 'x"y'
    store.scope("").text("w").value = "z"

    assert exposition(store) == []
    assert exposition(store, text_readouts="") == [
        "# TYPE envoy_cluster_v gauge",
        'envoy_cluster_v{envoy_cluster_name="c",text_value="x\\"y"} 0',
        "# TYPE envoy_w gauge",
        'envoy_w{text_value="z"} 0',
    ]


def test_a_histogram_without_labels():
    store = Store()
    store.scope("").histogram("h").record(1)
    store.flush()

    lines = exposition(store)

    assert lines[:3] == ["# TYPE envoy_h histogram", 'envoy_h_bucket{le="0.5"} 0', 'envoy_h_bucket{le="1"} 1']
    assert lines[-4:] == [
        'envoy_h_bucket{le="3600000"} 1',
        'envoy_h_bucket{le="+Inf"} 1',
        "envoy_h_sum{} 1.0476190476190476719153821250075",
        "envoy_h_count{} 1",
    ]


def test_a_summary_shows_the_last_interval():
    store = Store()
    store.scope("").histogram("h").record(1)
    store.flush()

    lines = exposition(store, histogram_buckets="summary")

    assert lines[:2] == ["# TYPE envoy_h summary", 'envoy_h{quantile="0"} 1.0500000000000000444089209850063']
    assert lines[-2:] == ["envoy_h_sum{} 1.0476190476190476719153821250075", "envoy_h_count{} 1"]


def test_hidden_gauges_are_hidden_here_too():
    store = Store()
    store.scope("").gauge("g", hidden=True)

    assert exposition(store) == []
    assert exposition(store, hidden="include") == ["# TYPE envoy_g gauge", "envoy_g{} 0"]


def test_a_long_exposition_comes_in_pieces():
    store = Store()
    for number in range(9000):
        store.scope(f"cluster.c{number}.").counter("n")

    pieces = list(render_prometheus(store, parse({}, prometheus=True)))

    assert len([piece for piece in pieces if piece]) >= 4
    assert "".join(pieces).count("\n") == 9001
