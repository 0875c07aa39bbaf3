"""What an operator may be written with."""

import pytest

from tests.messages import a_context
from trio_envoy.errors import ConfigError
from trio_envoy.formatter.command import Command
from trio_envoy.formatter.operator import Kind, Takes, absent, check_syntax, constant, plain


@pytest.mark.parametrize(
    ("takes", "command", "text"),
    [
        (Takes.NOTHING, Command("X"), None),
        (Takes.NOTHING, Command("X", "a"), "X does not take any parameters or length"),
        (Takes.NOTHING, Command("X", "", 5), "X does not take any parameters or length"),
        (Takes.ARGUMENT, Command("X", "a"), None),
        (Takes.ARGUMENT, Command("X", "a", 0), "X does not allow length to be specified."),
        (Takes.ARGUMENT_AND_LENGTH, Command("X", "a", 5), None),
        (Takes.NEEDS_ARGUMENT, Command("X", "a", 5), None),
        (Takes.NEEDS_ARGUMENT, Command("X", "", 5), "X requires parameters"),
    ],
)
def test_syntax(takes, command, text):
    if text is None:
        check_syntax(command, takes)
        return
    with pytest.raises(ConfigError) as caught:
        check_syntax(command, takes)
    assert caught.value.text == text


def test_rows_give_getters():
    context = a_context(status=204)

    assert plain(Kind.COUNT, lambda c: c.info.status).make(Command("X"))(context) == 204
    assert absent().make(Command("X"))(context) is None
    assert constant(b"v", Takes.ARGUMENT).make(Command("X"))(context) == b"v"
