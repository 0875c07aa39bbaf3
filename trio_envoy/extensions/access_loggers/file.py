"""envoy.access_loggers.file: lines to a file.

Config: envoy.extensions.access_loggers.file.v3.FileAccessLog; docs: configuration/observability/access_log/usage.
"""

from __future__ import annotations

import os

from trio_envoy.accesslog.lines import LineSink, compile_log_format
from trio_envoy.config.accesslog import FileAccessLog
from trio_envoy.errors import ConfigError
from trio_envoy.formatter.compile import Render, compile_text
from trio_envoy.formatter.json import compile_json
from trio_envoy.net.services import Services
from trio_envoy.registry import Category, register


@register(Category.ACCESS_LOGGER, "envoy.access_loggers.file", config=FileAccessLog)
def make(config: FileAccessLog, services: Services) -> LineSink:
    """Open the file; it stays open until the process ends, and is shared by all logs that write to it.

    Raises:
        ConfigError: a bad template, or a file that can't be opened.
    """
    render = _render(config)
    try:
        file = services.log_files.open(config.path)
    except OSError as error:
        reason = os.strerror(error.errno or 0)
        raise ConfigError(f"unable to open file '{config.path}': {reason}", at=config, field="path") from None
    return LineSink(file, render)


def _render(config: FileAccessLog) -> Render:
    """The template, in its own field or in a deprecated one; `format: ""` is the default format."""
    if config.json_format is not None:
        return compile_json(config.json_format, at=config, field="json_format")
    if config.typed_json_format is not None:
        return compile_json(config.typed_json_format, at=config, field="typed_json_format")
    if config.format:
        return compile_text(config.format, at=config, field="format").render
    return compile_log_format(config.log_format)
