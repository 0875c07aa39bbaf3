"""Where the address of the client stands in a request: what x-forwarded-for says, and whom else to ask.

Source: Envoy, Utility::getLastAddressFromXFF and its neighbours (http/utility.cc);
envoy/http/original_ip_detection.h.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

import attrs

from trio_envoy import registry
from trio_envoy.config.core import TypedExtensionConfig
from trio_envoy.config.hcm import HttpConnectionManager
from trio_envoy.errors import ConfigError
from trio_envoy.http.headers import Headers
from trio_envoy.http.message import LocalReply
from trio_envoy.net.address import Address, IpAddress, parse_ip
from trio_envoy.net.services import Services

XFF: Final = b"x-forwarded-for"


@attrs.frozen
class Detected:
    """What an extension has found.

    Attributes:
        address: of the client; None: ask the next one.
        internal: it may count as internal, if internal_address_config has it.
        append: the peer is appended to x-forwarded-for.
    """

    address: Address | None
    internal: bool = False
    append: bool = False


class Detector(Protocol):
    """What a factory of the category envoy.http.original_ip_detection makes."""

    def detect(self, headers: Headers, peer: Address) -> Detected | LocalReply:
        """The client's address for a request from this peer, or an answer that refuses it."""


def detectors(config: HttpConnectionManager, services: Services) -> tuple[Detector, ...]:
    """original_ip_detection_extensions, in the order in which they are asked.

    Raises:
        ConfigError: one that isn't known, or together with what they are instead of.
    """
    extensions = config.original_ip_detection_extensions
    if not extensions:
        return ()
    for name in ("use_remote_address", "xff_num_trusted_hops"):
        if getattr(config, name):
            raise ConfigError(f"Original IP detection extensions and {name} may not be mixed", at=config, field=name)
    return tuple(_detector(each, services) for each in extensions)


def _detector(config: TypedExtensionConfig, services: Services) -> Detector:
    extension = registry.extension_for(registry.Category.ORIGINAL_IP_DETECTION, config.typed_config)
    if extension is None:
        raise ConfigError(f"Original IP detection extension not found: '{config.name}'", at=config)
    made: Detector = extension.factory(config.typed_config, services)
    return made


def ip_of(text: bytes) -> IpAddress | None:
    """The address that a header says; None when it says something else."""
    ip = parse_ip(text.decode("latin-1"))
    return None if ip is None else IpAddress(ip, 0)


def entries_of(forwarded: bytes) -> Sequence[bytes]:
    """The entries of x-forwarded-for, from the left."""
    return [entry.strip(b" \t") for entry in forwarded.split(b",")]


def from_right(forwarded: bytes, skip: int) -> IpAddress | None:
    """The address `skip` entries from the right of x-forwarded-for; None if there is none or it is no address."""
    entries = forwarded.rsplit(b",", skip + 1)
    if len(entries) < skip + 1:
        return None
    return ip_of(entries[-1 - skip].strip(b" \t"))
