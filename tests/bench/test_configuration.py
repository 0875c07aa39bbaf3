"""The configuration of Envoy and ours."""

import json
from pathlib import Path
from typing import Any

from tests.bench.configuration import Front, write


def resources(place: Path, front: Front) -> Any:
    """What the written file says of static resources."""
    return json.loads(write(place, front).read_text())["static_resources"]


def hosts(found: Any) -> Any:
    """The virtual hosts of the only listener."""
    manager = found["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]
    return manager["route_config"]["virtual_hosts"]


def test_the_last_of_many_routes_takes_all_paths(tmp_path):
    routes = hosts(resources(tmp_path, Front(origin=1, routes=100)))[0]["routes"]

    assert [route["match"]["prefix"] for route in routes] == [*(f"/service/{n}/" for n in range(99)), "/"]


def test_the_last_of_many_virtual_hosts_goes_by_its_number(tmp_path):
    found = hosts(resources(tmp_path, Front(origin=1, domains=100)))

    assert [host["domains"] for host in found] == [[f"host{n}.example.com"] for n in range(100)]
    assert hosts(resources(tmp_path, Front(origin=1)))[0]["domains"] == ["*"]


def test_the_last_of_many_clusters_is_routed_to(tmp_path):
    found = resources(tmp_path, Front(origin=1, clusters=100))

    assert len({cluster["name"] for cluster in found["clusters"]}) == 100
    assert hosts(found)[0]["routes"][-1]["route"]["cluster"] == found["clusters"][-1]["name"] == "origin"


def test_only_the_chain_of_a_front_with_tls_has_a_certificate(tmp_path):
    plain = resources(tmp_path, Front(origin=1))["listeners"][0]["filter_chains"][0]
    secure = resources(tmp_path, Front(origin=1, tls=True))["listeners"][0]["filter_chains"][0]

    assert "transport_socket" not in plain
    certificate = secure["transport_socket"]["typed_config"]["common_tls_context"]["tls_certificates"][0]
    assert "BEGIN CERTIFICATE" in Path(certificate["certificate_chain"]["filename"]).read_text()
