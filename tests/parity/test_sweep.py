"""The sweep's changes and its judgement; no Envoy is needed."""

import functools
import itertools

import pytest

from tests.logs import logs_as_before
from tests.parity.changes import REMOVED, Change, Generator, applied, are_apart, honoured
from tests.parity.differences import Known, known
from tests.parity.sweep import Tally, Trial, Verdict, ask_ours

TREE = {
    "static_resources": {
        "clusters": [{"name": "up", "connect_timeout": "1s", "lb_policy": "RANDOM", "dns_resolvers": [{"pipe": {}}]}]
    }
}
CLUSTER = "envoy.config.cluster.v3.Cluster"
TRIAL = Trial(1, "a case", (Change(f"{CLUSTER}.name", ("x",), ""),), {})
REFUSED = Verdict(False, ("1:1: $.x: no",))
ACCEPTED = Verdict(True)


@functools.cache
def drawn(seed, count=2500):
    return [change for _, change in itertools.islice(Generator([TREE], seed).singles(), count)]


def values(name):
    return [change.value for change in drawn(1) if change.field == f"{CLUSTER}.{name}"]


def test_a_seed_makes_the_same_changes():
    assert list(map(str, drawn(1, 200))) == list(map(str, drawn(1, 200)))
    assert list(map(str, drawn(1, 200))) != list(map(str, drawn(2, 200)))


def test_every_field_of_a_message_gets_its_turn():
    fields = {change.field for change in drawn(1, 600)}

    assert {f"{CLUSTER}.{name}" for name in honoured()[CLUSTER]} <= fields
    assert f"{CLUSTER}.wait_for_warm_on_init" in fields  # known to Envoy alone


def test_a_field_is_removed_spoiled_and_set_around_its_limits():
    found = values("connect_timeout")

    assert REMOVED in found
    assert {"-0.000000001s", "0.000000000s", "0.000000001s"} <= {value for value in found if isinstance(value, str)}
    assert None in found
    assert {"MAGLEV", "round_robin", "", 99} <= {value for value in values("lb_policy") if isinstance(value, str | int)}


def test_keys_are_misspelt():
    keys = {change.path[-1] for change in drawn(1) if change.field == CLUSTER}

    assert {"no_such_field", "nam", "names", "connectTimeout"} <= keys


def test_changes_are_made_in_a_copy():
    there = ("static_resources", "clusters", 0)
    changes = [Change("", (*there, "name"), REMOVED), Change("", (*there, "x"), [1])]

    cluster = applied(TREE, changes)["static_resources"]["clusters"][0]

    assert "name" not in cluster
    assert cluster["x"] == [1]
    assert TREE["static_resources"]["clusters"][0]["name"] == "up"


def test_a_pair_is_of_two_places():
    one = Change("", ("a", "b"), 1)

    assert are_apart(one, Change("", ("a", "c"), 1))
    assert not are_apart(one, Change("", ("a",), 1))
    generator = Generator([TREE], 1)
    pairs = [(change, other) for change in drawn(1, 200) for other in generator.near(0, change, 3)]
    assert pairs
    assert all(are_apart(one, other) for one, other in pairs)


@pytest.mark.parametrize(
    ("ours", "envoy", "outcome"),
    [
        (ACCEPTED, ACCEPTED, "same: accepted"),
        (REFUSED, REFUSED, "same: refused"),
        (REFUSED, ACCEPTED, "different"),
        (ACCEPTED, REFUSED, "different"),
        (Verdict(False, ("1:1: $.x: known to Envoy, not supported here: 'x'",)), ACCEPTED, "not supported here"),
        (Verdict(False, ("known to Envoy, not supported here: 'x'", "no")), ACCEPTED, "different"),
        (Verdict(False, ("as written down", "not supported here")), ACCEPTED, "explained"),
        (ACCEPTED, Verdict(False, ("as written down",)), "different"),
        (Verdict(False, ("Traceback",), crashed=True), REFUSED, "different"),
    ],
)
def test_an_outcome(ours, envoy, outcome, capsys):
    tally = Tally([Known("sweep", "ours: as written*", "because")])

    tally.take(TRIAL, ours, envoy)

    assert tally.counts == {outcome: 1}
    assert len(tally.differences) == (outcome == "different")
    assert ('$.x = ""   (envoy.config.cluster.v3.Cluster.name)' in capsys.readouterr().out) == bool(tally.differences)


def test_the_ledger_has_rows_for_the_sweep():
    rows = [row for row in known() if row.is_about("sweep")]

    assert rows
    assert all(row.where.startswith(("ours: ", "envoy: ")) for row in rows)


def test_ours_is_asked_in_this_process(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text("static_resources: {clusters: [{name: up, connect_timeout: -1s}]}")

    with logs_as_before():
        verdict = ask_ours(path)
        path.write_text("static_resources: {clusters: [{name: up}]}")
        other = ask_ours(path)

    assert not verdict.accepted
    assert verdict.reasons[0].startswith("1:42: $.static_resources.clusters[0].connect_timeout: expected positive")
    assert other == ACCEPTED
