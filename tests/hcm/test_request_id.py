"""x-request-id."""

import uuid
from random import Random

import pytest

from tests.fakes import a_services
from trio_envoy.config.hcm import RequestIDExtension
from trio_envoy.errors import ConfigError
from trio_envoy.extensions.filters.http.router import Router
from trio_envoy.extensions.request_id.uuid import UuidRequestIdConfig
from trio_envoy.hcm.request_id import new_ids, request_ids


def test_ids_are_uuids_of_version_4_and_differ():
    make = request_ids(Random(7))

    found = {make().decode() for _ in range(1000)}

    assert len(found) == 1000
    assert {(uuid.UUID(text).version, uuid.UUID(text).variant) for text in found} == {(4, uuid.RFC_4122)}


def test_an_extension_may_make_them():
    extension = RequestIDExtension(typed_config=UuidRequestIdConfig())

    for config in (None, RequestIDExtension(), extension):
        assert uuid.UUID(new_ids(config, a_services())().decode()).version == 4


def test_what_is_no_such_extension_is_refused():
    with pytest.raises(ConfigError, match=r"registered implementation for type: '.*router\.v3\.Router'"):
        new_ids(RequestIDExtension(typed_config=Router()), a_services())
