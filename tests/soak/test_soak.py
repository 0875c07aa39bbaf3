"""The soak test itself, for some seconds, and its parts that judge."""

import pytest

from tests.soak.__main__ import compare, lengths, run
from tests.soak.record import Record, Round

pytest.importorskip("grpc", reason="grpcio is not installed")


async def test_nothing_breaks_and_nothing_stays_behind():
    record, rounds = await run(8.0)

    assert record.found == [], record.table(rounds)
    kinds = {"HTTP/1 to http1", "HTTP/2 to http1", "TLS to http1", "gRPC, unary", "WebSocket", "upstream restarts"}
    assert kinds <= record.done.keys()


def test_rounds_are_at_least_two():
    assert lengths(10) == [5, 5]
    assert lengths(600) == [60] * 10


@pytest.mark.parametrize(
    ("last", "kinds"),
    [
        (Round(60 << 20, 22, 9.0), []),
        (Round(90 << 20, 22, 9.0), ["memory"]),
        (Round(60 << 20, 30, 9.0), ["descriptors"]),
    ],
)
def test_growth_is_a_fault(last, kinds):
    record = Record()

    compare(record, [Round(50 << 20, 20, 5.0), Round(120 << 20, 90, 6.0), last], concurrency=1)

    assert [kind for kind, _ in record.found] == kinds


def test_the_table_names_what_was_done_and_found():
    record = Record()
    record.did("HTTP/1")
    record.expect("HTTP/2", 1, 2)

    text = record.table([Round(50 << 20, 20, 5.0)])

    assert "HTTP/1" in text
    assert "50.0" in text
    assert "faults: 1\n  HTTP/2: got 1, not 2" in text
