"""What an operator is: a function from a LogContext to a value, and the kind of value that it gives."""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import Any

import attrs

from trio_envoy.errors import ConfigError
from trio_envoy.formatter.command import Command
from trio_envoy.formatter.context import LogContext

Getter = Callable[[LogContext], Any]


class Kind(enum.Enum):
    """What a getter gives; text templates and JSON render by it."""

    TEXT = enum.auto()  # bytes; None when there is none
    COUNT = enum.auto()  # int, always
    NUMBER = enum.auto()  # int; None when there is none
    VALUE = enum.auto()  # any JSON value, text as str; None when there is none


class Takes(enum.Enum):
    """What an operator may be written with."""

    NOTHING = enum.auto()
    ARGUMENT = enum.auto()  # optional
    ARGUMENT_AND_LENGTH = enum.auto()  # both optional
    NEEDS_ARGUMENT = enum.auto()  # length optional


@attrs.frozen
class Row:
    """One line of an operator table.

    Attributes:
        kind: what the getter gives.
        make: compile the command into a getter; it raises ConfigError on a bad argument.
        takes: which parameters are allowed.
    """

    kind: Kind
    make: Callable[[Command], Getter]
    takes: Takes = Takes.NOTHING


def plain(kind: Kind, get: Getter) -> Row:
    """An operator without parameters."""
    return Row(kind, lambda _: get)


def one_word(text: str) -> bytes | None:
    """A reason with `_` for spaces, so that a line can be split at them; None for ""."""
    return text.replace(" ", "_").encode() or None


def absent(takes: Takes = Takes.NOTHING) -> Row:
    """An operator whose source can't be configured here, so that it has no value, as in an Envoy that lacks it."""
    return Row(Kind.TEXT, lambda _: lambda _context: None, takes)


def constant(value: bytes, takes: Takes = Takes.NOTHING) -> Row:
    """An operator that always gives the same."""
    return Row(Kind.TEXT, lambda _: lambda _context: value, takes)


def check_syntax(command: Command, takes: Takes) -> None:
    """Compare what was written with what the operator takes.

    Raises:
        ConfigError: a parameter too many or too few.
    """
    if takes is Takes.NOTHING:
        if command.argument or command.length is not None:
            raise ConfigError(f"{command.name} does not take any parameters or length")
    elif takes is Takes.NEEDS_ARGUMENT:
        if not command.argument:
            raise ConfigError(f"{command.name} requires parameters")
    elif takes is Takes.ARGUMENT and command.length is not None:
        raise ConfigError(f"{command.name} does not allow length to be specified.")
