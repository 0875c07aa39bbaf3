"""What holds for all endpoints: which methods they take, what a wrong request is told, what a bug of theirs does."""

import logging

import pytest

from trio_envoy.server.admin.endpoint import Endpoint

MUTATING = (
    "/drain_listeners",
    "/healthcheck/fail",
    "/healthcheck/ok",
    "/logging",
    "/quitquitquit",
    "/reopen_logs",
    "/reset_counters",
    "/runtime_modify",
)
READING = (
    "/",
    "/certs",
    "/clusters",
    "/config_dump",
    "/help",
    "/hot_restart_version",
    "/init_dump",
    "/listeners",
    "/memory",
    "/ready",
    "/runtime",
    "/server_info",
    "/stats",
    "/stats/prometheus",
)


async def test_every_endpoint_is_in_one_of_the_two_lists(admin):
    async with admin.serving() as live:
        rows = {row.path: row.mutates for row in live.server.admin.app.endpoints}

    assert rows == {**dict.fromkeys(READING, False), **dict.fromkeys(MUTATING, True)}


async def test_reading_endpoints_answer_get_with_the_headers_of_envoy(admin):
    async with admin.serving() as live:
        for path in READING:
            answer = await live.get(path)

            assert answer.status == 200, path
            names = [name for name, _ in answer.fields if not name.startswith(("content-security", "x-frame"))]
            assert names == [
                "content-type",
                "cache-control",
                "x-content-type-options",
                "date",
                "server",
                "transfer-encoding",
            ]
            assert answer.headers["cache-control"] == "no-cache, max-age=0"
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.headers["server"] == "envoy"


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
async def test_mutating_endpoints_take_post_alone(admin, method, caplog):
    async with admin.serving() as live:
        for path in MUTATING:
            answer = await live.ask(method, path)

            assert answer.status == 405, path
            assert answer.text == f"Method {method} not allowed, POST required."
        assert (await live.get("/ready")).text == "LIVE\n"


async def test_head_is_a_get_without_a_body(admin):
    async with admin.serving() as live:
        answer = await live.ask("HEAD", "/stats")

        assert (answer.status, answer.text) == (200, "")
        assert answer.headers["content-type"] == "text/plain; charset=UTF-8"
        assert (await live.ask("HEAD", "/reset_counters")).status == 405


async def test_an_unknown_path_is_404_with_the_help(admin):
    async with admin.serving() as live:
        answer = await live.get("/nope?x=1")
        help_text = (await live.get("/help")).text

    assert (answer.status, answer.text) == (404, f"invalid path. {help_text}")


async def test_the_help_tells_every_endpoint_and_parameter(admin):
    async with admin.serving() as live:
        lines = (await live.get("/help")).text.splitlines()

    assert lines[0] == "admin commands are:"
    assert "  /quitquitquit (POST): exit the server" in lines
    at = lines.index("  /listeners: print listener info")
    assert lines[at + 1] == "      format: File format to use; One of (text, json)"
    paths = [line.split()[0].rstrip(":") for line in lines if line.startswith("  /")]
    assert paths == sorted([*READING, *MUTATING])


async def test_a_form_is_read_as_a_query_is(admin):
    async with admin.serving() as live:
        answer = await live.post("/logging", form={"level": "error"})

        assert answer.status == 200
        assert "  admin: error\n" in answer.text


async def test_a_body_that_is_no_form_says_nothing(admin):
    async with admin.serving() as live:
        answer = await live.post("/logging", body=b"level=nonsense", headers={"content-type": "text/plain"})

        assert answer.status == 200


async def test_a_body_of_more_than_64_kib_is_413(admin):
    async with admin.serving() as live:
        answer = await live.post("/logging", body=b"x" * (64 * 1024 + 1))
        fits = await live.post("/reset_counters", body=b"x" * (64 * 1024))

        assert answer.status == 413
        assert (fits.status, fits.text) == (200, "OK\n")


async def test_a_bug_of_an_endpoint_is_500_and_logged_and_hurts_nobody(admin, caplog):
    async def broken(_):
        raise KeyError("a bug")

    async with admin.serving() as live:
        app = live.server.admin.app
        app._by_path["/broken"] = Endpoint("/broken", "", broken)
        logging.getLogger("envoy").propagate = True
        with caplog.at_level(logging.ERROR):
            answer = await live.get("/broken")
        after = await live.get("/ready")

    assert (answer.status, answer.text) == (500, "internal error; see the log\n")
    assert after.text == "LIVE\n"
    assert "admin endpoint /broken met a bug" in caplog.text
    assert "KeyError: 'a bug'" in caplog.text


async def test_allow_paths_limits_what_is_answered(admin):
    config = f"admin: {{{admin.address}, allow_paths: [{{exact: /ready}}, {{prefix: /stats}}]}}"
    async with admin.serving(config) as live:
        assert (await live.get("/ready")).status == 200
        assert (await live.get("/stats/prometheus?usedonly")).status == 200
        refused = await live.get("/config_dump")
        assert (refused.status, refused.text) == (403, "request to path /config_dump not allowed")
        assert (await live.post("/quitquitquit")).status == 403
        assert (await live.get("/nope")).status == 403


@pytest.mark.parametrize(
    ("site", "status"), [("cross-site", 403), ("same-origin", 200), ("same-site", 200), ("none", 200)]
)
async def test_a_page_of_another_site_can_not_make_a_browser_change_something(admin, site, status):
    async with admin.serving() as live:
        answer = await live.post("/healthcheck/fail", headers={"sec-fetch-site": site})

        assert answer.status == status
        assert live.server.services.health_failed is (status == 200)
        assert (await live.get("/stats", headers={"sec-fetch-site": site})).status == 200
