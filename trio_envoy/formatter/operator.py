"""What an operator is: something that gives a value for a LogContext, and the kind of that value."""

from __future__ import annotations

import enum
from collections.abc import Callable

import attrs

from trio_envoy.errors import ConfigError
from trio_envoy.formatter.command import Command
from trio_envoy.formatter.inline import Inline, Source


class Kind(enum.Enum):
    """What an operator gives; text templates and JSON render by it."""

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
        kind: what it gives.
        make: compile the command; it raises ConfigError on a bad argument.
        takes: which parameters are allowed.
    """

    kind: Kind
    make: Callable[[Command], Source]
    takes: Takes = Takes.NOTHING


def plain(kind: Kind, source: Source) -> Row:
    """An operator without parameters."""
    return Row(kind, lambda _: source)


def one_word(text: str) -> bytes | None:
    """A reason with `_` for spaces, so that a line can be split at them; None for ""."""
    return text.replace(" ", "_").encode() or None


def absent(takes: Takes = Takes.NOTHING) -> Row:
    """An operator whose source can't be configured here, so that it has no value, as in an Envoy that lacks it."""
    return Row(Kind.TEXT, lambda _: Inline("None"), takes)


def constant(value: bytes, takes: Takes = Takes.NOTHING) -> Row:
    """An operator that always gives the same."""
    return Row(Kind.TEXT, lambda _: Inline("{value}", {"value": value}), takes)


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
