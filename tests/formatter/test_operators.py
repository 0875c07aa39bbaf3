"""The operator table against what Envoy 1.40.0 said to each operator: bare, with the argument `a`, with a length."""

import json
from pathlib import Path

import pytest

from trio_envoy.errors import ConfigError
from trio_envoy.formatter.command import Command
from trio_envoy.formatter.operators import OPERATORS, UNSUPPORTED, compile_command

MEASURED = json.loads((Path(__file__).parent / "operators.json").read_text())


def outcome(command):
    try:
        compile_command(command)
    except ConfigError as error:
        return error.text
    return True


@pytest.mark.parametrize("name", sorted(OPERATORS))
def test_an_operator_takes_what_it_takes_in_envoy(name):
    said = [outcome(Command(name)), outcome(Command(name, "a")), outcome(Command(name, "", 5))]

    assert said == MEASURED[name]


def test_every_operator_of_envoy_is_there_or_refused_by_name():
    assert OPERATORS.keys() | UNSUPPORTED == MEASURED.keys()
    assert not OPERATORS.keys() & UNSUPPORTED


def test_an_operator_that_only_envoy_has_is_told_from_one_that_nobody_has():
    assert outcome(Command("CEL", "a")) == "operator CEL is known to Envoy, not supported here"
    assert outcome(Command("FOO_BAR")) == "Not supported field in StreamInfo: FOO_BAR"
