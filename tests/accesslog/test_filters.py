"""Access-log filters; the outcomes are what Envoy 1.40.0 logged."""

from math import nan

import attrs
import pytest

from tests.fakes import a_services
from tests.messages import a_context, a_request, a_response, a_runtime, from_yaml
from trio_envoy.accesslog.filters import compile_filter
from trio_envoy.config.accesslog_filter import AccessLogFilter, ResponseFlagFilter
from trio_envoy.errors import ConfigError
from trio_envoy.net.stream_info import NR, UF


def passes(text, **values):
    services = attrs.evolve(a_services(), runtime=a_runtime(**values))
    return compile_filter(from_yaml(text, AccessLogFilter), services)


OK = {"status": 200}
NOT_FOUND = {"status": 404, "flags": NR}
SLOW = {"status": 200, "end": 100.06}


@pytest.mark.parametrize(
    ("text", "ok", "not_found", "slow"),
    [
        ("status_code_filter: {comparison: {op: GE, value: {default_value: 400}}}", False, True, False),
        ("status_code_filter: {comparison: {op: EQ, value: {default_value: 200}}}", True, False, True),
        ("status_code_filter: {comparison: {op: LE, value: {default_value: 300}}}", True, False, True),
        ("status_code_filter: {comparison: {op: NE, value: {default_value: 200}}}", False, True, False),
        ("status_code_filter: {comparison: {op: GE, value: {default_value: 1, runtime_key: k}}}", False, True, False),
        ("status_code_filter: {comparison: {op: GE, value: {default_value: 1, runtime_key: nope}}}", True, True, True),
        ("duration_filter: {comparison: {op: GE, value: {default_value: 0}}}", True, True, True),
        ("duration_filter: {comparison: {op: GE, value: {default_value: 50}}}", False, False, True),
        ("not_health_check_filter: {}", True, True, True),
        (
            "and_filter: {filters: [{not_health_check_filter: {}}, "
            "{status_code_filter: {comparison: {op: GE, value: {default_value: 400}}}}]}",
            False, True, False,
        ),
        (
            "or_filter: {filters: [{status_code_filter: {comparison: {op: GE, value: {default_value: 400}}}}, "
            "{duration_filter: {comparison: {op: GE, value: {default_value: 50}}}}]}",
            False, True, True,
        ),
        ("response_flag_filter: {}", False, True, False),
        ("response_flag_filter: {flags: [NR]}", False, True, False),
        ("response_flag_filter: {flags: [UF, UH]}", False, False, False),
        ("grpc_status_filter: {statuses: [UNKNOWN]}", True, False, True),
        ("grpc_status_filter: {statuses: [UNIMPLEMENTED]}", False, True, False),
        ("grpc_status_filter: {statuses: [OK], exclude: true}", True, True, True),
        ("grpc_status_filter: {}", False, False, False),
        ("log_type_filter: {}", False, False, False),
        ("log_type_filter: {types: [DownstreamStart, DownstreamEnd]}", True, True, True),
        ("log_type_filter: {types: [DownstreamEnd], exclude: true}", False, False, False),
        ("runtime_filter: {runtime_key: none}", False, False, False),
        ("runtime_filter: {runtime_key: none, percent_sampled: {numerator: 100}}", True, True, True),
        ("runtime_filter: {runtime_key: zero, percent_sampled: {numerator: 100}}", False, False, False),
        (
            "runtime_filter: {runtime_key: none, percent_sampled: {numerator: 100}, use_independent_randomness: true}",
            True, True, True,
        ),
    ],
)  # fmt: skip
def test_filters(text, ok, not_found, slow):
    test = passes(text, k=400, zero=0)

    assert [test(a_context(**attributes)) for attributes in (OK, NOT_FOUND, SLOW)] == [ok, not_found, slow]


def test_health_checks_are_left_out():
    assert not passes("not_health_check_filter: {}")(a_context(health_check=True))


def test_headers_of_the_request():
    test = passes("header_filter: {header: {name: ':path', string_match: {prefix: /ok}}}")

    assert test(a_context(a_request("/ok/x")))
    assert not test(a_context(a_request("/none")))
    assert not test(a_context())
    assert passes("header_filter: {header: {name: x, present_match: false}}")(a_context())


def test_grpc_status_of_the_response():
    test = passes("grpc_status_filter: {statuses: [NOT_FOUND]}")

    assert test(a_context(a_request("/"), a_response(200, ("grpc-status", "5")), status=200))
    assert passes("grpc_status_filter: {statuses: [UNKNOWN]}")(a_context())


def test_one_flag_of_several_is_enough():
    assert passes("response_flag_filter: {flags: [UH, UF]}")(a_context(flags=UF | NR))


def test_an_unknown_flag_is_refused():
    config = AccessLogFilter(response_flag_filter=ResponseFlagFilter(flags=("UF", "XX")))

    with pytest.raises(ConfigError, match="unknown response flag 'XX'") as caught:
        compile_filter(config, a_services())

    assert caught.value.field == ("flags", 1)


def test_no_filter_is_refused():
    with pytest.raises(ConfigError, match="needs one kind"):
        compile_filter(AccessLogFilter(), a_services())


def test_a_share_is_the_same_for_all_proxies_on_the_way():
    text = "runtime_filter: {runtime_key: none, percent_sampled: {numerator: 50}}"
    ids = [f"{number:08x}-aaaa".encode() for number in range(200)]
    one, two = passes(text), passes(text)

    logged = [one(a_context(request_id=request_id)) for request_id in ids]

    assert logged == [two(a_context(request_id=request_id)) for request_id in ids]
    assert logged == [number % 100 < 50 for number in range(200)]


def test_a_request_without_an_id_is_drawn():
    test = passes("runtime_filter: {runtime_key: none, percent_sampled: {numerator: 50}}")

    assert {test(a_context()) for _ in range(100)} == {True, False}
    assert {test(a_context(request_id=b"no-uuid")) for _ in range(100)} == {True, False}


async def test_a_duration_that_goes_on_is_counted_until_now(autojump_clock):
    start = autojump_clock.current_time()
    autojump_clock.jump(0.06)
    test = passes("duration_filter: {comparison: {op: GE, value: {default_value: 50}}}")

    assert test(a_context(start=start, end=nan))
    assert not test(a_context(start=start, end=start + 0.01))
