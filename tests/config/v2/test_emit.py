import textwrap

import pytest

from trio_envoy.config.document import parse
from trio_envoy.config.v2.emit import Emitter
from trio_envoy.config.v2.upgrade import upgrade


def emitted(text):
    """The new text of clusters, each line as it is; checked to be the upgraded tree."""
    text = textwrap.dedent(text)
    root = parse(text, "t.yaml").root
    result = upgrade(root)
    assert result.tree is not root
    new = Emitter(text, root, result).document()
    assert parse(new, "t.yaml").root == result.tree
    return new


def clusters(*items):
    return "static_resources:\n  clusters:\n" + "".join(f"  {line}\n" if line else "\n" for line in items)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param(
            ["- name: c", "  hosts: [{ pipe: { path: p } }]   # one"],
            [
                "- name: c",
                "  load_assignment:   # one",
                "    cluster_name: c",
                "    endpoints:",
                "    - lb_endpoints: [{ endpoint: { address: { pipe: { path: p } } } }]",
            ],
            id="a-block-for-brackets",
        ),
        pytest.param(
            ["- name: 'c'", "  hosts:  # all", "  # a", "  - pipe:   # b", "      path: p  # c", "  # d"],
            [
                "- name: 'c'",
                "  load_assignment:  # all",
                "    cluster_name: 'c'",
                "    endpoints:",
                "    - lb_endpoints:",
                "      # a",
                "      - endpoint:",
                "          address:",
                "            pipe:   # b",
                "              path: p  # c",
                "  # d",
            ],
            id="comments-go-with-their-items",
        ),
        pytest.param(
            ["- {name: c, drain_connections_on_host_removal: true}"],
            ["- {name: c, ignore_health_on_host_removal: true}"],
            id="short-brackets-stay",
        ),
        pytest.param(
            ["- {name: c, # x", "   drain_connections_on_host_removal: true}"],
            ["- name: c # x", "  ignore_health_on_host_removal: true"],
            id="brackets-over-lines-become-a-block",
        ),
        pytest.param(
            ["-   name: c", "    # why", "    tls_context: {}   # TLS", "    type: STATIC"],
            [
                "-   name: c",
                "    # why",
                "    transport_socket:   # TLS",
                "      name: envoy.transport_sockets.tls",
                "      typed_config:",
                '        "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext',
                "    type: STATIC",
            ],
            id="indentation-is-kept",
        ),
        pytest.param(
            ["- &c", "  name: c", "  drain_connections_on_host_removal: yes"],
            ["- &c", "  name: c", "  ignore_health_on_host_removal: yes"],
            id="an-anchor-is-kept",
        ),
        pytest.param(
            ["- name: c", "  health_checks: [&h {timeout: 1s, http_health_check: {use_http2: true}}]"],
            ["- name: c", "  health_checks: [&h {timeout: 1s, http_health_check: {codec_client_type: HTTP2}}]"],
            id="an-anchor-in-brackets-is-kept",
        ),
        pytest.param(
            ["- name: c", "  outlier_detection: &o {", "    consecutive_5xx: 3 }  # why", "  tls_context:"],
            [
                "- name: c",
                "  outlier_detection: &o  # why",
                "    consecutive_5xx: 3",
                "    always_eject_one_host: true",
            ],
            id="an-anchor-of-brackets-that-become-a-block",
        ),
        pytest.param(
            ["- name: c", "  # gone", "  load_assignment: {}  # too", "  hosts: {pipe: {path: p}}"],
            [
                "- name: c",
                "  # gone",
                "  # too",
                "  load_assignment:",
                "    cluster_name: c",
                "    endpoints:",
                "    - lb_endpoints:",
                "      - endpoint:",
                "          address: {pipe: {path: p}}",
            ],
            id="comments-of-what-is-gone-stay",
        ),
        pytest.param(
            ["- name: c", "", "  lb_policy: original_dst_lb   # own", "", "  metadata: |", "    x", "", "    y"],
            ["- name: c", "", "  lb_policy: CLUSTER_PROVIDED   # own", "", "  metadata: |", "    x", "", "    y"],
            id="blank-lines-and-text-blocks-are-kept",
        ),
    ],
)
def test_what_is_written(old, new):
    assert emitted(clusters(*old)) == clusters(*new)


def test_aliases_stay_where_what_they_stand_for_is_unchanged():
    new = emitted("""
        x: &address {pipe: {path: p}}
        static_resources:
          clusters:
          - {name: c, hosts: [*address]}
        """)

    assert "x: &address {pipe: {path: p}}" in new
    assert "address: *address" in new


def test_an_alias_of_something_that_changes_is_written_out():
    new = emitted("""
        static_resources:
          clusters:
          - name: a
            health_checks: &checks
            - timeout: 1s
              http_health_check: {path: /, use_http2: true}
          - name: b
            health_checks: *checks
        """)

    assert new.count("codec_client_type: HTTP2") == 2


def test_a_document_in_brackets_after_its_marker():
    new = emitted('--- {"static_resources": {"clusters": [{"name": "c", "tls_context": {}}]}}\n# end\n')

    assert new.startswith('---\n"static_resources":\n')
    assert new.endswith("\n# end\n")


def test_what_stands_around_the_document_is_kept():
    text = "# top\n\n---\nruntime: {base: {a: 1}} # r\n...\n---\nother: document\n"

    assert emitted(text) == (
        "# top\n\n---\nlayered_runtime: # r\n  layers:\n  - name: base\n    static_layer: {a: 1}\n"
        "  - name: admin\n    admin_layer: {}\n...\n---\nother: document\n"
    )


@pytest.mark.parametrize("name", ['"on"', "'1.5'", '"123"', '"a: b"', '"#x"', '"é"', '"*"', "''", '"0x1F"'])
def test_a_string_stays_a_string(name):
    emitted(clusters(f"- name: {name}", "  hosts: [{pipe: {path: p}}]"))


@pytest.mark.parametrize("value", ["on", "12", "a: b", "x #y", "[a", "", "- a", "null", "a\tb", "{}"])
def test_a_string_written_anew_is_quoted_where_it_must_be(value):
    quoted = "'" + value.replace("'", "''") + "'"

    emitted(f"""
        static_resources:
          listeners:
          - filter_chains:
            - filters:
              - name: envoy.http_connection_manager
                config: {{tracing: {{request_headers_for_tags: [{quoted}]}}}}
        """)
