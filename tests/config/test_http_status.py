"""envoy.type.v3.StatusCode."""

from trio_envoy.config import schema
from trio_envoy.config.http_status import StatusCode


def test_names_and_numbers_are_those_of_envoy():
    assert {code.value: code.number for code in StatusCode} == schema.enum("envoy.type.v3.StatusCode").values
