"""envoy.access_loggers.file."""

import pytest

from tests.fakes import a_services
from tests.messages import a_context, from_yaml
from trio_envoy.accesslog.log import AccessLog
from trio_envoy.config.accesslog import AccessLog as Config
from trio_envoy.errors import ConfigError

CONFIG = """
name: x
typed_config:
  '@type': type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog
  path: {path}
  {rest}
"""


async def written(tmp_path, rest):
    services = a_services()
    log = AccessLog(from_yaml(CONFIG.format(path=tmp_path / "log", rest=rest), Config), services)
    log.log(a_context(status=204))
    await services.log_files.flush()
    services.log_files.close()
    return (tmp_path / "log").read_text()


@pytest.mark.parametrize(
    ("rest", "line"),
    [
        ("", '[2026-11-24T10:20:48.892Z] "- - -" 204 - 0 0 3 - "-" "-" "-" "-" "-"\n'),
        ("format: ''", '[2026-11-24T10:20:48.892Z] "- - -" 204 - 0 0 3 - "-" "-" "-" "-" "-"\n'),
        ('format: "F %RESPONSE_CODE%\\n"', "F 204\n"),
        ("json_format: {b: '%REQ(X)%', a: '%RESPONSE_CODE%', c: x}", '{"a":204,"b":null,"c":"x"}\n'),
        ("typed_json_format: {b: '%REQ(X)%', a: '%RESPONSE_CODE%'}", '{"a":204,"b":null}\n'),
        ('log_format: {text_format_source: {inline_string: "L %RESPONSE_CODE%\\n"}}', "L 204\n"),
        ("log_format: {json_format: {a: '%RESPONSE_CODE%'}, content_type: text/html}", '{"a":204}\n'),
    ],
)
async def test_formats(tmp_path, rest, line):
    assert await written(tmp_path, rest) == line


@pytest.mark.parametrize(("path", "reason"), [("/nonexistent/x", "No such file or directory"), ("/", "Is a directory")])
def test_a_file_that_cannot_be_opened_is_refused(path, reason):
    config = from_yaml(CONFIG.format(path=path, rest=""), Config)

    with pytest.raises(ConfigError) as caught:
        AccessLog(config, a_services())

    assert caught.value.text == f"unable to open file '{path}': {reason}"
    assert (caught.value.at, caught.value.field) == (config.typed_config, ("path",))


@pytest.mark.parametrize("field", ["format: '%X%'", "json_format: {a: '%X%'}", "typed_json_format: {a: ['%X%']}"])
def test_a_bad_template_is_refused(tmp_path, field):
    config = from_yaml(CONFIG.format(path=tmp_path / "log", rest=field), Config)

    with pytest.raises(ConfigError, match="Not supported field in StreamInfo: X") as caught:
        AccessLog(config, a_services())

    assert (caught.value.at, caught.value.field) == (config.typed_config, (field.partition(":")[0],))


async def test_two_logs_may_share_a_file(tmp_path):
    services = a_services()
    config = from_yaml(CONFIG.format(path=tmp_path / "log", rest='format: "%RESPONSE_CODE%\\n"'), Config)
    one, two = AccessLog(config, services), AccessLog(config, services)

    one.log(a_context(status=200))
    two.log(a_context(status=404))
    one.log(a_context(status=500))
    await services.log_files.flush()
    services.log_files.close()

    assert (tmp_path / "log").read_text() == "200\n404\n500\n"
