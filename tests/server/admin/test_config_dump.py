import json

import pytest
import trustme

TYPE = "type.googleapis.com/envoy.admin.v3."
TLS = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext"


def rich(admin):
    listeners = f"[{admin.listener('one')}, {admin.listener('two', prefix='second')}]"
    clusters = f"[{admin.cluster('b', 1)}, {admin.cluster('a', 2)}]"
    return (
        f"{{node: {{id: some-node, cluster: c, metadata: {{k: v}}}}, admin: {{{admin.address}}}, "
        f"static_resources: {{listeners: {listeners}, clusters: {clusters}}}}}"
    )


async def dump(live, query=""):
    answer = await live.get(f"/config_dump{query}")
    assert answer.status == 200, answer.text
    assert answer.headers["content-type"] == "application/json"
    return json.loads(answer.text)


def kinds(tree):
    return [section["@type"].removeprefix(TYPE) for section in tree["configs"]]


async def test_the_sections_are_envoys_and_the_second_is_that_of_clusters(admin):
    async with admin.serving(rich(admin)) as live:
        tree = await dump(live)

    assert kinds(tree) == [
        "BootstrapConfigDump",
        "ClustersConfigDump",
        "ListenersConfigDump",
        "ScopedRoutesConfigDump",
        "RoutesConfigDump",
        "SecretsConfigDump",
    ]
    bootstrap, clusters, listeners, _, routes, _ = tree["configs"]
    assert bootstrap["bootstrap"]["node"]["id"] == "some-node"
    assert bootstrap["bootstrap"]["node"]["metadata"] == {"k": "v"}
    assert [one["cluster"]["name"] for one in clusters["static_clusters"]] == ["a", "b"]
    assert [one["listener"]["name"] for one in listeners["static_listeners"]] == ["one", "two"]
    assert [one["route_config"]["name"] for one in routes["static_route_configs"]] == ["one_routes", "two_routes"]
    for item in clusters["static_clusters"]:
        assert item["cluster"]["@type"] == "type.googleapis.com/envoy.config.cluster.v3.Cluster"
        assert item["last_updated"] == bootstrap["last_updated"]


async def test_without_a_connection_manager_there_are_no_routes(admin):
    async with admin.serving() as live:
        tree = await dump(live)

    assert kinds(tree) == ["BootstrapConfigDump", "ClustersConfigDump", "ListenersConfigDump", "SecretsConfigDump"]


async def test_include_eds_tells_the_hosts_that_are_in_force(admin):
    async with admin.serving(rich(admin)) as live:
        tree = await dump(live, "?include_eds")

    assert kinds(tree)[2] == "EndpointsConfigDump"
    assignments = [one["endpoint_config"] for one in tree["configs"][2]["static_endpoint_configs"]]
    assert {one["cluster_name"] for one in assignments} == {"a", "b"}


async def test_name_regex_is_for_the_whole_name(admin):
    async with admin.serving(rich(admin)) as live:
        tree = await dump(live, "?name_regex=o.*")

    _, clusters, listeners, *_ = tree["configs"]
    assert "static_clusters" not in clusters
    assert [one["listener"]["name"] for one in listeners["static_listeners"]] == ["one"]


async def test_one_resource(admin):
    async with admin.serving(rich(admin)) as live:
        tree = await dump(live, "?resource=static_clusters")
        named = await dump(live, "?resource=static_clusters&name_regex=b")
        masked = await dump(live, "?resource=static_listeners&mask=listener.name")
        empty = await dump(live, "?resource=dynamic_active_clusters")

    assert [one["@type"] for one in tree["configs"]] == [f"{TYPE}ClustersConfigDump.StaticCluster"] * 2
    assert [one["cluster"]["name"] for one in named["configs"]] == ["b"]
    assert masked["configs"][1] == {
        "@type": f"{TYPE}ListenersConfigDump.StaticListener",
        "listener": {"@type": "type.googleapis.com/envoy.config.listener.v3.Listener", "name": "two"},
    }
    assert empty == {}


async def test_a_mask_leaves_the_sections_it_fits(admin):
    async with admin.serving(rich(admin)) as live:
        tree = await dump(live, "?mask=bootstrap.node.id")
        clusters = await dump(live, "?mask=static_clusters")

    assert tree == {"configs": [{"@type": f"{TYPE}BootstrapConfigDump", "bootstrap": {"node": {"id": "some-node"}}}]}
    assert kinds(clusters) == ["ClustersConfigDump"]


@pytest.mark.parametrize(
    ("query", "status", "text"),
    [
        ("resource=nope", 404, "nope not found in config dump"),
        ("resource=bootstrap", 400, "bootstrap is not a repeated field. Use ?mask=bootstrap to get only this field"),
        ("resource=static_clusters&mask=nope", 400, "FieldMask nope could not be successfully used."),
        ("mask=nope", 400, "FieldMask nope could not be successfully applied to any configs."),
        (
            "mask=bootstrap,static_clusters",
            400,
            "FieldMask bootstrap,static_clusters could not be successfully applied to any configs.",
        ),
        ("name_regex=[", 400, "INVALID_ARGUMENT: Error while parsing name_regex from [: missing ]: ["),
        ("resource=static_endpoint_configs", 404, "static_endpoint_configs not found in config dump"),
    ],
)
async def test_what_can_not_be_answered(admin, query, status, text):
    async with admin.serving(rich(admin)) as live:
        answer = await live.get(f"/config_dump?{query}")

    assert (answer.status, answer.text) == (status, text)


async def test_empty_parameters_of_a_form_are_as_if_absent(admin):
    async with admin.serving(rich(admin)) as live:
        assert kinds(await dump(live, "?resource=&mask=&name_regex="))[0] == "BootstrapConfigDump"


async def test_secrets_are_not_told(admin):
    issued = trustme.CA().issue_cert("client.test")
    chain, key = issued.cert_chain_pems[0].bytes().decode(), issued.private_key_pem.bytes().decode()
    certificate = {"certificate_chain": {"inline_string": chain}, "private_key": {"inline_string": key}}
    context = {"@type": TLS, "common_tls_context": {"tls_certificates": [certificate]}}
    socket = json.dumps({"name": "tls", "typed_config": context})
    clusters = f"[{admin.cluster('a', 1, more=f', transport_socket: {socket}')}]"
    async with admin.serving(f"{{admin: {{{admin.address}}}, static_resources: {{clusters: {clusters}}}}}") as live:
        text = (await live.get("/config_dump")).text

    assert "PRIVATE KEY" not in text
    assert text.count('"private_key": {\n') == text.count('"inline_string": "[redacted]"') == 2
    assert json.dumps(chain) in text
