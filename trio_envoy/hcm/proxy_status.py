"""proxy_status_config: the `proxy-status` header (RFC 9209), which tells why a response is not what was asked for.

Source: Envoy, stream_info/utility.cc (ProxyStatusUtils); measured on 1.40 (headers/proxy_status*).
"""

from __future__ import annotations

from typing import Final

from trio_envoy.config.hcm import ProxyStatusConfig
from trio_envoy.http.message import Response
from trio_envoy.net.stream_info import StreamInfo, flag, flags_short

_NAME: Final = b"proxy-status"

# The first flag that is set decides; (flag, error, recommended status).
_ERRORS: Final = tuple(
    (flag(short), error, status)
    for short, error, status in (
        ("LH", b"destination_unavailable", 503),
        ("UH", b"destination_unavailable", 503),
        ("UT", b"http_response_timeout", 504),
        ("LR", b"connection_timeout", 504),
        ("UR", b"connection_terminated", 502),
        ("UF", b"connection_refused", 502),
        ("UC", b"connection_terminated", 502),
        ("UO", b"connection_limit_reached", 503),
        ("NR", b"destination_not_found", 500),
        ("RL", b"connection_limit_reached", 503),
        ("RLSE", b"connection_limit_reached", 503),
        ("URX", b"destination_unavailable", 503),
        ("SI", b"http_response_timeout", 504),
        ("IH", b"http_request_error", 400),
        ("DPE", b"http_request_error", 400),
        ("UMSDR", b"http_response_timeout", 504),
        ("NFCF", b"proxy_configuration_error", 500),
        ("UPE", b"http_protocol_error", 502),
        ("NC", b"destination_unavailable", 503),
        ("DF", b"dns_error", 502),
    )
)
_ANY: Final = sum(bit for bit, _, _ in _ERRORS)


class ProxyStatus:
    """What responses of one HCM tell."""

    def __init__(self, config: ProxyStatusConfig, server_name: bytes, node_id: str) -> None:
        """Compile.

        Args:
            config: what to tell.
            server_name: who says it, unless the config names another.
            node_id: that is the other one, if the config says so.
        """
        name = config.literal_proxy_name or (node_id if config.use_node_id else "")
        self._name = name.encode() or server_name
        self._details = not config.remove_details
        self._termination = not config.remove_connection_termination_details
        self._flags = not config.remove_response_flags
        self._recommended = config.set_recommended_response_code

    def tell(self, info: StreamInfo, response: Response) -> None:
        """Add the header, and change the status if that is wanted, where a flag says that something went wrong."""
        if not info.flags & _ANY:
            return
        error, status = next((error, status) for bit, error, status in _ERRORS if info.flags & bit)
        value = b"%b; error=%b" % (self._name, error)
        if self._details and info.details:
            value += b'; details="%b"' % self._detail(info)
        response.headers.append(_NAME, value, b", ")
        if self._recommended:
            response.status = status

    def _detail(self, info: StreamInfo) -> bytes:
        details = [info.details.replace(" ", "_")]
        if self._termination and info.termination_details:
            details.append(info.termination_details)
        if self._flags:
            details.append(flags_short(info.flags))
        text = "; ".join(details)
        return text.replace("\\", "\\\\").replace('"', '\\"').encode()
