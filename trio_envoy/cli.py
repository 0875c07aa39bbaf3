"""The command `trio-envoy`: Envoy's flags, and `upgrade FILE`.

Exit codes as Envoy's: 0 after a clean end or a good validation, 1 for everything that went wrong.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from trio_envoy.errors import ConfigError, ConfigErrors, Fault
from trio_envoy.server.command_line import CommandLine, UsageError, default_concurrency, parse, usage
from trio_envoy.server.logs import ApplicationLog
from trio_envoy.util.log import logger

if TYPE_CHECKING:
    from trio_envoy.config.loader import Loaded
    from trio_envoy.net.sockets import Network
    from trio_envoy.server.server import Server

_LOG: Final = logger("main")
_BOTH: Final = "Both --concurrency and --cpuset-threads options are set; not applying --cpuset-threads."
_GC_THRESHOLDS: Final = (50_000, 20, 100)  # a proxy makes little garbage in cycles; SPEED: fewer, later collections


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; gives the exit code."""
    try:
        return _main(sys.argv[1:] if arguments is None else arguments)
    except BrokenPipeError:  # as in `trio-envoy --help | head`: nobody reads any more
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:  # while it starts; later SIGINT ends it cleanly
        return 130


def _main(arguments: Sequence[str]) -> int:
    if arguments[:1] == ["upgrade"]:
        return _upgrade(arguments[1:])
    try:
        line = parse(arguments)
        if line.concurrency is None:
            line.concurrency = default_concurrency()
        elif line.cpuset_threads:
            line.notes.append(_BOTH)
    except UsageError as error:
        print(error, file=sys.stderr)  # noqa: T201 - a command prints
        return 1
    for note in line.notes:
        print(note, file=sys.stderr)  # noqa: T201
    if line.show:
        print(_shown(line.show), flush=True)  # noqa: T201
        return 0
    return serve(line)


def serve(line: CommandLine, *, network: Network | None = None) -> int:
    """Validate or serve, as the command line says; gives the exit code.

    Args:
        line: the flags.
        network: instead of the machine's own; the demo brings a table of names and ports.
    """
    gc.set_threshold(*_GC_THRESHOLDS)
    try:
        log = ApplicationLog(
            pattern=line.log_format,
            path=line.log_path,
            level=line.log_level,
            components=line.component_log_level,
            escaped=line.log_format_escaped,
        )
    except OSError as error:
        print(f"Failed to open log-file '{line.log_path}': {error.strerror}", file=sys.stderr)  # noqa: T201
        return 1
    gc.disable()
    try:
        server = build(line, log, network)
    except ConfigErrors as errors:
        for fault in errors.faults:
            print(fault if fault.line or fault.path else fault.text, file=sys.stderr)  # noqa: T201
        _LOG.critical("error initializing configuration '%s'", line.config_path)
        return 1
    finally:
        gc.freeze()  # what was made until here stays: to walk it again and again takes as long as to make it
        gc.enable()
    if line.mode == "validate":
        print(f"configuration '{line.config_path}' OK", flush=True)  # noqa: T201
        return 0
    return _run(server, log)


def build(line: CommandLine, log: ApplicationLog, network: Network | None) -> Server:
    """Load and compile the configuration.

    Raises:
        ConfigErrors: all that is wrong with it.
    """
    from trio_envoy.config.loader import Loaded, load
    from trio_envoy.registry import config_class
    from trio_envoy.server.server import DEPRECATED

    try:
        loaded = load(
            line.config_path, line.config_yaml, resolve=config_class, allow_unknown=line.allow_unknown_static_fields
        )
    except ConfigErrors as errors:
        if isinstance(errors.rest, Loaded):
            errors = _with_those_of_the_rest(errors, errors.rest, line, log)
        raise errors from None
    for warning in loaded.warnings:
        if not (line.skip_deprecated_logs and warning.text.startswith(DEPRECATED)):
            logger("config").warning("%s", warning)
    for change in loaded.changes:
        logger("config").info("v2: %s", change)
    return _compiled(loaded, line, log, network)


def _compiled(loaded: Loaded, line: CommandLine, log: ApplicationLog, network: Network | None) -> Server:
    """The server of a configuration, and its log format in force.

    Raises:
        ConfigErrors: all that only shows now.
    """
    from trio_envoy.server.server import Server

    faults: list[Fault] = []
    try:
        log.configure(loaded.bootstrap.application_log_config)
    except ConfigError as error:
        faults += loaded.locate([error]).faults
    try:
        server = Server(loaded, line, network=network)
    except ConfigErrors as errors:
        raise loaded.in_order((*errors.faults, *faults)) from None
    if faults:
        raise loaded.in_order(faults)
    return server


def _with_those_of_the_rest(errors: ConfigErrors, rest: Loaded, line: CommandLine, log: ApplicationLog) -> ConfigErrors:
    """The faults of the loader, with those that only show when the parts that are not at fault are compiled."""
    try:
        _compiled(rest, line, log, None)
    except ConfigErrors as more:
        return rest.in_order((*errors.faults, *more.faults))
    return errors


def _run(server: Server, log: ApplicationLog) -> int:
    import trio

    from trio_envoy.net.sockets import BindError
    from trio_envoy.server.signals import run_until_signal

    failed = False
    fleet: Fleet | None = None
    try:
        if server.services.options.concurrency > 1:
            from trio_envoy.server.workers.fleet import Fleet

            fleet = Fleet(server, log)
        trio.run(run_until_signal, server, log)
    except* BindError as group:
        _LOG.critical("%s", _innermost(group))
        failed = True
    finally:
        if fleet is not None:
            fleet.close()
    if fleet is not None and fleet.lost:
        return 1
    if not failed:
        _LOG.info("exiting")
    return int(failed)


def _innermost(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _shown(what: str) -> str:
    from trio_envoy.server.version import HOT_RESTART_VERSION, version_text

    if what == "help":
        return usage()
    if what == "version":
        return f"\n{sys.argv[0]}  version: {version_text()}\n"
    return HOT_RESTART_VERSION


def _upgrade(arguments: Sequence[str]) -> int:
    from trio_envoy.config.rewrite import run_upgrade

    if len(arguments) != 1 or arguments[0].startswith("-"):
        print("usage: trio-envoy upgrade FILE", file=sys.stderr)  # noqa: T201
        return 1
    return run_upgrade(arguments[0], sys.stdout, sys.stderr)
