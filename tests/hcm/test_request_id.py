"""x-request-id."""

import uuid
from random import Random

from trio_envoy.hcm.request_id import request_ids


def test_ids_are_uuids_of_version_4_and_differ():
    make = request_ids(Random(7))

    found = {make().decode() for _ in range(1000)}

    assert len(found) == 1000
    assert {(uuid.UUID(text).version, uuid.UUID(text).variant) for text in found} == {(4, uuid.RFC_4122)}
