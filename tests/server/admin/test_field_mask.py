import pytest

from trio_envoy.server.admin.field_mask import MaskError, trimmed, trimmed_resource

DUMP = "envoy.admin.v3.BootstrapConfigDump"
CLUSTERS = "envoy.admin.v3.ClustersConfigDump"
CLUSTER = "envoy.admin.v3.ClustersConfigDump.StaticCluster"
TREE = {
    "@type": "x",
    "bootstrap": {"node": {"id": "a", "cluster": "b"}, "admin": {"address": {}}},
    "last_updated": "now",
}
RESOURCE = {
    "@type": "x",
    "cluster": {"@type": "type.googleapis.com/envoy.config.cluster.v3.Cluster", "name": "c", "type": "STATIC"},
    "last_updated": "now",
}


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        (["bootstrap"], {"@type": "x", "bootstrap": TREE["bootstrap"]}),
        (["last_updated"], {"@type": "x", "last_updated": "now"}),
        (["bootstrap.node.id"], {"@type": "x", "bootstrap": {"node": {"id": "a"}}}),
        (
            ["bootstrap.node.id", "bootstrap.node.cluster"],
            {"@type": "x", "bootstrap": {"node": {"id": "a", "cluster": "b"}}},
        ),
        (["bootstrap.node.id", "bootstrap"], {"@type": "x", "bootstrap": TREE["bootstrap"]}),
        (["bootstrap.static_resources"], {"@type": "x", "bootstrap": {}}),
        (["bootstrap.stats_config.stats_tags"], {"@type": "x", "bootstrap": {}}),
    ],
)
def test_what_is_left(paths, expected):
    assert trimmed(TREE, DUMP, paths) == expected


@pytest.mark.parametrize(
    ("fqn", "path"),
    [
        (DUMP, "nope"),
        (DUMP, ""),
        (DUMP, "lastUpdated"),
        (DUMP, "bootstrap.nope"),
        (DUMP, "bootstrap.stats_config.nope"),
        (DUMP, "bootstrap.node.id.x"),
        (CLUSTERS, "static_clusters.cluster"),
        (CLUSTER, "cluster.name"),
        ("no.such.Message", "x"),
    ],
)
def test_what_does_not_fit(fqn, path):
    with pytest.raises(MaskError):
        trimmed({"@type": "x"}, fqn, [path])


def test_a_resource_is_cut_within_its_any():
    found = trimmed_resource(RESOURCE, CLUSTER, ["cluster.name", "last_updated"])

    assert found == {**RESOURCE, "cluster": {"@type": RESOURCE["cluster"]["@type"], "name": "c"}}


def test_a_whole_any_stays():
    assert trimmed_resource(RESOURCE, CLUSTER, ["cluster"]) == {"@type": "x", "cluster": RESOURCE["cluster"]}


def test_a_path_of_the_any_that_does_not_fit():
    with pytest.raises(MaskError):
        trimmed_resource(RESOURCE, CLUSTER, ["cluster.nope"])


def test_a_resource_without_its_any():
    assert trimmed_resource({"@type": "x"}, CLUSTER, ["cluster.name"]) == {"@type": "x"}
