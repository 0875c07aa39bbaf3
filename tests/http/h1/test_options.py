import pytest

from trio_envoy.config.core import TypedExtensionConfig
from trio_envoy.config.protocol import (
    HeaderKeyFormat,
    HeadersWithUnderscoresAction,
    Http1ProtocolOptions,
    HttpProtocolOptions,
    ProperCaseWords,
)
from trio_envoy.errors import ConfigError
from trio_envoy.extensions.http.header_formatters.preserve_case import PreserveCaseFormatterConfig
from trio_envoy.http.h1.options import Http1Options


def test_defaults_of_each_side():
    assert Http1Options.of_downstream(None, None, None) == Http1Options()
    assert Http1Options.of_downstream(None, None, None).max_head_bytes == 60 * 1024
    assert Http1Options.of_upstream(None, None) == Http1Options(max_head_bytes=80 * 1024)


def test_what_is_said_counts():
    config = Http1ProtocolOptions(
        allow_absolute_url=False,
        accept_http_10=True,
        default_host_for_http_10="d",
        header_key_format=HeaderKeyFormat(proper_case_words=ProperCaseWords()),
        enable_trailers=True,
        allow_chunked_length=True,
        send_fully_qualified_url=True,
        allow_custom_methods=True,
    )
    common = HttpProtocolOptions(
        max_headers_count=7,
        max_response_headers_kb=9,
        headers_with_underscores_action=HeadersWithUnderscoresAction.DROP_HEADER,
    )

    assert Http1Options.of_downstream(config, common, 3) == Http1Options(
        max_head_bytes=3 * 1024,
        max_fields=7,
        underscores=HeadersWithUnderscoresAction.DROP_HEADER,
        allow_absolute_url=False,
        accept_http_10=True,
        default_host=b"d",
        proper_case=True,
        trailers=True,
        allow_chunked_length=True,
        full_url=True,
        custom_methods=True,
    )
    assert Http1Options.of_upstream(config, common).max_head_bytes == 9 * 1024


def formatted(typed_config):
    made = TypedExtensionConfig(name="f", typed_config=typed_config)
    return Http1ProtocolOptions(header_key_format=HeaderKeyFormat(stateful_formatter=made))


def test_an_extension_remembers_spellings():
    for options in (
        Http1Options.of_downstream(formatted(PreserveCaseFormatterConfig()), None, None),
        Http1Options.of_upstream(formatted(PreserveCaseFormatterConfig()), None),
    ):
        assert not options.proper_case
        assert options.remember({b"a": b"A"}, b"")(b"a") == b"A"


def test_an_extension_of_another_kind_is_refused():
    config = formatted(HeaderKeyFormat())
    with pytest.raises(
        ConfigError, match=r"registered implementation for 'f' with type URL: 'envoy\.config\.core"
    ) as told:
        Http1Options.of_upstream(config, None)

    assert told.value.at is config.header_key_format.stateful_formatter
