"""Layered runtime."""

import pytest
import trio

from trio_envoy.config.core import RuntimeFractionalPercent
from trio_envoy.config.runtime_layers import AdminLayer, DiskLayer, LayeredRuntime, RuntimeLayer
from trio_envoy.config.types import DenominatorType, FractionalPercent
from trio_envoy.errors import ConfigError
from trio_envoy.runtime import Runtime, RuntimeStats
from trio_envoy.stats.store import Store


def a_runtime(*layers, cluster=""):
    stats = Store().scope("runtime.").block(RuntimeStats)
    return Runtime(LayeredRuntime(layers=layers), stats, cluster)


def static(tree, name="base"):
    return RuntimeLayer(name=name, static_layer=tree)


ADMIN = RuntimeLayer(name="admin", admin_layer=AdminLayer())


def test_without_layers_there_are_no_values_and_nothing_can_be_modified():
    runtime = Runtime(None, Store().scope("runtime.").block(RuntimeStats))

    assert runtime.snapshot.entries == {}
    assert runtime.modify({"a": "1"}) is False


def test_nested_keys_are_dotted_and_the_last_layer_wins():
    runtime = a_runtime(static({"a": {"b": 5, "c": True}, "x.y": "3"}), static({"a.b": 6}, "over"))

    assert runtime.snapshot.get("a.b") == "6"
    assert runtime.snapshot.get_int("a.b", 0) == 6
    assert runtime.snapshot.get_bool("a.c", default=False) is True
    assert runtime.snapshot.get_int("x.y", 0) == 3
    assert runtime.stats.num_keys == 3
    assert runtime.stats.num_layers == 2


@pytest.mark.parametrize(("value", "default", "expected"), [("hello", 4, 4), (-1, 4, 4), (1.5, 4, 4), ("7", 4, 7)])
def test_what_is_no_whole_number_gives_the_default(value, default, expected):
    assert a_runtime(static({"k": value})).snapshot.get_int("k", default) == expected


def test_missing_keys_give_the_default():
    snapshot = a_runtime().snapshot

    assert snapshot.get("k") is None
    assert snapshot.get_double("k", 1.5) == 1.5
    assert snapshot.get_bool("k", default=True) is True


def test_admin_overrides_win_and_an_empty_value_removes_one():
    runtime = a_runtime(static({"k": 1}), ADMIN)
    before = runtime.snapshot

    assert runtime.modify({"k": "9", "new": "x"}) is True
    assert runtime.snapshot.get_int("k", 0) == 9
    assert runtime.stats.admin_overrides_active == 1
    runtime.modify({"k": "", "new": ""})

    assert runtime.snapshot.get_int("k", 0) == 1
    assert runtime.stats.admin_overrides_active == 0
    assert before.get_int("k", 0) == 1


@pytest.mark.parametrize(
    ("layers", "text"),
    [
        ((ADMIN, RuntimeLayer(name="b", admin_layer=AdminLayer())), "too many admin layers"),
        ((RuntimeLayer(name="b", disk_layer=DiskLayer()),), "invalid file path"),
        ((RuntimeLayer(name="b", disk_layer=DiskLayer(symlink_root="a")),), "invalid file path a"),
        ((RuntimeLayer(name="b", disk_layer=DiskLayer(symlink_root="/no/a")),), "unable to add filesystem watch"),
        ((static({}), static({})), "duplicate runtime layer name 'base'"),
        ((static({"l": [1]}),), "invalid runtime entry value for l"),
    ],
)
def test_layers_that_cannot_be_are_refused(layers, text):
    with pytest.raises(ConfigError, match=text):
        a_runtime(*layers)


def a_fraction(numerator, denominator=DenominatorType.HUNDRED, key=""):
    return RuntimeFractionalPercent(
        default_value=FractionalPercent(numerator=numerator, denominator=denominator), runtime_key=key
    )


def test_fraction_without_a_key_is_its_default():
    hit = a_runtime().fraction(a_fraction(25, DenominatorType.TEN_THOUSAND))

    assert [hit(0), hit(24), hit(25), hit(10_024)] == [True, True, False, True]


def test_fraction_follows_its_key_at_each_call():
    runtime = a_runtime(ADMIN)
    hit = runtime.fraction(a_fraction(0, key="share"))

    assert hit(0) is False
    runtime.modify({"share": "50"})
    assert [hit(49), hit(50)] == [True, False]
    runtime.modify({"share": "numerator: 1\ndenominator: MILLION"})
    assert [hit(0), hit(1), hit(1_000_000)] == [True, False, True]


async def test_disk_layer_is_read_again_when_its_link_is_swapped(tmp_path, autojump_clock):
    for version, value in (("v1", "5"), ("v2", "# comment\n7\n")):
        (tmp_path / version / "sub" / "health").mkdir(parents=True)
        (tmp_path / version / "sub" / "health" / "min").write_text(value)
    link = tmp_path / "current"
    link.symlink_to("v1")
    layer = RuntimeLayer(name="disk", disk_layer=DiskLayer(symlink_root=str(link), subdirectory="sub"))
    runtime = a_runtime(layer)
    assert runtime.snapshot.get_int("health.min", 0) == 5

    async with trio.open_nursery() as nursery:
        nursery.start_soon(runtime.run)
        (tmp_path / "next").symlink_to("v2")
        (tmp_path / "next").rename(link)
        await trio.sleep(2)
        nursery.cancel_scope.cancel()

    assert runtime.snapshot.get_int("health.min", 0) == 7
    assert runtime.stats.load_success == 2


def test_disk_layer_of_the_service_cluster_counts_as_an_override_directory(tmp_path):
    (tmp_path / "front").mkdir()
    (tmp_path / "front" / "k").write_text("numerator: 3\ndenominator: MILLION\n")
    layer = RuntimeLayer(name="d", disk_layer=DiskLayer(symlink_root=str(tmp_path), append_service_cluster=True))

    runtime = a_runtime(layer, cluster="front")

    assert runtime.snapshot.entries["k"].fraction == (3, 1_000_000)
    assert runtime.stats.override_dir_exists == 1
    assert a_runtime(layer, cluster="other").stats.override_dir_not_exists == 1


def test_a_file_that_cannot_be_a_value_leaves_the_old_snapshot(tmp_path):
    (tmp_path / "big").write_text("x" * 70_000)
    layer = RuntimeLayer(name="d", disk_layer=DiskLayer(symlink_root=str(tmp_path)))

    runtime = a_runtime(layer)

    assert runtime.snapshot.entries == {}
    assert runtime.stats.load_error == 1


def test_who_wants_to_know_is_told_of_a_new_snapshot():
    runtime, told = a_runtime(ADMIN), []
    runtime.on_change = told.append
    runtime.modify({"a": "1"})

    assert told == [runtime.snapshot]
