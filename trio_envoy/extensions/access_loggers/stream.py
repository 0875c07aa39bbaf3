"""envoy.access_loggers.stdout and envoy.access_loggers.stderr: lines to standard output and standard error.

Config: envoy.extensions.access_loggers.stream.v3.{StdoutAccessLog,StderrAccessLog}.
"""

from __future__ import annotations

from trio_envoy.accesslog.lines import LineSink, compile_log_format
from trio_envoy.config.accesslog import StderrAccessLog, StdoutAccessLog
from trio_envoy.net.services import Services
from trio_envoy.registry import Category, register


@register(Category.ACCESS_LOGGER, "envoy.access_loggers.stdout", config=StdoutAccessLog)
def make_stdout(config: StdoutAccessLog, services: Services) -> LineSink:
    """Lines to standard output.

    Raises:
        ConfigError: a bad template.
    """
    return LineSink(services.log_files.stdout(), compile_log_format(config.log_format))


@register(Category.ACCESS_LOGGER, "envoy.access_loggers.stderr", config=StderrAccessLog)
def make_stderr(config: StderrAccessLog, services: Services) -> LineSink:
    """Lines to standard error.

    Raises:
        ConfigError: a bad template.
    """
    return LineSink(services.log_files.stderr(), compile_log_format(config.log_format))
