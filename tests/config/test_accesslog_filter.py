"""Filters of access logs."""

from trio_envoy.config.accesslog_filter import AccessLogFilter, ComparisonOp, GrpcStatus


def test_filters_nest(structure):
    made = structure(
        """
        and_filter:
          filters:
          - status_code_filter: {comparison: {op: GE, value: {default_value: 400, runtime_key: k}}}
          - or_filter:
              filters: [{response_flag_filter: {flags: [UF]}}, {grpc_status_filter: {statuses: [NOT_FOUND]}}]
        """,
        AccessLogFilter,
    )

    code, either = made.and_filter.filters
    assert code.status_code_filter.comparison.op is ComparisonOp.GE
    assert code.status_code_filter.comparison.value.default_value == 400
    assert either.or_filter.filters[0].response_flag_filter.flags == ("UF",)
    assert either.or_filter.filters[1].grpc_status_filter.statuses == (GrpcStatus.NOT_FOUND,)


def test_a_filter_alone(structure):
    made = structure("not_health_check_filter: {}", AccessLogFilter)

    assert made.not_health_check_filter is not None
    assert made.and_filter is None
