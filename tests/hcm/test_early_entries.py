"""Entries of access logs before the end of a stream; see parity access_log/{on_new_request,flush_*,tunnel_*}, too."""

import pytest
import trio

from tests.fakes import a_services, a_stream
from trio_envoy.config.hcm import HcmAccessLogOptions, HttpConnectionManager
from trio_envoy.errors import ConfigError
from trio_envoy.formatter.streams import log_type
from trio_envoy.hcm.early_entries import EarlyEntries, early_entries
from trio_envoy.http.headers import Headers
from trio_envoy.http.message import Response


class Log:
    """Notes what each entry is written for, and when."""

    def __init__(self):
        self.entries = []

    def log(self, stream):
        self.entries.append((log_type(stream).decode(), stream.now()))

    @property
    def kinds(self):
        return [kind for kind, _ in self.entries]


def logged(stream, log, services=None, **options):
    entries = EarlyEntries(HcmAccessLogOptions(**options), [log], (services or a_services()).timers)
    entries.begun(stream)
    entries.routed(stream)
    return entries


async def test_a_new_request():
    log, stream = Log(), a_stream()

    logged(stream, log, flush_access_log_on_new_request=True)

    assert log.kinds == ["DownstreamStart"]
    assert stream.info.log_type is None


async def test_a_stream_that_goes_on(autojump_clock):
    log, stream, services = Log(), a_stream(), a_services()
    begin = trio.current_time()
    async with trio.open_nursery() as tasks:
        tasks.start_soon(services.timers.run)
        logged(stream, log, services, access_log_flush_interval=2.0)
        await trio.sleep(5)
        for callback in stream.on_complete:
            callback()
        await trio.sleep(5)
        tasks.cancel_scope.cancel()

    assert [(kind, time - begin) for kind, time in log.entries] == [
        ("DownstreamPeriodic", 2),
        ("DownstreamPeriodic", 4),
    ]


@pytest.mark.parametrize(
    ("method", "protocol", "status", "told"),
    [
        (b"CONNECT", b"", 200, True),
        (b"CONNECT", b"", 503, False),
        (b"GET", b"websocket", 101, True),
        (b"GET", b"", 200, False),
    ],
)
async def test_a_tunnel_that_stands(method, protocol, status, told):
    log, stream = Log(), a_stream(method)
    stream.request.protocol = protocol
    stream.response = Response(status, Headers())

    logged(stream, log, flush_log_on_tunnel_successfully_established=True).answered(stream)

    assert log.kinds == (["DownstreamTunnelSuccessfullyEstablished"] if told else [])


def test_nothing_is_written_that_is_not_wanted():
    log, stream = Log(), a_stream(b"CONNECT")
    stream.response = Response(200, Headers())

    logged(stream, log).answered(stream)

    assert log.entries == []
    assert stream.on_complete == []


@pytest.mark.parametrize("options", [None, HcmAccessLogOptions()])
def test_without_options_there_is_nothing(options):
    assert early_entries(HttpConnectionManager(access_log_options=options), (), a_services()) is None


@pytest.mark.parametrize(
    "config", [{"access_log_flush_interval": 1.0}, {"flush_access_log_on_new_request": True}], ids=str
)
def test_deprecated_options_are_those_or_a_fault_beside_them(config):
    assert early_entries(HttpConnectionManager(**config), (), a_services()) is not None
    with pytest.raises(ConfigError, match=f"Only one of {next(iter(config))} or access_log_options can be specified"):
        early_entries(HttpConnectionManager(access_log_options=HcmAccessLogOptions(), **config), (), a_services())
