"""`server.*`: what the process says of itself; gauges are set when they are flushed or asked for."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterable
from typing import Final

from trio_envoy.server.lifecycle import Lifecycle
from trio_envoy.stats.declare import Counter, Gauge, Histogram, StatsBlock, named

_NO_CERTIFICATE: Final = 4294967295  # days, when nothing expires (Envoy's maximum)


class ServerStats(StatsBlock):
    """`server.`: the process."""

    fips_mode: Gauge = named("compilation_settings.fips_mode")
    concurrency: Gauge
    days_until_first_cert_expiring: Gauge
    debug_assertion_failures: Counter
    dropped_stat_flushes: Counter
    dynamic_unknown_fields: Counter
    envoy_bug_failures: Counter
    envoy_notifications: Counter
    hot_restart_epoch: Gauge
    initialization_time_ms: Histogram
    live: Gauge
    memory_allocated: Gauge
    memory_heap_size: Gauge
    memory_physical_size: Gauge
    parent_connections: Gauge
    seconds_until_first_ocsp_response_expiring: Gauge
    state: Gauge
    static_unknown_fields: Counter
    stats_recent_lookups: Gauge
    total_connections: Gauge
    uptime: Gauge
    version: Gauge
    wip_protos: Counter


def resident_bytes() -> int:
    """Memory of this process that is in RAM; on platforms without /proc, the most it ever was."""
    try:
        with open("/proc/self/statm", encoding="ascii") as statm:
            pages = int(statm.read().split()[1])
    except OSError:
        return _peak_resident_bytes()
    import os

    return pages * os.sysconf("SC_PAGE_SIZE")


def _peak_resident_bytes() -> int:
    try:
        import resource  # not on Windows
    except ImportError:
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def shared_bytes(pids: Iterable[int]) -> int:
    """Memory of these processes that is in RAM; what several of them share counts once, in parts (Linux's PSS)."""
    total = 0
    for pid in pids:
        with contextlib.suppress(OSError), open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as rollup:
            line = next((line for line in rollup if line.startswith("Pss:")), "Pss: 0 kB")
            total += int(line.split()[1]) * 1024
    return total


def refresh(
    stats: ServerStats, lifecycle: Lifecycle, uptime: float, connections: int, days: int | None, resident: int
) -> None:
    """Set the gauges to what is so now.

    Args:
        stats: where.
        lifecycle: for state and live.
        uptime: seconds.
        connections: downstream connections that are open.
        days: until the first certificate expires; None: there is none.
        resident: bytes in RAM.
    """
    stats.state = int(lifecycle.state)
    stats.live = 1 if lifecycle.state.name == "LIVE" else 0
    stats.uptime = int(uptime)
    stats.total_connections = connections
    stats.memory_allocated = resident
    stats.memory_heap_size = resident
    stats.memory_physical_size = resident
    stats.days_until_first_cert_expiring = _NO_CERTIFICATE if days is None else days
