"""envoy.http.original_ip_detection.custom_header: the client's address in a header of one's own.

Config: envoy.extensions.http.original_ip_detection.custom_header.v3.CustomHeaderConfig. Measured on 1.40
(headers/detect_custom_header*).
"""

from __future__ import annotations

from typing import ClassVar, Final

import attrs

from trio_envoy.config.http_status import HttpStatus
from trio_envoy.hcm.client_address import Detected, ip_of
from trio_envoy.http.headers import Headers
from trio_envoy.http.message import LocalReply
from trio_envoy.net.address import Address
from trio_envoy.net.services import Services
from trio_envoy.registry import Category, register

_DETAILS: Final = "rejecting_because_detection_failed"
_FORBIDDEN: Final = 403
_FIRST_ERROR: Final = 400


@attrs.frozen(kw_only=True)
class CustomHeaderConfig:
    """Where the address stands.

    Attributes:
        header_name: the header; its value is an address without a port.
        allow_extension_to_set_address_as_trusted: the address may count as internal.
        reject_with_status: what a request without an address there is refused with (403 if it is no error); None: it
            is not.
    """

    __proto__: ClassVar[str] = "envoy.extensions.http.original_ip_detection.custom_header.v3.CustomHeaderConfig"

    header_name: str = ""
    allow_extension_to_set_address_as_trusted: bool = False
    reject_with_status: HttpStatus | None = None


class CustomHeader:
    """The address that a header says."""

    def __init__(self, config: CustomHeaderConfig) -> None:
        self._name = config.header_name.lower().encode()
        self._internal = config.allow_extension_to_set_address_as_trusted
        self._otherwise: Detected | LocalReply = Detected(None)
        if config.reject_with_status is not None:
            status = config.reject_with_status.code.number
            self._otherwise = LocalReply(status if status >= _FIRST_ERROR else _FORBIDDEN, details=_DETAILS)

    def detect(self, headers: Headers, peer: Address) -> Detected | LocalReply:
        """The client's address; see Detector."""
        value = headers.get(self._name)
        client = None if value is None else ip_of(value)
        return self._otherwise if client is None else Detected(client, internal=self._internal)


@register(Category.ORIGINAL_IP_DETECTION, "envoy.http.original_ip_detection.custom_header", config=CustomHeaderConfig)
def make(config: CustomHeaderConfig, services: Services) -> CustomHeader:
    """The detector."""
    return CustomHeader(config)
