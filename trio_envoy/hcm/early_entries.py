"""access_log_options: entries of access logs that are written before a stream has ended.

Source: Envoy, ConnectionManagerImpl::ActiveStream; names of %ACCESS_LOG_TYPE% as in envoy/data/accesslog/v3.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from trio_envoy.accesslog.log import AccessLog
from trio_envoy.config.hcm import HcmAccessLogOptions, HttpConnectionManager
from trio_envoy.errors import ConfigError
from trio_envoy.hcm.stream import HttpStream
from trio_envoy.net.services import Services
from trio_envoy.util.deadlines import Alarm, Timers

_START: Final = b"DownstreamStart"
_PERIODIC: Final = b"DownstreamPeriodic"
_TUNNEL: Final = b"DownstreamTunnelSuccessfullyEstablished"
_DEPRECATED: Final = ("access_log_flush_interval", "flush_access_log_on_new_request")


class EarlyEntries:
    """The options of one HCM, compiled."""

    def __init__(self, options: HcmAccessLogOptions, logs: Sequence[AccessLog], timers: Timers) -> None:
        self._logs = logs
        self._timers = timers
        self._interval = options.access_log_flush_interval
        self._on_start = options.flush_access_log_on_new_request
        self._on_tunnel = options.flush_log_on_tunnel_successfully_established

    def begun(self, stream: HttpStream) -> None:
        """A stream is there: from now on it is logged in intervals."""
        if self._interval is not None:
            self._write_in_intervals(stream, self._interval)

    def routed(self, stream: HttpStream) -> None:
        """Its route, if it has one, is known."""
        if self._on_start:
            self._write(stream, _START)

    def answered(self, stream: HttpStream) -> None:
        """Its response is about to be written; if that opens a tunnel, the tunnel stands."""
        request, response = stream.request, stream.response
        if self._on_tunnel and (request.protocol or request.method == b"CONNECT"):
            assert response is not None, "it is about to be written"
            if response.status == 101 or 200 <= response.status < 300:
                self._write(stream, _TUNNEL)

    def _write_in_intervals(self, stream: HttpStream, seconds: float) -> None:
        def write(now: float) -> None:
            self._write(stream, _PERIODIC)
            alarm.plan(now + seconds)

        alarm = Alarm(self._timers, write)
        alarm.plan(stream.now() + seconds)
        stream.on_complete.append(alarm.close)

    def _write(self, stream: HttpStream, kind: bytes) -> None:
        stream.info.log_type = kind
        for log in self._logs:
            log.log(stream)
        stream.info.log_type = None


def early_entries(config: HttpConnectionManager, logs: Sequence[AccessLog], services: Services) -> EarlyEntries | None:
    """What is to be logged early; None: nothing.

    Raises:
        ConfigError: the options are there twice.
    """
    options = config.access_log_options
    for name in _DEPRECATED:
        if options is not None and getattr(config, name):
            raise ConfigError(f"Only one of {name} or access_log_options can be specified.", at=config, field=name)
    if options is None:
        options = HcmAccessLogOptions(
            access_log_flush_interval=config.access_log_flush_interval,
            flush_access_log_on_new_request=config.flush_access_log_on_new_request,
        )
    return None if options == HcmAccessLogOptions() else EarlyEntries(options, logs, services.timers)
