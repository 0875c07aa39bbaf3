import time

import pytest
import trio

from trio_envoy.util import clock


def test_outside_trio_it_is_the_time_of_the_machine():
    assert abs(clock.now() - time.time()) < 1


async def test_on_the_system_clock_it_is_the_time_of_the_machine():
    assert abs(clock.now() - time.time()) < 1


async def test_a_mock_clock_moves_it(mock_clock):
    before = clock.now()
    assert abs(before - time.time()) < 1

    mock_clock.jump(3600)

    assert clock.now() == pytest.approx(before + 3600, abs=1e-3)


async def test_each_run_starts_at_the_time_of_the_machine(mock_clock):
    assert abs(clock.now() - time.time()) < 1  # the test before has left its anchor an hour ahead


async def test_start_at_sets_it(autojump_clock):
    clock.start_at(1_000_000_000.5)
    await trio.sleep(10)

    assert clock.now() == pytest.approx(1_000_000_010.5)
    assert clock.http_date(clock.now()) == b"Sun, 09 Sep 2001 01:46:50 GMT"


async def test_start_at_holds_on_the_system_clock_too():
    clock.start_at(5.0)

    assert 5.0 <= clock.now() < 6.0


@pytest.mark.parametrize(
    ("at", "text"),
    [
        (0, b"Thu, 01 Jan 1970 00:00:00 GMT"),
        (784111777.999, b"Sun, 06 Nov 1994 08:49:37 GMT"),
        (784111778.0, b"Sun, 06 Nov 1994 08:49:38 GMT"),
    ],
)
def test_http_date(at, text):
    assert clock.http_date(at) == text


def test_http_date_is_made_once_a_second():
    assert clock.http_date(100.1) is clock.http_date(100.9)
