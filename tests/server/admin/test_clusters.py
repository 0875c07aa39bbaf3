import json


def two(admin):
    clusters = f"[{admin.cluster('one', 11, 12)}, {admin.cluster('two', 21)}]"
    return f"{{admin: {{{admin.address}}}, static_resources: {{clusters: {clusters}}}}}"


async def test_text(admin):
    async with admin.serving(two(admin)) as live:
        lines = (await live.get("/clusters")).text.splitlines()

    assert lines[:6] == [
        "one::observability_name::one",
        "one::default_priority::max_connections::1024",
        "one::default_priority::max_pending_requests::1024",
        "one::default_priority::max_requests::1024",
        "one::default_priority::max_retries::3",
        "one::high_priority::max_connections::1024",
    ]
    assert "one::127.0.0.1:12::health_flags::healthy" in lines
    assert "two::127.0.0.1:21::cx_total::0" in lines


async def test_json(admin):
    async with admin.serving(two(admin)) as live:
        tree = json.loads((await live.get("/clusters?format=json")).text)

    statuses = tree["cluster_statuses"]
    assert [status["name"] for status in statuses] == ["one", "two"]
    assert statuses[1]["host_statuses"][0]["address"] == {"socket_address": {"address": "127.0.0.1", "port_value": 21}}


async def test_the_filter_is_a_regular_expression_for_a_part_of_the_name(admin):
    async with admin.serving(two(admin)) as live:
        text = (await live.get("/clusters?filter=^t.o")).text
        nothing = await live.get("/clusters?filter=three&format=json")
        wrong = await live.get("/clusters?filter=[")

    assert {line.partition("::")[0] for line in text.splitlines()} == {"two"}
    assert nothing.text == "{}\n"
    assert (wrong.status, wrong.text) == (400, "Invalid re2 regex")


async def test_without_clusters_there_is_nothing(admin):
    async with admin.serving() as live:
        assert (await live.get("/clusters")).text == ""
