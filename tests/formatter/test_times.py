"""Times and durations; the texts are what Envoy 1.40.0 wrote."""

import time
from math import nan

import pytest

from tests.messages import a_context
from trio_envoy.errors import ConfigError
from trio_envoy.formatter.compile import compile_text
from trio_envoy.formatter.times import time_format
from trio_envoy.util import clock

WALL = 1795515648.892522


@pytest.fixture
def berlin(monkeypatch):
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("%s.%3f", "1795515648.892"),
        ("%Y-%m-%dT%H:%M:%S.%6f", "2026-11-24T10:20:48.892522"),
        ("%s", "1795515648"),
        ("%f|%1f|%9f|%2f|%4f", "892522000|8|892522000|89|8925"),
        ("%E3f|%3E|%e|%E3S|%E*S|%E6S|%E4Y", "892|%3E|24|48.892|48.892522|48.892522|2026"),
        ("%s%3f%6f", "1795515648892892522"),
        ("%ff", "892522000f"),
        ("abc", "abc"),
        ("%E", "%E"),
        ("%Q", "%Q"),
        ("%ET", "T"),
        ("%Ec", "Tue Nov 24 10:20:48 2026"),
        ("%Ey", "26"),
        ("%Od", "24"),
        ("%0f", "%0f"),
        ("%10f", "      %10f"),
        ("%:z|%::z", "+00:00|+00:00:00"),
        ("100%%", "100%"),
        ("%z|%Z", "+0000|UTC"),
    ],
)
def test_formats(spec, expected):
    assert time_format(spec)(WALL) == expected.encode()


def test_local_time(berlin):
    assert time_format("%c|%z|%Z|%Ez|%E*z", local=True)(WALL) == b"Tue Nov 24 11:20:48 2026|+0100|CET|+01:00|+01:00:00"
    assert time_format("%Z")(WALL) == b"UTC"


def test_what_absl_trims():
    assert time_format("%E*S|%E*f|%3f")(5.0) == b"05|0|000"
    assert time_format("%E*S|%E*f")(5.25) == b"05.25|25"


def test_a_new_second_and_the_same_moment():
    render = time_format("%H:%M:%S.%3f")

    assert [render(wall) for wall in (0.9994, 0.9995, 1.0, 1.0, 0.5, 61.001)] == [
        b"00:00:00.999", b"00:00:00.999", b"00:00:01.000", b"00:00:01.000", b"00:00:00.500", b"00:01:01.001",
    ]  # fmt: skip


@pytest.mark.parametrize("spec", ["%n", "%Y%%n", "%_5n", "%En"])
def test_a_newline_is_refused(spec):
    with pytest.raises(ConfigError, match=r"Invalid header configuration\. Format string contains newline\."):
        time_format(spec)


def rendered(template, **attributes):
    return compile_text(template).render(a_context(**attributes)).decode()


def test_start_time():
    assert rendered("%START_TIME%|%START_TIME()%|%START_TIME(%s)%") == (
        "2026-11-24T10:20:48.892Z|2026-11-24T10:20:48.892Z|1795515648"
    )


def test_start_time_local(berlin):
    assert rendered("%START_TIME_LOCAL%") == "2026-11-24T11:20:48.892+0100"


async def test_emit_time_is_now(autojump_clock, berlin):
    clock.start_at(WALL)

    assert rendered("%EMIT_TIME%|%EMIT_TIME(%s)%") == "2026-11-24T10:20:48.892Z|1795515648"
    assert rendered("%EMIT_TIME_LOCAL%") == "2026-11-24T11:20:48.892+0100"


POINTS = {
    "request_end": 100.001,
    "upstream_connect_start": 100.0015,
    "upstream_connect_end": 100.0016,
    "upstream_first_byte_sent": 100.0017,
    "upstream_last_byte_sent": 100.002,
    "upstream_first_byte_received": 100.047,
    "upstream_last_byte_received": 100.048,
    "response_start": 100.0475,
    "end": 100.05,
}


@pytest.mark.parametrize(
    ("operator", "expected", "never"),
    [
        ("REQUEST_DURATION", "1", "-"),
        ("REQUEST_TX_DURATION", "2", "-"),
        ("RESPONSE_DURATION", "47", "-"),
        ("RESPONSE_TX_DURATION", "3", "-"),
        ("ROUNDTRIP_DURATION", "-", "-"),
        ("COMMON_DURATION(DS_RX_BEG:US_RX_BEG)", "47", "-"),
        ("COMMON_DURATION(DS_RX_BEG:DS_TX_END:us)", "50000", "-"),
        ("COMMON_DURATION(US_CX_BEG:US_CX_END:us)", "100", "-"),
        ("COMMON_DURATION(US_TX_BEG:US_TX_END:us)", "300", "-"),
        ("COMMON_DURATION(DS_RX_END:DS_TX_BEG:us)", "46500", "-"),
        ("COMMON_DURATION(US_RX_BEG:US_RX_END:ms)", "1", "-"),
        ("COMMON_DURATION(DS_TX_END:DS_RX_BEG:ms)", "-", "-"),  # in the wrong order
        ("COMMON_DURATION(A:B:us)", "-", "-"),  # points that only a filter could set
    ],
)
def test_durations(operator, expected, never):
    assert rendered(f"%{operator}%", **POINTS) == expected
    assert rendered(f"%{operator}%", **dict.fromkeys(POINTS, nan)) == never


def test_nanoseconds():
    assert abs(int(rendered("%COMMON_DURATION(DS_RX_BEG:DS_RX_END:ns)%", **POINTS)) - 1_000_000) < 100


async def test_duration_goes_on_until_the_end(autojump_clock):
    started = autojump_clock.current_time()
    autojump_clock.jump(0.25)

    assert rendered("%DURATION%", start=started, end=nan) == "250"
    assert rendered("%DURATION%", start=started, end=started + 0.047) == "47"


@pytest.mark.parametrize(
    ("argument", "text"),
    [
        ("a", "Invalid common duration configuration: a."),
        ("DS_RX_BEG:DS_TX_END:us:x", "Invalid common duration configuration: DS_RX_BEG:DS_TX_END:us:x."),
        ("DS_RX_BEG:DS_TX_END:xx", "Invalid common duration precision: xx."),
        ("DS_RX_BEG:US_HS_END", "COMMON_DURATION: point US_HS_END is known to Envoy, not supported here"),
    ],
)
def test_bad_common_durations(argument, text):
    with pytest.raises(ConfigError) as caught:
        rendered(f"%COMMON_DURATION({argument})%")

    assert caught.value.text == text
