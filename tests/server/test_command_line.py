"""Envoy's command line."""

import sys

import pytest

from trio_envoy.server.command_line import CommandLine, UsageError, default_concurrency, parse, usage

HELP = (
    "stats-tag enable-core-dump socket-mode socket-path disable-extensions cpuset-threads enable-mutex-tracing "
    "disable-hot-restart mode parent-shutdown-time-s drain-strategy drain-time-s file-flush-min-size-kb "
    "file-flush-interval-msec service-zone service-node service-cluster hot-restart-version restart-epoch log-path "
    "enable-fine-grain-logging log-format-escaped log-format component-log-level log-level local-address-ip-version "
    "admin-address-path log-stacktrace-single-entry skip-deprecated-logs ignore-unknown-dynamic-fields "
    "reject-unknown-dynamic-fields allow-unknown-static-fields allow-unknown-fields config-yaml config-path "
    "concurrency base-id-path skip-hot-restart-parent-stats skip-hot-restart-on-no-parent use-dynamic-base-id base-id "
    "version help"
).split()


@pytest.mark.parametrize("name", HELP)
def test_every_flag_of_envoys_help_is_known_or_refused_by_name(name):
    try:
        parse([f"--{name}", "1"])
    except UsageError as error:
        unknown = f"Argument: --{name}\n" in str(error)
    else:
        unknown = False
    assert not unknown
    assert f"--{name}" in usage()


def test_nothing_given_gives_envoys_defaults():
    line = parse([])

    assert line == CommandLine()
    assert (line.mode, line.log_level, line.drain_time_s, line.concurrency) == ("serve", "info", 600, None)


@pytest.mark.parametrize(
    "arguments",
    [["-c", "a.yaml"], ["--config-path", "a.yaml"], ["--config", "a.yaml"]],
)
def test_the_configuration_can_be_named_in_three_ways(arguments):
    assert parse(arguments).config_path == "a.yaml"


def test_many_flags_at_once():
    line = parse(
        "-c a.yaml --mode validate -l warn --component-log-level upstream:debug,hc:trace --concurrency 1 "
        "--service-node n --drain-time-s 5 --disable-hot-restart --stats-tag a:b --stats-tag c:d".split()
    )

    assert line.mode == "validate"
    assert line.log_level == "warn"
    assert line.component_log_level == {"upstream": "debug", "hc": "trace"}
    assert line.concurrency == 1
    assert line.stats_tag == ["a:b", "c:d"]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--nope"], "PARSE ERROR: Argument: --nope\n             Couldn't find match for argument"),
        (["-c", "a", "extra"], "PARSE ERROR: Argument: extra\n"),
        (["-c", "a", "-c", "b"], "PARSE ERROR: Argument: -c (--config-path)\n             Argument already set!"),
        (
            ["--concurrency", "x"],
            "Argument: (--concurrency)\n             Couldn't read argument value from string 'x'",
        ),
        (["-c"], "Missing a value for this argument!"),
        (["--mode", "foo"], "error: unknown mode 'foo'"),
        (["-l", "foo"], "error: invalid log level specified 'foo'"),
        (["--component-log-level", "foo:info"], "error: invalid component specified 'foo'"),
        (["--component-log-level", "http:foo"], "error: invalid log level specified 'foo'"),
        (["--component-log-level", "http"], "error: component log level not correctly specified 'http'"),
        (["--local-address-ip-version", "v5"], "error: unknown IP address version 'v5'"),
        (["--concurrency", "1025"], "error: --concurrency 1025 is not supported: at most 1024 workers are"),
        (["--restart-epoch", "1"], "error: --restart-epoch 1 is not supported: there is no hot restart here"),
        (["--socket-path", "x"], "error: --socket-path is not supported: there is no hot restart here"),
        (["--drain-time-s=5"], "PARSE ERROR: Argument: --drain-time-s=5\n             Couldn't find match"),
        (["-ca.yaml"], "PARSE ERROR: Argument: -ca.yaml\n"),
        (["--drain-time-s", "4294967296"], "Couldn't read argument value from string '4294967296'"),
        (["--drain-time-s", "5.5"], "Couldn't read argument value from string '5.5'"),
        (["--component-log-level", "http:info,"], "error: component log level not correctly specified ''"),
        (["--stats-tag", "a"], "error: misformatted stats-tag 'a'"),
        (["--stats-tag", "a:b.c"], "error: misformatted stats-tag 'a:b.c' contains invalid char in 'b.c'"),
        (["--stats-tag", "a.b:c"], "error: misformatted stats-tag 'a.b:c' contains invalid char in 'a.b'"),
    ],
)
def test_errors_are_envoys(arguments, text):
    with pytest.raises(UsageError) as caught:
        parse(arguments)

    assert text in str(caught.value)


@pytest.mark.parametrize(("argument", "shown"), [("--version", "version"), ("-h", "help"), ("--help", "help")])
def test_what_is_only_shown(argument, shown):
    assert parse([argument]).show == shown


def test_what_follows_two_dashes_is_ignored():
    assert parse(["-c", "a", "--", "--nope"]).config_path == "a"
    assert parse(["-c", "a", "--ignore_rest", "-c"]).config_path == "a"


def test_a_number_may_have_a_plus():
    assert parse(["--drain-time-s", "+5"]).drain_time_s == 5


def test_an_old_name_is_taken_with_a_note():
    line = parse(["--allow-unknown-fields"])

    assert line.allow_unknown_static_fields
    assert line.notes == ["--allow-unknown-fields is deprecated, use --allow-unknown-static-fields instead."]


def test_the_first_epoch_is_the_only_one():
    assert parse(["--restart-epoch", "0"]).restart_epoch == 0


@pytest.mark.parametrize(("text", "workers"), [("0", 1), ("1", 1), ("+1", 1)])
def test_one_worker_is_the_least(text, workers):
    assert parse(["--concurrency", text]).concurrency == workers


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere it is refused")
def test_workers_are_as_many_as_are_said_or_as_there_are_cores(monkeypatch):
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 2, 5})

    assert parse(["--concurrency", "3", "--cpuset-threads"]).concurrency == 3
    assert parse([]).concurrency is None
    assert default_concurrency() == 3


def test_where_a_port_is_not_spread_over_processes_there_is_one_worker(monkeypatch):
    monkeypatch.setattr("trio_envoy.server.command_line.MANY_WORKERS", False)

    assert default_concurrency() == 1
    assert parse(["--concurrency", "1"]).concurrency == 1
    with pytest.raises(UsageError) as caught:
        parse(["--concurrency", "2"])
    assert str(caught.value) == (
        "error: --concurrency 2 is not supported: only Linux spreads the connections of a port over several processes"
    )
