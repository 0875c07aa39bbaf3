import pytest

from trio_envoy.config.core import RequestMethod
from trio_envoy.config.healthcheck import HealthCheck, HttpHealthCheck, Payload, TcpHealthCheck
from trio_envoy.config.types import CodecClientType, Int64Range

TIMES = "timeout: 1s, interval: 2s, unhealthy_threshold: 3, healthy_threshold: 4"


def test_over_http(structure):
    made = structure(
        f"""
        {{{TIMES}, no_traffic_interval: 5s,
        http_health_check: {{path: /h, host: a, expected_statuses: {{start: 200, end: 300}}, method: head,
        codec_client_type: HTTP2}}}}
        """,
        HealthCheck,
    )

    assert (made.timeout, made.interval, made.no_traffic_interval) == (1.0, 2.0, 5.0)
    assert (made.unhealthy_threshold, made.healthy_threshold) == (3, 4)
    assert made.http_health_check == HttpHealthCheck(
        path="/h",
        host="a",
        expected_statuses=(Int64Range(start=200, end=300),),
        method=RequestMethod.HEAD,
        codec_client_type=CodecClientType.HTTP2,
    )


def test_over_tcp(structure):
    made = structure(f"{{{TIMES}, tcp_health_check: {{send: {{text: '00'}}, receive: {{binary: aGk=}}}}}}", HealthCheck)

    assert made.tcp_health_check == TcpHealthCheck(send=Payload(text="00"), receive=(Payload(binary=b"hi"),))


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (
            f"{{{TIMES}}}",
            "$: one of http_health_check, tcp_health_check, grpc_health_check, custom_health_check is required",
        ),
        (
            f"{{{TIMES}, http_health_check: {{}}}}",
            "$.http_health_check.path: value length must be at least 1 characters",
        ),
        (
            f"{{{TIMES}, http_health_check: {{path: /, method: CONNECT}}}}",
            "$.http_health_check.method: value must not be CONNECT",
        ),
        (
            f"{{{TIMES}, tcp_health_check: {{}}, no_traffic_interval: 0s}}",
            "$.no_traffic_interval: value must be greater than 0s",
        ),
        (
            "{tcp_health_check: {}, interval: 1s, unhealthy_threshold: 1, healthy_threshold: 1}",
            "$.timeout: value is required",
        ),
    ],
)
def test_what_a_check_may_not_be(faults, text, fault):
    (found,) = faults(text, HealthCheck.__proto__)

    assert found.startswith(fault)
