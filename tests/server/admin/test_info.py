import json

from trio_envoy.server.lifecycle import State


async def test_server_info_tells_the_command_line(admin):
    options = {
        "service_cluster": "c",
        "service_node": "some-node",
        "service_zone": "z",
        "log_level": "debug",
        "component_log_level": {"http": "trace", "main": "off"},
        "drain_time_s": 7,
        "file_flush_interval_msec": 250,
        "drain_strategy": "immediate",
        "stats_tag": ["a:b"],
    }
    async with admin.serving(**options) as live:
        tree = json.loads((await live.get("/server_info")).text)

    line = tree["command_line_options"]
    assert tree["state"] == "LIVE"
    assert tree["version"].split("/")[1] == "1.40.0"
    assert tree["hot_restart_version"] == "disabled"
    assert (tree["node"]["id"], tree["node"]["cluster"]) == ("some-node", "c")
    assert tree["node"]["locality"] == {"region": "", "zone": "z", "sub_zone": ""}
    assert line["component_log_level"] == "http:trace,main:off"
    assert (line["drain_time"], line["file_flush_interval"], line["drain_strategy"]) == ("7s", "0.250s", "Immediate")
    assert (line["mode"], line["concurrency"], line["stats_tag"]) == ("Serve", 1, ["a:b"])
    assert line["log_format"] == "[%Y-%m-%d %T.%e][%t][%l][%n] [%g:%#] %v"


async def test_uptime_is_whole_seconds(admin):
    async with admin.serving() as live:
        live.server.started_wall -= 90.5
        tree = json.loads((await live.get("/server_info")).text)

    assert tree["uptime_current_epoch"] == tree["uptime_all_epochs"] == "90s"


async def test_ready_follows_the_state(admin):
    async with admin.serving() as live:
        assert ((await live.get("/ready")).status, (await live.get("/ready")).text) == (200, "LIVE\n")

        live.server.services.health_failed = True
        draining = await live.get("/ready")
        live.server.lifecycle._phase = State.INITIALIZING
        initializing = await live.get("/ready")

    assert (draining.status, draining.text) == (503, "DRAINING\n")
    assert (initializing.status, initializing.text) == (503, "INITIALIZING\n")


async def test_memory_is_six_numbers_as_text(admin):
    async with admin.serving() as live:
        tree = json.loads((await live.get("/memory")).text)

    assert list(tree) == [
        "allocated",
        "heap_size",
        "pageheap_unmapped",
        "pageheap_free",
        "total_thread_cache",
        "total_physical_bytes",
    ]
    assert int(tree["total_physical_bytes"]) > 1_000_000
    assert all(isinstance(value, str) for value in tree.values())


async def test_hot_restart_version(admin):
    async with admin.serving() as live:
        assert (await live.get("/hot_restart_version")).text == "disabled"


async def test_init_dump_is_empty_because_nothing_waits_for_xds(admin):
    async with admin.serving() as live:
        assert (await live.get("/init_dump")).text == "{}\n"
        assert (await live.get("/init_dump?mask=listener")).text == "{}\n"
