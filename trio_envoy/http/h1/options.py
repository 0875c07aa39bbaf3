"""What configuration says about HTTP/1, in the form that the codec asks for it; and its statistics.

Sources: envoy.config.core.v3.Http1ProtocolOptions and HttpProtocolOptions; max_request_headers_kb of the HCM.
"""

from __future__ import annotations

from typing import Final

import attrs

from trio_envoy import registry
from trio_envoy.config.core import TypedExtensionConfig
from trio_envoy.config.protocol import (
    HeaderKeyFormat,
    HeadersWithUnderscoresAction,
    Http1ProtocolOptions,
    HttpProtocolOptions,
)
from trio_envoy.errors import ConfigError
from trio_envoy.http.spelling import Remember
from trio_envoy.stats.declare import Counter, StatsBlock

DEFAULT_REQUEST_HEAD_KB: Final = 60  # KiB; HttpConnectionManager.max_request_headers_kb
DEFAULT_RESPONSE_HEAD_KB: Final = 80  # KiB; measured: more than the 60 of the documentation
DEFAULT_MAX_FIELDS: Final = 100  # HttpProtocolOptions.max_headers_count

_NOTHING: Final = Http1ProtocolOptions()
_NOTHING_COMMON: Final = HttpProtocolOptions()
_LOWER_CASE: Final = HeaderKeyFormat()


class Http1Stats(StatsBlock):
    """`http1.` (downstream) and `cluster.<name>.http1.`."""

    dropped_headers_with_underscores: Counter
    metadata_not_supported_error: Counter
    requests_rejected_with_underscores_in_headers: Counter
    response_flood: Counter


@attrs.frozen(kw_only=True)
class Http1Options:
    """How to read and write HTTP/1.

    Attributes:
        max_head_bytes: of a whole head as it stands on the wire, and of a trailer section.
        max_fields: fields of a head, Host included.
        underscores: what becomes of names with an underscore (requests).
        allow_absolute_url: take `GET http://host/path` apart; else it is left as the path.
        accept_http_10: else a version other than 1.1 is answered 426; all others are treated as 1.0.
        default_host: Host of HTTP/1.0 requests without one.
        proper_case: write names Like-This, unless the message has a spelling of its own.
        remember: makes the spelling of each message that is read; None: they have none.
        trailers: pass them on, both ways; else they are checked and dropped.
        allow_chunked_length: drop the Content-Length beside Transfer-Encoding instead of refusing the message.
        full_url: write `GET http://host/path` to the upstream.
        custom_methods: take any token as a method.
        check_scheme: an absolute URL with https on a connection without TLS is answered 403.
    """

    max_head_bytes: int = DEFAULT_REQUEST_HEAD_KB * 1024
    max_fields: int = DEFAULT_MAX_FIELDS
    underscores: HeadersWithUnderscoresAction = HeadersWithUnderscoresAction.ALLOW
    allow_absolute_url: bool = True
    accept_http_10: bool = False
    default_host: bytes = b""
    proper_case: bool = False
    remember: Remember | None = None
    trailers: bool = False
    allow_chunked_length: bool = False
    full_url: bool = False
    custom_methods: bool = False
    check_scheme: bool = False

    @classmethod
    def of_downstream(
        cls,
        config: Http1ProtocolOptions | None,
        common: HttpProtocolOptions | None,
        max_request_headers_kb: int | None,
        *,
        check_scheme: bool = False,
    ) -> Http1Options:
        """The options of an HCM's connections; `check_scheme`: the client itself is at the other end.

        Raises:
            ConfigError: a stateful_formatter that isn't one.
        """
        options = cls._of(
            config or _NOTHING, common or _NOTHING_COMMON, max_request_headers_kb or DEFAULT_REQUEST_HEAD_KB
        )
        return attrs.evolve(options, check_scheme=check_scheme)

    @classmethod
    def of_upstream(cls, config: Http1ProtocolOptions | None, common: HttpProtocolOptions | None) -> Http1Options:
        """The options of a cluster's connections.

        Raises:
            ConfigError: a stateful_formatter that isn't one.
        """
        common = common or _NOTHING_COMMON
        return cls._of(config or _NOTHING, common, common.max_response_headers_kb or DEFAULT_RESPONSE_HEAD_KB)

    @classmethod
    def _of(cls, config: Http1ProtocolOptions, common: HttpProtocolOptions, max_head_kb: int) -> Http1Options:
        names = config.header_key_format or _LOWER_CASE
        return cls(
            max_head_bytes=max_head_kb * 1024,
            max_fields=common.max_headers_count or DEFAULT_MAX_FIELDS,
            underscores=common.headers_with_underscores_action,
            allow_absolute_url=config.allow_absolute_url is not False,
            accept_http_10=config.accept_http_10,
            default_host=config.default_host_for_http_10.encode(),
            proper_case=names.proper_case_words is not None,
            remember=None if names.stateful_formatter is None else _formatter(names.stateful_formatter),
            trailers=config.enable_trailers,
            allow_chunked_length=config.allow_chunked_length,
            full_url=config.send_fully_qualified_url,
            custom_methods=config.allow_custom_methods,
        )


def _formatter(config: TypedExtensionConfig) -> Remember:
    extension = registry.extension_for(registry.Category.HEADER_FORMATTER, config.typed_config)
    if extension is None:
        message = getattr(config.typed_config, "__proto__", "")
        text = f"Didn't find a registered implementation for '{config.name}' with type URL: '{message}'"
        raise ConfigError(text, at=config)
    made: Remember = extension.factory(config.typed_config)
    return made
