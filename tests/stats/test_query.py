import pytest

from trio_envoy.stats.declare import Kind
from trio_envoy.stats.query import Buckets, Format, QueryError, parse


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ({"filter": "["}, "Invalid re2 regex: missing ]: ["),
        ({"filter": "(?=a)"}, "Invalid re2 regex: invalid perl operator: (?="),
        ({"invert_filter": ""}, "invert_filter can only be used if filter is also provided"),
        ({"type": "x"}, "invalid &type= param"),
        ({"hidden": "x"}, "usage: /stats?hidden=(include|only|exclude)\n\n"),
        ({"format": "x"}, "usage: /stats?format=(html|active-html|json|prometheus|text)\n\n"),
        (
            {"histogram_buckets": "x"},
            "usage: /stats?histogram_buckets=(cumulative|disjoint|detailed|summary|prometheusnative)\n",
        ),
        (
            {"histogram_buckets": "prometheusnative"},
            "Invalid histogram_buckets type for non prometheus stats type",
        ),
        (
            {"histogram_buckets": "prometheusnative", "format": "prometheus"},
            "unsupported prometheusnative histogram type when not using protobuf exposition format",
        ),
        (
            {"histogram_buckets": "detailed", "format": "prometheus"},
            "unsupported prometheus histogram bucket mode",
        ),
    ],
)
def test_a_wrong_parameter_is_refused_with_envoys_words(query, text):
    with pytest.raises(QueryError) as caught:
        parse(query)

    assert str(caught.value) == text


def test_empty_parameters_are_as_if_absent():
    query = parse(dict.fromkeys(("filter", "type", "format", "hidden", "histogram_buckets"), ""))

    assert (query.format, query.buckets, query.keep, query.used_only) == (Format.TEXT, Buckets.UNSET, None, False)
    assert query.kinds == {Kind.TEXT, Kind.COUNTER, Kind.GAUGE, Kind.HISTOGRAM}


def test_filter_is_unanchored_re2_and_may_be_inverted():
    keep = parse({"filter": "rq_.*l$"}).keep
    drop = parse({"filter": "rq_", "invert_filter": ""}).keep

    assert keep("a.rq_total")
    assert not keep("a.rq_totals")
    assert drop("a.cx")
    assert not drop("a.rq_x")


def test_filter_sees_utf8():
    assert parse({"filter": "^.é$"}).keep("xé")


@pytest.mark.parametrize(
    ("query", "kinds"),
    [
        ({"type": "Counters"}, {Kind.COUNTER}),
        ({"type": "Gauges", "hidden": "include"}, {Kind.GAUGE, Kind.HIDDEN_GAUGE}),
        ({"type": "Counters", "hidden": "include"}, {Kind.COUNTER}),
        ({"hidden": "only"}, {Kind.HIDDEN_GAUGE}),
        ({"type": "Histograms", "hidden": "only"}, set()),
        ({"type": "TextReadouts", "hidden": "exclude"}, {Kind.TEXT}),
    ],
)
def test_kinds(query, kinds):
    assert parse(query).kinds == kinds


def test_numbers_are_the_kinds_with_numbers():
    assert parse({"hidden": "include"}).numbers == (Kind.COUNTER, Kind.GAUGE, Kind.HIDDEN_GAUGE)


def test_prometheus_heeds_neither_type_nor_format():
    query = parse({"type": "Gauges", "format": "json", "text_readouts": "", "usedonly": "0"}, prometheus=True)

    assert query.format is Format.PROMETHEUS
    assert Kind.COUNTER in query.kinds
    assert query.text_readouts
    assert query.used_only


def test_prometheus_still_refuses_a_wrong_type():
    with pytest.raises(QueryError):
        parse({"type": "x"}, prometheus=True)
