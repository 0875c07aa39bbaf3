"""The client's address in a header of one's own; parity headers/detect_custom_header* has the transcripts."""

import pytest

from tests.fakes import a_services, headers
from trio_envoy.config.http_status import HttpStatus, StatusCode
from trio_envoy.extensions.http.original_ip_detection.custom_header import CustomHeaderConfig, make
from trio_envoy.hcm.client_address import Detected
from trio_envoy.http.message import LocalReply
from trio_envoy.net.address import IpAddress


def detected(fields, **config):
    detector = make(CustomHeaderConfig(header_name="X-Real-IP", **config), a_services())
    return detector.detect(headers(fields), IpAddress("127.0.0.1", 1))


@pytest.mark.parametrize("trusted", [False, True])
def test_the_address_may_be_internal_if_that_is_said(trusted):
    found = detected({"x-real-ip": "10.1.2.3"}, allow_extension_to_set_address_as_trusted=trusted)

    assert found == Detected(IpAddress("10.1.2.3", 0), internal=trusted)


@pytest.mark.parametrize("fields", [{}, {"x-real-ip": "bad"}, {"x-real-ip": "10.1.2.3:80"}])
def test_what_is_no_address_is_left_to_the_next_one(fields):
    assert detected(fields) == Detected(None)


@pytest.mark.parametrize(("code", "status"), [(StatusCode.Unauthorized, 401), (StatusCode.OK, 403)])
def test_or_refused(code, status):
    refused = detected({}, reject_with_status=HttpStatus(code=code))

    assert isinstance(refused, LocalReply)
    assert (refused.status, refused.details) == (status, "rejecting_because_detection_failed")
