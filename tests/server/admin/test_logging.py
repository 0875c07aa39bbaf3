import pytest

from trio_envoy.util.log import COMPONENTS, level_of

USAGE = (
    "usage: /logging?<name>=<level> (change single level)\n"
    "usage: /logging?paths=name1:level1,name2:level2,... (change multiple levels)\n"
    "usage: /logging?level=<level> (change all levels)\n"
    "usage: /logging?group=<group_name>:<level> (change group of loggers)\n"
    "levels: trace debug info warning error critical off \n"
)


def active():
    return "active loggers:\n" + "".join(f"  {name}: {level_of(name)}\n" for name in COMPONENTS) + "\n"


async def test_without_parameters_it_tells_the_levels(admin):
    async with admin.serving() as live:
        assert (await live.post("/logging")).text == active()


@pytest.mark.parametrize(
    ("query", "levels"),
    [
        ("level=error", {"admin": "error", "http": "error", "upstream": "error"}),
        ("http=trace", {"http": "trace"}),
        ("paths=http:debug,upstream:off", {"http": "debug", "upstream": "off"}),
        ("group=router:critical", {"router": "critical"}),
    ],
)
async def test_levels_are_set(admin, query, levels):
    async with admin.serving() as live:
        answer = await live.post(f"/logging?{query}")

    assert (answer.status, answer.text) == (200, active())
    assert {name: level_of(name) for name in levels} == levels


@pytest.mark.parametrize(
    ("query", "why"),
    [
        ("level=loud", "unknown logger level"),
        ("http=loud", "unknown logger level"),
        ("nobody=info", "unknown logger name"),
        ("paths=http:debug,nobody:info", "unknown logger name"),
        ("paths=http:loud", "unknown logger level"),
        ("level=info&http=info", "invalid number of parameters"),
    ],
)
async def test_what_can_not_be_changes_nothing(admin, query, why):
    before = active()
    async with admin.serving() as live:
        answer = await live.post(f"/logging?{query}")

    assert (answer.status, answer.text) == (400, f"error: {why}\n\n{USAGE}{before}")
    assert active() == before
