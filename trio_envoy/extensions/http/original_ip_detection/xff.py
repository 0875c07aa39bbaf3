"""envoy.http.original_ip_detection.xff: the client's address from x-forwarded-for.

Config: envoy.extensions.http.original_ip_detection.xff.v3.XffConfig. Measured on 1.40 (headers/detect_xff*).
"""

from __future__ import annotations

from typing import ClassVar

import attrs

from trio_envoy.config.address import CidrRange
from trio_envoy.errors import ConfigError
from trio_envoy.hcm.client_address import XFF, Detected, entries_of, from_right, ip_of
from trio_envoy.http.headers import Headers
from trio_envoy.net.address import Address, IpAddress
from trio_envoy.net.cidr import in_any, parse_cidr
from trio_envoy.net.services import Services
from trio_envoy.registry import Category, message_class, register


@message_class
@attrs.frozen(kw_only=True)
class XffTrustedCidrs:
    """Networks whose addresses are proxies of ours.

    Attributes:
        cidrs: the networks.
    """

    __proto__: ClassVar[str] = "envoy.extensions.http.original_ip_detection.xff.v3.XffTrustedCidrs"

    cidrs: tuple[CidrRange, ...] = ()


@attrs.frozen(kw_only=True)
class XffConfig:
    """Which entry is the client.

    Attributes:
        xff_num_trusted_hops: the entry so many from the right.
        xff_trusted_cidrs: instead: the first from the right that is not in these networks, if the peer is.
        skip_xff_append: leave x-forwarded-for alone; None is True.
    """

    __proto__: ClassVar[str] = "envoy.extensions.http.original_ip_detection.xff.v3.XffConfig"

    xff_num_trusted_hops: int = 0
    xff_trusted_cidrs: XffTrustedCidrs | None = None
    skip_xff_append: bool | None = None


class ByHops:
    """The entry that stands so many from the right."""

    def __init__(self, hops: int, *, append: bool) -> None:
        self._hops = hops
        self._append = append

    def detect(self, headers: Headers, peer: Address) -> Detected:
        """The client's address; see Detector."""
        forwarded = headers.joined(XFF)
        client = None if forwarded is None else from_right(forwarded, self._hops)
        alone = client is not None and self._hops == 0 and b"," not in (forwarded or b"")
        return Detected(client, internal=alone, append=self._append)


class ByNetworks:
    """The first entry from the right that is no proxy of ours."""

    def __init__(self, networks: XffTrustedCidrs, *, append: bool) -> None:
        self._trusted = tuple(parse_cidr(each) for each in networks.cidrs)
        self._append = append

    def detect(self, headers: Headers, peer: Address) -> Detected:
        """The client's address; see Detector. When all are proxies of ours, it is the first one from the left."""
        forwarded = headers.joined(XFF)
        client: IpAddress | None = None
        entries = entries_of(forwarded or b"")
        if isinstance(peer, IpAddress) and in_any(self._trusted, peer.host):
            for entry in reversed(entries):
                client = ip_of(entry)
                if client is None or not in_any(self._trusted, client.host):
                    break
        return Detected(client, internal=client is not None and len(entries) == 1, append=self._append)


@register(Category.ORIGINAL_IP_DETECTION, "envoy.http.original_ip_detection.xff", config=XffConfig)
def make(config: XffConfig, services: Services) -> ByHops | ByNetworks:
    """The detector.

    Raises:
        ConfigError: two ways at once, a network that is none.
    """
    append = config.skip_xff_append is False
    if config.xff_trusted_cidrs is None:
        return ByHops(config.xff_num_trusted_hops, append=append)
    if config.xff_num_trusted_hops:
        raise ConfigError(
            "Cannot set both xff_num_trusted_hops and xff_trusted_cidrs", at=config, field="xff_num_trusted_hops"
        )
    return ByNetworks(config.xff_trusted_cidrs, append=append)
