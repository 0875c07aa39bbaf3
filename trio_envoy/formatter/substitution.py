"""envoy.config.core.v3.SubstitutionFormatString: a text or JSON template, compiled."""

from __future__ import annotations

from trio_envoy.config.substitution import SubstitutionFormatString
from trio_envoy.errors import ConfigError
from trio_envoy.formatter.compile import DASH, Render, compile_text
from trio_envoy.formatter.json import compile_json
from trio_envoy.net import data_source


def compile_substitution(config: SubstitutionFormatString) -> Render:
    """The function that renders it; JSON ends in a newline, text in what it says.

    Raises:
        ConfigError: no template, a bad operator, a file that can't be read.
    """
    omit = config.omit_empty_values
    if config.json_format is not None:
        return compile_json(config.json_format, omit_empty=omit, at=config, field="json_format")
    missing = b"" if omit else DASH
    if config.text_format_source is not None:
        template = data_source.read(config.text_format_source)
        return compile_text(template, missing=missing, at=config, field="text_format_source").render
    if config.text_format is not None:
        return compile_text(config.text_format, missing=missing, at=config, field="text_format").render
    raise ConfigError("one of text_format, json_format, text_format_source is required", at=config)
