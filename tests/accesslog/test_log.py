"""Entries of access_log."""

from typing import ClassVar

import attrs
import pytest

from tests.fakes import a_services
from tests.messages import a_context, from_yaml
from trio_envoy.accesslog.log import AccessLog
from trio_envoy.config.accesslog import AccessLog as Config
from trio_envoy.config.accesslog_filter import AccessLogFilter
from trio_envoy.errors import ConfigError
from trio_envoy.registry import Category, register


@attrs.frozen
class Kept:
    """A sink that keeps the statuses."""

    __proto__: ClassVar[str] = "test.accesslog.Kept"
    statuses: list[int] = attrs.Factory(list)

    def log(self, context):
        self.statuses.append(context.info.status)


register(Category.ACCESS_LOGGER, "test.accesslog.kept", config=Kept)(lambda config, services: config)


def test_every_entry_goes_to_the_sink():
    sink = Kept()
    log = AccessLog(Config(typed_config=sink), a_services())

    log.log(a_context(status=200))
    log.log(a_context(status=404))

    assert sink.statuses == [200, 404]


def test_the_filter_decides():
    sink = Kept()
    errors = from_yaml("status_code_filter: {comparison: {op: GE, value: {default_value: 400}}}", AccessLogFilter)
    log = AccessLog(Config(typed_config=sink, filter=errors), a_services())

    log.log(a_context(status=200))
    log.log(a_context(status=404))

    assert sink.statuses == [404]


@pytest.mark.parametrize("typed_config", [None, object()])
def test_a_logger_that_is_not_known_is_refused(typed_config):
    config = Config(name="envoy.access_loggers.file", typed_config=typed_config)

    with pytest.raises(ConfigError) as caught:
        AccessLog(config, a_services())

    assert caught.value.text == (
        "Didn't find a registered implementation for 'envoy.access_loggers.file' with type URL: ''"
    )
    assert (caught.value.at, caught.value.field) == (config, ("typed_config",))
