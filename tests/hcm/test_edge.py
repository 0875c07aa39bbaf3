"""The edge rules; expectations are transcripts of Envoy 1.40."""

import hashlib
from random import Random
from types import SimpleNamespace

import pytest

from trio_envoy.config.address import CidrRange
from trio_envoy.config.core import TypedExtensionConfig
from trio_envoy.config.hcm import ForwardClientCertDetails as Forward
from trio_envoy.config.hcm import HttpConnectionManager, InternalAddressConfig
from trio_envoy.config.http_status import HttpStatus, StatusCode
from trio_envoy.config.mutation_rules import HeaderMutation as Mutation
from trio_envoy.config.protocol import SchemeHeaderTransformation
from trio_envoy.errors import ConfigError
from trio_envoy.extensions.http.early_header_mutation.header_mutation import HeaderMutation
from trio_envoy.extensions.http.original_ip_detection.custom_header import CustomHeaderConfig
from trio_envoy.extensions.http.original_ip_detection.xff import XffConfig
from trio_envoy.hcm.edge import Edge, InternalAddresses
from trio_envoy.http.headers import Headers
from trio_envoy.http.message import Request
from trio_envoy.net.address import IpAddress, PipeAddress
from trio_envoy.net.services import Options
from trio_envoy.net.stream_info import ConnectionInfo, StreamInfo, TlsInfo

OWN = "192.0.2.2"
LOCAL = IpAddress("127.0.0.1", 8000)
LOOPBACK = IpAddress("127.0.0.1", 999)
LOCAL_CIDR = InternalAddressConfig(cidr_ranges=(CidrRange(address_prefix="127.0.0.0", prefix_len=8),))


def an_edge(config, *, options=None, internal_only=()):
    services = SimpleNamespace(local_address=OWN, random=Random(1), options=options or Options())
    return Edge(HttpConnectionManager(**config), services, internal_only)


def apply(
    config,
    fields,
    *,
    peer=LOOPBACK,
    tls=False,
    certificate=None,
    options=None,
    internal_only=(),
    local=LOCAL,
    scheme=b"",
):
    connection = ConnectionInfo(1, local, peer)
    if tls:
        connection.tls = TlsInfo(peer_certificate=certificate)
    edge = an_edge(config, options=options, internal_only=internal_only)
    info = StreamInfo(0.0, 0.0, connection)
    request = Request(b"GET", b"a.com", b"/", scheme, Headers([(n.encode(), v.encode()) for n, v in fields]))
    edge.apply(request, info, edge.facts(connection))
    return request, info


def extension(config):
    return TypedExtensionConfig(name="x", typed_config=config)


def seen(request):
    """The fields with request ids of ours shown as "<id>"."""
    found = [(n.decode(), v.decode()) for n, v in request.headers]
    return [(n, "<id>" if n == "x-request-id" and len(v) == 36 else v) for n, v in found]


def test_by_default_what_the_proxy_in_front_said_is_kept():
    request, info = apply(
        {},
        [
            ("x-forwarded-for", "1.2.3.4, 10.0.0.1"),
            ("x-envoy-internal", "true"),
            ("x-envoy-max-retries", "5"),
            ("x-forwarded-proto", "https"),
            ("x-request-id", "abc"),
            ("x-envoy-external-address", "9.9.9.9"),
        ],
    )

    assert seen(request) == [
        ("x-forwarded-for", "1.2.3.4, 10.0.0.1"),
        ("x-forwarded-proto", "https"),
        ("x-request-id", "abc"),
        ("x-envoy-external-address", "9.9.9.9"),
    ]
    assert info.downstream_remote == IpAddress("10.0.0.1", 0)
    assert request.scheme == b"https"


def test_by_default_a_missing_scheme_and_request_id_are_added():
    request, info = apply({}, [("x-forwarded-for", "10.0.0.1")])

    assert seen(request) == [
        ("x-forwarded-for", "10.0.0.1"),
        ("x-forwarded-proto", "http"),
        ("x-request-id", "<id>"),
    ]
    assert info.request_id == dict(request.headers)[b"x-request-id"]


def test_use_remote_address_appends_our_own_address_for_a_loopback_peer_and_cleans():
    request, info = apply(
        {"use_remote_address": True},
        [
            ("x-forwarded-for", "1.2.3.4"),
            ("x-envoy-max-retries", "5"),
            ("x-forwarded-proto", "https"),
            ("x-request-id", "abc"),
            ("x-envoy-foo", "1"),
            ("x-envoy-upstream-rq-timeout-ms", "99"),
            ("x-envoy-decorator-operation", "x"),
        ],
    )

    assert seen(request) == [
        ("x-forwarded-for", f"1.2.3.4,{OWN}"),
        ("x-forwarded-proto", "http"),
        ("x-request-id", "<id>"),
        ("x-envoy-foo", "1"),
        ("x-envoy-external-address", "127.0.0.1"),
    ]
    assert info.downstream_remote == IpAddress("127.0.0.1", 999)


def test_an_internal_peer_keeps_its_control_headers():
    request, info = apply(
        {"use_remote_address": True, "internal_address_config": LOCAL_CIDR},
        [("x-envoy-upstream-rq-timeout-ms", "99"), ("x-request-id", "abc")],
    )

    assert seen(request) == [
        ("x-envoy-upstream-rq-timeout-ms", "99"),
        ("x-request-id", "abc"),
        ("x-forwarded-for", OWN),
        ("x-forwarded-proto", "http"),
        ("x-envoy-internal", "true"),
    ]
    assert info.internal


def test_a_peer_that_sends_xff_is_not_internal():
    request, info = apply(
        {"use_remote_address": True, "internal_address_config": LOCAL_CIDR}, [("x-forwarded-for", "1.2.3.4")]
    )

    assert not info.internal
    assert dict(seen(request))["x-envoy-external-address"] == "127.0.0.1"


def test_trusted_hops_take_the_client_from_xff_and_keep_the_scheme():
    request, info = apply(
        {"use_remote_address": True, "xff_num_trusted_hops": 1, "via": "me"},
        [("x-forwarded-for", "1.2.3.4, 5.6.7.8"), ("x-forwarded-proto", "https"), ("via", "1.1 z")],
    )

    found = dict(seen(request))
    assert found["x-forwarded-for"] == f"1.2.3.4, 5.6.7.8,{OWN}"
    assert found["x-forwarded-proto"] == "https"
    assert found["via"] == "1.1 z, me"
    assert found["x-envoy-external-address"] == "5.6.7.8"
    assert info.downstream_remote == IpAddress("5.6.7.8", 0)


@pytest.mark.parametrize(
    ("config", "name", "value"),
    [
        ({"use_remote_address": True, "skip_xff_append": True}, "x-forwarded-for", None),
        ({"generate_request_id": False}, "x-request-id", None),
        ({"append_x_forwarded_port": True}, "x-forwarded-port", "8000"),
        ({"append_x_forwarded_port": True, "use_remote_address": True}, "x-forwarded-port", "8000"),
        ({"use_remote_address": True}, "x-forwarded-for", "9.8.7.6"),
    ],
)
def test_switches(config, name, value):
    request, _ = apply(config, [], peer=IpAddress("9.8.7.6", 5))

    assert dict(seen(request)).get(name) == value


def test_external_request_ids_are_kept_only_on_demand():
    config = {"use_remote_address": True, "preserve_external_request_id": True}

    assert seen(apply(config, [("x-request-id", "abc")])[0])[0] == ("x-request-id", "abc")


def test_user_agent_and_service_names_are_added():
    options = Options(service_cluster="front", service_node="n1")

    request, _ = apply({"add_user_agent": True}, [], options=options)

    found = dict(seen(request))
    assert found["user-agent"] == "front"
    assert found["x-envoy-downstream-service-cluster"] == "front"
    assert found["x-envoy-downstream-service-node"] == "n1"


@pytest.mark.parametrize(("sent", "expected"), [("", "front"), ("curl", "curl")])
def test_an_empty_user_agent_counts_as_none(sent, expected):
    request, _ = apply({"add_user_agent": True}, [("user-agent", sent)], options=Options(service_cluster="front"))

    assert request.headers.get_all(b"user-agent") == [expected.encode()]


def test_without_a_service_cluster_the_fields_are_empty():
    request, _ = apply({"add_user_agent": True}, [])

    assert dict(seen(request))["x-envoy-downstream-service-cluster"] == ""
    assert dict(seen(request))["user-agent"] == ""


def test_at_the_edge_what_was_rewritten_before_is_not_believed():
    fields = [("x-envoy-original-path", "/b"), ("x-envoy-original-host", "b"), ("x-envoy-attempt-count", "7")]

    outside, _ = apply({"use_remote_address": True}, fields)
    behind, _ = apply({}, fields)

    assert seen(outside)[0] == ("x-envoy-attempt-count", "7")
    assert seen(behind)[:3] == fields


def test_x_envoy_internal_is_what_we_found_not_what_was_said():
    config = {"use_remote_address": True, "internal_address_config": LOCAL_CIDR}

    request, _ = apply(config, [("x-envoy-internal", "no"), ("a", "b")])

    assert request.headers.get_all(b"x-envoy-internal") == [b"true"]
    assert seen(request)[0] == ("a", "b")


def test_headers_of_internal_clients_only_are_taken_from_all_others():
    inside = {"use_remote_address": True, "internal_address_config": LOCAL_CIDR}
    fields = [("x-secret", "1"), ("x-other", "2")]

    assert seen(apply(inside, fields, internal_only=(b"x-secret",))[0])[:2] == fields
    assert seen(apply({}, fields, internal_only=(b"x-secret",))[0])[0] == ("x-other", "2")
    assert seen(apply({"use_remote_address": True}, fields, internal_only=(b"x-secret",))[0])[0] == ("x-other", "2")


@pytest.mark.parametrize(
    ("details", "tls", "certificate", "stays"),
    [
        (Forward.SANITIZE, True, b"der", False),
        (Forward.FORWARD_ONLY, False, None, False),
        (Forward.FORWARD_ONLY, True, None, False),
        (Forward.FORWARD_ONLY, True, b"der", True),
        (Forward.ALWAYS_FORWARD_ONLY, False, None, True),
    ],
)
def test_what_is_said_of_a_client_certificate_stays(details, tls, certificate, stays):
    fields = [("x-forwarded-client-cert", "By=x")]

    request, _ = apply({"forward_client_cert_details": details}, fields, tls=tls, certificate=certificate)

    assert (request.headers.get(b"x-forwarded-client-cert") == b"By=x") is stays


def test_what_we_say_of_a_client_certificate_comes_last():
    request, _ = apply(
        {"forward_client_cert_details": Forward.SANITIZE_SET}, [("a", "b")], tls=True, certificate=b"der"
    )

    assert seen(request)[-1] == ("x-forwarded-client-cert", f"Hash={hashlib.sha256(b'der').hexdigest()}")


@pytest.mark.parametrize(("value", "stays"), [("http://a.com/x", True), ("not a url", False)])
def test_a_referer_that_is_none_is_removed(value, stays):
    request, _ = apply({}, [("referer", value)])

    assert (b"referer" in request.headers) is stays


@pytest.mark.parametrize(
    ("values", "expected"),
    [(["https://a.com/x", "foo"], [b"https://a.com/x,foo"]), (["foo", "https://a.com/x"], []), ([""], [b""])],
)
def test_several_referers_are_one(values, expected):
    request, _ = apply({}, [("referer", value) for value in values])

    assert request.headers.get_all(b"referer") == expected


def test_an_empty_via_counts_as_none():
    assert apply({"via": "me"}, [("via", "")])[0].headers.get(b"via") == b"me"


def test_a_port_and_a_scheme_that_came_are_kept():
    request, _ = apply({"append_x_forwarded_port": True}, [("x-forwarded-port", "1"), ("x-forwarded-proto", "foo")])

    assert request.headers.get_all(b"x-forwarded-port") == [b"1"]
    assert request.scheme == b"http"


def test_trusted_hops_with_too_few_entries_leave_the_peer_as_the_client():
    _, info = apply({"use_remote_address": True, "xff_num_trusted_hops": 3}, [("x-forwarded-for", "1.2.3.4")])

    assert info.downstream_remote == LOOPBACK


def test_a_pipe_peer_adds_no_address_and_no_port():
    config = {"use_remote_address": True, "append_x_forwarded_port": True}

    request, _ = apply(config, [], peer=PipeAddress("/x"), local=PipeAddress("/y"))

    assert seen(request)[:1] == [("x-forwarded-proto", "http")]
    assert b"x-forwarded-port" not in request.headers
    assert b"x-envoy-external-address" not in request.headers


def test_the_scheme_of_an_absolute_target_stays():
    assert apply({}, [("x-forwarded-proto", "http")], scheme=b"https")[0].scheme == b"https"


def test_tls_makes_the_scheme_https():
    request, _ = apply({}, [], tls=True)

    assert request.scheme == b"https"
    assert dict(seen(request))["x-forwarded-proto"] == "https"


@pytest.mark.parametrize("text", ["unknown", "1.2.3.4.5", ""])
def test_a_broken_xff_leaves_the_peer_as_the_client(text):
    _, info = apply({}, [("x-forwarded-for", text)])

    assert info.downstream_remote == IpAddress("127.0.0.1", 999)


def test_internal_addresses():
    inside = InternalAddresses(LOCAL_CIDR)

    assert inside.contains(IpAddress("127.9.9.9", 1))
    assert not inside.contains(IpAddress("10.0.0.1", 1))
    assert not inside.contains(IpAddress("::1", 1))
    assert not inside.contains(PipeAddress("/x"))
    assert InternalAddresses(InternalAddressConfig(unix_sockets=True)).contains(PipeAddress("/x"))
    assert not InternalAddresses(None).contains(IpAddress("127.0.0.1", 1))


def test_a_range_that_is_none_is_refused():
    with pytest.raises(ConfigError, match="malformed IP address: a"):
        InternalAddresses(InternalAddressConfig(cidr_ranges=(CidrRange(address_prefix="a", prefix_len=8),)))


def test_a_range_with_too_many_bits_is_one_address():
    inside = InternalAddresses(
        InternalAddressConfig(cidr_ranges=(CidrRange(address_prefix="10.0.0.1", prefix_len=33),))
    )

    assert inside.contains(IpAddress("10.0.0.1", 1))
    assert not inside.contains(IpAddress("10.0.0.0", 1))


def test_a_scheme_of_ones_own_is_for_the_upstream_too():
    config = {"scheme_header_transformation": SchemeHeaderTransformation(scheme_to_overwrite="https")}

    request, _ = apply({**config, "use_remote_address": True}, [], scheme=b"http")

    assert request.scheme == b"https"
    assert request.headers.get(b"x-forwarded-proto") == b"https"


def test_early_mutations_come_first():
    early = HeaderMutation(mutations=(Mutation(remove="x-forwarded-for"),))

    request, info = apply({"early_header_mutation_extensions": (extension(early),)}, [("x-forwarded-for", "1.1.1.1")])

    assert info.downstream_remote == LOOPBACK
    assert b"x-forwarded-for" not in request.headers


def test_extensions_find_the_client_in_turn():
    custom = extension(CustomHeaderConfig(header_name="x-ip"))
    xff = extension(XffConfig(skip_xff_append=False))
    config = {"original_ip_detection_extensions": (custom, xff), "internal_address_config": LOCAL_CIDR}

    for fields, client, internal in (
        ([("x-ip", "127.1.1.1"), ("x-forwarded-for", "127.2.2.2")], "127.1.1.1", False),
        ([("x-forwarded-for", "127.2.2.2")], "127.2.2.2", True),
        ([], "127.0.0.1", False),
    ):
        request, info = apply(config, fields)

        assert (info.downstream_remote.host, info.internal) == (client, internal)
        appended = OWN in (request.headers.get(b"x-forwarded-for") or b"").decode()
        assert appended is (client != "127.1.1.1")


def test_an_extension_may_refuse_a_request():
    custom = CustomHeaderConfig(header_name="x-ip", reject_with_status=HttpStatus(code=StatusCode.Forbidden))
    edge = an_edge({"original_ip_detection_extensions": (extension(custom),)})
    connection = ConnectionInfo(1, LOCAL, LOOPBACK)
    info = StreamInfo(0.0, 0.0, connection)

    refused = edge.apply(Request(b"GET", b"a", b"/", b"", Headers()), info, edge.facts(connection))

    assert refused.status == 403
    assert info.downstream_remote is None
