"""envoy.request_id.uuid: x-request-id is a random UUID.

Config: envoy.extensions.request_id.uuid.v3.UuidRequestIdConfig. Its fields decide how traces and ids know of each
other; without `tracing`, which is refused, neither changes anything (headers/request_id_extension).
"""

from __future__ import annotations

from typing import ClassVar

import attrs

from trio_envoy.hcm.request_id import NewId, request_ids
from trio_envoy.net.services import Services
from trio_envoy.registry import Category, register


@attrs.frozen(kw_only=True)
class UuidRequestIdConfig:
    """How ids and traces know of each other.

    Attributes:
        pack_trace_reason: the id tells whether its request is traced, and why; None is True.
        use_request_id_for_trace_sampling: the id decides on that; None is True.
    """

    __proto__: ClassVar[str] = "envoy.extensions.request_id.uuid.v3.UuidRequestIdConfig"

    pack_trace_reason: bool | None = None
    use_request_id_for_trace_sampling: bool | None = None


@register(Category.REQUEST_ID, "envoy.request_id.uuid", config=UuidRequestIdConfig)
def make(config: UuidRequestIdConfig, services: Services) -> NewId:
    """A maker of ids."""
    return request_ids(services.random)
