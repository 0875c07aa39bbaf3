"""local_reply_config; the parity cases local_replies/mapped, formatted and formatted_refusals show the rest."""

import pytest

from tests.fakes import a_services, a_stream
from trio_envoy.config.accesslog_filter import AccessLogFilter, ComparisonFilter, StatusCodeFilter
from trio_envoy.config.core import DataSource, HeaderAppendAction, HeaderValue, HeaderValueOption, RuntimeUInt32
from trio_envoy.config.hcm import LocalReplyConfig, ResponseMapper
from trio_envoy.config.substitution import SubstitutionFormatString
from trio_envoy.errors import ConfigError
from trio_envoy.hcm.reply_rules import reply_rules
from trio_envoy.http.headers import Headers

OVERWRITE = HeaderAppendAction.OVERWRITE_IF_EXISTS_OR_ADD


def status_is(status):
    comparison = ComparisonFilter(value=RuntimeUInt32(default_value=status))
    return AccessLogFilter(status_code_filter=StatusCodeFilter(comparison=comparison))


def text_form(template, content_type=""):
    source = DataSource(inline_string=template)
    return SubstitutionFormatString(text_format_source=source, content_type=content_type)


def adds(name, value, action=HeaderAppendAction.APPEND_IF_EXISTS_OR_ADD):
    return HeaderValueOption(header=HeaderValue(key=name, value=value), append_action=action)


def rules(*mappers, body_format=None):
    return reply_rules(LocalReplyConfig(mappers=mappers, body_format=body_format), a_services())


def applied(rules, status=404, text=b"none", fields=()):
    stream, headers = a_stream(), Headers(fields)
    result = rules.apply(stream.info, stream.request, status, text, headers)
    return *result, list(headers), stream.info


@pytest.mark.parametrize("config", [None, LocalReplyConfig()])
def test_nothing_to_do_is_no_rules(config):
    assert reply_rules(config, a_services()) is None


def test_the_first_mapper_that_fits_changes_the_reply():
    first = ResponseMapper(filter=status_is(500), body=DataSource(inline_string="not this"))
    second = ResponseMapper(
        filter=status_is(404),
        status_code=418,
        body=DataSource(inline_string="%REQ(:PATH)%"),
        headers_to_add=(adds("x-was", "%RESPONSE_CODE%"),),
    )
    third = ResponseMapper(filter=status_is(404), status_code=500)

    status, text, kind, headers, info = applied(rules(first, second, third))

    assert (status, text, kind, headers) == (418, b"%REQ(:PATH)%", b"text/plain", [(b"x-was", b"404")])
    assert info.status == 418


def test_what_no_mapper_fits_stays():
    status, text, _, headers, info = applied(rules(ResponseMapper(filter=status_is(500), status_code=200)))

    assert (status, text, headers, info.status) == (404, b"none", [], 404)


def test_a_form_writes_the_body_and_says_its_type():
    form = text_form("%RESPONSE_CODE% %LOCAL_REPLY_BODY% %REQ(:METHOD)%", "text/html")

    _, text, kind, _, info = applied(rules(body_format=form))

    assert (text, kind) == (b"404 none GET", b"text/html")
    assert info.local_reply_body == b""  # a log does not see it, as in Envoy


def test_the_form_of_a_mapper_is_instead_of_that_of_all():
    json_form = SubstitutionFormatString(json_format={"code": "%RESPONSE_CODE%"})
    mapper = ResponseMapper(filter=status_is(404), body_format_override=json_form)

    _, text, kind, *_ = applied(rules(mapper, body_format=text_form("all")))

    assert (text, kind) == (b'{"code":404}\n', b"application/json")


def test_a_body_of_ours_takes_the_place_of_a_type_that_was_there():
    _, _, _, headers, _ = applied(rules(body_format=text_form("new", "text/x")), fields=[(b"content-type", b"old")])

    assert headers == [(b"content-type", b"text/x")]


def test_unless_the_body_is_the_same():
    form = text_form("%LOCAL_REPLY_BODY%", "text/x")

    _, _, _, headers, _ = applied(rules(body_format=form), fields=[(b"content-type", b"old")])

    assert headers == [(b"content-type", b"old")]


def test_or_the_mapper_has_said_the_type():
    mapper = ResponseMapper(filter=status_is(404), headers_to_add=(adds("content-type", "said", OVERWRITE),))

    _, _, _, headers, _ = applied(
        rules(mapper, body_format=text_form("new", "text/x")), fields=[(b"content-type", b"old")]
    )

    assert headers == [(b"content-type", b"said")]


def test_answers_of_a_codec_go_the_same_way():
    mapper = ResponseMapper(filter=status_is(431), status_code=400, headers_to_add=(adds("x-a", "1"),))
    info = a_stream().info

    status, text, headers = rules(mapper, body_format=text_form("%RESPONSE_CODE%|%REQ(:PATH)%")).reshape(
        info, 431, b"Too Large"
    )

    assert (status, text, info.status) == (400, b"400|-", 400)
    assert list(headers) == [(b"x-a", b"1"), (b"content-length", b"5"), (b"content-type", b"text/plain")]


def test_all_faults_are_told_at_once():
    bad = ResponseMapper(filter=status_is(404), headers_to_add=(adds(":path", "x"),))
    worse = ResponseMapper(filter=AccessLogFilter())

    with pytest.raises(ConfigError) as raised:
        rules(bad, worse, body_format=text_form("%NONSENSE%"))

    assert len(raised.value.others) == 2


def test_a_file_that_is_not_there_is_told():
    with pytest.raises(ConfigError, match="Invalid path: /nowhere"):
        rules(ResponseMapper(filter=status_is(404), body=DataSource(filename="/nowhere")))
