"""Reading what the load generators print."""

import pytest

from tests.bench.load import (
    Load,
    parse_h2load,
    parse_resume,
    parse_s_time,
    parse_summary,
    parse_wrk,
    percentile,
    summary,
)
from tests.bench.processes import BenchError

_WRK = """\
Running 2s test @ http://127.0.0.1:8080/64
  1 threads and 32 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     1.60ms    1.21ms  21.34ms   94.01%
    Req/Sec    20.04k     1.50k   22.11k    70.00%
  Latency Distribution
     50%  980.00us
     75%    1.75ms
     90%    2.40ms
     99%    1.02s
  40012 requests in 2.01s, 9.92MB read
"""
_H2LOAD = """\
finished in 1.01s, 7564.00 req/s, 1.22MB/s
requests: 7600 total, 7664 started, 7600 done, 7590 succeeded, 10 failed, 7 errored, 2 timeout
status codes: 7590 2xx, 0 3xx, 0 4xx, 3 5xx
"""


def test_wrk():
    assert parse_wrk(_WRK) == Load(requests=40012, seconds=2.01, p50=980.0, p99=1.02e6)


def test_wrk_counts_every_failure():
    text = _WRK + "  Socket errors: connect 1, read 20, write 300, timeout 4000\n  Non-2xx or 3xx responses: 50000\n"

    assert parse_wrk(text).errors == 54321


def test_h2load():
    log = "".join(f"1000\t200\t{time}\n" for time in range(200, 0, -1))

    assert parse_h2load(_H2LOAD, log) == Load(requests=7590, seconds=1.01, p50=100.0, p99=198.0, errors=12)


def test_s_time():
    text = "464 connections in 0.21s; 2209.52 connections/user sec, bytes read 0\n464 connections in 2 real seconds\n"

    assert parse_s_time(text) == Load(requests=464, seconds=2.0)


def test_resume():
    text = "464 handshakes in 2.003 seconds, 460 of them resumed\n"

    assert parse_resume(text) == Load(requests=464, seconds=2.003, errors=4)


def test_our_own_generators_print_what_is_read():
    times = [number / 1e6 for number in range(200, 0, -1)]

    assert parse_summary(summary(times, 2.5)) == Load(requests=200, seconds=2.5, p50=100.0, p99=198.0)


@pytest.mark.parametrize(
    "parse", [parse_wrk, lambda text: parse_h2load(text, ""), parse_s_time, parse_resume, parse_summary]
)
def test_what_is_not_understood_is_shown(parse):
    with pytest.raises(BenchError, match="unable to connect"):
        parse("unable to connect")


def test_percentiles_of_few_values():
    assert percentile([], 0.5) is None
    assert percentile([7], 0.99) == 7.0
    assert percentile([1, 2, 3, 4], 0.5) == 2.0
