"""Bytes that a configuration names: inline, in a file, or in the environment (envoy.config.core.v3.DataSource).

Texts of faults as in Envoy's config/datasource.cc.
"""

from __future__ import annotations

import os
from pathlib import Path

from trio_envoy.config.core import DataSource
from trio_envoy.errors import ConfigError


def read(source: DataSource) -> bytes:
    """The bytes.

    Raises:
        ConfigError: the file can't be read, the variable is not set, or nothing is named.
    """
    if source.filename is not None:
        return _file(source, source.filename)
    if source.inline_bytes is not None:
        return source.inline_bytes
    if source.inline_string is not None:
        return source.inline_string.encode()
    if source.environment_variable is not None:
        value = os.environb.get(source.environment_variable.encode())
        if value is None:
            raise ConfigError(
                f"Environment variable doesn't exist: {source.environment_variable}",
                at=source,
                field="environment_variable",
            )
        return value
    raise ConfigError("Unexpected DataSource::specifier_case(): 0", at=source)


def _file(source: DataSource, filename: str) -> bytes:
    try:
        return Path(filename).read_bytes()
    except FileNotFoundError:
        raise ConfigError(f"Invalid path: {filename}", at=source, field="filename") from None
    except OSError as error:
        raise ConfigError(f"Unable to read file: {filename}: {error.strerror}", at=source, field="filename") from None
