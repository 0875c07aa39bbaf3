import pytest

from trio_envoy.config.salvage import salvage

TREE = {
    "node": {"id": "a"},
    "admin": {"address": {}},
    "static_resources": {
        "clusters": [{"name": "one", "lb_policy": "RANDOM"}, {"name": "two"}, {"lb_policy": "RANDOM"}],
        "listeners": [{"name": "l", "filter_chains": []}],
    },
}
LISTENER = {
    "name": "l",
    "address": {"socket_address": {"address": "127.0.0.1", "port_value": 0}},
    "filter_chains": [{}],
}


def resources(tree):
    return tree["static_resources"]


def test_without_faults_all_is_left():
    assert salvage(TREE, []) == TREE


def test_a_cluster_keeps_its_place_and_its_name():
    rest = salvage(TREE, [("static_resources", "clusters", 0, "connect_timeout"), ("static_resources", "clusters", 2)])

    assert resources(rest)["clusters"] == [{"name": "one"}, {"name": "two"}, {"name": "at fault: 2"}]
    assert resources(TREE)["clusters"][0] == {"name": "one", "lb_policy": "RANDOM"}


def test_a_listener_becomes_one_that_does_nothing():
    assert resources(salvage(TREE, [("static_resources", "listeners", 0, "address")]))["listeners"] == [LISTENER]


@pytest.mark.parametrize(
    "path",
    [
        ("staticResources", "listeners", 0),
        ("static_resources", "listeners", "address"),  # a list of one without its brackets
    ],
)
def test_other_spellings(path):
    assert resources(salvage(TREE, [path]))["listeners"] == [LISTENER]


def test_other_parts_are_left_out():
    rest = salvage(TREE, [("admin", "address", "pipe"), ("static_resources", "nonsense"), ("nonsense",)])

    assert rest == {"node": TREE["node"], "static_resources": TREE["static_resources"]}


def test_the_resources_may_be_at_fault_as_a_whole():
    assert salvage({"node": {}, "static_resources": 5}, [("static_resources",)]) == {"node": {}}


@pytest.mark.parametrize("path", [(), ("static_resources", "clusters")])
def test_sometimes_nothing_is_left(path):
    assert salvage(TREE, [path]) is None


def test_a_file_that_holds_no_mapping():
    assert salvage([], []) is None
