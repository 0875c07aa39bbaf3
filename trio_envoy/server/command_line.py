"""Envoy's command line, to the letter: every flag of `envoy --help`; one that is not honoured is refused by name.

Errors and exit codes as Envoy's (TCLAP): "PARSE ERROR: Argument: ..." and 1. Source: envoy --help of 1.40; measured.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from enum import Enum
from typing import Any, Final

import attrs

from trio_envoy.server.log_format import DEFAULT_FORMAT
from trio_envoy.server.logs import level_number
from trio_envoy.util.log import COMPONENTS

MANY_WORKERS: Final = sys.platform == "linux"
"""Workers are forked, and share a port by SO_REUSEPORT; elsewhere one of the two is missing or does not spread load."""

_NO_HOT_RESTART: Final = "there is no hot restart here"
_ONE_WORKER: Final = "only Linux spreads the connections of a port over several processes"
_MAX_WORKERS: Final = 1024


class UsageError(Exception):
    """The command line can't be: the text is what is printed, the exit code is 1."""


@attrs.define
class CommandLine:
    """What was asked for.

    Attributes:
        config_path, config_yaml: the configuration; both are merged.
        mode: "serve" or "validate".
        concurrency: workers; None: not said (the command then takes default_concurrency()).
        log_format: None: not said.
        component_log_level: component -> level, in order.
        drain_time_s, file_flush_interval_msec, file_flush_min_size_kb: as their names say.
        show: "help", "version" or "hot-restart-version": print that and exit.
        notes: what is to be said on stderr before all else.
        Others: the flag of the same name.
    """

    config_path: str = ""
    config_yaml: str = ""
    mode: str = "serve"
    concurrency: int | None = None
    cpuset_threads: bool = False
    log_level: str = "info"
    component_log_level: dict[str, str] = attrs.Factory(dict)
    log_format: str | None = None
    log_format_escaped: bool = False
    log_path: str = ""
    service_cluster: str = ""
    service_node: str = ""
    service_zone: str = ""
    admin_address_path: str = ""
    local_address_ip_version: str = "v4"
    allow_unknown_static_fields: bool = False
    reject_unknown_dynamic_fields: bool = False
    ignore_unknown_dynamic_fields: bool = False
    skip_deprecated_logs: bool = False
    drain_time_s: int = 600
    drain_strategy: str = "gradual"
    file_flush_interval_msec: int = 10_000
    file_flush_min_size_kb: int = 64
    stats_tag: list[str] = attrs.Factory(list)
    restart_epoch: int = 0
    disable_hot_restart: bool = False
    use_dynamic_base_id: bool = False
    base_id: int = 0
    show: str = ""
    notes: list[str] = attrs.Factory(list)


class _Kind(Enum):
    SWITCH = "switch"
    TEXT = "<string>"
    NUMBER = "<uint32_t>"
    SHOW = "show"


@attrs.frozen
class _Flag:
    """One flag.

    Attributes:
        name: long form without dashes.
        kind: whether and what value it takes.
        help: for --help.
        short: letter of the short form, or "".
        refused: why it is not honoured, or "".
        field: attribute of CommandLine; "" is the name with underscores.
        check: turns the text into the value, or raises UsageError.
        many: may be repeated.
        hidden: a name of our own beside Envoy's.
        note: what is said when it is used, or "".
    """

    name: str
    kind: _Kind
    help: str
    short: str = ""
    refused: str = ""
    field: str = ""
    check: Callable[[str], Any] | None = None
    many: bool = False
    hidden: bool = False
    note: str = ""

    @property
    def target(self) -> str:
        return self.field or self.name.replace("-", "_")

    @property
    def labels(self) -> str:
        """Both forms, as TCLAP names an argument in an error."""
        return f"-{self.short} (--{self.name})" if self.short else f"(--{self.name})"


def _level(word: str) -> str:
    try:
        level_number(word)
    except ValueError as error:
        raise UsageError(str(error)) from None
    return word


def _component_levels(text: str) -> dict[str, str]:
    levels: dict[str, str] = {}
    for entry in text.split(","):
        component, colon, level = entry.partition(":")
        if not colon or ":" in level:
            raise UsageError(f"error: component log level not correctly specified '{entry}'")
        _level(level)
        if component not in COMPONENTS:
            raise UsageError(f"error: invalid component specified '{component}'")
        levels[component] = level
    return levels


def _one_of(what: str, *words: str) -> Callable[[str], str]:
    def check(word: str) -> str:
        if word not in words:
            raise UsageError(f"error: unknown {what} '{word}'")
        return word

    return check


def _stats_tag(text: str) -> str:
    name, colon, value = text.partition(":")
    if not (name and colon and value):
        raise UsageError(f"error: misformatted stats-tag '{text}'")
    if not (name.isascii() and name.isalnum()):
        raise UsageError(f"error: misformatted stats-tag '{text}' contains invalid char in '{name}'")
    if "." in value:
        raise UsageError(f"error: misformatted stats-tag '{text}' contains invalid char in '{value}'")
    return text


def _first_epoch(text: str) -> int:
    if int(text):
        raise UsageError(f"error: --restart-epoch {text} is not supported: {_NO_HOT_RESTART}")
    return 0


def _workers(text: str) -> int:
    workers = max(1, int(text))  # as Envoy: 0 is 1
    if workers > 1 and not MANY_WORKERS:
        raise UsageError(f"error: --concurrency {text} is not supported: {_ONE_WORKER}")
    if workers > _MAX_WORKERS:
        raise UsageError(f"error: --concurrency {text} is not supported: at most {_MAX_WORKERS} workers are")
    return workers


def default_concurrency() -> int:
    """Workers where --concurrency does not say: one for each core that this process may use, as in Envoy."""
    return min(len(os.sched_getaffinity(0)), _MAX_WORKERS) if MANY_WORKERS else 1


_FLAGS: Final = (
    _Flag(
        "stats-tag",
        _Kind.TEXT,
        "A universal tag for all stats, `tag:value`; may be repeated.",
        check=_stats_tag,
        many=True,
    ),
    _Flag("enable-core-dump", _Kind.SWITCH, "Enable core dumps", refused="a Python process dumps no core"),
    _Flag("socket-mode", _Kind.TEXT, "Socket file permission", refused=_NO_HOT_RESTART),
    _Flag("socket-path", _Kind.TEXT, "Path to hot restart socket file", refused=_NO_HOT_RESTART),
    _Flag(
        "disable-extensions",
        _Kind.TEXT,
        "Comma-separated list of extensions to disable",
        refused="extensions are imported only when the configuration names them",
    ),
    _Flag("cpuset-threads", _Kind.SWITCH, "Get the default # of worker processes from cpuset size (always so here)"),
    _Flag(
        "enable-mutex-tracing",
        _Kind.SWITCH,
        "Enable mutex contention tracing functionality",
        refused="there are no mutexes here",
    ),
    _Flag("disable-hot-restart", _Kind.SWITCH, "Disable hot restart functionality (always so here)"),
    _Flag(
        "mode",
        _Kind.TEXT,
        "One of 'serve' (default; validate configs and then serve traffic normally) or 'validate' (validate configs "
        "and exit).",
        check=_one_of("mode", "serve", "validate"),
    ),
    _Flag(
        "parent-shutdown-time-s", _Kind.NUMBER, "Hot restart parent shutdown time in seconds", refused=_NO_HOT_RESTART
    ),
    _Flag(
        "drain-strategy",
        _Kind.TEXT,
        "Drain sequence behaviour, one of 'gradual' (default) or 'immediate'.",
        check=_one_of("drain-strategy", "gradual", "immediate"),
    ),
    _Flag("drain-time-s", _Kind.NUMBER, "Drain time in seconds"),
    _Flag("file-flush-min-size-kb", _Kind.NUMBER, "Minimum size in KB for log flushing"),
    _Flag("file-flush-interval-msec", _Kind.NUMBER, "Interval for log flushing in msec"),
    _Flag("service-zone", _Kind.TEXT, "Zone name"),
    _Flag("service-node", _Kind.TEXT, "Node name"),
    _Flag("service-cluster", _Kind.TEXT, "Cluster name"),
    _Flag("hot-restart-version", _Kind.SHOW, "Hot restart compatibility version"),
    _Flag("restart-epoch", _Kind.NUMBER, "Hot restart epoch # (0)", check=_first_epoch),
    _Flag("log-path", _Kind.TEXT, "Path to logfile"),
    _Flag(
        "enable-fine-grain-logging",
        _Kind.SWITCH,
        "Logger mode: enable file level log control",
        refused="log levels are set by component",
    ),
    _Flag("log-format-escaped", _Kind.SWITCH, "Escape c-style escape sequences in the application logs"),
    _Flag(
        "log-format",
        _Kind.TEXT,
        f'Log message format in spdlog syntax. Default is "{DEFAULT_FORMAT}"',
    ),
    _Flag(
        "component-log-level",
        _Kind.TEXT,
        "Comma-separated list of component log levels. For example upstream:debug,config:trace",
        check=_component_levels,
    ),
    _Flag(
        "log-level",
        _Kind.TEXT,
        "Log levels: [trace][debug][info][warning|warn][error][critical][off]. Default is [info]",
        short="l",
        check=_level,
    ),
    _Flag(
        "local-address-ip-version",
        _Kind.TEXT,
        "The local IP address version (v4 or v6).",
        check=_one_of("IP address version", "v4", "v6"),
    ),
    _Flag("admin-address-path", _Kind.TEXT, "Admin address path"),
    _Flag(
        "log-stacktrace-single-entry",
        _Kind.SWITCH,
        "Emit the entire stack trace in a single log entry",
        refused="tracebacks always are one entry",
    ),
    _Flag("skip-deprecated-logs", _Kind.SWITCH, "Skips the logging of deprecated field warnings"),
    _Flag("ignore-unknown-dynamic-fields", _Kind.SWITCH, "Ignore unknown fields in dynamic configuration"),
    _Flag("reject-unknown-dynamic-fields", _Kind.SWITCH, "Reject unknown fields in dynamic configuration"),
    _Flag("allow-unknown-static-fields", _Kind.SWITCH, "Allow unknown fields in static configuration"),
    _Flag(
        "allow-unknown-fields",
        _Kind.SWITCH,
        "Allow unknown fields in static configuration (DEPRECATED)",
        field="allow_unknown_static_fields",
        note="--allow-unknown-fields is deprecated, use --allow-unknown-static-fields instead.",
    ),
    _Flag("config-yaml", _Kind.TEXT, "Inline YAML configuration, merges with the contents of --config-path"),
    _Flag("config-path", _Kind.TEXT, "Path to configuration file", short="c"),
    _Flag("config", _Kind.TEXT, "The same as --config-path", field="config_path", hidden=True),
    _Flag("concurrency", _Kind.NUMBER, "# of worker processes to run", check=_workers),
    _Flag("base-id-path", _Kind.TEXT, "Path to which the base ID is written", refused=_NO_HOT_RESTART),
    _Flag("skip-hot-restart-parent-stats", _Kind.SWITCH, "Do not copy stats from the parent", refused=_NO_HOT_RESTART),
    _Flag("skip-hot-restart-on-no-parent", _Kind.SWITCH, "Start without the parent", refused=_NO_HOT_RESTART),
    _Flag("use-dynamic-base-id", _Kind.SWITCH, "The server chooses a base ID dynamically (always so here)"),
    _Flag(
        "base-id",
        _Kind.NUMBER,
        "Base ID so that multiple envoys can run on the same host if needed (always possible here)",
    ),
    _Flag("version", _Kind.SHOW, "Displays version information and exits."),
    _Flag("help", _Kind.SHOW, "Displays usage information and exits.", short="h"),
)
_LONG: Final = {f"--{flag.name}": flag for flag in _FLAGS}
_IGNORE_REST: Final = ("--", "--ignore_rest")
_SHORT: Final = {f"-{flag.short}": flag for flag in _FLAGS if flag.short}


def parse(arguments: Sequence[str]) -> CommandLine:
    """What these arguments ask for.

    Raises:
        UsageError: with the text to print.
    """
    line = CommandLine()
    seen: set[str] = set()
    rest = iter(arguments)
    for argument in rest:
        if argument in _IGNORE_REST:
            break
        flag = _LONG.get(argument) or _SHORT.get(argument)
        if flag is None:
            raise _parse_error(argument, "Couldn't find match for argument")
        if flag.refused:
            raise UsageError(f"error: --{flag.name} is not supported: {flag.refused}")
        if flag.kind is _Kind.SHOW:
            line.show = flag.name
            continue
        if flag.target in seen and not flag.many:
            raise _parse_error(flag.labels, "Argument already set!")
        seen.add(flag.target)
        line.notes += filter(None, [flag.note])
        if flag.kind is _Kind.SWITCH:
            setattr(line, flag.target, True)
        elif flag.many:
            getattr(line, flag.target).append(_value(flag, rest))
        else:
            setattr(line, flag.target, _value(flag, rest))
    return line


def _value(flag: _Flag, rest: Iterator[str]) -> Any:
    text = next(rest, None)
    if text is None:
        raise _parse_error(flag.labels, "Missing a value for this argument!")
    if flag.kind is _Kind.NUMBER:
        text = text.removeprefix("+")
        if not (text.isascii() and text.isdigit()) or int(text) >= 1 << 32:
            raise _parse_error(flag.labels, f"Couldn't read argument value from string '{text}'")
        return flag.check(text) if flag.check is not None else int(text)
    return flag.check(text) if flag.check is not None else text


def _parse_error(argument: str, text: str) -> UsageError:
    return UsageError(
        f"PARSE ERROR: Argument: {argument}\n             {text}\n\n"
        "For complete USAGE and HELP type: \n   trio-envoy --help\n"
    )


def usage() -> str:
    """The text of --help."""
    lines = [
        "",
        "USAGE: ",
        "",
        "   trio-envoy [flags]",
        "   trio-envoy upgrade FILE   write the v3 form of a v2 file",
        "",
    ]
    lines += ["", "Where: ", ""]
    for flag in _FLAGS:
        if flag.hidden:
            continue
        value = f" {flag.kind.value}" if flag.kind in {_Kind.TEXT, _Kind.NUMBER} else ""
        short = f"-{flag.short}{value},  " if flag.short else ""
        lines.append(f"   {short}--{flag.name}{value}")
        lines.append(f"     {flag.help}" + (f" (not supported: {flag.refused})" if flag.refused else ""))
        lines.append("")
    return "\n".join(lines)
