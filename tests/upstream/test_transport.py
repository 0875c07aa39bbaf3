import errno

import pytest

from tests.upstream.fakes import address, config_of, make_services
from trio_envoy.config.core import TransportSocket
from trio_envoy.errors import ConfigError
from trio_envoy.net.address import PipeAddress
from trio_envoy.net.stream_info import UF
from trio_envoy.upstream.transport import Dialer, connect_failure

HOST = address("10.0.0.1:80")


@pytest.mark.parametrize(
    ("number", "where", "reason", "transport"),
    [  # measured on 1.40, but for the last one
        (errno.ECONNREFUSED, HOST, "remote connection failure", "delayed connect error: Connection refused"),
        (
            errno.ENOENT,
            PipeAddress("/tmp/x"),
            "remote connection failure",
            "immediate connect error: No such file or directory|remote address:/tmp/x",
        ),
        (
            errno.ENETUNREACH,
            HOST,
            "remote connection failure",
            "immediate connect error: Network is unreachable|remote address:10.0.0.1:80",
        ),
        (errno.EMFILE, HOST, "local connection failure", "Too many open files"),
    ],
)
def test_failures_in_envoys_words(number, where, reason, transport):
    failure = connect_failure(OSError(number, "whatever"), where)

    assert (failure.reason, failure.transport) == (reason, transport)
    assert failure.flag == UF
    assert not failure.sent


def test_an_error_without_a_number():
    assert connect_failure(OSError("odd"), HOST).transport == "delayed connect error: odd"


def test_an_extension_that_is_no_upstream_transport_socket_is_refused():
    config = config_of(transport_socket=TransportSocket(name="t", typed_config=object()))
    services = make_services()

    with pytest.raises(ConfigError, match="'t' is no transport socket for clusters"):
        Dialer(config, services, services.stats.scope("cluster.c."))
