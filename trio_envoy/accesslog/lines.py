"""The sink that writes lines: text or JSON, to a file, standard output or standard error."""

from __future__ import annotations

from typing import Final

from trio_envoy.config.substitution import SubstitutionFormatString
from trio_envoy.formatter.compile import DEFAULT_FORMAT, Render, compile_text
from trio_envoy.formatter.context import LogContext
from trio_envoy.formatter.substitution import compile_substitution
from trio_envoy.util.logfile import LogFile

DEFAULT: Final = compile_text(DEFAULT_FORMAT).render


def compile_log_format(config: SubstitutionFormatString | None) -> Render:
    """How a line is rendered; None: Envoy's default format.

    Raises:
        ConfigError: a bad template.
    """
    return DEFAULT if config is None else compile_substitution(config)


class LineSink:
    """One line for each entry."""

    def __init__(self, file: LogFile, render: Render) -> None:
        self._file = file
        self._render = (lambda _: b"") if file.discards else render

    def log(self, context: LogContext) -> None:
        """Write a line. Never blocks."""
        render = self._render  # called as a method it would be looked up in the class first
        self._file.write(render(context))
