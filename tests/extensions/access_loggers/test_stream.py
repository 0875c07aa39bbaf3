"""envoy.access_loggers.stdout and stderr."""

import pytest

from tests.fakes import a_services
from tests.messages import a_context, from_yaml
from trio_envoy.accesslog.log import AccessLog
from trio_envoy.config.accesslog import AccessLog as Config

CONFIG = """
name: x
typed_config:
  '@type': type.googleapis.com/envoy.extensions.access_loggers.stream.v3.{message}
  {rest}
"""


@pytest.mark.parametrize(("message", "stream"), [("StdoutAccessLog", "out"), ("StderrAccessLog", "err")])
async def test_lines_go_to_the_stream(capfd, message, stream):
    services = a_services()
    rest = 'log_format: {text_format_source: {inline_string: "%RESPONSE_CODE%\\n"}}'
    log = AccessLog(from_yaml(CONFIG.format(message=message, rest=rest), Config), services)

    log.log(a_context(status=204))
    await services.log_files.flush()

    assert getattr(capfd.readouterr(), stream) == "204\n"


async def test_the_default_format(capfd):
    services = a_services()
    log = AccessLog(from_yaml(CONFIG.format(message="StdoutAccessLog", rest=""), Config), services)

    log.log(a_context(status=204))
    await services.log_files.flush()

    assert capfd.readouterr().out.startswith('[2026-11-24T10:20:48.892Z] "- - -" 204 -')
