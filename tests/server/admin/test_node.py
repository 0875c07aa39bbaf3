import json


async def nodes(admin, config, **options):
    """The node in /config_dump and the one in /server_info."""
    async with admin.serving(config, **options) as live:
        dumped = json.loads((await live.get("/config_dump?mask=bootstrap.node")).text)
        told = json.loads((await live.get("/server_info")).text)
    return dumped["configs"][0]["bootstrap"]["node"], told["node"]


async def test_flags_win_over_the_file(admin):
    config = (
        f"{{admin: {{{admin.address}}}, "
        "node: {id: of file, cluster: of file, locality: {region: r, zone: of file}, metadata: {a: 1}}}"
    )
    dumped, told = await nodes(admin, config, service_node="of flag", service_zone="zone of flag")

    assert (dumped["id"], dumped["cluster"]) == (told["id"], told["cluster"]) == ("of flag", "of file")
    assert dumped["locality"] == {"region": "r", "zone": "zone of flag"}
    assert told["locality"] == {"region": "r", "zone": "zone of flag", "sub_zone": ""}
    assert dumped["metadata"] == told["metadata"] == {"a": 1}


async def test_what_is_not_set_is_in_server_info_alone(admin):
    dumped, told = await nodes(admin, f"admin: {{{admin.address}}}")

    assert list(dumped) == ["user_agent_name", "user_agent_build_version", "extensions"]
    assert list(told) == [
        "id",
        "cluster",
        "user_agent_name",
        "user_agent_build_version",
        "extensions",
        "client_features",
        "listening_addresses",
        "dynamic_parameters",
    ]
    assert dumped["user_agent_build_version"]["version"] == {"major_number": 1, "minor_number": 40}
    assert told["user_agent_build_version"]["version"] == {"major_number": 1, "minor_number": 40, "patch": 0}


async def test_extensions_are_those_in_use(admin):
    clusters = f"{{admin: {{{admin.address}}}, static_resources: {{clusters: [{admin.cluster('a', 1)}]}}}}"
    dumped, told = await nodes(admin, clusters)

    assert {
        "name": "envoy.load_balancing_policies.round_robin",
        "category": "envoy.load_balancing_policies",
        "type_urls": ["envoy.extensions.load_balancing_policies.round_robin.v3.RoundRobin"],
    } in dumped["extensions"]
    static = next(one for one in told["extensions"] if one["name"] == "envoy.cluster.static")
    assert static == {
        "name": "envoy.cluster.static",
        "category": "envoy.clusters",
        "type_descriptor": "",
        "disabled": False,
        "type_urls": [],
    }
