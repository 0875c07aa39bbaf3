"""envoy.request_id.uuid."""

import uuid

from tests.fakes import a_services
from trio_envoy.extensions.request_id.uuid import UuidRequestIdConfig, make


def test_ids_are_uuids():
    new = make(UuidRequestIdConfig(pack_trace_reason=False), a_services())

    assert uuid.UUID(new().decode()).version == 4
    assert new() != new()
