import pytest

HCM = "extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
TYPE = "type.googleapis.com/envoy."
GZIP_V2 = TYPE + "config.filter.http.gzip.v2.Gzip"
HTTP_FILTER = HCM.replace("HttpConnectionManager", "HttpFilter")


@pytest.mark.parametrize(
    ("fqn", "old", "new"),
    [
        (HCM, {"idle_timeout": "5s"}, {"common_http_protocol_options": {"idle_timeout": "5s"}}),
        (
            HCM,
            {"idle_timeout": "5s", "common_http_protocol_options": {"max_headers_count": 1}},
            {"common_http_protocol_options": {"max_headers_count": 1, "idle_timeout": "5s"}},
        ),
        (
            HCM,
            {"commonHttpProtocolOptions": {"idleTimeout": "6s"}, "idle_timeout": "5s"},
            {"commonHttpProtocolOptions": {"idleTimeout": "6s"}},
        ),
        (
            f"{HCM}.Tracing",
            {"request_headers_for_tags": ["a", "b"], "custom_tags": {"tag": "t", "literal": {"value": "v"}}},
            {
                "custom_tags": [
                    {"tag": "t", "literal": {"value": "v"}},
                    {"tag": "a", "request_header": {"name": "a"}},
                    {"tag": "b", "request_header": {"name": "b"}},
                ]
            },
        ),
        (f"{HCM}.Tracing", {"operation_name": "EGRESS", "verbose": True}, {"verbose": True}),
        (
            "extensions.filters.common.fault.v3.FaultDelay",
            {"type": "FIXED", "fixed_delay": "1s", "percent": 5},
            {"fixed_delay": "1s", "percentage": {"numerator": 5, "denominator": "HUNDRED"}},
        ),
        (
            "extensions.filters.http.fault.v3.FaultAbort",
            {"http_status": 503, "percent": 5},
            {"http_status": 503, "percentage": {"numerator": 5, "denominator": "HUNDRED"}},
        ),
    ],
)
def test_fields(as_v2, fqn, old, new):
    outcome = as_v2(fqn, old)

    assert outcome.new == new
    assert outcome.changes
    assert not outcome.faults


def a_listener(operation, **fields):
    hcm = {"tracing": {"operation_name": operation}}
    return {
        "name": "l",
        "filter_chains": {"filters": [{"name": "envoy.http_connection_manager", "config": hcm}]},
        **fields,
    }


@pytest.mark.parametrize(("operation", "direction"), [("egress", "OUTBOUND"), (1, "OUTBOUND"), ("INGRESS", "INBOUND")])
def test_operation_name_becomes_the_direction_of_the_listener(as_v2, operation, direction):
    outcome = as_v2("config.listener.v3.Listener", a_listener(operation))

    assert outcome.new["traffic_direction"] == direction
    assert "operation_name" not in str(outcome.new)
    assert outcome.run.moved[id(outcome.new), "traffic_direction"][-2:] == ("tracing", "operation_name")


def test_a_direction_that_the_listener_says_itself_stands(as_v2):
    outcome = as_v2("config.listener.v3.Listener", a_listener("EGRESS", traffic_direction="INBOUND"))

    assert outcome.new["traffic_direction"] == "INBOUND"


def compressor(library=None, direction=None):
    new = {
        "@type": TYPE + "extensions.filters.http.compressor.v3.Compressor",
        "compressor_library": {
            "name": "envoy.compression.gzip.compressor",
            "typed_config": {"@type": TYPE + "extensions.compression.gzip.compressor.v3.Gzip", **(library or {})},
        },
    }
    return new | ({"response_direction_config": direction} if direction else {})


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ({}, compressor()),
        ({"memory_level": 3, "windowBits": 12}, compressor({"memory_level": 3, "window_bits": 12})),
        ({"compression_level": "speed"}, compressor({"compression_level": "BEST_SPEED"})),
        ({"compression_level": 1}, compressor({"compression_level": "BEST_COMPRESSION"})),
        ({"compression_strategy": "HUFFMAN"}, compressor({"compression_strategy": "HUFFMAN_ONLY"})),
        ({"compression_strategy": "odd"}, compressor({"compression_strategy": "odd"})),
        (
            {"content_length": 9, "content_type": ["a"], "disable_on_etag_header": True},
            compressor(
                direction={
                    "common_config": {"min_content_length": 9, "content_type": ["a"]},
                    "disable_on_etag_header": True,
                }
            ),
        ),
        (
            {"compressor": {"removeAcceptEncodingHeader": True, "runtime_enabled": {"default_value": True}}},
            compressor(
                direction={
                    "common_config": {"enabled": {"default_value": True}},
                    "remove_accept_encoding_header": True,
                }
            ),
        ),
        ({"misspelt": 1}, compressor() | {"misspelt": 1}),
    ],
)
def test_gzip_becomes_the_compressor(as_v2, old, new):
    by_name = as_v2(HTTP_FILTER, {"name": "envoy.gzip", "config": old})
    by_type = as_v2(HTTP_FILTER, {"name": "envoy.filters.http.gzip", "typed_config": {"@type": GZIP_V2, **old}})

    assert by_name.new == by_type.new == {"name": "envoy.filters.http.compressor", "typed_config": new}
    assert ("config", "the gzip filter becomes the compressor filter with the gzip library") in by_name.changes


def test_gzip_without_config_is_the_compressor_too(as_v2):
    assert as_v2(HTTP_FILTER, {"name": "envoy.gzip"}).new["typed_config"] == compressor()
