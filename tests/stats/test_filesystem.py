from trio_envoy.stats.filesystem import FilesystemStats
from trio_envoy.stats.store import Store


def test_names_are_envoys():
    store = Store()
    store.scope("filesystem.").block(FilesystemStats)

    assert {name for name, _, _ in store} == {
        "filesystem.flushed_by_timer",
        "filesystem.reopen_failed",
        "filesystem.write_buffered",
        "filesystem.write_completed",
        "filesystem.write_failed",
        "filesystem.write_total_buffered",
    }
