"""proxy-status; the parity cases headers/proxy_status* have the transcripts."""

import pytest

from tests.fakes import a_stream
from trio_envoy.config.hcm import ProxyStatusConfig
from trio_envoy.hcm.proxy_status import ProxyStatus
from trio_envoy.http.headers import Headers
from trio_envoy.http.message import Response
from trio_envoy.net.stream_info import DC, NR, UF, URX


def told(flags, details="why", fields=(), termination="", **config):
    info = a_stream().info
    info.flags, info.details, info.termination_details = flags, details, termination
    response = Response(503, Headers(fields))
    ProxyStatus(ProxyStatusConfig(**config), b"envoy", "node").tell(info, response)
    return response.headers.get(b"proxy-status"), response.status


@pytest.mark.parametrize("flags", [0, DC])
def test_nothing_is_told_of_what_went_well(flags):
    assert told(flags, set_recommended_response_code=True) == (None, 503)


@pytest.mark.parametrize(
    ("flags", "error"),
    [
        (NR, b"destination_not_found"),
        (URX, b"destination_unavailable"),
        (URX | UF, b"connection_refused"),
        (UF | NR | DC, b"connection_refused"),
    ],
)
def test_the_first_flag_decides(flags, error):
    assert told(flags, remove_details=True)[0] == b"envoy; error=" + error


def test_details_are_quoted():
    value, _ = told(NR, 'no "such" \\ route', termination="it ended")

    assert value == rb'envoy; error=destination_not_found; details="no_\"such\"_\\_route; it ended; NR"'


def test_details_may_be_left_out():
    assert told(NR, "")[0] == b"envoy; error=destination_not_found"
    value, _ = told(NR, termination="x", remove_response_flags=True, remove_connection_termination_details=True)
    assert value == b'envoy; error=destination_not_found; details="why"'


@pytest.mark.parametrize(
    ("config", "name"),
    [({}, b"envoy"), ({"use_node_id": True}, b"node"), ({"literal_proxy_name": "me"}, b"me")],
)
def test_the_name_of_the_proxy(config, name):
    assert told(NR, remove_details=True, **config)[0] == name + b"; error=destination_not_found"


def test_the_recommended_status():
    assert told(NR, set_recommended_response_code=True)[1] == 500


def test_what_others_have_said_stays():
    value, _ = told(NR, fields=[(b"proxy-status", b"other")], remove_details=True)

    assert value == b"other, envoy; error=destination_not_found"
