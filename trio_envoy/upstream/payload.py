"""Payloads of health checks: what is sent, and what an answer must hold.

Proto: envoy.config.core.v3.HealthCheck.Payload.
"""

from __future__ import annotations

from collections.abc import Iterable

import attrs

from trio_envoy.config.healthcheck import Payload
from trio_envoy.errors import ConfigError


def payload_bytes(config: Payload) -> bytes:
    """The bytes of a payload.

    Raises:
        ConfigError: its text isn't hexadecimal.
    """
    if config.text is None:
        return config.binary or b""
    try:
        return bytes.fromhex(config.text)
    except ValueError:
        raise ConfigError(f"invalid hex string '{config.text}'", at=config, field="text") from None


@attrs.frozen(eq=False)
class Expected:
    """Parts that an answer must hold, in this order, with anything between them.

    Attributes:
        parts: none: any answer will do.
    """

    parts: tuple[bytes, ...]

    @classmethod
    def of(cls, configs: Iterable[Payload]) -> Expected:
        """From a configuration. Raises ConfigError."""
        return cls(tuple(payload_bytes(config) for config in configs))

    def match(self, answer: bytes | bytearray) -> bool:
        """Whether they are all in it."""
        position = 0
        for part in self.parts:
            found = answer.find(part, position)
            if found < 0:
                return False
            position = found + len(part)
        return True
