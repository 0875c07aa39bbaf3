"""Set up the application log: where it goes, in which format, at which level."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final, TextIO

from trio_envoy.config.bootstrap import ApplicationLogConfig
from trio_envoy.errors import ConfigError
from trio_envoy.server.log_format import DEFAULT_FORMAT, JsonFormatter, TextFormatter
from trio_envoy.util.log import COMPONENTS, LEVELS, ROOT, logger


class LogLevelError(ValueError):
    """A component or level that isn't there; the text is Envoy's."""


class ApplicationLog:
    """The one handler of the `envoy` loggers. Made first of all, so that faults of start-up are logged in format.

    Args:
        pattern: --log-format, or None for the default.
        path: --log-path; "" for stderr.
        level: -l.
        components: --component-log-level, name -> level.
        escaped: --log-format-escaped: %v writes control characters as escapes.
    """

    def __init__(
        self,
        *,
        pattern: str | None,
        path: str,
        level: str,
        components: Mapping[str, str] | None = None,
        escaped: bool = False,
    ) -> None:
        self._path = path
        self._given = pattern is not None
        self._handler = logging.StreamHandler(self._open())
        self._escaped = escaped
        self._handler.setFormatter(self._text(DEFAULT_FORMAT if pattern is None else pattern))
        root = logging.getLogger(ROOT)
        root.handlers[:] = [self._handler]
        root.propagate = False
        set_all(level)
        for component, of_component in (components or {}).items():
            set_one(component, of_component)

    def _text(self, pattern: str) -> TextFormatter:
        return TextFormatter(pattern.replace("%v", "%_") if self._escaped else pattern)

    def _open(self) -> TextIO:
        if not self._path:
            return sys.stderr
        return Path(self._path).open("a", encoding="utf-8", buffering=1)

    def configure(self, config: ApplicationLogConfig | None) -> None:
        """Take the format of the bootstrap.

        Raises:
            ConfigError: both it and --log-format are there, or the JSON format uses %v or %_.
        """
        if config is None or config.log_format is None:
            return
        if self._given:
            raise ConfigError(
                "Only one of ApplicationLogConfig.log_format or CLI option --log-format can be specified.", at=config
            )
        log_format = config.log_format
        try:
            if log_format.json_format is not None:
                self._handler.setFormatter(JsonFormatter(log_format.json_format))
            elif log_format.text_format is not None:
                self._handler.setFormatter(self._text(log_format.text_format))
        except ValueError as error:
            raise ConfigError(f"setJsonLogFormat error: {error}", at=log_format, field="json_format") from None

    def reopen(self) -> None:
        """Open the file anew (SIGUSR1, after it was moved away); the old one serves on if that fails."""
        if not self._path:
            return
        try:
            stream = self._open()
        except OSError as error:
            logger("main").error("cannot reopen log file %s: %s", self._path, error)
            return
        old = self._handler.setStream(stream)
        if old is not None:
            old.close()


_ALIASES: Final = {"warn": "warning"}


def level_number(word: str) -> int:
    """The number of Envoy's word for a level.

    Raises:
        LogLevelError: there is no such level.
    """
    try:
        return LEVELS[_ALIASES.get(word, word)]
    except KeyError:
        raise LogLevelError(f"error: invalid log level specified '{word}'") from None


def set_all(level: str) -> None:
    """Give all components this level."""
    number = level_number(level)
    for component in COMPONENTS:
        logger(component).setLevel(number)


def set_one(component: str, level: str) -> None:
    """Give one component this level.

    Raises:
        LogLevelError: there is no such component or level.
    """
    if component not in COMPONENTS:
        raise LogLevelError(f"error: invalid component specified '{component}'")
    logger(component).setLevel(level_number(level))
