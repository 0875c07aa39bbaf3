"""What the main process and its workers say to each other, and how that is written to a socket pair.

A message is its pickled form behind its length, 4 bytes. Pickle is safe here, and here alone: the other end of the
pair is always a process that was forked from this one, runs this very code, and inherited its end.

Rules:
1. Nothing here is sent for a request, but a HostFailed for a response that asks for it, as in Envoy between threads.
2. An Order is told to every worker, and obeyed by the main process too (orders.py); with one process it is a plain
   call. It must be one that may be obeyed twice: a new worker is told all that is in force.
3. A message has at most MAX_BYTES; what is longer can only be a fault.
"""

from __future__ import annotations

import pickle
import struct
from collections.abc import Iterator, Mapping
from typing import Any, Final, TypeAlias

import attrs

from trio_envoy.config.core import Locality
from trio_envoy.net.address import Address
from trio_envoy.runtime import Snapshot
from trio_envoy.stats.share import Row

MAX_BYTES: Final = 256 * 1024 * 1024  # the first report of 50,000 clusters has some 40 MiB
_LENGTH: Final = struct.Struct("!I")


class ProtocolFault(Exception):
    """What came is no message."""


# --- orders -------------------------------------------------------------------------------------


@attrs.frozen
class HealthFailed:
    """/healthcheck/fail or /healthcheck/ok."""

    failed: bool


@attrs.frozen
class DrainListeners:
    """/drain_listeners; `ago` seconds before now."""

    inbound_only: bool = False
    graceful: bool = False
    skip_exit: bool = False
    ago: float = 0.0


@attrs.frozen
class LogLevels:
    """/logging: component -> level; "" stands for all components."""

    levels: Mapping[str, str]


@attrs.frozen
class ReopenLogs:
    """/reopen_logs, SIGUSR1: the access logs; workers open the application log anew, too."""


@attrs.frozen
class UseRuntime:
    """The runtime values that hold from now on."""

    snapshot: Snapshot


@attrs.frozen
class NewHost:
    """What a worker needs to know of a host; see upstream.host.Host."""

    address: Address
    hostname: str
    weight: int
    locality: Locality
    priority: int
    canary: bool


@attrs.frozen
class UseHosts:
    """The hosts of a cluster, and their health.

    Attributes:
        cluster: its name.
        numbers: of the hosts, in order; those of the configuration are numbered from 0 in every process.
        flags: of each, bits of HealthFlag.
        new: number -> host, of those that are not of the configuration.
    """

    cluster: str
    numbers: tuple[int, ...]
    flags: tuple[int, ...]
    new: Mapping[int, NewHost]


Order: TypeAlias = HealthFailed | DrainListeners | LogLevels | ReopenLogs | UseRuntime | UseHosts

# --- what else the main process says ------------------------------------------------------------


@attrs.frozen
class Open:
    """Clusters are warm: obey what is in force, then take connections."""

    orders: tuple[Order, ...]


@attrs.frozen
class Collect:
    """Report what is new; answered by a Report of this number."""

    number: int


@attrs.frozen
class Stop:
    """End, at once."""


# --- what workers say ---------------------------------------------------------------------------


@attrs.frozen
class Listening:
    """Connections are taken."""


@attrs.frozen
class CannotListen:
    """Connections can't be taken; the worker ends."""

    reason: str


@attrs.frozen
class HostFailed:
    """A host said x-envoy-immediate-health-check-fail."""

    cluster: str
    number: int


@attrs.frozen
class Report:
    """What is new since the last one.

    Attributes:
        number: of the Collect that it answers.
        connections: downstream, open now.
        stats: see stats.share.
        hosts: (cluster, number of the host, what is to be added to each of hosts.COUNTS).
    """

    number: int
    connections: int
    stats: list[Row]
    hosts: list[tuple[str, int, tuple[int, ...]]]


ToWorker: TypeAlias = Order | Open | Collect | Stop
ToMain: TypeAlias = Listening | CannotListen | HostFailed | Report

# --- bytes --------------------------------------------------------------------------------------


def encode(message: object) -> bytes:
    """The bytes of a message.

    Raises:
        ProtocolFault: it is too long.
    """
    body = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
    if len(body) > MAX_BYTES:
        raise ProtocolFault(f"a message of {len(body)} bytes")
    return _LENGTH.pack(len(body)) + body


class Decoder:
    """Bytes in, messages out."""

    def __init__(self) -> None:
        self._data = bytearray()

    def feed(self, data: bytes) -> Iterator[Any]:
        """The messages that are complete with these bytes.

        Raises:
            ProtocolFault: what came is no message.
        """
        self._data += data
        while len(self._data) >= _LENGTH.size:
            (size,) = _LENGTH.unpack_from(self._data)
            if size > MAX_BYTES:
                raise ProtocolFault(f"a message of {size} bytes")
            end = _LENGTH.size + size
            if len(self._data) < end:
                return
            body = bytes(self._data[_LENGTH.size : end])
            del self._data[:end]
            try:
                message = pickle.loads(body)  # noqa: S301 - see the module
            except Exception as error:
                raise ProtocolFault(f"what can't be read: {error!r}") from error
            yield message
