"""Stats of access-log files: `filesystem.*`, a part of every server."""

from __future__ import annotations

from trio_envoy.stats.declare import Counter, Gauge, StatsBlock


class FilesystemStats(StatsBlock):
    """`filesystem.`: what util.logfile counts."""

    flushed_by_timer: Counter  # flush intervals that were over
    reopen_failed: Counter  # paths that could not be opened anew
    write_buffered: Counter  # writes to a buffer
    write_completed: Counter  # writes to the disk
    write_failed: Counter  # writes to the disk that failed, and lines that the buffer had no room for
    write_total_buffered: Gauge  # bytes in buffers
