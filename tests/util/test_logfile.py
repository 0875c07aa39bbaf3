from __future__ import annotations

import os
import time
from contextlib import asynccontextmanager, suppress

import pytest
import trio

from trio_envoy.stats.filesystem import FilesystemStats
from trio_envoy.util import logfile
from trio_envoy.util.logfile import FLUSH_BYTES, LogFiles


@asynccontextmanager
async def running(files: LogFiles):
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(files.run)
            await trio.testing.wait_all_tasks_blocked()
            yield nursery
            nursery.cancel_scope.cancel()
    finally:
        files.close()


async def until(condition) -> None:
    """Wait for a thread: in real time, whatever clock Trio has."""
    for _ in range(2000):
        if condition():
            return
        await trio.to_thread.run_sync(time.sleep, 0.001)
    raise AssertionError("it did not come to that")


@pytest.fixture
def stats() -> FilesystemStats:
    return FilesystemStats()


async def test_the_first_line_is_written_at_once_others_at_the_interval(tmp_path, stats, mock_clock):
    path = tmp_path / "access.log"
    files = LogFiles(stats, 10.0)
    file = files.open(str(path))
    async with running(files):
        file.write(b"one\n")
        await until(lambda: stats.write_completed == 1)
        assert path.read_bytes() == b"one\n"

        file.write(b"two\n")
        file.write(b"three\n")
        await trio.testing.wait_all_tasks_blocked()
        assert path.read_bytes() == b"one\n"
        assert (stats.write_buffered, stats.write_total_buffered) == (3, 10)

        mock_clock.jump(10)
        await until(lambda: stats.write_completed == 2)
        assert path.read_bytes() == b"one\ntwo\nthree\n"
        assert (stats.flushed_by_timer, stats.write_total_buffered) == (1, 0)


async def test_a_full_buffer_is_written_at_once(tmp_path, stats):
    files = LogFiles(stats)
    file = files.open(str(tmp_path / "access.log"))
    async with running(files):
        file.write(b"x\n")
        await until(lambda: stats.write_completed == 1)

        file.write(b"y" * FLUSH_BYTES)
        await trio.testing.wait_all_tasks_blocked()
        assert stats.write_completed == 1
        file.write(b"\n")

        await until(lambda: stats.write_completed == 2)
        assert stats.flushed_by_timer == 0


async def test_the_end_writes_what_is_buffered(tmp_path, stats, mock_clock):
    path = tmp_path / "access.log"
    files = LogFiles(stats)
    file = files.open(str(path))
    async with running(files):
        file.write(b"one\n")
        await until(lambda: stats.write_completed == 1)
        file.write(b"two\n")

    assert path.read_bytes() == b"one\ntwo\n"
    assert (stats.write_completed, stats.write_total_buffered) == (2, 0)


def test_files_are_shared_by_path_and_appended_to(tmp_path):
    path = tmp_path / "access.log"
    path.write_bytes(b"old\n")
    files = LogFiles()

    assert files.open(str(path)) is files.open(str(path))
    assert files.open(str(path)) is not files.open(str(tmp_path / "other.log"))
    assert path.stat().st_size == 4
    files.close()


def test_a_path_that_cannot_be_opened_is_an_error(tmp_path):
    with pytest.raises(OSError, match="No such file"):
        LogFiles().open(str(tmp_path / "no" / "access.log"))


async def test_a_file_opened_while_running_is_flushed_too(tmp_path, stats):
    files = LogFiles(stats)
    async with running(files):
        files.open(str(tmp_path / "late.log")).write(b"x\n")

        await until(lambda: stats.write_completed == 1)


async def test_reopen_goes_on_in_a_new_file(tmp_path, stats, mock_clock):
    path, moved = tmp_path / "access.log", tmp_path / "access.log.1"
    files = LogFiles(stats)
    file = files.open(str(path))
    async with running(files):
        file.write(b"one\n")
        await until(lambda: stats.write_completed == 1)
        file.write(b"two\n")
        path.rename(moved)

        files.reopen()
        await until(lambda: stats.write_completed == 2)

        assert moved.read_bytes() == b"one\n"
        assert path.read_bytes() == b"two\n"
        assert stats.reopen_failed == 0


async def test_a_failed_reopen_writes_on_and_is_tried_again(tmp_path, stats, mock_clock):
    path, moved = tmp_path / "access.log", tmp_path / "access.log.1"
    files = LogFiles(stats)
    file = files.open(str(path))
    async with running(files):
        path.rename(moved)
        path.mkdir()
        files.reopen()
        await until(lambda: stats.reopen_failed == 1)
        file.write(b"one\n")
        await until(lambda: stats.write_completed == 1)
        assert moved.read_bytes() == b"one\n"
        assert stats.reopen_failed == 2

        path.rmdir()
        file.write(b"two\n")
        mock_clock.jump(10)
        await until(lambda: stats.write_completed == 2)
        assert path.read_bytes() == b"two\n"


async def test_reopen_just_before_the_end(tmp_path):
    path = tmp_path / "access.log"
    files = LogFiles()
    file = files.open(str(path))
    with trio.CancelScope() as scope:
        file.write(b"one\n")
        path.rename(tmp_path / "moved")
        files.reopen()
        scope.cancel()
        await files.run()

    assert path.read_bytes() == b"one\n"
    files.close()


async def test_a_disk_that_does_not_take_it_is_counted(stats):
    files = LogFiles(stats)
    file = files.open("/dev/full")
    file.write(b"one\n")

    await files.flush()

    assert (stats.write_failed, stats.write_completed, stats.write_total_buffered) == (1, 0, 0)
    files.close()


async def test_a_full_buffer_drops_lines_and_counts_them(tmp_path, stats, monkeypatch):
    monkeypatch.setattr(logfile, "LIMIT_BYTES", 10)
    path = tmp_path / "access.log"
    files = LogFiles(stats)
    file = files.open(str(path))
    for line in (b"12345678\n", b"dropped\n", b"\n"):
        file.write(line)

    await files.flush()

    assert path.read_bytes() == b"12345678\n\n"
    assert (stats.write_failed, stats.write_buffered) == (1, 2)
    files.close()


async def test_null_costs_nothing(stats):
    files = LogFiles(stats)
    file = files.open(os.devnull)
    assert file.discards

    file.write(b"x\n")
    files.reopen()
    await files.flush()

    assert (stats.write_buffered, stats.write_completed, stats.write_total_buffered) == (1, 0, 0)
    files.close()


async def test_standard_output_and_error(capfd):
    files = LogFiles()
    assert files.stdout() is files.stdout()
    files.stdout().write(b"out\n")
    files.stderr().write(b"err\n")
    files.reopen()

    await files.flush()

    assert capfd.readouterr() == ("out\n", "err\n")
    files.close()
    os.fstat(1)  # still open


@pytest.fixture
def pipe(tmp_path):
    """(path of a pipe, a descriptor that holds its reading end)."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    yield str(path), reader
    os.close(reader)


async def test_a_pipe_that_nobody_reads_delays_only_itself(pipe, tmp_path, stats, monkeypatch):
    monkeypatch.setattr(logfile, "_LAST_WAIT", 0.01)
    path, reader = pipe
    files = LogFiles(stats)
    stuck, fine = files.open(path), files.open(str(tmp_path / "access.log"))
    async with running(files):
        stuck.write(b"x" * 200_000)  # more than a pipe holds
        fine.write(b"ok\n")
        await until(lambda: stats.write_completed == 1)

        stuck.write(b"last\n")

    assert (tmp_path / "access.log").read_bytes() == b"ok\n"
    assert stats.write_failed == 1  # "last", at the end

    def the_thread_is_done() -> bool:
        with suppress(BlockingIOError):
            os.read(reader, 65536)
        return not stuck._one_thread.borrowed_tokens

    await until(the_thread_is_done)
    stuck.close()


async def test_the_end_of_a_pipe_is_written_in_small_pieces(pipe, stats):
    path, reader = pipe
    files = LogFiles(stats)
    file = files.open(path)
    with trio.CancelScope() as scope:
        file.write(b"x" * 10_000)
        scope.cancel()
        await files.run()

    assert os.read(reader, 20_000) == b"x" * 10_000
    assert stats.write_completed == 1
    files.close()


async def test_a_cancelled_flush_loses_nothing(tmp_path, stats):
    path = tmp_path / "access.log"
    files = LogFiles(stats)
    file = files.open(str(path))
    file.write(b"one\n")
    with trio.CancelScope() as scope:
        scope.cancel()
        await file.flush()
    assert stats.write_total_buffered == 4
    file.write(b"two\n")

    await file.flush()

    assert path.read_bytes() == b"one\ntwo\n"
    assert (stats.write_completed, stats.write_total_buffered) == (1, 0)
    files.close()


def test_a_thread_that_comes_too_late_writes_nothing(tmp_path):
    path = tmp_path / "access.log"
    files = LogFiles()
    file = files.open(str(path))

    file._work([], b"one\n", False)

    assert path.read_bytes() == b""
    files.close()


async def test_without_stats_it_works_too(tmp_path):
    path = tmp_path / "access.log"
    files = LogFiles()
    files.open(str(path)).write(b"x\n")

    await files.flush()

    assert path.read_bytes() == b"x\n"
    files.close()


def test_to_a_shared_pipe_whole_lines_are_written_at_a_time(pipe, stats):
    files = LogFiles(stats)
    files.share()
    file = files.open(pipe[0])
    lines = [b"x" * size + b"\n" for size in (10, 4000, 80, 4095, 9000, 1, 5)]

    pieces = [bytes(piece) for piece in file._pieces(b"".join(lines))]
    assert b"".join(pieces) == b"".join(lines)
    assert pieces == [lines[0] + lines[1] + lines[2], lines[3], lines[4], lines[5] + lines[6]]
    assert list(map(bytes, file._pieces(b"z" * 5000))) == [b"z" * 5000, b""]
    files.close()


def test_to_what_is_not_shared_all_is_written_at_a_time(pipe, tmp_path):
    data = b"x\n" * 10_000
    alone, shared = LogFiles(), LogFiles()
    regular = shared.open(str(tmp_path / "regular"))
    shared.share()

    assert [bytes(piece) for piece in alone.open(pipe[0])._pieces(data)] == [data]
    assert [bytes(piece) for piece in regular._pieces(data)] == [data]
    alone.close()
    shared.close()


def test_opened_anew_at_once_the_descriptor_stays(tmp_path):
    path, moved = tmp_path / "a.log", tmp_path / "moved.log"
    files = LogFiles()
    file = files.open(str(path))
    files.open(os.devnull)
    before = file._fd
    path.rename(moved)
    files.reopen_now()

    assert file._fd == before
    os.write(before, b"new\n")
    assert (path.read_bytes(), moved.read_bytes()) == (b"new\n", b"")
    path.unlink()
    tmp_path.joinpath("a.log").mkdir()
    files.reopen_now()  # it can't be: the old one is kept
    os.write(before, b"kept\n")
    files.close()
