from __future__ import annotations

import pytest

from tests.fakes import a_services, receive_all
from trio_envoy.config.core import DataSource
from trio_envoy.errors import ConfigError
from trio_envoy.extensions.filters.network.direct_response import Config, make
from trio_envoy.net.filter import Connection
from trio_envoy.net.memory_channel import memory_channel_pair
from trio_envoy.util.deadlines import Guard


@pytest.mark.parametrize(
    ("config", "sent"), [(Config(response=DataSource(inline_string="hi\n")), b"hi\n"), (Config(), b"")]
)
async def test_it_sends_and_closes(autojump_clock, config, sent):
    near, far = memory_channel_pair()
    await make(config, None).serve(Connection(far, far.info, Guard(a_services().timers)))

    assert await receive_all(near) == sent


def test_a_file_that_is_not_there():
    with pytest.raises(ConfigError, match="Invalid path: /nonexistent"):
        make(Config(response=DataSource(filename="/nonexistent")), None)
