import pytest

from trio_envoy.config.json_schema import DIALECT, json_schema

CLUSTER = "envoy.config.cluster.v3.Cluster"


@pytest.fixture(scope="module")
def cluster():
    return json_schema(CLUSTER)


def test_the_root_and_every_reference_are_defined(cluster):
    def references(node):
        for key, value in node.items() if isinstance(node, dict) else enumerate(node):
            if key == "$ref":
                yield value
            elif isinstance(value, dict | list):
                yield from references(value)

    assert cluster["$schema"] == DIALECT
    assert cluster["$ref"] == f"#/$defs/{CLUSTER}"
    for reference in references(cluster):
        node = cluster
        for step in reference.removeprefix("#/").split("/"):
            node = node[step]


def test_fields_by_both_names(cluster):
    properties = cluster["$defs"][CLUSTER]["properties"]

    assert properties["connect_timeout"] == {"$ref": "#/$defs/google.protobuf.Duration"}
    assert properties["connectTimeout"] == {"$ref": f"#/$defs/{CLUSTER}/properties/connect_timeout"}
    assert properties["name"] == {"type": "string", "minLength": 1}


def test_a_list_may_be_written_as_its_one_item(cluster):
    item = {"$ref": "#/$defs/envoy.config.core.v3.HealthCheck"}

    assert cluster["$defs"][CLUSTER]["properties"]["health_checks"] == {
        "anyOf": [{"type": "array", "items": item, "maxItems": 8}, item]
    }


def test_an_enum_by_name_or_number(cluster):
    policy = cluster["$defs"][f"{CLUSTER}.LbPolicy"]

    assert {"ROUND_ROBIN", "round_robin"} <= set(policy["anyOf"][0]["enum"])
    assert policy["anyOf"][1] == {"type": "integer"}


def test_what_is_required_and_what_excludes_each_other(cluster):
    address = cluster["$defs"]["envoy.config.core.v3.Address"]
    (one_of,) = address["allOf"]

    assert {"anyOf": [{"required": ["socket_address"]}, {"required": ["socketAddress"]}]} in one_of["oneOf"]
    assert {"required": ["pipe"]} in one_of["oneOf"]
    check = cluster["$defs"]["envoy.config.core.v3.HealthCheck"]
    assert {"required": ["timeout"]} in check["allOf"]
    assert {"required": ["interval"]} in check["allOf"]


def test_numbers_with_their_bounds(cluster):
    port = cluster["$defs"]["envoy.config.core.v3.SocketAddress"]["properties"]["port_value"]

    assert port["anyOf"][0] == {"type": "integer", "minimum": 0, "maximum": 65535}


def test_an_unknown_message():
    with pytest.raises(KeyError, match=r"envoy\.Nothing"):
        json_schema("envoy.Nothing")
