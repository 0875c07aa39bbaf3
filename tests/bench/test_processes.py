"""Reading /proc."""

import os
import subprocess
import sys

from tests.bench.processes import cpu_seconds, memory, parse_rollup, parse_stat, pinned, tree

_TICKS = os.sysconf("SC_CLK_TCK")


def test_a_command_with_blanks_and_parentheses_does_not_shift_the_fields():
    text = "7 (a) b (c) S 3 7 7 0 -1 4194304 1 2 3 4 150 50 9 9 20 0 1 0 100 1 1\n"

    found = parse_stat(text)

    assert found.parent == 3
    assert found.cpu == 200 / _TICKS


def test_memory_is_given_in_bytes():
    text = "55d0-7ffe ---p 00000000 00:00 0    [rollup]\nRss:     1024 kB\nPss:      512 kB\nPss_Dirty:  1 kB\n"

    found = parse_rollup(text)

    assert (found.rss, found.pss) == (1 << 20, 1 << 19)


def test_this_process_is_the_root_of_its_children():
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        found = tree(os.getpid())
        assert {os.getpid(), child.pid} <= set(found)
        assert cpu_seconds(os.getpid()) > 0.0
        assert memory(os.getpid()).rss > memory(child.pid).rss > 0
    finally:
        child.communicate(b"\n")


def test_a_pinned_child_stays_where_it_was_put():
    before = os.sched_getaffinity(0)
    core = frozenset([min(before)])

    with pinned(core):
        child = subprocess.run(
            [sys.executable, "-c", "import os; print(*os.sched_getaffinity(0))"],
            capture_output=True,
            text=True,
            check=True,
        )

    assert child.stdout.split() == [str(min(core))]
    assert os.sched_getaffinity(0) == before
