import pytest

from trio_envoy.config.v2.upgrade import upgrade
from trio_envoy.config.v2.walk import Era

BOOTSTRAP = "config.bootstrap.v3.Bootstrap"
VALIDATION = "extensions.transport_sockets.tls.v3.CertificateValidationContext"
ZIPKIN = "config.trace.v3.ZipkinConfig"


def typed(*matchers):
    return [
        {"san_type": san_type, "matcher": matcher}
        for matcher in matchers
        for san_type in ("DNS", "URI", "IP_ADDRESS", "EMAIL")
    ]


@pytest.mark.parametrize(
    ("fqn", "old", "new"),
    [
        pytest.param(
            BOOTSTRAP,
            {"runtime": {"base": {"a": 1}}},
            {
                "layered_runtime": {
                    "layers": [{"name": "base", "static_layer": {"a": 1}}, {"name": "admin", "admin_layer": {}}]
                }
            },
            id="runtime-base",
        ),
        pytest.param(
            BOOTSTRAP,
            {"runtime": {"symlinkRoot": "/r", "subdirectory": "s", "override_subdirectory": "o"}},
            {
                "layered_runtime": {
                    "layers": [
                        {"name": "root", "disk_layer": {"symlink_root": "/r", "subdirectory": "s"}},
                        {
                            "name": "override",
                            "disk_layer": {"symlink_root": "/r", "subdirectory": "o", "append_service_cluster": True},
                        },
                        {"name": "admin", "admin_layer": {}},
                    ]
                }
            },
            id="runtime-disk",
        ),
        pytest.param("config.core.v3.Node", {"id": "i", "build_version": "b"}, {"id": "i"}, id="build-version"),
        pytest.param(
            "admin.v3.CommandLineOptions",
            {"max_stats": 1, "max_obj_name_len": 2, "concurrency": 3},
            {"concurrency": 3},
            id="command-line",
        ),
        pytest.param(VALIDATION, {"require_ocsp_staple": True}, {}, id="ocsp-staple"),
        pytest.param("extensions.filters.http.ext_authz.v3.ExtAuthz", {"use_alpha": True}, {}, id="use-alpha"),
        pytest.param(
            VALIDATION,
            {"verify_subject_alt_name": ["a", "b"]},
            {"match_typed_subject_alt_names": typed({"exact": "a"}, {"exact": "b"})},
            id="subject-alt-name",
        ),
        pytest.param(
            VALIDATION,
            {"match_subject_alt_names": [{"prefix": "p"}], "verify_subject_alt_name": "a"},
            {"match_typed_subject_alt_names": typed({"exact": "a"}, {"prefix": "p"})},
            id="subject-alt-name-beside-matchers",
        ),
        pytest.param(
            VALIDATION,
            {"match_subject_alt_names": [{"regex": "p"}]},
            {"match_subject_alt_names": [{"safe_regex": {"regex": "p"}}]},
            id="matchers-alone-stay",
        ),
        pytest.param(
            "config.core.v3.ApiConfigSource",
            {"api_type": "REST", "transport_api_version": "V2"},
            {"api_type": "REST", "transport_api_version": "V3"},
            id="transport-version",
        ),
        pytest.param(
            "config.core.v3.ConfigSource",
            {"resource_api_version": "v2"},
            {"resource_api_version": "V3"},
            id="resource-version",
        ),
        pytest.param(
            "config.core.v3.ConfigSource", {"resource_api_version": "AUTO"}, {"resource_api_version": "AUTO"}, id="auto"
        ),
        pytest.param(
            "config.core.v3.ApiConfigSource",
            {"api_type": "UNSUPPORTED_REST_LEGACY"},
            {"api_type": "DEPRECATED_AND_UNAVAILABLE_DO_NOT_USE"},
            id="rest-legacy-is-refused-under-its-new-name",
        ),
        pytest.param(
            "service.discovery.v3.DiscoveryResponse",
            {"type_url": "type.googleapis.com/envoy.api.v2.Cluster"},
            {"type_url": "type.googleapis.com/envoy.config.cluster.v3.Cluster"},
            id="type-url",
        ),
        pytest.param(
            "service.discovery.v3.DiscoveryResponse",
            {"type_url": "type.googleapis.com/envoy.config.cluster.v3.Cluster"},
            {"type_url": "type.googleapis.com/envoy.config.cluster.v3.Cluster"},
            id="type-url-of-v3",
        ),
        pytest.param(
            ZIPKIN,
            {"collector_cluster": "z", "collector_endpoint": "/api/v1/spans"},
            {
                "collector_cluster": "z",
                "collector_endpoint": "/api/v2/spans",
                "collector_endpoint_version": "HTTP_JSON",
            },
            id="zipkin-default",
        ),
        pytest.param(
            ZIPKIN,
            {"collector_endpoint": "/spans", "collector_endpoint_version": "http_json_v1"},
            {"collector_endpoint": "/spans", "collector_endpoint_version": "HTTP_JSON"},
            id="zipkin-v1",
        ),
        pytest.param(
            ZIPKIN,
            {"collector_endpoint": "/api/v1/spans", "collector_endpoint_version": "HTTP_PROTO"},
            {"collector_endpoint": "/api/v1/spans", "collector_endpoint_version": "HTTP_PROTO"},
            id="zipkin-proto",
        ),
    ],
)
def test_fields(as_v2, fqn, old, new):
    outcome = as_v2(fqn, old)

    assert outcome.new == new
    assert not outcome.faults


def test_a_zipkin_of_which_the_version_is_not_known_is_left_alone(as_v2):
    old = {"collector_endpoint": "/api/v1/spans"}

    assert as_v2(ZIPKIN, old, Era.EITHER).new is old


@pytest.mark.parametrize(
    ("old", "text"),
    [
        ({"runtime": {}, "layered_runtime": {}}, "stands beside layered_runtime; only one of them can be set"),
        ({"runtime": 5}, "runtime is a message with symlink_root, subdirectory, override_subdirectory, base"),
    ],
)
def test_runtime_that_can_not_be_upgraded(as_v2, old, text):
    assert as_v2(BOOTSTRAP, old).faults == [("runtime", text)]


def test_a_v3_document_keeps_a_version_that_envoy_refuses(as_v2):
    source = {"api_config_source": {"transport_api_version": "V2"}}
    tree = {"dynamic_resources": {"cds_config": source}}

    assert upgrade(tree).tree is tree
    assert as_v2("config.core.v3.ConfigSource", source, Era.EITHER).new is source


def test_what_depends_on_the_version_is_written_when_anything_is_v2():
    tree = {
        "dynamic_resources": {"cds_config": {"api_config_source": {"transport_api_version": "V2"}}},
        "static_resources": {"clusters": [{"name": "c", "tls_context": {}, "outlier_detection": {}}]},
    }

    new = upgrade(tree).tree

    assert new["dynamic_resources"]["cds_config"]["api_config_source"] == {"transport_api_version": "V3"}
    assert new["static_resources"]["clusters"][0]["outlier_detection"] == {"always_eject_one_host": True}
