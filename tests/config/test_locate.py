import pytest

from trio_envoy.config.document import Document, parse
from trio_envoy.config.locate import Positions

TEXT = """\
static_resources:
  clusters:
  - name: a
    connectTimeout: 1s
    hosts: {socket_address: {address: b}}
  - &c {name: c, name: d}
  - *c
admin: {}
"""


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ((), (1, 1)),
        (("static_resources",), (1, 1)),
        (("static_resources", "clusters"), (2, 3)),
        (("static_resources", "clusters", 0), (3, 5)),
        (("static_resources", "clusters", 0, "name"), (3, 5)),
        (("static_resources", "clusters", 0, "connect_timeout"), (4, 5)),
        (("static_resources", "clusters", 0, "hosts", 0, "socket_address", "address"), (5, 30)),
        (("static_resources", "clusters", 0, "hosts", "socket_address"), (5, 13)),
        (("static_resources", "clusters", 0, "lb_policy"), (3, 5)),
        (("static_resources", "clusters", 2), (7, 5)),
        (("static_resources", "clusters", 2, "name"), (6, 18)),
        (("admin", "address", "pipe"), (8, 1)),
        (("nothing",), (1, 1)),
    ],
)
def test_where_a_path_stands(path, place):
    assert Positions(parse(TEXT, "x")).at(path) == place


def test_json_has_places_too():
    document = parse('{\n "node": {\n\t"id": "a"}}', "x", is_json=True)

    assert Positions(document).at(("node", "id")) == (3, 2)


def test_json_that_is_no_yaml_has_no_places():
    document = Document({}, "x", '{"a": [1,\x07]}', is_json=True)

    assert Positions(document).at(("a",)) == (0, 0)
    assert list(Positions(document).repeats()) == []


def test_repeated_keys_are_found_with_their_places():
    assert list(Positions(parse(TEXT, "x")).repeats()) == [(("static_resources", "clusters", 1, "name"), 6, 18)]
    two = parse("a: {b: 1, b: 2}\na: 3\n", "x")
    assert sorted(Positions(two).repeats()) == [(("a",), 2, 1)]
