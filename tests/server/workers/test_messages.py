"""Messages as bytes, without a socket."""

import pytest

from trio_envoy.config.core import Locality
from trio_envoy.net.address import IpAddress
from trio_envoy.runtime import Entry, Snapshot
from trio_envoy.server.workers import messages
from trio_envoy.server.workers.messages import (
    Collect,
    Decoder,
    HealthFailed,
    LogLevels,
    NewHost,
    Open,
    ProtocolFault,
    Report,
    Stop,
    UseHosts,
    encode,
)
from trio_envoy.stats.declare import Kind
from trio_envoy.stats.share import Row

HOST = NewHost(IpAddress("10.0.0.1", 80), "a.test", 3, Locality(zone="z"), 1, canary=True)
ALL = [
    Open((HealthFailed(True), LogLevels({"": "debug"}), UseHosts("c", (1, 0), (4, 0), {1: HOST}))),
    Collect(7),
    Report(7, 3, [Row("a.", Kind.COUNTER, "b", 2)], [("c", 1, (0,) * 9)]),
    Stop(),
]


@pytest.mark.parametrize("step", [1, 3, 10_000])
def test_messages_arrive_as_they_were_sent_however_they_are_split(step):
    decoder = Decoder()
    data = b"".join(map(encode, ALL))

    found = [message for at in range(0, len(data), step) for message in decoder.feed(data[at : at + step])]

    assert found == ALL


def test_a_snapshot_of_the_runtime_arrives_whole():
    entry = Entry("5", 5.0)
    (message,) = Decoder().feed(encode(messages.UseRuntime(Snapshot((("admin", {"a": entry}),), {"a": entry}))))

    assert message.snapshot.get_int("a", 0) == 5
    assert message.snapshot.layers == (("admin", {"a": entry}),)


def test_what_is_too_long_is_neither_sent_nor_taken(monkeypatch):
    data = encode(Collect(1))
    monkeypatch.setattr(messages, "MAX_BYTES", len(data) - 5)

    with pytest.raises(ProtocolFault, match="a message of"):
        encode(Collect(1))
    with pytest.raises(ProtocolFault, match="a message of"):
        list(Decoder().feed(data))


def test_what_is_no_message_is_a_fault():
    with pytest.raises(ProtocolFault, match="can't be read"):
        list(Decoder().feed(b"\0\0\0\3abc"))
