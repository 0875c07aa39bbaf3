"""What an operator may be written with."""

import pytest

from tests.messages import a_context
from trio_envoy.errors import ConfigError
from trio_envoy.formatter.command import Command
from trio_envoy.formatter.inline import Function
from trio_envoy.formatter.operator import Kind, Takes, absent, check_syntax, constant, one_word, plain


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


def value_of(row, context):
    function = Function()
    return function.returning(function.value_of(row.make(Command("X"))))(context)


def test_rows_give_values():
    context = a_context(status=204)

    assert value_of(plain(Kind.COUNT, lambda c: c.info.status), context) == 204
    assert value_of(absent(), context) is None
    assert value_of(constant(b"v", Takes.ARGUMENT), context) == b"v"


def test_a_reason_is_one_word():
    assert one_word("a b c") == b"a_b_c"
    assert one_word("") is None
