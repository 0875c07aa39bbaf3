"""Templates taken apart: literal text and %COMMAND(argument):length%, as Envoy's formatter parser does.

Source: Envoy, formatter/substitution_formatter.cc; texts of errors as in 1.40.0.
"""

from __future__ import annotations

import re
from typing import Final

import attrs

from trio_envoy.errors import ConfigError

_COMMAND: Final = re.compile(r"%([A-Z0-9_]+)(?:\((.*?)\))?(?::([0-9]+))?%")
_MAX_LENGTH: Final = (1 << 64) - 1


@attrs.frozen
class Command:
    """One operator as written.

    Attributes:
        name: REQ, RESPONSE_CODE, ...
        argument: what stands in parentheses; "" for none.
        length: at most so many bytes of the value; None: all.
    """

    name: str
    argument: str = ""
    length: int | None = None


def parse(template: str) -> list[str | Command]:
    """Literals and commands in order; `%%` is a literal `%`, neighbouring literals are one.

    Raises:
        ConfigError: a `%` that begins no command.
    """
    pieces: list[str | Command] = []
    literal: list[str] = []
    position = 0
    while position < len(template):
        percent = template.find("%", position)
        if percent < 0:
            literal.append(template[position:])
            break
        literal.append(template[position:percent])
        if template.startswith("%%", percent):
            literal.append("%")
            position = percent + 2
            continue
        match = _COMMAND.match(template, percent)
        if match is None or int(match[3] or 0) > _MAX_LENGTH:
            at = len(template[:percent].encode())
            raise ConfigError(f"Incorrect configuration: {template}. Couldn't find valid command at position {at}")
        if text := "".join(literal):
            pieces.append(text)
        literal.clear()
        pieces.append(Command(match[1], match[2] or "", int(match[3]) if match[3] else None))
        position = match.end()
    if text := "".join(literal):
        pieces.append(text)
    return pieces
