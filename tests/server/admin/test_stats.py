import json

import pytest


async def test_text_is_sorted_lines_of_name_and_value(admin):
    async with admin.serving() as live:
        answer = await live.get("/stats")

    lines = answer.text.splitlines()
    assert answer.headers["content-type"] == "text/plain; charset=UTF-8"
    assert "server.live: 1" in lines
    numbers = [line.partition(": ")[0] for line in lines if line.partition(": ")[2].isdigit()]
    assert numbers == sorted(numbers)


async def test_json(admin):
    async with admin.serving() as live:
        answer = await live.get("/stats?format=json&filter=^server.live$")

    assert answer.headers["content-type"] == "application/json"
    assert json.loads(answer.text) == {"stats": [{"name": "server.live", "value": 1}]}


async def test_prometheus(admin):
    async with admin.serving() as live:
        answer = await live.get("/stats/prometheus?filter=^server.live$")

    assert answer.text == "# TYPE envoy_server_live gauge\nenvoy_server_live{} 1\n"


@pytest.mark.parametrize("form", ["html", "active-html"])
async def test_html(admin, form):
    async with admin.serving() as live:
        answer = await live.get(f"/stats?format={form}")

    assert answer.headers["content-type"] == "text/html; charset=UTF-8"
    assert answer.text.startswith("<!DOCTYPE html>")


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("filter=[", "Invalid re2 regex: missing ]: ["),
        ("format=x", "usage: /stats?format=(html|active-html|json|prometheus|text)\n\n"),
        ("type=x", "invalid &type= param"),
    ],
)
async def test_a_wrong_parameter_is_400(admin, query, text):
    async with admin.serving() as live:
        answer = await live.get(f"/stats?{query}")

    assert (answer.status, answer.text) == (400, text)


async def test_gauges_of_the_server_are_those_of_this_moment(admin):
    async with admin.serving() as live:
        assert await live.stat("server.state") == "0"
        await live.post("/healthcheck/fail")

        assert await live.stat("server.state") == "1"
        assert await live.stat("server.live") == "0"


async def test_counters_are_reset(admin):
    async with admin.serving() as live:
        assert int(await live.stat("http.admin.downstream_rq_total")) >= 1

        answer = await live.post("/reset_counters")

        assert answer.text == "OK\n"
        assert await live.stat("http.admin.downstream_rq_total") == "1"  # this very request
        assert int(await live.stat("server.memory_allocated")) > 0  # gauges stay


async def test_histograms_wait_for_the_flush_of_the_clock(admin):
    async with admin.serving() as live:
        assert "server.initialization_time_ms: No recorded values" in (await live.get("/stats?type=Histograms")).text

        live.server.flush()

        assert "server.initialization_time_ms: P0(" in (await live.get("/stats?type=Histograms")).text


async def test_stats_flush_on_admin_flushes_whenever_stats_are_asked_and_never_else(admin):
    config = f"{{admin: {{{admin.address}}}, stats_flush_on_admin: true}}"
    async with admin.serving(config) as live:
        histogram = live.server.stats.initialization_time_ms
        assert not histogram.used

        await live.get("/ready")
        assert not histogram.used
        text = (await live.get("/stats?filter=^server.initialization_time_ms$")).text

        assert text.startswith("server.initialization_time_ms: P0(")
